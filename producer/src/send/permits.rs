//! Back-pressure: how many async sends may be open, and how many bytes they may hold.
//!
//! A program that hands over messages faster than brokers store them fills its memory; limits turn
//! that into waiting or into a refusal, while it can still be told. Sync senders limit themselves
//! by waiting, so the limits are for async sends only, as in the Java client
//! (`enableBackpressureForAsyncMode`).
//!
//! Both queues are fair. A permit is given back when the callback has *returned*: results that
//! pile up in slow callbacks are open sends, too.

use std::sync::Arc;

use serde::Deserialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use crate::error::Full;

/// What becomes of an async send beyond a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
pub enum WhenFull {
    /// It waits for its turn, within its own timeout. Await
    /// [`Producer::room`](crate::Producer::room) before the call to be slowed down with it.
    #[default]
    Wait,
    /// It fails at once.
    Refuse,
}

/// The limits of a producer's async sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Limits {
    /// How many async sends may be open at a time; absent: any number.
    pub(crate) sends: Option<u32>,
    /// Bytes of their bodies, before compression.
    pub(crate) bytes: Option<u32>,
    pub(crate) when_full: WhenFull,
}

/// What one open send holds.
#[derive(Debug, Default)]
pub(crate) struct Permit {
    _send: Option<OwnedSemaphorePermit>,
    _bytes: Option<OwnedSemaphorePermit>,
}

/// The permits of one producer.
#[derive(Debug)]
pub(crate) struct Permits {
    limits: Limits,
    sends: Option<Arc<Semaphore>>,
    bytes: Option<Arc<Semaphore>>,
}

impl Permits {
    pub(crate) fn new(limits: Limits) -> Self {
        let permits = |limit: Option<u32>| {
            let size = usize::try_from(limit?).unwrap_or(Semaphore::MAX_PERMITS);
            Some(Arc::new(Semaphore::new(size.min(Semaphore::MAX_PERMITS))))
        };
        Self {
            limits,
            sends: permits(limits.sends),
            bytes: permits(limits.bytes),
        }
    }

    /// A permit for a body of so many bytes, if there is one now.
    pub(crate) fn at_once(&self, len: usize) -> Result<Permit, Full> {
        let count = self.fitting(len)?;
        let take = |semaphore: &Option<Arc<Semaphore>>, count, full| match semaphore {
            None => Ok(None),
            Some(free) => match Arc::clone(free).try_acquire_many_owned(count) {
                Ok(permit) => Ok(Some(permit)),
                Err(_) => Err(full),
            },
        };
        Ok(Permit {
            _send: take(&self.sends, 1, self.no_place())?,
            _bytes: take(&self.bytes, count, self.no_bytes(len))?,
        })
    }

    /// A permit for a body of so many bytes: first its place among the sends, then its bytes, both
    /// until the deadline.
    pub(crate) async fn acquire(&self, len: usize, deadline: Instant) -> Result<Permit, Full> {
        if self.limits.when_full == WhenFull::Refuse {
            return self.at_once(len);
        }
        let count = self.fitting(len)?;
        let send = wait(self.sends.as_ref(), 1, deadline).await;
        let send = send.ok_or_else(|| self.no_place())?;
        let bytes = wait(self.bytes.as_ref(), count, deadline).await;
        let bytes = bytes.ok_or_else(|| self.no_bytes(len))?;
        Ok(Permit {
            _send: send,
            _bytes: bytes,
        })
    }

    /// The permits for so many bytes. A body above the limit would wait in vain.
    fn fitting(&self, len: usize) -> Result<u32, Full> {
        let limit = self.limits.bytes.unwrap_or(u32::MAX);
        let count = u32::try_from(len).ok().filter(|count| *count <= limit);
        count.ok_or_else(|| self.no_bytes(len))
    }

    fn no_place(&self) -> Full {
        let limit = self.limits.sends.unwrap_or(u32::MAX);
        Full::Sends { limit }
    }

    fn no_bytes(&self, len: usize) -> Full {
        let limit = self.limits.bytes.unwrap_or(u32::MAX);
        Full::Bytes { len, limit }
    }

    /// Waits until one more send would find a place.
    pub(crate) async fn room(&self) {
        for semaphore in [&self.sends, &self.bytes].into_iter().flatten() {
            // Never closed; and what is taken here is given back at once.
            drop(semaphore.acquire().await);
        }
    }

    /// Sends and bytes that are out, as far as they are limited.
    pub(crate) fn out(&self) -> (u32, u32) {
        let out = |limit: Option<u32>, semaphore: &Option<Arc<Semaphore>>| {
            let free = semaphore.as_ref().map(|free| free.available_permits());
            let free = free.and_then(|free| u32::try_from(free).ok());
            limit.unwrap_or(0).saturating_sub(free.unwrap_or(0))
        };
        (
            out(self.limits.sends, &self.sends),
            out(self.limits.bytes, &self.bytes),
        )
    }
}

/// So many permits of a semaphore by the deadline; none are needed where there is no limit.
async fn wait(
    semaphore: Option<&Arc<Semaphore>>,
    count: u32,
    deadline: Instant,
) -> Option<Option<OwnedSemaphorePermit>> {
    let Some(semaphore) = semaphore else {
        return Some(None);
    };
    let acquire = Arc::clone(semaphore).acquire_many_owned(count);
    let acquired = timeout_at(deadline, acquire).await.ok()?;
    acquired.ok().map(Some)
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::task::{Context, Poll, Waker};

    use tokio::time::Duration;

    use super::*;

    fn permits(sends: Option<u32>, bytes: Option<u32>, when_full: WhenFull) -> Permits {
        Permits::new(Limits {
            sends,
            bytes,
            when_full,
        })
    }

    #[tokio::test(start_paused = true)]
    async fn a_send_beyond_the_limit_waits_until_its_deadline_and_leaves_no_trace() {
        let permits = permits(Some(1), Some(100), WhenFull::Wait);
        let deadline = Instant::now() + Duration::from_millis(500);
        let first = permits.acquire(10, deadline).await.unwrap();
        let began = Instant::now();
        let full = permits.acquire(10, deadline).await.unwrap_err();
        assert_eq!(full, Full::Sends { limit: 1 });
        assert_eq!(began.elapsed(), Duration::from_millis(500));
        assert_eq!(permits.out(), (1, 10));
        drop(first);
        assert_eq!(permits.out(), (0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_larger_than_the_limit_is_refused_at_once_and_holds_no_place() {
        let permits = permits(Some(1), Some(100), WhenFull::Wait);
        let deadline = Instant::now() + Duration::from_secs(3);
        let began = Instant::now();
        let full = permits.acquire(101, deadline).await.unwrap_err();
        assert_eq!(
            full,
            Full::Bytes {
                len: 101,
                limit: 100
            }
        );
        assert_eq!(began.elapsed(), Duration::ZERO);
        assert_eq!(permits.out(), (0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn who_refuses_does_not_wait() {
        let permits = permits(Some(1), None, WhenFull::Refuse);
        let deadline = Instant::now() + Duration::from_secs(3);
        let _first = permits.acquire(10, deadline).await.unwrap();
        let began = Instant::now();
        assert!(permits.acquire(10, deadline).await.is_err());
        assert_eq!(began.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn there_is_room_when_a_permit_came_back() {
        let permits = permits(Some(1), None, WhenFull::Wait);
        let first = permits.acquire(10, Instant::now()).await.unwrap();
        let mut room = Box::pin(permits.room());
        let mut cx = Context::from_waker(Waker::noop());
        assert!(room.as_mut().poll(&mut cx).is_pending());
        drop(first);
        assert_eq!(room.as_mut().poll(&mut cx), Poll::Ready(()));
    }

    #[tokio::test(start_paused = true)]
    async fn without_limits_nothing_is_counted() {
        let permits = permits(None, None, WhenFull::Wait);
        let permit = permits.acquire(usize::MAX, Instant::now()).await;
        assert!(permit.is_err(), "no body is that large");
        let _permit = permits.acquire(1 << 30, Instant::now()).await.unwrap();
        assert_eq!(permits.out(), (0, 0));
    }
}
