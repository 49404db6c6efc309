//! The line of figures.

use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use serde::Serialize;

#[cfg(feature = "allocations")]
use crate::allocations::{self, Allocated};
use crate::window::Window;
use crate::{Arguments, Mode};

/// What the process has used at one moment.
#[derive(Debug)]
pub(crate) struct Process {
    at: Instant,
    /// User and system time.
    cpu: Duration,
    #[cfg(feature = "allocations")]
    allocated: Allocated,
}

/// What it used between two moments.
#[derive(Debug)]
pub(crate) struct Used {
    wall: Duration,
    cpu: Duration,
    #[cfg(feature = "allocations")]
    allocated: Allocated,
}

impl Process {
    #[expect(
        clippy::disallowed_methods,
        reason = "the stopwatch of the measurement"
    )]
    pub(crate) fn now() -> Self {
        let usage = getrusage(UsageWho::RUSAGE_SELF);
        let cpu = usage.map_or(Duration::ZERO, |usage| {
            duration(usage.user_time()) + duration(usage.system_time())
        });
        Self {
            at: Instant::now(),
            cpu,
            #[cfg(feature = "allocations")]
            allocated: allocations::so_far(),
        }
    }

    pub(crate) fn since(&self, before: &Self) -> Used {
        Used {
            wall: self.at.saturating_duration_since(before.at),
            cpu: self.cpu.saturating_sub(before.cpu),
            #[cfg(feature = "allocations")]
            allocated: self.allocated.since(before.allocated),
        }
    }
}

fn duration(time: TimeVal) -> Duration {
    let seconds = u64::try_from(time.tv_sec()).unwrap_or(0);
    let micros = u64::try_from(time.tv_usec()).unwrap_or(0);
    Duration::from_secs(seconds) + Duration::from_micros(micros)
}

/// The figures, under the names that all drivers use.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    client: &'static str,
    version: &'static str,
    mode: Mode,
    concurrency: u32,
    max_inflight: u32,
    body: usize,
    threads: u32,
    sent_ok: u64,
    failed: u64,
    seconds: f64,
    msgs_per_s: f64,
    p50_us: f64,
    p99_us: f64,
    p999_us: f64,
    cpu_s: f64,
    cpu_us_per_msg: f64,
    max_rss_mb: f64,
    /// Allocations a message, and their bytes.
    #[cfg(feature = "allocations")]
    allocations_per_msg: (f64, f64),
    total_ok_incl_warmup: u64,
    unanswered: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_error: Option<String>,
}

impl Report {
    pub(crate) fn new(arguments: &Arguments, window: &Window, used: &Used) -> Self {
        let (seconds, cpu) = (used.wall.as_secs_f64(), used.cpu.as_secs_f64());
        let sent = window.ok();
        let in_flight = arguments.mode == Mode::Async;
        Self {
            client: "rmq-producer",
            version: env!("CARGO_PKG_VERSION"),
            mode: arguments.mode,
            concurrency: arguments.concurrency,
            max_inflight: if in_flight { arguments.max_inflight } else { 0 },
            body: arguments.body,
            threads: arguments.threads,
            sent_ok: sent,
            failed: window.failures(),
            seconds,
            msgs_per_s: sent as f64 / seconds,
            p50_us: window.quantile_us(0.5),
            p99_us: window.quantile_us(0.99),
            p999_us: window.quantile_us(0.999),
            cpu_s: cpu,
            cpu_us_per_msg: if sent == 0 {
                0.0
            } else {
                cpu * 1e6 / sent as f64
            },
            max_rss_mb: peak_memory_mb(),
            #[cfg(feature = "allocations")]
            allocations_per_msg: used.allocated.per(sent),
            total_ok_incl_warmup: window.ok_since_start(),
            unanswered: window.unanswered(),
            first_error: window.first_error(),
        }
    }

    /// One line of JSON.
    pub(crate) fn line(&self) -> String {
        // Plain numbers and texts: there is nothing in it that JSON cannot say.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// The most memory the process has had, in MiB; 0 where the system does not tell.
fn peak_memory_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kib = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|rest| rest.split_whitespace().next()?.parse::<f64>().ok());
    kib.unwrap_or(0.0) / 1024.0
}
