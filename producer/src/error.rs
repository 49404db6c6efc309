//! Why a send failed, for a person and for a program.
//!
//! A failed send is a small report: which brokers were tried, how each attempt ended and how long
//! it took. [`SendError`] tells it in one line and keeps each [`Attempt`] with its cause.

mod lookup;

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rmq_remoting::client::CallError;
use rmq_remoting::code::response_name;
use rmq_remoting::header::HeaderError;
use rmq_remoting::observe::Name;
use rmq_remoting::text;

pub use self::lookup::{LookupError, Said, ServerAnswer};

use crate::decide::address;
use crate::event::{Failure, QueueRef, Stage};
use crate::message::{InvalidMessage, Message};
use crate::policy::PolicyError;

/// What ended an attempt.
#[derive(Debug, Clone)]
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
pub enum Cause {
    /// The connection or the request failed.
    Call(Arc<CallError>),
    /// The broker answered with an error code and a remark.
    Refused {
        /// The response code that the server answered with.
        code: i32,
        /// The broker's words: at most [`text::KEPT`] bytes of them.
        remark: String,
    },
    /// The broker's answer cannot be understood.
    Decode(HeaderError),
    /// A hook of the program forbade the attempt.
    Vetoed {
        /// What is wrong, in the route's own terms.
        reason: String,
    },
    /// No route names an address for the broker's master.
    NoAddress,
    /// The time of the attempt, or of the send, passed without an answer.
    Silent,
    /// The send was over before the attempt was.
    Superseded,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Call(error) => f.write_str(&text::with_causes(&**error)),
            Self::Refused { code, remark } => {
                write!(f, "code {code}")?;
                if let Some(name) = response_name(*code) {
                    write!(f, " {name}")?;
                }
                match remark.lines().next() {
                    Some(line) if !line.is_empty() => write!(f, ": {}", text::name(line)),
                    _ => Ok(()),
                }
            }
            Self::Decode(error) => f.write_str(&text::with_causes(error)),
            Self::Vetoed { reason } => f.write_str(reason),
            Self::NoAddress => f.write_str("no route names the address of its master"),
            Self::Silent => f.write_str("no answer in time"),
            Self::Superseded => f.write_str("the send ended before"),
        }
    }
}

/// One attempt of a send that ended without success.
///
/// Written as `#2 broker-b/q1: refused after 2 ms (code 2 SYSTEM_BUSY: too many requests)`.
#[derive(Debug, Clone)]
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
pub struct Attempt {
    /// Its number, from 1.
    pub number: u32,
    /// The broker and queue that the attempt went to.
    pub to: QueueRef,
    /// The broker's address, if known.
    pub address: Option<Name>,
    /// At which stage it ended.
    pub stage: Stage,
    /// The response code, where the broker answered.
    pub code: Option<i32>,
    /// How long it took.
    pub after: Duration,
    /// What ended the attempt, with the underlying error.
    pub cause: Cause,
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let QueueRef { broker, queue } = &self.to;
        let (number, stage, after) = (self.number, self.stage, self.after.as_millis());
        let broker = text::name(broker);
        write!(f, "#{number} {broker}/q{queue}: {stage} after {after} ms")?;
        match &self.cause {
            Cause::Silent | Cause::NoAddress | Cause::Superseded => Ok(()),
            cause => write!(f, " ({cause})"),
        }
    }
}

/// A send that failed.
///
/// Its text is one line a person can act on; [`attempts`](Self::attempts) lists what was tried,
/// [`failure`](Self::failure) is its class for programs. Three questions are answered directly:
///
/// ```
/// # use rmq_producer::SendError;
/// fn what_now(error: &SendError) -> &'static str {
///     if !error.is_retryable() {
///         "something has to change first: tell a person"
///     } else if error.may_be_stored() {
///         "send it again; whoever consumes drops the copy by its unique key"
///     } else if error.is_timeout() {
///         "send it again, and look at what is slow"
///     } else {
///         "send it again"
///     }
/// }
/// ```
#[derive(Debug, Clone)]
pub struct SendError {
    inner: Box<Inner>,
}

#[derive(Debug, Clone)]
struct Inner {
    failure: Failure,
    topic: Name,
    /// The unique key, once the message was built.
    unique_key: Option<Name>,
    /// What is wrong with the message or the route.
    reason: Option<Reason>,
    attempts: Vec<Attempt>,
    after: Duration,
    /// The message, to be given back.
    message: Option<Message>,
}

/// Why a send ended before its first attempt.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Reason {
    #[error(transparent)]
    Invalid(#[from] InvalidMessage),
    #[error(transparent)]
    Lookup(#[from] Arc<LookupError>),
    #[error(transparent)]
    Full(#[from] Full),
}

impl SendError {
    pub(crate) fn new(failure: Failure, topic: &Name, after: Duration) -> Self {
        let inner = Inner {
            failure,
            topic: Name::clone(topic),
            unique_key: None,
            reason: None,
            attempts: Vec::new(),
            after,
            message: None,
        };
        Self {
            inner: Box::new(inner),
        }
    }

    pub(crate) fn because(mut self, reason: impl Into<Reason>) -> Self {
        self.inner.reason = Some(reason.into());
        self
    }

    pub(crate) fn of_message(mut self, key: &Name, attempts: Vec<Attempt>) -> Self {
        self.inner.unique_key = Some(Name::clone(key));
        self.inner.attempts = attempts;
        self
    }

    pub(crate) fn of(mut self, message: Message) -> Self {
        self.inner.message = Some(message);
        self
    }

    /// The message, given back to be kept or sent again.
    ///
    /// To send it again as the same message, for consumers that drop copies, it needs the
    /// [`message_id`](Self::message_id) of this send: see [`Message::with_id`]. `None` for an async send
    /// whose task was ended by the end of its producer or of the runtime under it.
    ///
    /// ```
    /// # use rmq_producer::{Message, Producer, SendError};
    /// async fn once_more(producer: &Producer, error: SendError) -> Result<(), SendError> {
    ///     let id = error.message_id().map(str::to_owned);
    ///     match (error.is_retryable(), id) {
    ///         (true, Some(id)) => {
    ///             let Some(message) = error.into_message() else {
    ///                 return Ok(());
    ///             };
    ///             // An id that a producer made is always one that can be carried.
    ///             let message = message.with_id(id).expect("an id of a producer");
    ///             producer.send(message).await.map(drop)
    ///         }
    ///         _ => Err(error),
    ///     }
    /// }
    /// ```
    #[must_use]
    pub fn into_message(self) -> Option<Message> {
        self.inner.message
    }

    /// The class of the failure, for programs that decide by it.
    #[must_use]
    pub fn failure(&self) -> Failure {
        self.inner.failure
    }

    /// The topic of the message.
    #[must_use]
    pub fn topic(&self) -> &str {
        &self.inner.topic
    }

    /// The message's unique key. Copies of it may be stored although the send failed.
    #[must_use]
    pub fn message_id(&self) -> Option<&str> {
        self.inner.unique_key.as_deref()
    }

    /// What is wrong with the message, if that is why it was not sent.
    ///
    /// ```
    /// # use rmq_producer::{Message, Producer};
    /// # use rmq_mock_broker::Broker;
    /// # use rmq_mock_namesrv::NameServer;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let name_server = NameServer::on_loopback().await?;
    /// # let address = name_server.local_addr().to_string();
    /// # let broker = Broker::builder("broker-a").name_server(&address).topic("orders", 4).start().await?;
    /// # let producer = Producer::builder("order-service").name_servers(&address).start().await?;
    /// let error = producer.send(Message::new("orders", "")).await.unwrap_err();
    /// let invalid = error.invalid().expect("the message is what is wrong");
    /// assert_eq!(invalid.text, "the message body length is zero");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn invalid(&self) -> Option<&InvalidMessage> {
        match &self.inner.reason {
            Some(Reason::Invalid(invalid)) => Some(invalid),
            _ => None,
        }
    }

    /// How the lookup of the topic's route failed, if that is why the message was not sent.
    ///
    /// ```
    /// # use rmq_producer::{LookupError, Message, Policy, Producer};
    /// # use rmq_mock_broker::Broker;
    /// # use rmq_mock_namesrv::NameServer;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let name_server = NameServer::on_loopback().await?;
    /// # let address = name_server.local_addr().to_string();
    /// # let broker = Broker::builder("broker-a").name_server(&address).topic("orders", 4).start().await?;
    /// # let policy = Policy::strict().with(|policy| policy.default_topic = "none".to_owned());
    /// # let producer = Producer::builder("strict-topics").name_servers(&address).policy(policy).start().await?;
    /// let error = producer.send(Message::new("no-such-topic", "hello")).await.unwrap_err();
    /// assert!(matches!(error.lookup(), Some(LookupError::NotExist { .. })));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn lookup(&self) -> Option<&LookupError> {
        match &self.inner.reason {
            Some(Reason::Lookup(error)) => Some(error),
            _ => None,
        }
    }

    /// Every attempt, in the order of their numbers.
    ///
    /// ```
    /// # use rmq_producer::{Message, Producer};
    /// # use rmq_mock_broker::Broker;
    /// # use rmq_mock_namesrv::NameServer;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let name_server = NameServer::on_loopback().await?;
    /// # let address = name_server.local_addr().to_string();
    /// # let broker = Broker::builder("broker-a").name_server(&address).topic("orders", 4).start().await?;
    /// # let producer = Producer::builder("order-service").name_servers(&address).start().await?;
    /// # producer.ready("orders").await?;
    /// # broker.stop().await;
    /// let error = producer.send(Message::new("orders", "hello")).await.unwrap_err();
    /// for attempt in error.attempts() {
    ///     println!("{attempt}"); // #1 broker-a/q0: connection refused or not established after 0 ms (…)
    /// }
    /// assert!(!error.may_be_stored(), "no connection, no copy");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn attempts(&self) -> &[Attempt] {
        &self.inner.attempts
    }

    /// How long the send took.
    #[must_use]
    pub fn after(&self) -> Duration {
        self.inner.after
    }

    /// The response code of the last attempt that a broker refused, or of a refused message.
    #[must_use]
    pub fn code(&self) -> Option<i32> {
        let refused = self
            .inner
            .attempts
            .iter()
            .rev()
            .find_map(|attempt| attempt.code);
        refused.or(match &self.inner.reason {
            Some(Reason::Invalid(invalid)) => Some(invalid.code),
            _ => None,
        })
    }

    /// Whether time ran out: the deadline of the send passed, or nobody answered within it.
    ///
    /// A longer send timeout may help, or a look at what is slow.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        match self.inner.failure {
            Failure::Deadline | Failure::RouteUnreachable => true,
            Failure::Attempts(stage) => stage == Stage::Silent,
            Failure::Invalid
            | Failure::NotRunning
            | Failure::NoRoute
            | Failure::NoNameServer
            | Failure::BackPressure
            | Failure::Closed => false,
        }
    }

    /// Whether the same message may be sent with success later, by this producer as it is.
    ///
    /// `false` where something has to change first: the message, the configuration, a permission, or
    /// the producer, which was stopped. The producer's own retries are over when a program sees this
    /// error; whoever sends again waits a little, and looks at [`may_be_stored`](Self::may_be_stored).
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self.inner.failure {
            Failure::Deadline
            | Failure::RouteUnreachable
            | Failure::NoRoute
            | Failure::BackPressure => true,
            Failure::Attempts(stage) => match stage {
                Stage::Denied | Stage::Vetoed | Stage::Hook => false,
                Stage::Address
                | Stage::Dial
                | Stage::Write
                | Stage::Lost
                | Stage::Silent
                | Stage::Refused
                | Stage::Decode
                | Stage::Accepted
                | Stage::Superseded => true,
            },
            Failure::Invalid | Failure::NotRunning | Failure::NoNameServer | Failure::Closed => {
                false
            }
        }
    }

    /// Whether a broker may have stored the message although the send failed: it was written to one
    /// whose word is missing.
    ///
    /// Where that matters, consumers drop the second copy by its unique key, or the program asks for
    /// the message before it sends it again. `false` is certain.
    #[must_use]
    pub fn may_be_stored(&self) -> bool {
        // Of a send that the end of its producer ended, the attempts are not known.
        let unknown = self.inner.failure == Failure::Closed && self.inner.attempts.is_empty();
        let without_word = |attempt: &Attempt| match attempt.stage {
            Stage::Lost | Stage::Silent | Stage::Decode | Stage::Superseded | Stage::Accepted => {
                true
            }
            Stage::Address
            | Stage::Dial
            | Stage::Write
            | Stage::Refused
            | Stage::Vetoed
            | Stage::Hook => false,
            // A refusal has stored nothing; a connection that ended in another protocol says nothing of what
            // was read before.
            Stage::Denied => !matches!(attempt.cause, Cause::Refused { .. }),
        };
        unknown || self.inner.attempts.iter().any(without_word)
    }

    fn summary(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tried = self.inner.attempts.len();
        let times = if tried == 1 { "attempt" } else { "attempts" };
        let after = self.inner.after.as_millis();
        match (self.inner.failure, &self.inner.reason) {
            (Failure::Attempts(_), _) => write!(f, "{tried} {times} failed within {after} ms"),
            (Failure::Deadline, _) => {
                write!(f, "no success within {after} ms and {tried} {times}")
            }
            (Failure::NotRunning, _) => {
                f.write_str("the producer is stopped, or its runtime is shut down; start a new one to send again")
            }
            (Failure::Closed, _) => write!(f, "the producer was stopped {after} ms after the call"),
            (Failure::BackPressure, Some(full)) => write!(f, "{full}; gave up after {after} ms"),
            (_, Some(reason)) => write!(f, "{reason}"),
            (Failure::BackPressure, None) => f.write_str("too much is in flight"),
            (Failure::Invalid, None) => f.write_str("the message is not acceptable"),
            (Failure::NoRoute, None) => f.write_str("no route"),
            (Failure::RouteUnreachable, None) => f.write_str("no name server answered in time"),
            (Failure::NoNameServer, None) => f.write_str("no name server is configured"),
        }
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not sent to topic {}: ", text::name(&self.inner.topic))?;
        self.summary(f)?;
        for (index, attempt) in self.inner.attempts.iter().enumerate() {
            let separator = if index == 0 { ": " } else { "; " };
            write!(f, "{separator}{attempt}")?;
        }
        Ok(())
    }
}

/// Its text tells every cause, so it has no `source` that would repeat one: programs find the causes at
/// [`attempts`](SendError::attempts), [`lookup`](SendError::lookup) and [`invalid`](SendError::invalid).
impl Error for SendError {}

/// Why an async send found no place among those that are open.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Full {
    #[error("{limit} async sends are open, which is the limit")]
    Sends { limit: u32 },
    #[error("{len} bytes more would exceed the {limit} bytes that open async sends may hold")]
    Bytes { len: usize, limit: u32 },
}

/// What is wrong with an entry of the name-server list.
fn problem(entry: &str) -> String {
    let problem = address::read(entry).err();
    problem.map_or_else(String::new, |problem| format!(": {problem}"))
}

/// A client or producer that cannot be started.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
pub enum StartError {
    /// The group's name is not acceptable; the text is the Java client's.
    #[error("{0}")]
    Group(String),
    /// No name server was given, and the environment names none.
    #[error(
        "No name server address, please set it: with name_servers(\"host:9876\") or by the \
         environment variable NAMESRV_ADDR"
    )]
    NoNameServer,
    /// This entry of the name-server list is no `host:port`. It may have come from the builder, a
    /// configuration file or the environment.
    #[error(
        "name server `{}` is no host:port{}; write for example 10.0.0.1:9876;[::1]:9876;ns.example:9876",
        text::name(.0), problem(.0)
    )]
    NameServer(String),
    /// The namespace would become other properties, or is no name.
    #[error("{0}")]
    Namespace(String),
    /// No producer can work by the policy.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// Another producer of the same client has this group.
    #[error("The producer group[{0}] has been created before, specify another name please.")]
    GroupTaken(Name),
    /// A setting of the client was given to a producer that shares a client, which has its own.
    #[error(
        "`{setting}` is a setting of the client, and this producer shares one; set it where that \
         client is built"
    )]
    SharedClient {
        /// The method of the builder that was called.
        setting: &'static str,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(failure: Failure, stages: &[Stage]) -> SendError {
        let attempts = (1..).zip(stages).map(|(number, stage)| Attempt {
            number,
            to: QueueRef {
                broker: "broker-a".into(),
                queue: 0,
            },
            address: None,
            stage: *stage,
            code: None,
            after: Duration::from_millis(5),
            cause: Cause::Silent,
        });
        SendError::new(failure, &"orders".into(), Duration::from_millis(7))
            .of_message(&"KEY".into(), attempts.collect())
    }

    #[test]
    fn a_message_may_be_stored_if_a_broker_that_was_written_to_has_not_denied_it() {
        for (stages, expected) in [
            (&[][..], false),
            (&[Stage::Dial, Stage::Write, Stage::Refused], false),
            (&[Stage::Lost, Stage::Refused], true),
            (&[Stage::Dial, Stage::Silent], true),
            (&[Stage::Decode], true),
            (&[Stage::Superseded], true),
        ] {
            let error = failed(Failure::Deadline, stages);
            assert_eq!(error.may_be_stored(), expected, "{stages:?}");
        }
        assert!(failed(Failure::Closed, &[]).may_be_stored(), "not known");
        assert!(!failed(Failure::NotRunning, &[]).may_be_stored());
    }

    #[test]
    fn what_needs_a_change_first_is_not_to_be_sent_again_as_it_is() {
        for (failure, timeout, retryable) in [
            (Failure::Deadline, true, true),
            (Failure::RouteUnreachable, true, true),
            (Failure::Attempts(Stage::Silent), true, true),
            (Failure::Attempts(Stage::Dial), false, true),
            (Failure::Attempts(Stage::Refused), false, true),
            (Failure::Attempts(Stage::Denied), false, false),
            (Failure::Attempts(Stage::Vetoed), false, false),
            (Failure::BackPressure, false, true),
            (Failure::NoRoute, false, true),
            (Failure::Invalid, false, false),
            (Failure::NoNameServer, false, false),
            (Failure::NotRunning, false, false),
            (Failure::Closed, false, false),
        ] {
            let error = failed(failure, &[]);
            assert_eq!(error.is_timeout(), timeout, "{failure:?}");
            assert_eq!(error.is_retryable(), retryable, "{failure:?}");
        }
    }
}
