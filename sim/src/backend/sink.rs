//! What the engines on Tokio tasks report of a run: events, and the panic that ends it.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};

use dst_engine::{EngineEvent, EventSink, NodeId, RunEnd, WaitingTask};
use parking_lot::Mutex;
use rmq_host::panic_message;
use tokio::sync::Notify;

/// Sees what happens to the tasks and connections of all nodes.
pub(super) struct RunSink {
    events: Arc<dyn EventSink>,
    /// Teardown: nothing is observed any more.
    closed: AtomicBool,
    next_task: AtomicU64,
    dials: AtomicU64,
    panic: Mutex<Option<RunEnd>>,
    panicked: Notify,
}

impl RunSink {
    pub(super) fn new(events: Arc<dyn EventSink>) -> Self {
        Self {
            events,
            closed: AtomicBool::new(false),
            next_task: AtomicU64::new(0),
            dials: AtomicU64::new(0),
            panic: Mutex::new(None),
            panicked: Notify::new(),
        }
    }

    /// Passes an event on, until the run is over.
    pub(super) fn see(&self, event: EngineEvent) {
        if !self.closed.load(Ordering::Relaxed) {
            if matches!(event, EngineEvent::Dial { .. }) {
                self.dials.fetch_add(1, Ordering::Relaxed);
            }
            self.events.on(event);
        }
    }

    /// Dials that were started.
    pub(super) fn dials(&self) -> u64 {
        self.dials.load(Ordering::Relaxed)
    }

    /// Numbers a task over the run.
    pub(super) fn number_task(&self) -> u64 {
        self.next_task.fetch_add(1, Ordering::Relaxed)
    }

    /// A task panicked; the first one ends the run.
    pub(super) fn panicked(&self, node: NodeId, task: &'static str, message: &str) {
        self.panic.lock().get_or_insert_with(|| RunEnd::Panicked {
            task: WaitingTask {
                node: Some(node),
                task,
            },
            message: message.to_owned(),
        });
        self.panicked.notify_one();
    }

    /// The end that a panic brought.
    pub(super) fn end(&self) -> Option<RunEnd> {
        self.panic.lock().clone()
    }

    /// Waits for a panic.
    pub(super) async fn panic(&self) -> RunEnd {
        loop {
            if let Some(end) = self.end() {
                return end;
            }
            self.panicked.notified().await;
        }
    }

    /// The run is over.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }
}

impl fmt::Debug for RunSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RunSink")
    }
}

/// Polls the run's main future. A panic in it ends the run as one in a task does.
pub(super) fn poll_main<F: Future>(
    main: Pin<&mut F>,
    cx: &mut Context<'_>,
) -> Poll<(Option<F::Output>, RunEnd)> {
    match catch_unwind(AssertUnwindSafe(|| main.poll(cx))) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(value)) => Poll::Ready((Some(value), RunEnd::Finished)),
        Err(payload) => Poll::Ready((None, panicked_outside("main", payload.as_ref()))),
    }
}

/// The end that a panic outside of all nodes brings.
pub(super) fn panicked_outside(task: &'static str, payload: &(dyn Any + Send)) -> RunEnd {
    RunEnd::Panicked {
        task: WaitingTask { node: None, task },
        message: panic_message(payload),
    }
}
