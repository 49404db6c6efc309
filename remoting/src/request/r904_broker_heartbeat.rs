//! `BROKER_HEARTBEAT` (904): a broker's short sign of life to a name server. Mostly one-way.

use super::field::header;

header! {
    /// The broker that is alive, and for how long that holds.
    BrokerHeartbeat<'a> for BROKER_HEARTBEAT {
        /// The name of the cluster that the broker belongs to.
        cluster_name: &'a str = "clusterName",
        /// The address that the broker serves at.
        broker_addr: &'a str = "brokerAddr",
        /// The name of the broker, which a master shares with its slaves.
        broker_name: &'a str = "brokerName",
        /// Its id among the brokers of its name.
        broker_id: Option<i64> = "brokerId",
        /// The epoch of the broker's mastership; for controllers only.
        epoch: Option<i32> = "epoch",
        /// The end of the broker's log, in bytes; for controllers only.
        max_offset: Option<i64> = "maxOffset",
        /// Up to where replicas have confirmed the log, in bytes; for controllers only.
        confirm_offset: Option<i64> = "confirmOffset",
        /// After how long without a sign of life the broker counts as dead.
        heartbeat_timeout_mills: Option<i64> = "heartbeatTimeoutMills",
        /// The rank of the broker when a master is elected; for controllers only.
        election_priority: Option<i32> = "electionPriority",
    }
}
