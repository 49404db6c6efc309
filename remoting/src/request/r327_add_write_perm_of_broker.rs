//! `ADD_WRITE_PERM_OF_BROKER` (327): give the write permission back to
//! all topics of a broker, in one name server.

use super::field::header;

header! {
    /// The broker whose topics get the write permission back.
    AddWritePerm<'a> for ADD_WRITE_PERM_OF_BROKER {
        /// The name of the broker.
        broker_name: &'a str = "brokerName",
    }
}

header! {
    /// How many topics it concerned.
    AddWritePermResponse {
        /// How many topics of the broker it concerned.
        add_topic_count: i32 = "addTopicCount",
    }
}
