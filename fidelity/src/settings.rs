//! The `client` object of a case: what the producer is told and what it is asked to send.

use rmq_producer::Policy;
use rmq_producer::policy::{AttemptTimeout, NotSafe};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::words::Dialect;

/// What a client is told, and what it is asked to send. The names are those of the Java client's
/// setters.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Settings {
    /// The addresses of the name servers, as the client is given them.
    pub namesrv_addr: String,
    /// The producer group; `G1` unless set.
    pub group: Option<String>,
    /// The topic; `T` unless set.
    pub topic: Option<String>,
    /// Milliseconds between the start and the first message.
    pub start_delay_ms: u64,
    /// How messages are sent; sync unless set.
    pub mode: SendPattern,
    /// How many; 1 unless set.
    pub count: Option<u64>,
    /// Milliseconds that the client pauses between two messages; 0 for no pause.
    pub interval_ms: u64,
    /// Bytes of each body; 32 unless set.
    pub body_size: Option<usize>,
    /// Whether an async send waits for the one before; yes unless set.
    #[serde(rename = "await")]
    pub one_by_one: Option<bool>,
    /// The explicit timeout of each call.
    pub per_call_timeout_ms: Option<u64>,
    /// Who chooses the queue of each message; absent: the producer.
    pub selector: Option<Selector>,
    /// The queue that the last warm-up message must hit.
    pub pin: Option<Pin>,
    /// The start waits for a word, though no queue is pinned.
    pub gate: bool,
    /// Messages of a batch.
    pub batch: Option<u64>,
    /// Whether the messages are transactional.
    pub transaction: bool,
    /// Whether the producer is stopped in the end.
    pub shutdown: bool,
    /// Milliseconds between the last send and the end.
    pub linger_ms: Option<u64>,
    /// The tag of each message.
    pub tags: String,
    timeout_ms: Option<u64>,
    retry_times_when_send_failed: Option<u32>,
    retry_times_when_send_async_failed: Option<u32>,
    #[serde(rename = "retryAnotherBrokerWhenNotStoreOK")]
    retry_another_broker_when_not_store_ok: bool,
    send_latency_fault_enable: bool,
    send_msg_max_timeout_per_request: Option<i64>,
    create_topic_key: Option<String>,
    default_topic_queue_nums: Option<i32>,
    max_message_size: Option<u32>,
    compress_over: Option<u32>,
    /// The limit of async sends under way.
    pub back_pressure_num: Option<u32>,
    go_default_retry: bool,
}

/// How messages are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SendPattern {
    /// The caller waits for the outcome of each message.
    #[default]
    Sync,
    /// A callback is told the outcome.
    Async,
    /// Nobody is told an outcome, and brokers do not answer.
    Oneway,
    /// The first async, the second sync with the call's own timeout.
    Mixed,
}

/// How the caller chooses the queue of a message.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "lowercase", tag = "type")]
pub enum Selector {
    /// Every message goes to this queue.
    Queue {
        /// The name of the broker that has the queue.
        broker: String,
        /// The id of the queue at that broker, from 0.
        queue: i32,
    },
    /// By the hash of this key.
    Hash {
        /// The key whose hash chooses the queue.
        key: String,
    },
}

/// When the warm-up is over.
#[derive(Debug, Clone, Deserialize)]
pub struct Pin {
    /// The broker of the last message.
    pub broker: String,
    /// The id of the queue at that broker, from 0.
    pub queue: i32,
    /// The least number of messages.
    pub min: u64,
}

impl Settings {
    /// The policy that these settings make of a preset. A setting that the client does not have
    /// changes nothing.
    #[must_use]
    pub fn policy(&self, mut policy: Policy, dialect: Dialect) -> Policy {
        let has = |name| !dialect.lacks().contains(&name);
        if let Some(timeout) = self.timeout_ms.filter(|_| has("timeoutMs")) {
            policy.send_timeout = timeout.max(1);
        }
        let usual = dialect.usual_retries().filter(|_| !self.go_default_retry);
        if let Some(retries) = self.retry_times_when_send_failed.or(usual) {
            policy.attempts = policy.attempts.with_sync_retries(retries);
        }
        if let Some(retries) = self.retry_times_when_send_async_failed {
            policy.attempts = policy.attempts.with_async_retries(retries);
        }
        if self.retry_another_broker_when_not_store_ok && has("retryAnotherBrokerWhenNotStoreOK") {
            policy.not_safe = NotSafe::RetrySync;
        }
        if has("sendLatencyFaultEnable") {
            policy.health.enabled |= self.send_latency_fault_enable;
        }
        let cap = self.send_msg_max_timeout_per_request;
        if let Some(cap) = cap.and_then(|cap| u64::try_from(cap).ok())
            && has("sendMsgMaxTimeoutPerRequest")
        {
            policy.attempt_timeout = AttemptTimeout::Cap(cap);
        }
        if let Some(key) = &self.create_topic_key {
            policy.default_topic.clone_from(key);
        }
        if let Some(queues) = self.default_topic_queue_nums {
            policy.default_queues = queues;
        }
        if let Some(max) = self.max_message_size.filter(|_| has("maxMessageSize")) {
            policy.checks.max_body = max;
        }
        if let Some(over) = self.compress_over {
            policy.compress_over = over.max(1);
        }
        policy
    }
}

/// The features that a case asks for and the client does not have, in the order in which its
/// driver tells of them.
#[must_use]
pub fn lacking(client: &Map<String, Value>, dialect: Dialect) -> Vec<&'static str> {
    let asked = |name: &str| {
        client
            .get(name)
            .is_some_and(|value| *value != Value::Bool(false))
    };
    let told = dialect.lacks().iter().copied();
    told.filter(|name| *name != "timeoutMs" && asked(name))
        .map(|name| {
            if name == "backPressureNum" {
                "backPressure"
            } else {
                name
            }
        })
        .collect()
}
