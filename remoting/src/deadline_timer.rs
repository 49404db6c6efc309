//! One timer for all deadlines of a connection.
//!
//! A timer per request would be made and thrown away for each of them. Deadlines mostly pass in
//! the order in which they were set, so one timer that is set back only when an earlier deadline
//! turns up does the same work a thousand times less often.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::time::{Instant, Sleep, sleep_until};

/// A timer that is re-armed lazily.
#[derive(Debug)]
pub(crate) struct DeadlineTimer {
    sleep: Pin<Box<Sleep>>,
}

impl DeadlineTimer {
    /// A timer set to `at`.
    pub(crate) fn new(at: Instant) -> Self {
        Self {
            sleep: Box::pin(sleep_until(at)),
        }
    }

    /// Ready once `at` has come. Until then the task is woken at `at`, or earlier for nothing.
    pub(crate) fn poll(&mut self, at: Instant, cx: &mut Context<'_>) -> Poll<()> {
        if at < self.sleep.deadline() {
            self.sleep.as_mut().reset(at);
        }
        loop {
            if self.sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            if at <= self.sleep.deadline() {
                return Poll::Ready(());
            }
            self.sleep.as_mut().reset(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_rings_at_the_time_asked_for_wherever_it_was_set_before() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut timer = DeadlineTimer::new(at(100));
        for ms in [10, 50, 120, 120, 300] {
            poll_fn(|cx| timer.poll(at(ms), cx)).await;
            assert_eq!(Instant::now(), at(ms));
        }
    }
}
