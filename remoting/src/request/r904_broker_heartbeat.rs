//! `BROKER_HEARTBEAT` (904): a broker's short sign of life to a name server. Mostly one-way.

use super::field::header;

header! {
    /// Which broker lives.
    BrokerHeartbeat<'a> for BROKER_HEARTBEAT {
        /// Its cluster.
        cluster_name: &'a str = "clusterName",
        /// The address it serves.
        broker_addr: &'a str = "brokerAddr",
        /// The broker's name.
        broker_name: &'a str = "brokerName",
        /// Its id among the brokers of its name.
        broker_id: Option<i64> = "brokerId",
        /// For controllers only.
        epoch: Option<i32> = "epoch",
        /// For controllers only.
        max_offset: Option<i64> = "maxOffset",
        /// For controllers only.
        confirm_offset: Option<i64> = "confirmOffset",
        /// After how long without a sign of life the broker counts as dead.
        heartbeat_timeout_mills: Option<i64> = "heartbeatTimeoutMills",
        /// For controllers only.
        election_priority: Option<i32> = "electionPriority",
    }
}
