//! The hooks that a program under simulation may have: one that panics, one that forbids, one that watches.

use rmq_producer::{AttemptEnd, ForbiddenHook, Message, MessageHook, SendContext, SendHook};
use rmq_remoting::observe::Name;

use crate::trace::{NodeEvent, NodeId, Recorder, WorkEvent};

/// Panics whenever it is called, which must change nothing of any send.
#[derive(Debug)]
pub(super) struct PanickingHook;

impl PanickingHook {
    fn panic() {
        // As a panic, but for the hook that would print it.
        std::panic::resume_unwind(Box::new("a hook of the scenario"));
    }
}

impl MessageHook for PanickingHook {
    fn before(&self, _message: &mut Message) {
        Self::panic();
    }
}

impl SendHook for PanickingHook {
    fn before(&self, _context: &SendContext<'_>) {
        Self::panic();
    }

    fn after(&self, _context: &SendContext<'_>, _end: AttemptEnd<'_>) {
        Self::panic();
    }
}

/// Forbids every attempt at one broker.
#[derive(Debug)]
pub(super) struct ForbidsBroker(pub(super) Name);

impl ForbiddenHook for ForbidsBroker {
    fn check(&self, context: &SendContext<'_>) -> Result<(), String> {
        match context.to.broker == self.0 {
            true => Err(format!("the scenario forbids {}", self.0)),
            false => Ok(()),
        }
    }
}

/// Records what it hears of attempts.
#[derive(Debug)]
pub(super) struct WatchingHook {
    pub(super) recorder: Recorder,
    /// Where the program lives.
    pub(super) node: NodeId,
}

impl WatchingHook {
    fn hears(&self, context: &SendContext<'_>, begins: bool) {
        let event = WorkEvent::Hooked {
            unique_key: Name::clone(context.message_id),
            attempt: context.attempt,
            begins,
        };
        self.recorder.push(self.node, NodeEvent::Work(event));
    }
}

impl SendHook for WatchingHook {
    fn before(&self, context: &SendContext<'_>) {
        self.hears(context, true);
    }

    fn after(&self, context: &SendContext<'_>, _end: AttemptEnd<'_>) {
        self.hears(context, false);
    }
}
