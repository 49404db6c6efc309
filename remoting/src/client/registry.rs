//! Which connections a client has, and who owns their tasks.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicI32;

use futures_util::FutureExt;
use parking_lot::Mutex;

use super::ClientSettings;
use super::connection;
use super::link::{FailedDial, Link};
use crate::event::{CloseCause, ConnectionNumber, Event};
use crate::host::{SharedHost, Task};
use crate::observe::{Name, Observer};
use crate::service::Service;

/// Owns the connections' tasks. They know the environment, never the core.
pub(super) struct Core {
    pub(super) environment: Arc<Environment>,
}

impl Drop for Core {
    fn drop(&mut self) {
        // The tasks hold the environment, so they must be taken out of it to be cancelled.
        let (slots, drained, ended) = {
            let mut registry = self.environment.registry.lock();
            registry.stopped = true;
            (
                std::mem::take(&mut registry.slots),
                std::mem::take(&mut registry.drained),
                std::mem::take(&mut registry.ended),
            )
        };
        drop((slots, drained, ended));
    }
}

/// What the connections' tasks share.
pub(super) struct Environment {
    pub(super) host: SharedHost,
    pub(super) settings: ClientSettings,
    pub(super) observer: Arc<dyn Observer<Event>>,
    pub(super) inbound: Arc<dyn Service>,
    pub(super) opaque: Arc<AtomicI32>,
    pub(super) registry: Mutex<Registry>,
}

#[derive(Default)]
pub(super) struct Registry {
    pub(super) slots: BTreeMap<Name, Slot>,
    /// Connections whose peers announced their shutdown, and which others have replaced.
    pub(super) drained: Vec<Slot>,
    /// Tasks of connections that have ended or are about to: a task must not drop itself.
    pub(super) ended: Vec<Task>,
    pub(super) dials: ConnectionNumber,
    pub(super) stopped: bool,
}

pub(super) struct Slot {
    pub(super) link: Arc<Link>,
    pub(super) task: Task,
}

impl Environment {
    pub(super) fn observe(&self, event: Event) {
        self.observer.on(event);
    }

    /// Takes a connection out of the table, unless another one has its place. Tells whether it was
    /// one that drained.
    fn forget(&self, link: &Link) -> bool {
        let mut registry = self.registry.lock();
        let here = registry.slots.get(&link.to).map(|slot| slot.link.number);
        if here == Some(link.number)
            && let Some(slot) = registry.slots.remove(&link.to)
        {
            registry.ended.push(slot.task);
        }
        let drained = registry.drained.iter();
        let mut at = drained.map(|slot| slot.link.number);
        let Some(at) = at.position(|number| number == link.number) else {
            return false;
        };
        let slot = registry.drained.swap_remove(at);
        registry.ended.push(slot.task);
        true
    }

    /// A connection has ended: forgets it, fails its requests and tells the observer. Of one that
    /// drained the end was announced, whatever brought it.
    pub(super) fn end(&self, link: &Link, cause: CloseCause) {
        let drained = self.forget(link);
        if let Some(pending) = link.end(cause) {
            let cause = if drained { CloseCause::Drained } else { cause };
            self.observe(Event::Closed {
                connection: link.number,
                to: Arc::clone(&link.to),
                cause,
                pending,
            });
        }
    }

    /// A dial has failed: forgets it and tells those who wait, and the observer.
    pub(super) fn fail(&self, link: &Link, failed: FailedDial) {
        self.forget(link);
        let cause = failed.cause;
        if link.fail(failed) {
            self.observe(Event::DialFailed {
                connection: link.number,
                to: Arc::clone(&link.to),
                cause,
            });
        }
    }

    /// Closes a connection from this side, open or not.
    pub(super) fn close(&self, link: &Link, cause: CloseCause) {
        match link.dial_result() {
            None => self.fail(link, FailedDial::new(io::ErrorKind::Interrupted.into())),
            Some(Ok(())) => self.end(link, cause),
            Some(Err(_)) => {}
        }
    }

    /// The connection to an address, open or being dialled; none once this client is stopped.
    pub(super) fn link(self: &Arc<Self>, to: &Name) -> Option<Arc<Link>> {
        let mut registry = self.registry.lock();
        if registry.stopped {
            return None;
        }
        if let Some(slot) = registry.slots.get(to) {
            return Some(Arc::clone(&slot.link));
        }
        registry
            .ended
            .retain_mut(|task| task.now_or_never().is_none());
        registry.dials += 1;
        let max_buffered = self.settings.max_buffered;
        let link = Arc::new(Link::new(registry.dials, Arc::clone(to), max_buffered));
        let life = connection::run(Arc::clone(&link), Arc::clone(self));
        let task = self.host.spawn("connection", Box::pin(life));
        let slot = Slot {
            link: Arc::clone(&link),
            task,
        };
        registry.slots.insert(Arc::clone(to), slot);
        Some(link)
    }
}
