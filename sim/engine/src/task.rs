//! Tasks of a node in the shape of `tokio::task`, for code that does not know its host.
//!
//! What a program gives to `tokio::spawn` is polled by Tokio, and outlives its process. A task of this
//! module is the node's own: it dies with its process and stands still with it. One changed line does
//! it, `use dst_engine::task` for `use tokio::task`.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::oneshot;

use crate::access::enter;
use crate::command::Command;
use crate::core::RunId;
use crate::host::SimHost;
use crate::process::here;

/// What reports call a task that was started here.
const NAME: &str = "task::spawn";

/// Starts a task of the node whose task is polled. It goes on if the handle is dropped, and ends with its
/// process.
///
/// # Panics
///
/// The code that calls belongs to no node, or no run goes on: `tokio::spawn` panics without a runtime.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// use dst_engine::task;
///
/// let mut engine = dst_engine::Engine::new(7);
/// engine.client("adds", [10, 0, 0, 1], |_host| async {
///     let sum = task::spawn(async { 40 + 2 });
///     assert_eq!(sum.await.ok(), Some(42));
/// });
/// assert!(engine.run()?.value.is_some());
/// # Ok(())
/// # }
/// ```
#[expect(clippy::panic, reason = "as tokio::spawn, which this stands for")]
#[track_caller]
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let process = match here() {
        Ok(process) => process,
        Err(error) => panic!("{error}"),
    };
    let (returns, returned) = oneshot::channel();
    let work = async move {
        // Whoever started it may have dropped the handle.
        let _ = returns.send(future.await);
    };
    let number = SimHost::of(process).start(NAME, Box::pin(work));
    JoinHandle {
        run: process.run,
        number,
        returned,
    }
}

/// Waits for a task, and tells what it returned.
#[derive(Debug)]
pub struct JoinHandle<T> {
    run: RunId,
    /// None: the run was over, and it never started.
    number: Option<u64>,
    returned: oneshot::Receiver<T>,
}

/// A task ended before it returned: it was aborted, or its process was killed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the task was cancelled")]
pub struct JoinError;

impl<T> JoinHandle<T> {
    /// Ends the task where it stands, between this poll and the next.
    pub fn abort(&self) {
        if let Some(number) = self.number {
            enter(self.run, |core| {
                core.commands.push_back(Command::Cancel(number));
            });
        }
    }
}

impl<T> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let returned = Pin::new(&mut self.returned).poll(cx);
        returned.map(|returned| returned.map_err(|_| JoinError))
    }
}
