//! A handle to a running task, the same on every host.

use std::any::Any;
use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::sync::oneshot;

use crate::BoxFuture;

/// How a task came to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskEnd {
    /// Its future ran to its end.
    Finished,
    /// Its future panicked; the text is the panic's message.
    Panicked(String),
    /// It was cancelled, or the machine under it went away.
    Cancelled,
}

/// Stops a task; implemented by each host.
pub trait TaskControl: fmt::Debug + Send + Sync + 'static {
    /// Asks the host to drop the task's future. Called at most once, when the handle is dropped
    /// before the task has ended.
    fn cancel(&self);
}

/// A running task. Dropping it cancels the task; awaiting it tells how the task ended.
///
/// There are no detached tasks: whoever starts one owns it.
///
/// A panic ends the task and nothing else.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// use rmq_host::{Host, TaskEnd, TokioHost};
///
/// let host = TokioHost::new();
/// let answers = host.spawn("answers", Box::pin(async { panic!("no answer") }));
/// assert_eq!(answers.await, TaskEnd::Panicked("no answer".to_owned()));
///
/// let forever = host.spawn("forever", Box::pin(std::future::pending()));
/// drop(forever); // cancelled
/// # Ok(())
/// # }
/// ```
#[must_use = "dropping a task cancels it"]
pub struct Task {
    name: &'static str,
    control: Option<Box<dyn TaskControl>>,
    end: oneshot::Receiver<TaskEnd>,
}

/// The host's side of a [`Task`]: reports how it ended.
#[derive(Debug)]
pub struct TaskReporter(oneshot::Sender<TaskEnd>);

impl TaskReporter {
    /// Tells the owner, if there still is one, how the task ended.
    pub fn ended(self, end: TaskEnd) {
        // The owner may have dropped the handle; then nobody asks any more.
        let _ = self.0.send(end);
    }

    /// The task as a host runs it: a panic inside is caught, shown to `panicked`, and reported to
    /// the owner. If the host drops this future instead, the owner sees [`TaskEnd::Cancelled`].
    pub fn watch(
        self,
        task: BoxFuture<'static, ()>,
        panicked: impl FnOnce(&str) + Send + 'static,
    ) -> impl Future<Output = ()> + Send + 'static {
        let mut task = Some(task);
        async move {
            let end = poll_fn(|cx| poll_catching(&mut task, cx)).await;
            if let TaskEnd::Panicked(message) = &end {
                panicked(message);
            }
            self.ended(end);
        }
    }
}

/// Polls a task, and drops it as soon as it has completed or panicked.
fn poll_catching(task: &mut Option<BoxFuture<'static, ()>>, cx: &mut Context<'_>) -> Poll<TaskEnd> {
    let Some(running) = task else {
        return Poll::Ready(TaskEnd::Finished);
    };
    let polled = catch_unwind(AssertUnwindSafe(|| running.as_mut().poll(cx)));
    let end = match polled {
        Ok(Poll::Pending) => return Poll::Pending,
        Ok(Poll::Ready(())) => TaskEnd::Finished,
        Err(payload) => TaskEnd::Panicked(panic_message(payload.as_ref())),
    };
    *task = None;
    Poll::Ready(end)
}

/// The text of a caught panic.
///
/// ```
/// let payload = std::panic::catch_unwind(|| panic!("{} is missing", "broker-a"));
/// let text = payload.map_err(|payload| rmq_host::panic_message(&*payload));
/// assert_eq!(text, Err("broker-a is missing".to_owned()));
/// ```
pub fn panic_message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic without a message").to_owned()
}

impl Task {
    /// Makes the two sides of a task: the owner's handle needs a [`TaskControl`] from
    /// [`Task::controlled_by`], the reporter stays with the host.
    pub fn new(name: &'static str) -> (Self, TaskReporter) {
        let (report, end) = oneshot::channel();
        (
            Self {
                name,
                control: None,
                end,
            },
            TaskReporter(report),
        )
    }

    /// Sets what cancels the task when this handle is dropped.
    pub fn controlled_by(mut self, control: impl TaskControl) -> Self {
        self.control = Some(Box::new(control));
        self
    }

    /// The name given to [`Host::spawn`](crate::Host::spawn).
    pub fn name(&self) -> &'static str {
        self.name
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Task({})", self.name)
    }
}

impl Future for Task {
    type Output = TaskEnd;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<TaskEnd> {
        // A host that vanished without a report (a crash) has cancelled the task.
        let end = ready!(Pin::new(&mut self.end).poll(cx)).unwrap_or(TaskEnd::Cancelled);
        self.control = None;
        Poll::Ready(end)
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        if let Some(control) = self.control.take() {
            control.cancel();
        }
    }
}
