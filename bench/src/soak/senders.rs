//! The sends, at a steady rate: what is late does not slow the next one down.

use std::sync::Arc;
use std::time::Duration;

use rmq_producer::event::Mode;
use rmq_producer::{Message, Producer};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::TOPIC;
use crate::book::{Book, Number, SendEnd, key};

/// How much is sent, and until when it must end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rate {
    pub(crate) a_second: u32,
    pub(crate) timeout: Duration,
    pub(crate) grace: Duration,
}

/// The task that starts sends.
pub(crate) struct Sending {
    task: JoinHandle<()>,
    end: oneshot::Sender<()>,
}

impl Sending {
    /// Starts no further send; those that are open go on.
    pub(crate) async fn end(self) {
        let _ = self.end.send(());
        let _ = self.task.await;
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a soak runs on the real machine only"
)]
fn spawn(task: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    tokio::spawn(task)
}

/// Starts a task that sends at this rate and notes each send in the book.
pub(crate) fn start(producer: &Producer, book: &Arc<Book>, rate: Rate) -> Sending {
    let (end, mut ended) = oneshot::channel();
    let (producer, book) = (producer.clone(), Arc::clone(book));
    let mut ticks = interval(Duration::from_secs(1) / rate.a_second);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let task = spawn(async move {
        loop {
            tokio::select! {
                biased;
                _ = &mut ended => return,
                _ = ticks.tick() => {}
            }
            one(&producer, &book, rate);
        }
    });
    Sending { task, end }
}

/// Six of ten sends wait for their answer, three call back, one is one-way.
fn mode(number: Number) -> Mode {
    match number % 10 {
        0..6 => Mode::Sync,
        6..9 => Mode::Async,
        _ => Mode::Oneway,
    }
}

fn one(producer: &Producer, book: &Arc<Book>, rate: Rate) {
    let number = book.begin();
    let mode = mode(number);
    let began = Instant::now();
    let noted = Arc::clone(book);
    let end = move |end: SendEnd| {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let most = millis(rate.timeout + rate.grace);
        noted.end(number, mode, end, millis(began.elapsed()), most);
    };
    // Bodies of all sizes up to two kilobytes, and now and then one that is compressed.
    let size = if number.is_multiple_of(97) {
        8_192
    } else {
        number % 2_048
    };
    let body = vec![b'a' + (number % 26) as u8; usize::try_from(size).unwrap_or(0) + 1];
    let message = match Message::new(TOPIC, body).with_id(key(number)) {
        Ok(message) => message.with_key(number.to_string()),
        Err(error) => return end(SendEnd::Failed(0, "Message".to_owned(), error.to_string())),
    };
    match mode {
        Mode::Sync => {
            let producer = producer.clone();
            spawn(async move { end(SendEnd::of(&producer.send(message).await)) });
        }
        Mode::Async => {
            producer.send_with_callback(message, move |outcome| end(SendEnd::of(&outcome)));
        }
        Mode::Oneway => {
            let producer = producer.clone();
            spawn(async move {
                let outcome = producer.send_oneway(message).await;
                end(outcome.map_or_else(|error| SendEnd::failed(&error), |()| SendEnd::Written));
            });
        }
    }
}
