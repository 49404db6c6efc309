//! `UNREGISTER_CLIENT` (35): a client takes its groups back from a broker.

use super::field::header;

header! {
    /// Which client leaves, and from which groups.
    UnregisterClient<'a> for UNREGISTER_CLIENT {
        /// The producer group, if that is what ends.
        producer_group: Option<&'a str> = "producerGroup",
        /// The consumer group, if that is what ends.
        consumer_group: Option<&'a str> = "consumerGroup",
        /// The id of the client whose group it is.
        client_id: &'a str = "clientID",
    }
}
