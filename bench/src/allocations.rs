//! How often the process has allocated memory: an allocator that counts, around the system's.

use std::alloc::System;

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static COUNTED: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Allocations and their bytes since the process began. A block that grew counts as another one.
pub(crate) fn so_far() -> Allocated {
    let stats = COUNTED.stats();
    Allocated {
        times: stats.allocations + stats.reallocations,
        bytes: stats.bytes_allocated,
    }
}

/// How many blocks were allocated, and how many bytes in sum.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Allocated {
    pub(crate) times: usize,
    pub(crate) bytes: usize,
}

impl Allocated {
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            times: self.times - before.times,
            bytes: self.bytes - before.bytes,
        }
    }

    /// Allocations and bytes for each of so many sends.
    pub(crate) fn per(self, sends: u64) -> (f64, f64) {
        let sends = sends.max(1) as f64;
        (self.times as f64 / sends, self.bytes as f64 / sends)
    }
}
