//! What brokers saw of each message, in a form that two clients can be compared by.
//!
//! "Behaves as the Java client" must be a statement about the wire, not about source code. The wire
//! trace is made from the brokers' evidence alone, so it exists for any client in any language. Per
//! message, in order, it says for each request: which broker, which queue, when (in classes), how
//! it ended, and its flags.
//!
//! Equality leaves out what two equal clients may differ in: where their rotation starts, how
//! brokers are called, request ids and ports, the unique keys, and milliseconds within one class.
//! To that end queues are numbered by their first appearance in the trace, and brokers are lettered
//! by their first appearance within the message. Compare runs with one sequential sender.

use std::fmt;

use indexmap::IndexMap;
use rmq_mock_broker::event::Ending;
use rmq_remoting::observe::Name;

use super::history::{History, RequestHistory};
use super::record::{NodeId, PolicyFacts, Trace, TraceHeader};

/// The times a client may wait for, by which requests are classed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// A round trip, with what a dial adds.
    pub round_trip_ms: u64,
    /// The time after which an attempt may be hedged or given up.
    pub attempt_timeout_ms: u64,
    /// The whole time of a send, in milliseconds.
    pub timeout_ms: u64,
    /// How late a periodic scan may find a timeout.
    pub scan_ms: u64,
    /// The tolerance of each class.
    pub slack_ms: u64,
}

impl Timing {
    /// The times of one producer.
    pub fn of(header: &TraceHeader, policy: &PolicyFacts) -> Self {
        Timing {
            round_trip_ms: header.round_trip_ms,
            attempt_timeout_ms: policy.attempt_timeout_ms,
            timeout_ms: policy.timeout_ms,
            scan_ms: policy.scan_ms,
            slack_ms: header.slack_ms,
        }
    }

    /// The class of a time since the first request of a message.
    pub fn class(&self, after_ms: u64) -> TimeClass {
        // A new connection costs a round trip before the request's own way.
        let late = self
            .round_trip_ms
            .saturating_mul(3)
            .saturating_add(self.slack_ms);
        let near = |ms: u64| {
            after_ms.saturating_add(self.round_trip_ms) >= ms && after_ms <= ms.saturating_add(late)
        };
        if after_ms <= late {
            return TimeClass::RoundTrip;
        }
        let shares = self
            .timeout_ms
            .checked_div(self.attempt_timeout_ms)
            .unwrap_or(0);
        if let Some(share) =
            (1..shares).find(|share| near(self.attempt_timeout_ms.saturating_mul(*share)))
        {
            return TimeClass::Share(share);
        }
        if near(self.timeout_ms) {
            return TimeClass::Timeout;
        }
        let scanned = self
            .timeout_ms
            .saturating_add(self.scan_ms)
            .saturating_add(late);
        if after_ms > self.timeout_ms && after_ms <= scanned {
            return TimeClass::Scan;
        }
        TimeClass::Other
    }
}

/// When a request arrived, counted from the message's first one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeClass {
    /// It is the first one.
    First,
    /// After an answer, or a loss that was noticed at once.
    RoundTrip,
    /// When so many shares were used up.
    Share(u64),
    /// When the whole timeout was used up.
    Timeout,
    /// When a scan found the timeout.
    Scan,
    /// The request was read at another time.
    Other,
}

impl fmt::Display for TimeClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::First => f.write_str("0"),
            Self::RoundTrip => f.write_str("rtt"),
            Self::Share(1) => f.write_str("share"),
            Self::Share(count) => write!(f, "{count} shares"),
            Self::Timeout => f.write_str("T"),
            Self::Scan => f.write_str("T+scan"),
            Self::Other => f.write_str("other"),
        }
    }
}

/// How a request left the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WireEnd {
    /// The request was answered with this code.
    Answered(i32),
    /// The request was one-way, and no answer was due.
    OneWay,
    /// The request was never answered.
    Silence,
    /// The connection was closed instead.
    Reset,
    /// The broker died with it, or the run ended first.
    Open,
}

impl fmt::Display for WireEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answered(code) => write!(f, "code {code}"),
            Self::OneWay => f.write_str("one-way"),
            Self::Silence => f.write_str("silence"),
            Self::Reset => f.write_str("reset"),
            Self::Open => f.write_str("open"),
        }
    }
}

/// One request of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hop {
    /// The broker that read it.
    pub broker: Name,
    /// The queue id in its header.
    pub queue: i32,
    /// The queue's number in order of first appearance in the trace.
    pub queue_number: usize,
    /// The broker's number in order of first appearance in the message.
    pub broker_number: usize,
    /// When it was read, counted from the message's first request.
    pub after: TimeClass,
    /// How the request left the broker.
    pub end: WireEnd,
    /// Whether the message was stored by it.
    pub stored: bool,
    /// The `sysFlag` of its header, as bits.
    pub sys_flag: i32,
    /// The code of the request.
    pub code: i32,
}

impl Hop {
    /// Equal modulo rotation phase and renaming.
    fn same(&self, other: &Hop) -> bool {
        let key = |hop: &Hop| (hop.queue_number, hop.broker_number, hop.sys_flag, hop.code);
        let end = |hop: &Hop| (hop.after, hop.end, hop.stored);
        key(self) == key(other) && end(self) == end(other)
    }
}

impl fmt::Display for Hop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letter = u8::try_from(self.broker_number)
            .ok()
            .and_then(|number| b'A'.checked_add(number));
        let letter = char::from(letter.unwrap_or(b'?'));
        write!(
            f,
            "{letter}/q{} at {} {}",
            self.queue_number, self.after, self.end
        )?;
        if self.stored {
            f.write_str(" stored")
        } else {
            Ok(())
        }
    }
}

/// The requests of one message, in order of arrival.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WireMessage {
    /// The unique key of the message.
    pub key: Name,
    /// The requests that carried it, in order.
    pub hops: Vec<Hop>,
}

impl fmt::Display for WireMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, hop) in self.hops.iter().enumerate() {
            write!(f, "{}{hop}", if index == 0 { "" } else { " | " })?;
        }
        Ok(())
    }
}

/// The wire trace of a run: its messages, in order of first arrival.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use std::io::ErrorKind;
/// # use std::sync::Arc;
/// # use rmq_sim::fault::EngineKind;
/// # use rmq_sim::run;
/// # use rmq_sim::scenario::Scenario;
/// use rmq_sim::trace::wire::{Timing, WireTrace};
///
/// # let text = "format = 2\nseconds = 5\n[cluster]\nbrokers = [\"broker-a\"]\n[producer.p1]\n\
/// #     [[workload]]\nproducer = \"p1\"\ntopic = \"orders\"\nsends = 3\n";
/// # let scenario = Arc::new(Scenario::parse("three.toml", text, &|_| Err(ErrorKind::NotFound.into()))?);
/// let wire_of = |seed| {
///     let trace = run::run(&scenario, seed, EngineKind::Event)?.trace;
///     let timing = Timing::of(&trace.header, &trace.header.policies[0]);
///     Ok::<_, run::RunError>(WireTrace::of(&trace, &timing))
/// };
/// // Two seeds begin at different queues, which makes no difference on the wire.
/// assert_eq!(wire_of(1)?.difference(&wire_of(2)?), None);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WireTrace {
    /// The messages, in the order of their first requests.
    pub messages: Vec<WireMessage>,
}

impl WireTrace {
    /// Derives the wire trace. Messages without a unique key are left out.
    pub fn of(trace: &Trace, timing: &Timing) -> Self {
        let history = History::of(trace);
        let mut by_key: IndexMap<&Name, Vec<&RequestHistory<'_>>> = IndexMap::new();
        for request in &history.requests {
            if let Some(key) = &request.seen.unique_key {
                by_key.entry(key).or_default().push(request);
            }
        }
        let mut queues: Vec<(NodeId, i32)> = Vec::new();
        let mut messages = Vec::with_capacity(by_key.len());
        for (key, requests) in by_key {
            let mut brokers: Vec<NodeId> = Vec::new();
            let first_ms = requests[0].received.ms;
            let mut hops: Vec<Hop> = Vec::with_capacity(requests.len());
            for request in requests {
                let after = if hops.is_empty() {
                    TimeClass::First
                } else {
                    timing.class(request.received.ms - first_ms)
                };
                let queue_number = number(&mut queues, (request.broker, request.seen.queue));
                let broker_number = number(&mut brokers, request.broker);
                let broker = trace.header.name(request.broker).into();
                let (queue, sys_flag) = (request.seen.queue, request.seen.sys_flag);
                let (end, stored) = (end(request), request.stored.is_some());
                let code = request.code;
                hops.push(Hop {
                    broker,
                    queue,
                    queue_number,
                    broker_number,
                    after,
                    end,
                    stored,
                    sys_flag,
                    code,
                });
            }
            messages.push(WireMessage {
                key: Name::clone(key),
                hops,
            });
        }
        WireTrace { messages }
    }

    /// The first message in which two wire traces differ, as one line; none if they are equal
    /// modulo rotation phase, renaming of brokers, request ids and ports.
    pub fn difference(&self, other: &WireTrace) -> Option<String> {
        let longest = self.messages.len().max(other.messages.len());
        let show = |it: Option<&WireMessage>| it.map_or("nothing".to_owned(), ToString::to_string);
        (0..longest).find_map(|index| {
            let (one, two) = (self.messages.get(index), other.messages.get(index));
            let same = match (one, two) {
                (Some(one), Some(two)) => same(one, two),
                (None, _) | (_, None) => false,
            };
            (!same).then(|| format!("message {}: {} against {}", index + 1, show(one), show(two)))
        })
    }
}

impl fmt::Display for WireTrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (1..)
            .zip(&self.messages)
            .try_for_each(|(number, it)| writeln!(f, "{number:>4}  {it}"))
    }
}

fn same(one: &WireMessage, two: &WireMessage) -> bool {
    one.hops.len() == two.hops.len() && one.hops.iter().zip(&two.hops).all(|(a, b)| a.same(b))
}

/// The number of a thing in order of first appearance.
fn number<T: PartialEq>(known: &mut Vec<T>, it: T) -> usize {
    known
        .iter()
        .position(|known| *known == it)
        .unwrap_or_else(|| {
            known.push(it);
            known.len() - 1
        })
}

fn end(request: &RequestHistory<'_>) -> WireEnd {
    match request.ended {
        Some((_, Ending::Answered { code } | Ending::Empty { code })) => WireEnd::Answered(code),
        Some((_, Ending::NoAnswerDue)) => WireEnd::OneWay,
        Some((_, Ending::Silent | Ending::Mangled)) => WireEnd::Silence,
        Some((_, Ending::Closed)) => WireEnd::Reset,
        None => WireEnd::Open,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invariant::scene::Scene;

    fn wire(scene: &Scene) -> WireTrace {
        let header = &scene.trace.header;
        WireTrace::of(&scene.trace, &Timing::of(header, &header.policies[0]))
    }

    /// Two sends of which the second is refused once, by brokers and queues of the caller's choice.
    fn run(first: &str, second: &str, retry: &str) -> Scene {
        let scene = Scene::new().at(1000).whole(1, first).at(2000).call(2);
        scene
            .attempt(2, 1, second)
            .refused(2, 1, 2)
            .attempt(2, 2, retry)
            .succeeds(2, 2)
    }

    #[test]
    fn rotation_phase_and_names_of_brokers_do_not_matter() {
        let one = wire(&run("a/0", "b/0", "c/0"));
        assert_eq!(one.difference(&wire(&run("b/2", "c/2", "a/3"))), None);
        assert_eq!(
            one.to_string().lines().nth(1).unwrap().trim(),
            "2  A/q1 at 0 code 2 | B/q2 at rtt code 0 stored"
        );
    }

    #[test]
    fn a_retry_on_the_same_broker_is_another_behaviour() {
        let one = wire(&run("a/0", "b/0", "c/0"));
        let two = wire(&run("a/0", "b/0", "b/1"));
        assert!(one.difference(&two).unwrap().starts_with("message 2: "));
    }

    #[test]
    fn a_retry_that_comes_when_the_share_is_used_up_is_another_behaviour() {
        let scene = Scene::new().at(1000).whole(1, "a/0").at(2000).call(2);
        let scene = scene.attempt(2, 1, "b/0").refused(2, 1, 2).at(3010);
        let two = wire(&scene.attempt(2, 2, "c/0").succeeds(2, 2));
        assert_eq!(two.messages[1].hops[1].after, TimeClass::Share(1));
        assert!(wire(&run("a/0", "b/0", "c/0")).difference(&two).is_some());
    }

    #[test]
    fn a_message_that_only_one_side_has_is_a_difference() {
        let one = wire(&Scene::new().at(1000).whole(1, "a/0"));
        let two = wire(&Scene::new());
        assert!(one.difference(&two).unwrap().ends_with("against nothing"));
    }

    #[test]
    fn times_fall_into_the_class_of_what_a_client_waits_for() {
        let timing = Timing {
            round_trip_ms: 4,
            attempt_timeout_ms: 1000,
            timeout_ms: 3000,
            scan_ms: 2000,
            slack_ms: 50,
        };
        let classes = [
            (0, TimeClass::RoundTrip),
            (62, TimeClass::RoundTrip),
            (63, TimeClass::Other),
            (1000, TimeClass::Share(1)),
            (2010, TimeClass::Share(2)),
            (3000, TimeClass::Timeout),
            (4200, TimeClass::Scan),
            (5063, TimeClass::Other),
        ];
        for (ms, class) in classes {
            assert_eq!(timing.class(ms), class, "{ms} ms");
        }
    }
}
