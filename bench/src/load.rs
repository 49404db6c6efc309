//! The senders.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rmq_producer::{Message, Policy, Producer, SendError, SendStatus, Sent};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::window::Window;
use crate::{Arguments, Mode};

/// The policy under load: the default one, without compression, so that every client carries the
/// same bytes.
pub(crate) fn policy() -> Policy {
    let mut policy = Policy::strict();
    policy.compress_over = 0;
    policy
}

/// Starts the tasks that send until the window is over.
pub(crate) fn start(
    arguments: &Arguments,
    producer: &Producer,
    window: &Arc<Window>,
) -> Vec<JoinHandle<()>> {
    let permits = usize::try_from(arguments.max_inflight).unwrap_or(usize::MAX);
    let permits = Arc::new(Semaphore::new(permits.min(Semaphore::MAX_PERMITS)));
    let body: Bytes = (b'a'..=b'z').cycle().take(arguments.body).collect();
    (0..arguments.concurrency)
        .map(|_| {
            let sender = Sender {
                producer: producer.clone(),
                topic: arguments.topic.clone(),
                body: body.clone(),
                window: Arc::clone(window),
            };
            let (mode, permits) = (arguments.mode, Arc::clone(&permits));
            spawn(async move {
                match mode {
                    Mode::Sync => sender.sync().await,
                    Mode::Async => sender.in_background(permits).await,
                    Mode::Oneway => sender.oneway().await,
                }
            })
        })
        .collect()
}

#[expect(
    clippy::disallowed_methods,
    reason = "a load driver runs on the real machine only"
)]
fn spawn(task: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    tokio::spawn(task)
}

#[expect(clippy::disallowed_methods, reason = "latencies of the real machine")]
fn now() -> Instant {
    Instant::now()
}

/// One task's way to send.
struct Sender {
    producer: Producer,
    topic: String,
    body: Bytes,
    window: Arc<Window>,
}

impl Sender {
    fn message(&self) -> Message {
        Message::new(self.topic.as_str(), self.body.clone())
    }

    async fn sync(self) {
        while self.window.is_open() {
            let began = now();
            let outcome = self.producer.send(self.message()).await;
            if !note(&self.window, began, outcome) {
                breathe().await;
            }
        }
    }

    async fn oneway(self) {
        while self.window.is_open() {
            let began = now();
            match self.producer.send_oneway(self.message()).await {
                Ok(()) => self.window.answered(began.elapsed()),
                Err(error) => {
                    self.window.failed(|| error.to_string());
                    breathe().await;
                }
            }
        }
    }

    async fn in_background(self, permits: Arc<Semaphore>) {
        while self.window.is_open() {
            let Ok(permit) = Arc::clone(&permits).acquire_owned().await else {
                return;
            };
            let window = Arc::clone(&self.window);
            let failures = window.failures();
            window.sent();
            let began = now();
            self.producer
                .send_with_callback(self.message(), move |outcome| {
                    note(&window, began, outcome);
                    window.returned();
                    drop(permit);
                });
            if self.window.failures() != failures {
                breathe().await;
            }
        }
    }
}

/// What went wrong is told once; a loop of failures must not spin.
async fn breathe() {
    sleep(Duration::from_millis(1)).await;
}

/// Counts how a send ended; whether it succeeded.
fn note(window: &Window, began: Instant, outcome: Result<Sent, SendError>) -> bool {
    match outcome {
        Ok(sent) if sent.status == SendStatus::Ok => {
            window.answered(began.elapsed());
            return true;
        }
        Ok(sent) => window.failed(|| format!("stored as {:?}", sent.status)),
        Err(error) => window.failed(|| error.to_string()),
    }
    false
}
