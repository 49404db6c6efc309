//! `HEART_BEAT` (34): a client tells a broker which groups it serves.

use serde::{Deserialize, Serialize};

use super::field::{bare_request, header};
use crate::body::lenient;
use crate::observe::Name;

bare_request! {
    /// Everything is in the body, a [`HeartbeatData`].
    HeartBeat for HEART_BEAT
}

header! {
    /// What brokers from 5.0 on add to the code.
    HeartBeatResponse {
        /// Whether the broker understands heartbeats that leave the subscriptions out.
        supports_v2: bool = "IS_SUPPORT_HEART_BEAT_V2",
        /// Whether the subscriptions differ from those the broker knew.
        sub_changed: bool = "IS_SUB_CHANGE",
    }
}

/// A client and its groups.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HeartbeatData {
    /// The id of the client, as it chose it.
    #[serde(rename = "clientID")]
    pub client_id: Name,
    /// The consumer groups that the client takes part in.
    #[serde(deserialize_with = "lenient")]
    pub consumer_data_set: Vec<ConsumerData>,
    /// Stands for the subscriptions when they are left out.
    #[serde(deserialize_with = "lenient")]
    pub heartbeat_fingerprint: i32,
    /// The producer groups that the client sends for.
    #[serde(deserialize_with = "lenient")]
    pub producer_data_set: Vec<ProducerData>,
    /// Whether the subscriptions are left out.
    #[serde(deserialize_with = "lenient")]
    pub without_sub: bool,
}

/// A producer group of the client that sends the heartbeat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProducerData {
    /// The name of the producer group.
    pub group_name: Name,
}

/// A consumer group, as far as a broker of the laboratory looks at it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConsumerData {
    /// Where a new group begins to consume: `CONSUME_FROM_LAST_OFFSET`, `CONSUME_FROM_FIRST_OFFSET` or
    /// `CONSUME_FROM_TIMESTAMP`.
    #[serde(deserialize_with = "lenient")]
    pub consume_from_where: String,
    /// How the group consumes: `CONSUME_ACTIVELY`, `CONSUME_PASSIVELY` or `CONSUME_POP`.
    #[serde(deserialize_with = "lenient")]
    pub consume_type: String,
    /// The name of the consumer group.
    pub group_name: Name,
    /// How the group shares messages: `CLUSTERING` or `BROADCASTING`.
    #[serde(deserialize_with = "lenient")]
    pub message_model: String,
    /// What it subscribes to, not looked into.
    #[serde(deserialize_with = "lenient")]
    pub subscription_data_set: Vec<serde_json::Value>,
    /// Whether it belongs to a unit.
    #[serde(deserialize_with = "lenient")]
    pub unit_mode: bool,
}
