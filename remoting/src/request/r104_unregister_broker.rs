//! `UNREGISTER_BROKER` (104): a broker takes its registration back.

use super::field::header;

header! {
    /// Which broker. The address decides; the id is not compared.
    UnregisterBroker<'a> for UNREGISTER_BROKER {
        /// The name of the broker, which a master shares with its slaves.
        broker_name: &'a str = "brokerName",
        /// The address that the broker serves at.
        broker_addr: &'a str = "brokerAddr",
        /// The name of the cluster that the broker belongs to.
        cluster_name: &'a str = "clusterName",
        /// Its id among the brokers of its name, 0 for the master.
        broker_id: i64 = "brokerId",
    }
}
