//! Faults as a person reads them in a trace.

use std::fmt;

use super::{Engine, Fault, FaultKind, OddRoute, Place, Position, RuleAction};

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Event => "event",
            Self::Turmoil => "turmoil",
            Self::Tcp => "tcp",
        })
    }
}

impl FaultKind {
    /// What the scenario file calls it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Crash(_) => "crash",
            Self::Stop(_) => "stop",
            Self::PowerLoss(_) => "power-loss",
            Self::Freeze => "freeze",
            Self::Slow { .. } => "slow",
            Self::Refuse => "refuse",
            Self::SwallowDials => "swallow-dials",
            Self::StopReading => "stop-reading",
            Self::ClockJump { .. } => "clock-jump",
            Self::NameServerList { .. } => "name-server-list",
            Self::ReadOnly => "read-only",
            Self::Resize { .. } => "resize",
            Self::Partition => "partition",
            Self::Hold => "hold",
            Self::BlackHole => "black-hole",
            Self::Reset { .. } => "reset",
            Self::HalfOpen => "half-open",
            Self::Loss { .. } => "loss",
            Self::Latency { .. } => "latency",
            Self::Bandwidth { .. } => "bandwidth",
            Self::Slice { .. } => "slice",
            Self::Corrupt { .. } => "corrupt",
            Self::Rule(rule) => rule.then.name(),
        }
    }
}

impl RuleAction {
    /// What the scenario file calls it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Answer { .. } => "answer",
            Self::StoreThenAnswer { .. } => "store-then-answer",
            Self::Delay { .. } => "delay",
            Self::DelayRequest { .. } => "delay-request",
            Self::DropRequest => "drop-request",
            Self::DropReply => "drop-reply",
            Self::CloseBefore => "close-before",
            Self::CloseAfter => "close-after",
            Self::ResetBefore => "reset-before",
            Self::ResetAfter => "reset-after",
            Self::ReplyTwice => "reply-twice",
            Self::UnknownOpaque => "unknown-opaque",
            Self::HalfFrame => "half-frame",
            Self::HalfFrameClose => "half-frame-close",
            Self::Garbage => "garbage",
            Self::StaleRoute => "stale-route",
            Self::PartialRoute { .. } => "partial-route",
            Self::PermutedRoute => "permuted-route",
            Self::OddRoute(OddRoute::BareIds) => "bare-id-route",
            Self::OddRoute(OddRoute::TextNumbers) => "text-number-route",
            Self::OddRoute(OddRoute::Nulls) => "null-route",
            Self::OddRoute(OddRoute::Empty) => "empty-route",
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node(node) => f.write_str(node),
            Self::Link { from, to } => write!(f, "{from} -> {to}"),
            Self::Pair { a, b } => write!(f, "{a} <-> {b}"),
        }
    }
}

impl fmt::Display for Fault {
    /// As a line of the trace: `crash broker-a for 20 s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.name(), self.place)?;
        match &self.kind {
            FaultKind::Rule(rule) => write!(f, "{}", rule.then)?,
            FaultKind::Loss { per_mille } => write!(f, " {per_mille} of 1000")?,
            FaultKind::Latency { ms, jitter_ms } => write!(f, " {}", Range(*ms, *jitter_ms))?,
            FaultKind::Slow { ms_per_step } => write!(f, " {} a step", Millis(*ms_per_step))?,
            FaultKind::ClockJump { ms } => {
                let sign = if *ms < 0 { "-" } else { "" };
                write!(f, " by {sign}{}", Millis(ms.unsigned_abs()))?;
            }
            FaultKind::NameServerList { without } => write!(f, " without {without}")?,
            FaultKind::Bandwidth { bytes_per_ms } => write!(f, " {bytes_per_ms} bytes a ms")?,
            FaultKind::Resize { topic, queues } => write!(f, " {topic} to {queues} queues")?,
            FaultKind::Slice { bytes } => write!(f, " {bytes} bytes a time")?,
            FaultKind::Reset { byte } if matches!(self.place, Place::Link { .. }) => {
                write!(f, " at byte {byte}")?;
            }
            _ => {}
        }
        match self.for_ms {
            Some(ms) => write!(f, " for {}", Millis(ms)),
            None => Ok(()),
        }
    }
}

impl fmt::Display for RuleAction {
    /// Its parameters, each behind a blank; its name is the fault's.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answer { code, .. } | Self::StoreThenAnswer { code } => write!(f, " code {code}"),
            Self::Delay { ms, jitter_ms } => write!(f, " by {}", Range(*ms, *jitter_ms)),
            Self::DelayRequest { ms } => write!(f, " by {}", Millis(*ms)),
            Self::PartialRoute { broker } => write!(f, " without {broker}"),
            _ => Ok(()),
        }
    }
}

/// A figure and how much more it may be: `20 ms`, `20-30 ms`.
struct Range(u64, u64);

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self(ms, 0) => write!(f, "{}", Millis(ms)),
            Self(ms, jitter) => write!(f, "{ms}-{} ms", ms + jitter),
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Time { ms: 0 } => f.write_str("from the start"),
            Self::Time { ms } => write!(f, "at {}", Millis(*ms)),
            Self::Received { code, n } => match rmq_remoting::code::request_name(*code) {
                Some(name) => write!(f, "at its {name} number {n}"),
                None => write!(f, "at its request {code} number {n}"),
            },
            Self::Stored { n } => write!(f, "after {n} messages stored"),
            Self::Send {
                workload,
                send,
                attempt,
            } => {
                write!(f, "at send {send} of workload {workload}")?;
                match attempt {
                    Some(attempt) => write!(f, ", attempt {attempt}"),
                    None => Ok(()),
                }
            }
        }
    }
}

/// Milliseconds as a person writes them: `20 s`, `1200 ms`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Millis(pub u64);

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 >= 1000 && self.0.is_multiple_of(1000) {
            write!(f, "{} s", self.0 / 1000)
        } else {
            write!(f, "{} ms", self.0)
        }
    }
}
