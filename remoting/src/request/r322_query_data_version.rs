//! `QUERY_DATA_VERSION` (322): a broker asks whether a name server's copy of its topics is old. The
//! request's body, and the answer's if the broker is known, is a
//! [`DataVersion`](crate::topic::DataVersion).

use super::field::header;

header! {
    /// Which broker asks whether its version is known.
    QueryDataVersion<'a> for QUERY_DATA_VERSION {
        /// The name of the broker, which a master shares with its slaves.
        broker_name: &'a str = "brokerName",
        /// The address that the broker serves at.
        broker_addr: &'a str = "brokerAddr",
        /// The name of the cluster that the broker belongs to.
        cluster_name: &'a str = "clusterName",
        /// Its id among the brokers of its name.
        broker_id: Option<i64> = "brokerId",
    }
}

header! {
    /// Whether the copy is old.
    QueryDataVersionResponse {
        /// `true` if the name server's copy differs from what the broker has, or is missing.
        changed: bool = "changed",
    }
}
