//! Counts and latencies for dashboards, made from the producer's own events.
//!
//! Whoever runs a producer asks of each broker: how often is it tried, how do attempts there end,
//! and how long do they take? A [`Meter`] is an observer that keeps those figures and passes every
//! event on. It depends on no metrics library; `examples/metrics.rs` shows the way from events to
//! the `metrics` crate.
//!
//! ```no_run
//! # use std::sync::Arc;
//! # use rmq_producer::{Meter, Producer};
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let meter = Arc::new(Meter::default());
//! let observer = Arc::clone(&meter);
//! let producer = Producer::builder("order-service")
//!     .name_servers("10.0.0.1:9876")
//!     .observer(observer)
//!     .start()
//!     .await?;
//! for (broker, figures) in &meter.figures().brokers {
//!     println!("{broker}: {} stored, p99 {:?} ms", figures.stored, figures.latency.quantile(990));
//! }
//! # producer.stop().await;
//! # Ok(())
//! # }
//! ```

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use rmq_remoting::event::Event as TransportEvent;
use rmq_remoting::observe::{Name, Observer, Silent};

use crate::event::{Event, Failure, Outcome, SendNumber, Stage};

/// The upper bounds of the classes of latencies, in milliseconds.
pub const BOUNDS_MS: [u64; 14] = [
    1, 2, 3, 5, 10, 20, 30, 50, 100, 200, 500, 1_000, 3_000, 10_000,
];

/// How many sends took how long, in classes that double.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
pub struct Latencies {
    /// How many were at most the bound of the same place in [`BOUNDS_MS`], and above the bound
    /// before it; the last place counts what is longer than every bound.
    pub counts: [u64; BOUNDS_MS.len() + 1],
    /// All of them together, in milliseconds.
    pub sum_ms: u64,
}

impl Latencies {
    fn note(&mut self, ms: u64) {
        let class = BOUNDS_MS.partition_point(|bound| *bound < ms);
        self.counts[class] += 1;
        self.sum_ms = self.sum_ms.saturating_add(ms);
    }

    /// How many sends were measured.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The bound, in milliseconds, that so many of a thousand stayed within; `None` if there are
    /// none or it lies beyond the last bound.
    ///
    /// ```
    /// use rmq_producer::Meter;
    ///
    /// let figures = Meter::default().figures();
    /// assert_eq!(figures.latency.count(), 0);
    /// assert_eq!(figures.latency.quantile(990), None, "nothing was measured yet");
    /// ```
    #[must_use]
    pub fn quantile(&self, per_mille: u64) -> Option<u64> {
        let wanted = self
            .count()
            .saturating_mul(per_mille)
            .div_ceil(1_000)
            .max(1);
        let mut seen = 0;
        let within = self.counts.iter().position(|count| {
            seen += count;
            seen >= wanted
        });
        BOUNDS_MS.get(within?).copied()
    }
}

/// What is known of one broker.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
pub struct BrokerFigures {
    /// Attempts that went there.
    pub attempts: u64,
    /// Attempts that it stored.
    pub stored: u64,
    /// Attempts that ended otherwise, by the stage at which they did. Those that were hedged
    /// count when they end.
    pub failed: BTreeMap<Stage, u64>,
    /// Attempts that were hedged when their timeout was over.
    pub hedged: u64,
    /// The time from the request to the answer of the attempts that were stored.
    pub latency: Latencies,
}

/// What a producer has done.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
pub struct Figures {
    /// Sends that were called, whatever became of them.
    pub calls: u64,
    /// Sends whose message is stored.
    pub sent: u64,
    /// One-way sends whose request was written.
    pub written: u64,
    /// Sends that failed, by the class of their error.
    pub failed: BTreeMap<Failure, u64>,
    /// Sends whose future was dropped.
    pub cancelled: u64,
    /// Lookups of a route.
    pub lookups: u64,
    /// Dials, to name servers and brokers.
    pub dials: u64,
    /// Connections that opened, to brokers and name servers.
    pub connections: u64,
    /// The time from the call to the end of the sends that were stored.
    pub latency: Latencies,
    /// What each broker did, by its name.
    pub brokers: BTreeMap<Name, BrokerFigures>,
}

/// An observer that counts, and passes each event on to the next observer if there is one.
pub struct Meter {
    state: Mutex<MeterState>,
    next: Arc<dyn Observer<Event>>,
}

#[derive(Debug, Default)]
struct MeterState {
    figures: Figures,
    /// The brokers of the open attempts.
    open: BTreeMap<(SendNumber, u32), Name>,
}

impl fmt::Debug for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meter")
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}

impl Default for Meter {
    fn default() -> Self {
        Self::before(Arc::new(Silent))
    }
}

impl Meter {
    /// A meter that passes each event on to this observer.
    pub fn before(next: Arc<dyn Observer<Event>>) -> Self {
        Self {
            state: Mutex::default(),
            next,
        }
    }

    /// The figures up to now.
    #[must_use]
    pub fn figures(&self) -> Figures {
        self.state.lock().figures.clone()
    }
}

impl Observer<Event> for Meter {
    fn on(&self, event: Event) {
        self.state.lock().note(&event);
        self.next.on(event);
    }
}

impl MeterState {
    fn note(&mut self, event: &Event) {
        let figures = &mut self.figures;
        match event {
            Event::Call { .. } => figures.calls += 1,
            Event::Cancelled { send } => {
                figures.cancelled += 1;
                self.forget(*send);
            }
            Event::Done {
                send,
                outcome,
                after_ms,
            } => {
                match outcome {
                    Outcome::Sent { .. } => {
                        figures.sent += 1;
                        figures.latency.note(*after_ms);
                    }
                    Outcome::Written => figures.written += 1,
                    Outcome::Failed(failure) => *figures.failed.entry(*failure).or_default() += 1,
                }
                self.forget(*send);
            }
            Event::Attempt {
                send, number, to, ..
            } => {
                self.broker(&to.broker).attempts += 1;
                self.open.insert((*send, *number), Name::clone(&to.broker));
            }
            Event::Hedged { send, number, .. } => {
                if let Some(broker) = self.open.get(&(*send, *number)).cloned() {
                    self.broker(&broker).hedged += 1;
                }
            }
            Event::AttemptEnded {
                send,
                number,
                stage,
                after_ms,
                ..
            } => {
                if let Some(broker) = self.open.remove(&(*send, *number)) {
                    self.broker(&broker).note(*stage, *after_ms);
                }
            }
            Event::Lookup { .. } => figures.lookups += 1,
            Event::Transport(TransportEvent::Dial { .. }) => figures.dials += 1,
            Event::Transport(TransportEvent::Opened { .. }) => figures.connections += 1,
            _ => {}
        }
    }

    fn broker(&mut self, name: &Name) -> &mut BrokerFigures {
        let brokers = &mut self.figures.brokers;
        brokers.entry(Name::clone(name)).or_default()
    }

    /// The attempts of a send that is over have no end of their own if it was dropped.
    fn forget(&mut self, send: SendNumber) {
        while let Some((key, _)) = self.open.range((send, 0)..=(send, u32::MAX)).next() {
            let key = *key;
            self.open.remove(&key);
        }
    }
}

impl BrokerFigures {
    fn note(&mut self, stage: Stage, after_ms: u64) {
        if stage == Stage::Accepted {
            self.stored += 1;
            self.latency.note(after_ms);
        } else {
            *self.failed.entry(stage).or_default() += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Mode, QueueRef};

    fn attempt(meter: &Meter, send: u64, number: u32, broker: &str) {
        meter.on(Event::Attempt {
            send: send.into(),
            number,
            snapshot: 1.into(),
            to: QueueRef {
                broker: broker.into(),
                queue: 0,
            },
            address: None,
            timeout_ms: 1_000,
            avoided: Vec::new(),
        });
    }

    fn ended(meter: &Meter, send: u64, number: u32, stage: Stage, after_ms: u64) {
        meter.on(Event::AttemptEnded {
            send: send.into(),
            number,
            stage,
            code: None,
            after_ms,
        });
    }

    fn called(meter: &Meter, send: u64) {
        meter.on(Event::Call {
            group: "orders".into(),
            unique_key: None,
            send: send.into(),
            topic: "t".into(),
            mode: Mode::Sync,
            timeout_ms: 3_000,
            target_queue: None,
        });
    }

    #[test]
    fn each_attempt_counts_for_its_own_broker() {
        let meter = Meter::before(Arc::new(Silent));
        called(&meter, 1);
        attempt(&meter, 1, 1, "broker-a");
        ended(&meter, 1, 1, Stage::Lost, 4);
        attempt(&meter, 1, 2, "broker-b");
        ended(&meter, 1, 2, Stage::Accepted, 7);
        meter.on(Event::Done {
            send: 1.into(),
            outcome: Outcome::Sent {
                attempt: 2,
                at: QueueRef {
                    broker: "broker-b".into(),
                    queue: 0,
                },
                offset: 0,
                code: 0,
            },
            after_ms: 11,
        });
        let figures = meter.figures();
        assert_eq!((figures.calls, figures.sent), (1, 1));
        let (a, b) = (&figures.brokers["broker-a"], &figures.brokers["broker-b"]);
        assert_eq!((a.attempts, a.stored, a.failed[&Stage::Lost]), (1, 0, 1));
        assert_eq!((b.attempts, b.stored), (1, 1));
        assert_eq!(b.latency.quantile(500), Some(10), "7 ms lie below 10");
        assert_eq!(figures.latency.quantile(990), Some(20));
    }

    #[test]
    fn a_dropped_send_leaves_nothing_behind() {
        let meter = Meter::before(Arc::new(Silent));
        called(&meter, 5);
        attempt(&meter, 5, 1, "broker-a");
        attempt(&meter, 6, 1, "broker-a");
        meter.on(Event::Cancelled { send: 5.into() });
        let open: Vec<_> = meter.state.lock().open.keys().copied().collect();
        assert_eq!(open, [(6.into(), 1)]);
    }

    #[test]
    fn quantiles_are_bounds_and_unknown_beyond_the_last() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.quantile(500), None);
        for ms in [0, 1, 2, 20_000] {
            latencies.note(ms);
        }
        assert_eq!(latencies.counts[0], 2);
        assert_eq!(latencies.quantile(500), Some(1));
        assert_eq!(latencies.quantile(750), Some(2));
        assert_eq!(latencies.quantile(1_000), None);
        assert_eq!(latencies.sum_ms, 20_003);
    }
}
