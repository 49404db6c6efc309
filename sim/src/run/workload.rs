//! The callers of a run: each workload is a task on its producer's machine that sends what the
//! scenario says, and records what it got.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use rmq_mock_broker::event::application_crc;
use rmq_producer::event::Mode;
use rmq_producer::{
    Dispatch, Message, MessageQueue, Producer, PropertyError, Selector, SendError, Sent,
};
use rmq_remoting::observe::Name;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio::time::error::Elapsed;

use super::controller::RunController;
use crate::scenario::{Callback, SendMode, Target, Workload, key_of};
use crate::trace::{NodeEvent, NodeId, WorkEvent, WorkResult};

/// One workload of a run.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    pub(super) controller: Arc<RunController>,
    pub(super) producer: Producer,
    pub(super) node: NodeId,
    /// The group of its producer, where several share the client.
    pub(super) group: Option<Name>,
    /// Its number, from 1.
    pub(super) number: u32,
}

/// Callbacks that have not come yet.
#[derive(Debug, Default)]
struct Outstanding {
    count: Mutex<u64>,
    changed: Notify,
}

impl Outstanding {
    fn more(&self) {
        *self.count.lock() += 1;
    }

    fn less(&self) {
        *self.count.lock() -= 1;
        self.changed.notify_waiters();
    }
}

impl Caller {
    /// Makes the sends of one of the workload's callers, numbered from 1, and returns when the last
    /// one has its outcome.
    pub(super) async fn work(self, workload: Workload, one: u64) {
        let outstanding = Arc::new(Outstanding::default());
        // The start of the run on this machine's own clock.
        let start = Instant::now() - Duration::from_millis(self.controller.backend.now_ms());
        let mut send = one;
        while send <= workload.sends {
            let due = workload.start_ms + (send - 1) * workload.every_ms;
            tokio::time::sleep_until(start + Duration::from_millis(due)).await;
            let message = self.message(&workload, &self.keys(send), workload.target.key_of(send));
            let made = match workload.mode {
                SendMode::Sync => {
                    self.droppable(&workload, self.sync(&workload, send, message))
                        .await
                }
                SendMode::Async => {
                    self.in_background(&workload, send, message, &outstanding);
                    Ok(())
                }
                SendMode::Oneway => {
                    self.droppable(&workload, self.oneway(&workload, send, message))
                        .await
                }
            };
            if made.is_err() {
                let keys = self.keys(send);
                self.record(WorkEvent::Dropped { keys });
            }
            send += u64::from(workload.callers);
        }
        loop {
            let changed = outstanding.changed.notified();
            if *outstanding.count.lock() == 0 {
                return;
            }
            changed.await;
        }
    }

    /// Polls a call until it is done or its caller drops it.
    async fn droppable(
        &self,
        workload: &Workload,
        call: impl Future<Output = ()> + Send,
    ) -> Result<(), Elapsed> {
        match workload.drop_after_ms {
            Some(ms) => tokio::time::timeout(Duration::from_millis(ms), call).await,
            None => {
                call.await;
                Ok(())
            }
        }
    }

    fn message(&self, workload: &Workload, keys: &Name, by: Option<Name>) -> Message {
        let body = body(keys, workload.body_bytes);
        let own_id = workload.own_ids.then(|| Name::from(format!("LAB-{keys}")));
        self.record(WorkEvent::Called {
            keys: Name::clone(keys),
            topic: Name::clone(&workload.topic),
            mode: match workload.mode {
                SendMode::Sync => Mode::Sync,
                SendMode::Async => Mode::Async,
                SendMode::Oneway => Mode::Oneway,
            },
            by,
            body_crc: crc32fast::hash(&body),
            body_len: u32::try_from(body.len()).unwrap_or(u32::MAX),
            timeout_ms: workload.timeout_ms,
            application_crc: workload.application_crc(keys),
            own_id: own_id.clone(),
            queue_of: workload.target.other_topic().cloned(),
            group: self.group.clone(),
        });
        let message = Message::new(Name::clone(&workload.topic), body).with_key(Name::clone(keys));
        let message = dressed(message.with_flag(workload.flag), workload, own_id);
        message.unwrap_or_else(|error| unreachable!("plain text travels with a message: {error}"))
    }

    fn keys(&self, send: u64) -> Name {
        self.controller.scenario.keys_of(self.number, send)
    }

    /// A send to where the workload wants it, in whatever mode.
    fn dispatch(&self, workload: &Workload, send: u64, message: Message) -> Dispatch<'_> {
        let mut dispatch = self.producer.dispatch(message);
        if let Some(ms) = workload.timeout_ms {
            dispatch = dispatch.timeout(Duration::from_millis(ms));
        }
        match &workload.target {
            Target::Any => dispatch,
            Target::Random => dispatch.by(Selector::random()),
            Target::Last => dispatch.by(Selector::own(|queues, _| queues.last().cloned())),
            Target::Nothing => dispatch.by(Selector::own(|_, _| None)),
            Target::Keys(keys) => dispatch.by(Selector::hash(&key_of(*keys, send))),
            Target::Queue {
                broker,
                queue,
                topic,
            } => {
                let topic = Name::clone(topic.as_ref().unwrap_or(&workload.topic));
                dispatch.to(MessageQueue::new(topic, Name::clone(broker), *queue))
            }
        }
    }

    async fn sync(&self, workload: &Workload, send: u64, message: Message) {
        let call = self.dispatch(workload, send, message).send();
        let result = self.calling(send, call).await;
        self.returned(self.keys(send), result);
    }

    async fn oneway(&self, workload: &Workload, send: u64, message: Message) {
        let call = self.dispatch(workload, send, message).send_oneway();
        let result = match self.calling(send, call).await {
            Ok(()) => WorkResult::Written,
            Err(error) => WorkResult::Failed((&error).into()),
        };
        self.record(WorkEvent::Returned {
            keys: self.keys(send),
            result,
        });
    }

    fn in_background(
        &self,
        workload: &Workload,
        send: u64,
        message: Message,
        outstanding: &Arc<Outstanding>,
    ) {
        let callback = workload.callback;
        let caller = self.clone();
        let done = Arc::clone(outstanding);
        let again = (callback == Callback::SendsAgain).then(|| workload.clone());
        outstanding.more();
        self.names(send);
        let dispatch = self.dispatch(workload, send, message);
        dispatch.send_with_callback(move |result| {
            let keys = caller.keys(send);
            if let Some(workload) = again {
                caller.once_more(&workload, send, &keys, &done);
            }
            caller.returned(keys, result);
            done.less();
            if callback == Callback::Panics {
                // As a panic, but for the hook that would print it.
                std::panic::resume_unwind(Box::new("a callback of the workload"));
            }
        });
        self.named();
    }

    /// Makes another send from within a callback.
    fn once_more(
        &self,
        workload: &Workload,
        send: u64,
        keys: &str,
        outstanding: &Arc<Outstanding>,
    ) {
        let keys = Name::from(format!("{keys}-again"));
        let message = self.message(workload, &keys, None);
        let caller = self.clone();
        let done = Arc::clone(outstanding);
        outstanding.more();
        let dispatch = self.dispatch(workload, send, message);
        dispatch.send_with_callback(move |result| {
            caller.returned(keys, result);
            done.less();
        });
    }

    fn returned(&self, keys: Name, result: Result<Sent, SendError>) {
        let result = match result {
            Ok(sent) => sent.into(),
            Err(error) => WorkResult::Failed((&error).into()),
        };
        self.record(WorkEvent::Returned { keys, result });
    }

    fn record(&self, event: WorkEvent) {
        self.controller
            .recorder
            .push(self.node, NodeEvent::Work(event));
    }

    /// Polls a call so that its `Call` event, made in the first poll, gets the workload's name.
    async fn calling<T>(&self, send: u64, call: impl Future<Output = T> + Send) -> T {
        let mut call = std::pin::pin!(call);
        let mut named = false;
        std::future::poll_fn(move |context| {
            if named {
                return call.as_mut().poll(context);
            }
            named = true;
            self.names(send);
            let poll = call.as_mut().poll(context);
            self.named();
            poll
        })
        .await
    }

    fn names(&self, send: u64) {
        self.controller.sends.calls((self.number, send));
    }

    fn named(&self) {
        self.controller.sends.has_called();
    }
}

/// A message with what the workload gives it beside body, keys and flag.
fn dressed(
    mut message: Message,
    workload: &Workload,
    own_id: Option<Name>,
) -> Result<Message, PropertyError> {
    if let Some(tag) = &workload.tag {
        message = message.with_tag(tag);
    }
    if let Some(level) = workload.delay_level {
        message = message.with_delay_level(level);
    }
    if let Some(value) = &workload.property {
        // The last value counts.
        message = message
            .with_property(PROPERTY, "another")?
            .with_property(PROPERTY, value)?;
    }
    if !workload.waits_stored {
        message = message.without_wait_stored();
    }
    match own_id {
        Some(id) => message.with_id(id),
        None => Ok(message),
    }
}

/// The name of a workload's property.
const PROPERTY: &str = "lab";

impl Workload {
    /// What each of its messages carries beside the body, as the brokers count it.
    fn application_crc(&self, keys: &str) -> u32 {
        let delay = self.delay_level.map(|level| level.to_string());
        let given = [
            Some(("KEYS", keys)),
            Some(("WAIT", if self.waits_stored { "true" } else { "false" })),
            self.tag.as_deref().map(|tag| ("TAGS", tag)),
            delay.as_deref().map(|level| ("DELAY", level)),
            self.property.as_deref().map(|value| (PROPERTY, value)),
        ];
        application_crc(self.flag, given.into_iter().flatten())
    }
}

/// A body that names its send and is filled up to its size.
fn body(keys: &str, bytes: usize) -> Bytes {
    let text = keys.bytes().chain(std::iter::repeat(b'.'));
    text.take(bytes).collect()
}
