//! Faults as a person reads them in a trace.

use std::fmt;

use super::{EngineKind, Fault, Place, Position};

impl fmt::Display for EngineKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Event => "event",
            Self::Turmoil => "turmoil",
            Self::Tcp => "tcp",
        })
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
        self.kind.behaviour().words(&self.place, f)?;
        match self.for_ms {
            Some(ms) => write!(f, " for {}", Millis(ms)),
            None => Ok(()),
        }
    }
}

/// A figure and how much more it may be: `20 ms`, `20-30 ms`.
pub(super) struct Range(pub(super) u64, pub(super) u64);

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
                sends,
                after_ms,
            } => {
                match sends {
                    1 => write!(f, "at send {send} of workload {workload}")?,
                    _ => write!(f, "at {sends} sends of workload {workload}, from {send} on")?,
                }
                if let Some(attempt) = attempt {
                    write!(f, ", attempt {attempt}")?;
                }
                match after_ms {
                    0 => Ok(()),
                    ms => write!(f, ", {} after its start", Millis(*ms)),
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
