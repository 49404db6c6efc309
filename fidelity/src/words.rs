//! What a client calls an outcome: class, code and text.
//!
//! The producer has one error type with every attempt in it. What Java and Go programs see instead
//! is a matter of words, and the words are here. They add nothing to what happened, with one
//! exception, which says so where it is made.

mod go;
mod java;
pub(crate) mod text;

use rmq_producer::event::Mode;
use rmq_producer::{Policy, SendError, SendStatus, Sent, StartError};
use serde_json::{Map, Value, json};

/// Whose words are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// The Java client 5.3.3.
    Java53,
    /// The Java client 4.9.8.
    Java49,
    /// The Go client 2.1.2.
    Go,
}

impl Dialect {
    /// The words of the client that a policy imitates; those of Java 5.3 for any other policy.
    #[must_use]
    pub fn of(policy: &Policy) -> Self {
        match policy.name.as_str() {
            "java_4_9" => Self::Java49,
            "go_2_1" => Self::Go,
            _ => Self::Java53,
        }
    }

    /// The settings that the client does not have, or that have no effect.
    #[must_use]
    pub fn lacks(self) -> &'static [&'static str] {
        match self {
            Self::Java53 => &[],
            Self::Java49 => &["sendMsgMaxTimeoutPerRequest", "backPressureNum"],
            Self::Go => &[
                "timeoutMs",
                "retryAnotherBrokerWhenNotStoreOK",
                "sendLatencyFaultEnable",
                "sendMsgMaxTimeoutPerRequest",
                "perCallTimeoutMs",
                "retryTimesWhenSendAsyncFailed",
                "maxMessageSize",
                "transaction",
            ],
        }
    }

    /// The retries that the recordings set where a case says nothing of them.
    #[must_use]
    pub fn usual_retries(self) -> Option<u32> {
        (self == Self::Go).then_some(2)
    }
}

/// What of a send shapes the words for its failure.
#[derive(Debug)]
pub struct Context<'a> {
    /// The client whose words are used.
    pub dialect: Dialect,
    /// The policy of the producer.
    pub policy: &'a Policy,
    /// The topic, as the caller names it.
    pub topic: &'a str,
    /// How it was sent.
    pub mode: Mode,
    /// Where it was sent.
    pub target: Target<'a>,
}

/// Where a message was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target<'a> {
    /// To a queue that the producer chose.
    Any,
    /// To a queue of this broker.
    Queue(&'a str),
    /// To a queue that a selector chose.
    Selector,
}

/// What a client reports as a failure.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Report {
    class: String,
    code: Option<i32>,
    text: String,
    cause: Option<(String, String)>,
    /// Returned by the call itself instead of given to the callback.
    thrown: bool,
}

impl Report {
    fn new(class: &str, text: impl Into<String>) -> Self {
        Self {
            class: class.to_owned(),
            text: text.into(),
            ..Self::default()
        }
    }

    fn coded(class: &str, code: i32, text: impl Into<String>) -> Self {
        Self {
            code: Some(code),
            ..Self::new(class, text)
        }
    }

    fn caused(mut self, by: &Report) -> Self {
        self.cause = Some((by.class.clone(), by.text.clone()));
        self
    }

    fn fields(self) -> Map<String, Value> {
        let mut fields = Map::new();
        fields.insert("exc".into(), json!(self.class));
        fields.insert("msg".into(), json!(first_line(&self.text)));
        if let Some(code) = self.code {
            fields.insert("code".into(), json!(code));
        }
        if let Some((class, text)) = self.cause {
            fields.insert("cause".into(), json!(class));
            fields.insert("causeMsg".into(), json!(first_line(&text)));
        }
        if self.thrown {
            fields.insert("thrown".into(), json!(true));
        }
        fields
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// The fields of a success.
#[must_use]
pub fn success(sent: &Sent) -> Map<String, Value> {
    let status = match sent.status {
        SendStatus::Ok => "SEND_OK",
        SendStatus::FlushDiskTimeout => "FLUSH_DISK_TIMEOUT",
        SendStatus::SlaveNotAvailable => "SLAVE_NOT_AVAILABLE",
        SendStatus::FlushSlaveTimeout => "FLUSH_SLAVE_TIMEOUT",
    };
    let mut fields = Map::new();
    fields.insert("status".into(), json!(status));
    fields.insert("broker".into(), json!(&*sent.queue.broker));
    fields.insert("queue".into(), json!(sent.queue.queue));
    fields.insert("offset".into(), json!(sent.offset));
    fields.insert("msgId".into(), json!(&*sent.message_id));
    fields
}

/// The fields of a failure, one map for each time that the client reports it.
#[must_use]
pub fn failure(context: &Context<'_>, error: &SendError) -> Vec<Map<String, Value>> {
    let reports = match context.dialect {
        Dialect::Java53 | Dialect::Java49 => java::reports(context, error),
        Dialect::Go => vec![go::report(context, error)],
    };
    reports.into_iter().map(Report::fields).collect()
}

/// The fields of a producer that does not start.
#[must_use]
pub fn not_started(dialect: Dialect, error: &StartError) -> Map<String, Value> {
    match dialect {
        Dialect::Java53 | Dialect::Java49 => java::not_started(error),
        Dialect::Go => Report::new("*errors.errorString", error.to_string()),
    }
    .fields()
}
