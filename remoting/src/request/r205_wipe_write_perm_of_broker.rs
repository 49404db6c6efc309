//! `WIPE_WRITE_PERM_OF_BROKER` (205): take the write permission from
//! all topics of a broker, in one name server.

use super::field::header;

header! {
    /// The broker whose topics lose the write permission.
    WipeWritePerm<'a> for WIPE_WRITE_PERM_OF_BROKER {
        /// The name of the broker.
        broker_name: &'a str = "brokerName",
    }
}

header! {
    /// How many topics it concerned.
    WipeWritePermResponse {
        /// How many topics of the broker it concerned.
        wipe_topic_count: i32 = "wipeTopicCount",
    }
}
