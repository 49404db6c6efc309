//! What happens while it is measured.

use std::sync::atomic::{AtomicI64, AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use hdrhistogram::Histogram;
use parking_lot::Mutex;

/// Latencies longer than this count as this: twice the longest send.
const LONGEST_NS: u64 = 6_000_000_000;

/// Where a measurement is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Sends run and are not counted.
    Warmup = 0,
    /// Sends are counted when they end.
    Measured = 1,
    /// No send starts any more.
    Over = 2,
}

/// The counters of all senders.
pub(crate) struct Window {
    phase: AtomicU8,
    ok: AtomicU64,
    failed: AtomicU64,
    ok_since_start: AtomicU64,
    unanswered: AtomicI64,
    latencies: Mutex<Histogram<u64>>,
    first_error: Mutex<Option<String>>,
}

impl Window {
    pub(crate) fn new() -> Self {
        Self {
            phase: AtomicU8::new(Phase::Warmup as u8),
            ok: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            ok_since_start: AtomicU64::new(0),
            unanswered: AtomicI64::new(0),
            latencies: Mutex::new(histogram()),
            first_error: Mutex::new(None),
        }
    }

    pub(crate) fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    /// Whether sends may still start.
    pub(crate) fn is_open(&self) -> bool {
        self.phase.load(Ordering::Relaxed) < Phase::Over as u8
    }

    fn counts(&self) -> bool {
        self.phase.load(Ordering::Relaxed) == Phase::Measured as u8
    }

    /// A send has succeeded.
    pub(crate) fn answered(&self, after: Duration) {
        self.ok_since_start.fetch_add(1, Ordering::Relaxed);
        if self.counts() {
            self.ok.fetch_add(1, Ordering::Relaxed);
            let nanos = u64::try_from(after.as_nanos()).unwrap_or(LONGEST_NS);
            self.latencies.lock().saturating_record(nanos);
        }
    }

    /// A send has failed. The first failure of all is kept as text.
    pub(crate) fn failed(&self, text: impl FnOnce() -> String) {
        self.failed.fetch_add(1, Ordering::Relaxed);
        self.first_error.lock().get_or_insert_with(text);
    }

    /// An async send was handed over.
    pub(crate) fn sent(&self) {
        self.unanswered.fetch_add(1, Ordering::Relaxed);
    }

    /// An async send has called back.
    pub(crate) fn returned(&self) {
        self.unanswered.fetch_sub(1, Ordering::Relaxed);
    }

    /// Async sends that have not called back.
    pub(crate) fn unanswered(&self) -> i64 {
        self.unanswered.load(Ordering::Relaxed)
    }

    /// Sends that succeeded while it was measured.
    pub(crate) fn ok(&self) -> u64 {
        self.ok.load(Ordering::Relaxed)
    }

    /// Sends that succeeded, warm-up and end included.
    pub(crate) fn ok_since_start(&self) -> u64 {
        self.ok_since_start.load(Ordering::Relaxed)
    }

    /// Sends that failed, at any time.
    pub(crate) fn failures(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// The text of the first failure.
    pub(crate) fn first_error(&self) -> Option<String> {
        self.first_error.lock().clone()
    }

    /// The latency that this share of the sends stayed within, in microseconds.
    pub(crate) fn quantile_us(&self, quantile: f64) -> f64 {
        let nanos = self.latencies.lock().value_at_quantile(quantile);
        (nanos / 10) as f64 / 100.0
    }
}

/// Three digits: an error below a tenth of a percent.
fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST_NS, 3).unwrap_or_else(|_| {
        unreachable!("the bounds are constants that the histogram accepts");
    })
}
