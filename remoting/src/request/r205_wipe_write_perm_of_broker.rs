//! `WIPE_WRITE_PERM_OF_BROKER` (205): take the write permission from
//! all topics of a broker, in one name server.

use super::field::header;

header! {
    /// Which broker.
    WipeWritePerm<'a> for WIPE_WRITE_PERM_OF_BROKER {
        /// The broker's name.
        broker_name: &'a str = "brokerName",
    }
}

header! {
    /// How many topics it concerned.
    WipeWritePermResponse {
        /// The number.
        wipe_topic_count: i32 = "wipeTopicCount",
    }
}
