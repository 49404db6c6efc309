//! The callers of a run: each workload is a task on its producer's machine that sends what the
//! scenario says, and records what it got.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use rmq_producer::event::Mode;
use rmq_producer::{Message, MessageQueue, Producer, SendError, Sent};
use rmq_remoting::observe::Name;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::director::Director;
use crate::scenario::{SendMode, Workload};
use crate::trace::{NodeId, What, WorkEvent, WorkResult};

/// One workload of a run.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    pub(super) director: Arc<Director>,
    pub(super) producer: Producer,
    pub(super) node: NodeId,
    /// Its number, from 1.
    pub(super) number: u32,
}

/// Callbacks that have not come yet.
#[derive(Debug, Default)]
struct Outstanding {
    count: Mutex<u64>,
    changed: Notify,
}

impl Caller {
    /// Makes every send, and returns when the last one has its outcome.
    pub(super) async fn work(self, workload: Workload) {
        let outstanding = Arc::new(Outstanding::default());
        // The start of the run on this machine's own clock.
        let start = Instant::now() - Duration::from_millis(self.director.fabric.now_ms());
        for send in 1..=workload.sends {
            let due = workload.start_ms + (send - 1) * workload.every_ms;
            tokio::time::sleep_until(start + Duration::from_millis(due)).await;
            let message = self.message(&workload, send);
            match workload.mode {
                SendMode::Sync => self.sync(&workload, send, message).await,
                SendMode::Async => self.in_background(send, message, &outstanding),
                SendMode::Oneway => self.oneway(send, message).await,
            }
        }
        loop {
            let changed = outstanding.changed.notified();
            if *outstanding.count.lock() == 0 {
                return;
            }
            changed.await;
        }
    }

    fn message(&self, workload: &Workload, send: u64) -> Message {
        let keys = self.keys(send);
        let body = body(&keys, workload.body_bytes);
        self.record(WorkEvent::Called {
            keys: Name::clone(&keys),
            topic: Name::clone(&workload.topic),
            mode: match workload.mode {
                SendMode::Sync => Mode::Sync,
                SendMode::Async => Mode::Async,
                SendMode::Oneway => Mode::Oneway,
            },
            body_crc: crc32fast::hash(&body),
        });
        Message::new(Name::clone(&workload.topic), body).key(keys)
    }

    fn keys(&self, send: u64) -> Name {
        self.director.scenario.keys_of(self.number, send)
    }

    async fn sync(&self, workload: &Workload, send: u64, message: Message) {
        let result = match &workload.pinned {
            None => {
                let call = self.producer.send(message);
                self.calling(send, call).await
            }
            Some((broker, queue)) => {
                let queue =
                    MessageQueue::new(Name::clone(&workload.topic), Name::clone(broker), *queue);
                let call = self.producer.send_to(message, queue);
                self.calling(send, call).await
            }
        };
        self.returned(send, result);
    }

    async fn oneway(&self, send: u64, message: Message) {
        let call = self.producer.send_oneway(message);
        let result = match self.calling(send, call).await {
            Ok(()) => WorkResult::Written,
            Err(error) => WorkResult::Failed((&error).into()),
        };
        self.record(WorkEvent::Returned {
            keys: self.keys(send),
            result,
        });
    }

    fn in_background(&self, send: u64, message: Message, outstanding: &Arc<Outstanding>) {
        *outstanding.count.lock() += 1;
        let caller = self.clone();
        let done = Arc::clone(outstanding);
        self.names(send);
        self.producer.send_async(message, move |result| {
            caller.returned(send, result);
            *done.count.lock() -= 1;
            done.changed.notify_waiters();
        });
        self.named();
    }

    fn returned(&self, send: u64, result: Result<Sent, SendError>) {
        let result = match result {
            Ok(sent) => WorkResult::Sent {
                key: sent.message_id,
                broker: sent.queue.broker,
                queue: sent.queue.queue,
                offset: sent.offset,
            },
            Err(error) => WorkResult::Failed((&error).into()),
        };
        self.record(WorkEvent::Returned {
            keys: self.keys(send),
            result,
        });
    }

    fn record(&self, event: WorkEvent) {
        self.director.recorder.push(self.node, What::Work(event));
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
        self.director.state.lock().calling = Some((self.number, send));
    }

    fn named(&self) {
        self.director.state.lock().calling = None;
    }
}

/// A body that names its send and is filled up to its size.
fn body(keys: &str, bytes: usize) -> Bytes {
    let text = keys.bytes().chain(std::iter::repeat(b'.'));
    text.take(bytes).collect()
}
