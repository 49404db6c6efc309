//! Which connections a client has, and who owns their tasks.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicI32;

use futures_util::FutureExt;
use parking_lot::Mutex;
use rmq_host::{SharedHost, Task, TaskEnd};
use tokio::time::Instant;

use super::ClientSettings;
use super::connection;
use super::connection_handle::{ConnectionHandle, FailedDial, SlotRole};
use crate::event::{CloseCause, ConnectionNumber, Event};
use crate::observe::{Name, Observer};
use crate::service::Service;

/// Owns the connections' tasks. They know the environment, never the core.
pub(super) struct Core {
    pub(super) environment: Arc<Environment>,
}

impl Drop for Core {
    fn drop(&mut self) {
        // The tasks hold the environment, so they must be taken out of it to be cancelled.
        let (slots, others, ended) = {
            let mut registry = self.environment.registry.lock();
            registry.stopped = true;
            (
                std::mem::take(&mut registry.slots),
                (
                    std::mem::take(&mut registry.trials),
                    std::mem::take(&mut registry.drained),
                    std::mem::take(&mut registry.replaced),
                ),
                std::mem::take(&mut registry.ended),
            )
        };
        drop((slots, others, ended));
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
    /// The connection that takes an address's requests.
    pub(super) slots: BTreeMap<Name, Slot>,
    /// A second connection to an address whose first one is doubted, until it is proven.
    pub(super) trials: BTreeMap<Name, Slot>,
    /// Connections whose peers announced their shutdown, and which others have replaced.
    pub(super) drained: Vec<Slot>,
    /// Connections that were doubted when a second one proved that the peer is alive. Each stays
    /// for the answers still to come.
    pub(super) replaced: Vec<Slot>,
    /// Tasks of connections that have ended or are about to: a task must not drop itself.
    pub(super) ended: Vec<Task>,
    /// How often in a row dialling an address came to nothing: no connection, or one that ended
    /// before a frame came.
    in_vain: BTreeMap<Name, InVain>,
    /// How many dials have started, which is the number of the last connection.
    pub(super) dials: u64,
    pub(super) stopped: bool,
}

/// Dials of one address that came to nothing, and when the last one did.
#[derive(Debug, Clone, Copy)]
struct InVain {
    times: u32,
    last: Instant,
}

pub(super) struct Slot {
    pub(super) handle: Arc<ConnectionHandle>,
    pub(super) task: Task,
}

impl Registry {
    /// Every connection, whatever its place.
    pub(super) fn handles(&self) -> impl Iterator<Item = &Arc<ConnectionHandle>> {
        let apart = self.drained.iter().chain(&self.replaced);
        let placed = self.slots.values().chain(self.trials.values());
        placed.chain(apart).map(|slot| &slot.handle)
    }

    /// The connections to one address that may take requests.
    pub(super) fn handles_to(&self, to: &Name) -> impl Iterator<Item = &Arc<ConnectionHandle>> {
        let slots = [self.slots.get(to), self.trials.get(to)];
        slots.into_iter().flatten().map(|slot| &slot.handle)
    }

    /// A dial of the address came to nothing.
    fn note_in_vain(&mut self, settings: &ClientSettings, to: &Name) {
        if settings.redial.is_none() {
            return;
        }
        let last = Instant::now();
        let before = self.in_vain.get(to).map_or(0, |it| it.times);
        let times = before.saturating_add(1);
        self.in_vain.insert(Arc::clone(to), InVain { times, last });
    }

    /// When the address may be dialled next. The first dial after one that came to nothing is free.
    fn not_before(&self, settings: &ClientSettings, to: &Name) -> Option<Instant> {
        let (backoff, known) = (settings.redial?, self.in_vain.get(to)?);
        let pause = backoff.pause(known.times)?;
        Some(known.last + pause)
    }

    /// Whether the last dial of the address came to nothing, and no connection to it is left.
    pub(super) fn is_in_vain(&self, to: &Name) -> bool {
        self.in_vain.contains_key(to) && !self.slots.contains_key(to)
    }

    /// Forgets addresses that nobody needs any more.
    pub(super) fn forget_in_vain(&mut self, needed: impl Fn(&Name) -> bool) {
        self.in_vain.retain(|to, _| needed(to));
    }

    /// Takes a connection out of the table that holds it, and tells whether it was one that drained.
    fn take(&mut self, handle: &ConnectionHandle) -> (Option<Slot>, bool) {
        for table in [&mut self.slots, &mut self.trials] {
            if table.get(&handle.to).map(|slot| slot.handle.number) == Some(handle.number) {
                return (table.remove(&handle.to), false);
            }
        }
        for (list, drained) in [(&mut self.drained, true), (&mut self.replaced, false)] {
            let mut numbers = list.iter().map(|slot| slot.handle.number);
            if let Some(at) = numbers.position(|number| number == handle.number) {
                return (Some(list.swap_remove(at)), drained);
            }
        }
        (None, false)
    }

    /// Gives a second connection the first one's place, which is put aside. That one is returned if
    /// no answer can come on it any more, so that it can be ended.
    fn put_first(&mut self, second: Slot) -> Option<Arc<ConnectionHandle>> {
        second.handle.put(SlotRole::First);
        let to = Arc::clone(&second.handle.to);
        let first = self.slots.insert(to, second)?;
        first.handle.put(SlotRole::Replaced);
        let handle = Arc::clone(&first.handle);
        self.replaced.push(first);
        (handle.pending(|pending| pending.waiting()) == 0).then_some(handle)
    }
}

impl Environment {
    pub(super) fn observe(&self, event: Event) {
        self.observer.on(event);
    }

    /// Takes a connection out of the tables. Tells whether it was one that drained.
    fn forget(&self, handle: &ConnectionHandle) -> bool {
        let mut registry = self.registry.lock();
        let (slot, drained) = registry.take(handle);
        registry.ended.extend(slot.map(|slot| slot.task));
        drained
    }

    /// A connection has ended: forgets it, fails its requests and tells the observer. Of one that
    /// drained the end was announced, whatever brought it.
    pub(super) fn end(&self, handle: &ConnectionHandle, cause: CloseCause) {
        let drained = self.forget(handle);
        if !handle.was_heard()
            && matches!(
                cause,
                CloseCause::PeerClosed | CloseCause::Broken | CloseCause::BadFrame
            )
        {
            self.registry
                .lock()
                .note_in_vain(&self.settings, &handle.to);
        }
        if let Some(pending) = handle.end(cause) {
            let cause = if drained { CloseCause::Drained } else { cause };
            self.observe(Event::Closed {
                connection: handle.number,
                to: Arc::clone(&handle.to),
                cause,
                pending,
            });
        }
    }

    /// A dial has failed: forgets it and tells those who wait, and the observer.
    pub(super) fn fail(&self, handle: &ConnectionHandle, failed: FailedDial) {
        self.forget(handle);
        self.registry
            .lock()
            .note_in_vain(&self.settings, &handle.to);
        let cause = failed.cause;
        if handle.fail(failed) {
            self.observe(Event::DialFailed {
                connection: handle.number,
                to: Arc::clone(&handle.to),
                cause,
            });
        }
    }

    /// Closes a connection from this side, open or not.
    pub(super) fn close(&self, handle: &ConnectionHandle, cause: CloseCause) {
        match handle.dial_result() {
            None => self.fail(handle, FailedDial::new(io::ErrorKind::Interrupted.into())),
            Some(Ok(())) => self.end(handle, cause),
            Some(Err(_)) => {}
        }
    }

    /// Closes those of the connections that are open and have no answer to come. One that is being
    /// opened is needed by whoever waits for it.
    pub(super) fn close_unused(&self, handles: Vec<Arc<ConnectionHandle>>, cause: CloseCause) {
        for handle in handles {
            let open = matches!(handle.dial_result(), Some(Ok(())));
            if open && handle.pending(|pending| pending.waiting()) == 0 {
                self.close(&handle, cause);
            }
        }
    }

    /// The connection to an address, open or being dialled; none once this client is stopped.
    pub(super) fn handle(self: &Arc<Self>, to: &Name) -> Option<Arc<ConnectionHandle>> {
        let mut registry = self.registry.lock();
        if registry.stopped {
            return None;
        }
        if let Some(slot) = registry.slots.get(to)
            && !slot.handle.is_over()
        {
            return Some(Arc::clone(&slot.handle));
        }
        // The first connection is gone: the second one takes its place, proven or not.
        let slot = match registry.trials.remove(to) {
            Some(slot) if !slot.handle.is_over() => slot,
            _ => self.dial(&mut registry, to),
        };
        slot.handle.put(SlotRole::First);
        let handle = Arc::clone(&slot.handle);
        let gone = registry.slots.insert(Arc::clone(to), slot);
        registry.ended.extend(gone.map(|slot| slot.task));
        Some(handle)
    }

    /// A second connection beside a doubted one, heard or opened since `since`; dialled if there is
    /// none. None once this client is stopped.
    pub(super) fn second(
        self: &Arc<Self>,
        to: &Name,
        since: Option<Instant>,
    ) -> Option<Arc<ConnectionHandle>> {
        let mut registry = self.registry.lock();
        if registry.stopped {
            return None;
        }
        if let Some(slot) = registry.trials.get(to)
            && slot.handle.trusted(since)
        {
            return Some(Arc::clone(&slot.handle));
        }
        // A second one that is doubted, too, is still the fresher one.
        let before = registry.trials.remove(to);
        let before = before.and_then(|slot| registry.put_first(slot));
        let slot = self.dial(&mut registry, to);
        slot.handle.put(SlotRole::Trial);
        let handle = Arc::clone(&slot.handle);
        registry.trials.insert(Arc::clone(to), slot);
        drop(registry);
        if let Some(before) = before {
            self.end(&before, CloseCause::Replaced);
        }
        Some(handle)
    }

    /// A first frame came: dialling the address is not in vain.
    pub(super) fn answers(&self, handle: &ConnectionHandle) {
        self.registry.lock().in_vain.remove(&handle.to);
    }

    /// A second connection was heard: its peer is alive, and it takes the first one's place. That
    /// one ends once no answer can come on it any more.
    pub(super) fn proven(&self, handle: &ConnectionHandle) {
        let before = {
            let mut registry = self.registry.lock();
            let number = |slot: &Slot| slot.handle.number;
            if registry.trials.get(&handle.to).map(number) != Some(handle.number) {
                return;
            }
            let slot = registry.trials.remove(&handle.to);
            slot.and_then(|slot| registry.put_first(slot))
        };
        if let Some(before) = before {
            self.end(&before, CloseCause::Replaced);
        }
    }

    fn dial(self: &Arc<Self>, registry: &mut Registry, to: &Name) -> Slot {
        registry
            .ended
            .retain_mut(|task| task.now_or_never().is_none());
        registry.dials += 1;
        let max_buffered = self.settings.max_buffered;
        let handle = Arc::new(ConnectionHandle::new(
            ConnectionNumber::from(registry.dials),
            Arc::clone(to),
            max_buffered,
        ));
        let not_before = registry.not_before(&self.settings, to);
        let life = connection::run(Arc::clone(&handle), not_before, Arc::clone(self));
        let mut task = self.host.spawn("connection", Box::pin(life));
        if (&mut task).now_or_never() == Some(TaskEnd::Cancelled) {
            handle.fail(FailedDial::new(io::Error::other(
                "the runtime of this client has shut down",
            )));
        }
        Slot { handle, task }
    }
}
