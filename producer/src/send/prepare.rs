//! What a send does before its first attempt: its message is checked and encoded once, its topic's
//! route is found, and the caller's selector chooses.

use std::sync::Arc;

use parking_lot::Mutex;
use rmq_remoting::event::ConnectionNumber;
use rmq_remoting::observe::Name;
use smallvec::SmallVec;
use tokio::time::Instant;

use super::operation::{SendOperation, Target};
use crate::client::find;
use crate::client::routes::{Found, Snapshot};
use crate::decide::encoding::EncodedMessage;
use crate::decide::retry::Ended;
use crate::decide::{budget, encoding, route};
use crate::error::{LookupError, Reason, SendError};
use crate::event::{Event, Failure, QueueRef, Stage};
use crate::message::InvalidMessage;
use crate::sent::MessageQueue;

/// What all attempts of a send start from.
pub(crate) struct Prepared {
    pub(crate) outgoing: Arc<Outgoing>,
    pub(crate) snapshot: Arc<Snapshot>,
}

/// The message as all attempts send it, and to which connections they gave their requests.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) encoded: EncodedMessage,
    /// One entry for each request, in their order.
    given: Mutex<SmallVec<[Given; 3]>>,
}

/// A request of an attempt was given to a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Given {
    /// The number of the attempt within its send, from 1.
    number: u32,
    pub(crate) connection: ConnectionNumber,
    pub(crate) at: Instant,
}

impl Outgoing {
    /// A request of this attempt was given to a connection.
    pub(crate) fn note(&self, number: u32, connection: ConnectionNumber, at: Instant) {
        self.given.lock().push(Given {
            number,
            connection,
            at,
        });
    }

    /// To which connection the last request of this attempt was given, if any was.
    pub(crate) fn given(&self, number: u32) -> Option<Given> {
        let given = self.given.lock();
        given.iter().rfind(|given| given.number == number).copied()
    }
}

impl SendOperation {
    /// Checks and builds the message and finds a route for it.
    pub(crate) async fn prepare(&mut self) -> Result<Prepared, SendError> {
        if !self.running {
            return Err(self.error(Failure::NotRunning));
        }
        self.core.hooks.prepare(&mut self.call.message);
        if let Err(invalid) = self.validate() {
            return Err(self.error(Failure::Invalid).because(invalid));
        }
        let outgoing = self.encode();
        let found = self.route().await;
        let found = found.and_then(|snapshot| self.select(&snapshot).map(|()| snapshot));
        match found {
            Ok(snapshot) => Ok(Prepared { outgoing, snapshot }),
            Err(error) => Err(error.of_message(&outgoing.encoded.unique_key, Vec::new())),
        }
    }

    /// Lets the caller's selector choose.
    fn select(&mut self, snapshot: &Snapshot) -> Result<(), SendError> {
        let selector = match std::mem::replace(&mut self.call.target, Target::Any) {
            Target::By(selector) => selector,
            Target::Any | Target::Queue(_) => return Ok(()),
        };
        let topic = self.topic();
        let queue = |queue: &QueueRef| MessageQueue {
            topic: Name::clone(&topic),
            broker: Name::clone(&queue.broker),
            queue: queue.queue,
        };
        let queues: Vec<_> = snapshot.queues.iter().map(queue).collect();
        let drawn = self
            .core
            .client
            .host
            .draw("producer.selector", self.number.get());
        self.target_queue = match self.core.identity.namespace {
            None => selector.choose(&queues, &self.call.message, drawn),
            Some(_) => {
                let message = self.call.message.clone().with_topic(topic);
                selector.choose(&queues, &message, drawn)
            }
        };
        let Some(chosen) = &self.target_queue else {
            let invalid = InvalidMessage {
                code: -1,
                text: "select message queue return null.".to_owned(),
            };
            return Err(self.error(Failure::Invalid).because(invalid));
        };
        self.emit(Event::Selected {
            send: self.number,
            snapshot: snapshot.number,
            to: chosen.into(),
        });
        self.validate_queue()
            .map_err(|invalid| self.error(Failure::Invalid).because(invalid))
    }

    fn validate(&self) -> Result<(), InvalidMessage> {
        encoding::validate(&self.core.policy, &self.call.message)?;
        self.validate_queue()
    }

    fn validate_queue(&self) -> Result<(), InvalidMessage> {
        let checked = encoding::checks_queue(&self.core.policy, self.call.mode);
        match &self.target_queue {
            Some(queue) if checked && !self.is_of_its_topic(queue) => Err(InvalidMessage {
                code: -1,
                text: "message's topic not equal mq's topic".to_owned(),
            }),
            _ => Ok(()),
        }
    }

    fn is_of_its_topic(&self, queue: &MessageQueue) -> bool {
        self.core.identity.wrapped(&queue.topic) == *self.call.message.topic_name()
    }

    fn encode(&self) -> Arc<Outgoing> {
        let core = &self.core;
        {
            let mut budget = core.hedging_budget.lock();
            *budget = budget.refill(&core.policy);
        }
        let now = core.client.host.unix_millis();
        let message = &self.call.message;
        let given = message.unique_key_name().map(Name::clone);
        let key = given.unwrap_or_else(|| core.client.next_key(now));
        let namespace = core.identity.namespace.as_ref();
        let body = message.body();
        let packed = encoding::compresses(&core.policy, body.len())
            .and_then(|kind| Some((kind, core.compressor.compress(kind, body)?)));
        let built = encoding::encode(&core.policy, namespace, message, packed, key, now);
        self.span.record("messaging.message.id", &*built.unique_key);
        self.emit(Event::Built {
            send: self.number,
            unique_key: Name::clone(&built.unique_key),
            body_len: u32::try_from(message.body().len()).unwrap_or(u32::MAX),
            body_crc: crc32fast::hash(message.body()),
        });
        Arc::new(Outgoing {
            encoded: built,
            given: Mutex::default(),
        })
    }

    /// Whether the caller's queue is at a broker that the route does not have, although a lookup
    /// may find it: it may be back since.
    fn misses_its_broker(&self, snapshot: &Snapshot) -> bool {
        let target_queue = self.target_queue.as_ref();
        let unknown = Ended {
            stage: Stage::Address,
            code: None,
        };
        target_queue.is_some_and(|queue| snapshot.master(&queue.broker).is_none())
            && route::refreshes(&self.core.policy, unknown)
    }

    async fn route(&self) -> Result<Arc<Snapshot>, SendError> {
        let topic = self.call.message.topic_name();
        let known = self.core.client.routes.snapshot(topic);
        if let Some(snapshot) = &known
            && !self.misses_its_broker(snapshot)
        {
            return Ok(Arc::clone(snapshot));
        }
        let closed = self.core.life.closed();
        let found = tokio::select! {
            biased;
            found = self.find(topic, known) => found,
            () = closed => return Err(self.error(Failure::Closed)),
        };
        found.map_err(|error| {
            let failure = match &*error {
                LookupError::Closed(_) => Failure::Closed,
                LookupError::NotExist { .. } | LookupError::Unusable { .. } => Failure::NoRoute,
                LookupError::Refused { .. }
                | LookupError::Unreachable { .. }
                | LookupError::TooLate { .. }
                | LookupError::BrokenOff(_) => Failure::RouteUnreachable,
            };
            self.error(failure).because(Reason::Lookup(error))
        })
    }
}

impl SendOperation {
    /// Looks the topic up, as often and for as long as the policy has it. A route that is known and
    /// lacks the caller's broker is renewed.
    async fn find(&self, topic: &Name, known: Option<Arc<Snapshot>>) -> Found {
        if let Some(known) = known {
            let client = &self.core.client;
            return Ok(find::renewed(client, topic, known, self.deadline).await);
        }
        let (inside, tries) = budget::lookup_budget(&self.core.policy, self.attempts);
        let until = inside.then_some(self.deadline);
        let mut found = find::find(&self.core.client, topic, until).await;
        for _ in 1..tries {
            match &found {
                Err(error) if !matches!(**error, LookupError::Unusable { .. }) => {
                    found = find::find(&self.core.client, topic, until).await;
                }
                _ => break,
            }
        }
        found
    }
}
