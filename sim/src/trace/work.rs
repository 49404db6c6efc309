//! Counts what checkers look at, in tests only: a count of work grows as time does, and does not
//! depend on the machine.

#[cfg(test)]
thread_local! {
    static DONE: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// So many things were looked at.
#[cfg(not(test))]
#[inline]
pub(crate) fn done(_: usize) {}

/// So many things were looked at.
#[cfg(test)]
pub(crate) fn done(count: usize) {
    DONE.set(DONE.get() + count as u64);
}

/// What was looked at on this thread since the last call.
#[cfg(test)]
pub(crate) fn taken() -> u64 {
    DONE.take()
}
