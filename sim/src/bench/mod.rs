//! What the laboratory costs, measured: `cargo sim bench`.
//!
//! A laboratory is worth what it can try in an hour, so its speed is a figure with a floor, and a
//! profile that says where the time goes. Everything here is measured on the machine at hand with
//! the stopwatch that the command line lends; nothing of it reaches a digest.
//!
//! | figure | floor |
//! |---|---|
//! | raw echo pairs a second, a time jump between any two steps | 500,000 (aim) |
//! | sends a second, one after the other, on the event engine | 80,000 |
//! | virtual time at ten sends a second, against `turmoil` | 60 times |
//! | standard scenarios a second | 400 |

use std::fmt;
use std::ops::Sub;
use std::time::{Duration, Instant};

mod cluster;
mod cost;
mod echo;
mod standard;

pub(crate) use cluster::compare;
pub use cluster::sends;
pub(crate) use cost::costs;
pub(crate) use echo::{echo_in_lockstep, echo_on_many};
pub(crate) use standard::standard_scenarios;

/// A stopwatch: what it shows when it is called.
pub(crate) type Clock = fn() -> ClockReading;

/// What the stopwatch shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockReading {
    /// The time of day.
    pub wall: Instant,
    /// The time that this thread has had a processor. On a machine that does other things too it
    /// is the fairer measure; where the system does not tell, the time of day stands in for it.
    pub cpu: Option<Duration>,
}

/// The time between two moments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spent {
    /// By the clock on the wall.
    pub wall: Duration,
    /// The time on a processor; the time on the wall where the system does not tell.
    pub cpu: Duration,
}

impl Sub for ClockReading {
    type Output = Spent;

    fn sub(self, earlier: Self) -> Spent {
        let wall = self.wall - earlier.wall;
        let cpu = self.cpu.zip(earlier.cpu);
        Spent {
            wall,
            cpu: cpu.map_or(wall, |(now, then)| now.saturating_sub(then)),
        }
    }
}

/// So many things in so much time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many things were done.
    pub count: u64,
    /// The time that they took together.
    pub spent: Spent,
    /// Polls of simulated tasks it took, if that was counted.
    pub polls: u64,
}

impl Rate {
    /// Things a second, by the clock on the wall.
    pub fn per_second(&self) -> u64 {
        rate(self.count, self.spent.wall)
    }

    /// Things a second of processor time: what one core that does nothing else would do.
    pub fn per_core(&self) -> u64 {
        rate(self.count, self.spent.cpu)
    }

    /// Nanoseconds of processor time for each.
    pub fn nanos_each(&self) -> u64 {
        let each = self.spent.cpu.as_nanos() / u128::from(self.count.max(1));
        u64::try_from(each).unwrap_or(u64::MAX)
    }

    /// Polls for each, in tenths.
    pub fn polls_each_tenths(&self) -> u64 {
        self.polls * 10 / self.count.max(1)
    }
}

fn rate(count: u64, time: Duration) -> u64 {
    let nanos = time.as_nanos().max(1);
    u64::try_from(u128::from(count) * 1_000_000_000 / nanos).unwrap_or(u64::MAX)
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (wall, core) = (self.per_second(), self.per_core());
        write!(
            f,
            "{wall:>8} /s  {core:>8} /s a core  {:>7} ns each",
            self.nanos_each()
        )
    }
}

/// Why a figure could not be measured.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the benchmark \"{name}\" did not come to its end: {why}")]
pub struct BenchError {
    /// The figure that was to be measured.
    pub name: &'static str,
    /// What happened instead of its end.
    pub why: String,
}

impl BenchError {
    fn new(name: &'static str, why: impl fmt::Debug) -> Self {
        let why = format!("{why:?}");
        Self { name, why }
    }
}

/// Measures everything and hands out the report line by line, as it comes.
///
/// # Errors
///
/// A benchmark did not come to its end.
pub(crate) fn all(clock: Clock, line: &mut dyn FnMut(String)) -> Result<(), BenchError> {
    line("per second of wall time, and per second of processor time".to_owned());
    let lockstep = echo_in_lockstep(clock, 200_000)?;
    line(format!(
        "echo pairs, one connection, a time jump a step  {lockstep}"
    ));
    let many = echo_on_many(clock, 64, 10_000)?;
    line(format!(
        "echo pairs, 64 connections at once              {many}"
    ));
    let sends = sends(clock, 60_000)?;
    line(format!(
        "sends, one after the other                      {sends}  (floor 80000 /s)"
    ));
    let polls = sends.polls_each_tenths();
    line(format!("  polls a send: {}.{}", polls / 10, polls % 10));
    let standard = standard_scenarios(clock, Duration::from_secs(2))?;
    line(format!(
        "standard scenarios, checked                     {standard}  (floor 400 /s)"
    ));
    let compared = compare(clock, 3_600, 60)?;
    line(compared.to_string());
    line("cost of the parts".to_owned());
    for cost in costs(clock) {
        line(format!("  {cost}"));
    }
    Ok(())
}
