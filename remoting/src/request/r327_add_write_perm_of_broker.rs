//! `ADD_WRITE_PERM_OF_BROKER` (327): give the write permission back to
//! all topics of a broker, in one name server.

use super::field::header;

header! {
    /// Which broker.
    AddWritePerm<'a> for ADD_WRITE_PERM_OF_BROKER {
        /// The broker's name.
        broker_name: &'a str = "brokerName",
    }
}

header! {
    /// How many topics it concerned.
    AddWritePermResponse {
        /// The number.
        add_topic_count: i32 = "addTopicCount",
    }
}
