//! `QUERY_DATA_VERSION` (322): a broker asks whether a name server's copy of its topics is old. The
//! request's body, and the answer's if the broker is known, is a
//! [`DataVersion`](crate::topic::DataVersion).

use super::field::header;

header! {
    /// Which broker.
    QueryDataVersion<'a> for QUERY_DATA_VERSION {
        /// The broker's name.
        broker_name: &'a str = "brokerName",
        /// The address it serves.
        broker_addr: &'a str = "brokerAddr",
        /// Its cluster.
        cluster_name: &'a str = "clusterName",
        /// Its id among the brokers of its name.
        broker_id: Option<i64> = "brokerId",
    }
}

header! {
    /// Whether the copy is old.
    QueryDataVersionResponse {
        /// The answer.
        changed: bool = "changed",
    }
}
