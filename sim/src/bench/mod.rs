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
use std::time::{Duration, Instant};

mod cluster;
mod cost;
mod echo;
mod standard;

pub use cluster::{Compared, compare, sends};
pub use cost::{Cost, costs};
pub use echo::{echo_in_lockstep, echo_on_many};
pub use standard::standard_scenarios;

/// The stopwatch.
pub type Clock = fn() -> Instant;

/// So many things in so much time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many.
    pub count: u64,
    /// In how long.
    pub wall: Duration,
    /// Polls of simulated tasks it took, if that was counted.
    pub polls: u64,
}

impl Rate {
    /// Things a second.
    pub fn per_second(&self) -> u64 {
        let nanos = self.wall.as_nanos().max(1);
        u64::try_from(u128::from(self.count) * 1_000_000_000 / nanos).unwrap_or(u64::MAX)
    }

    /// Nanoseconds for each.
    pub fn nanos_each(&self) -> u64 {
        let each = self.wall.as_nanos() / u128::from(self.count.max(1));
        u64::try_from(each).unwrap_or(u64::MAX)
    }

    /// Polls for each, in tenths.
    pub fn polls_each_tenths(&self) -> u64 {
        self.polls * 10 / self.count.max(1)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:>9} /s  {:>6} ns each",
            self.per_second(),
            self.nanos_each()
        )
    }
}

/// Why a figure could not be measured.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the benchmark \"{name}\" did not come to its end: {why}")]
pub struct BenchError {
    /// The figure.
    pub name: &'static str,
    /// What happened instead.
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
pub fn all(clock: Clock, line: &mut dyn FnMut(String)) -> Result<(), BenchError> {
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
        "standard scenarios, judged                      {standard}  (floor 400 /s)"
    ));
    let compared = compare(clock, 3_600, 60)?;
    line(compared.to_string());
    line("cost of the parts".to_owned());
    for cost in costs(clock) {
        line(format!("  {cost}"));
    }
    Ok(())
}
