//! One connection of a client as everyone but its task sees it: from the dial to its end.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::pending::Pending;
use super::silence::Patience;
use crate::event::{CloseCause, ConnectionNumber, DialFailure};
use crate::observe::Name;
use crate::opening::BadFrame;
use crate::write_buffer::WriteBuffer;

/// A connection to one address, shared by its task and the callers.
#[derive(Debug)]
pub(super) struct ConnectionHandle {
    pub(super) number: ConnectionNumber,
    pub(super) to: Name,
    pub(super) write_buffer: Arc<WriteBuffer>,
    state: Mutex<ConnectionState>,
    /// Told when the dial has ended, either way.
    dialled: Notify,
    place: AtomicU8,
    /// Whether a whole frame came.
    heard: AtomicBool,
}

/// What a connection is among those to its address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum SlotRole {
    /// It takes the address's requests.
    First,
    /// It is a second one beside a doubted first one, and has proven nothing yet.
    Trial,
    /// Another one took its place. It ends once no answer can come any more.
    Replaced,
    /// Its peer announced its end. It ends once no answer can come any more.
    Drained,
}

#[derive(Debug)]
struct ConnectionState {
    phase: Phase,
    pending: Pending,
    /// What the peer sent that is no frame.
    found: Option<Arc<BadFrame>>,
}

/// Where a connection is in its life. Once open, its end is written in the pending table.
#[derive(Debug, Clone)]
enum Phase {
    /// Its task has not run yet.
    Planned,
    Dialling,
    Open(Instant),
    Failed(FailedDial),
}

/// What a connection is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is open, and takes requests.
    Open,
    /// It is open, and its peer has been silent for too long.
    Silent,
    /// It is being dialled, or its dial failed.
    Other,
}

/// Why a dial failed; all who wait for it get the same.
#[derive(Debug, Clone)]
pub(super) struct FailedDial {
    pub(super) cause: DialFailure,
    pub(super) source: Arc<io::Error>,
}

impl FailedDial {
    pub(super) fn new(source: io::Error) -> Self {
        let cause = match source.kind() {
            io::ErrorKind::ConnectionRefused => DialFailure::Refused,
            io::ErrorKind::TimedOut => DialFailure::TimedOut,
            _ => DialFailure::Other,
        };
        Self {
            cause,
            source: Arc::new(source),
        }
    }

    pub(super) fn timed_out() -> Self {
        Self::new(io::ErrorKind::TimedOut.into())
    }

    /// The connection was opened, and ended before it could take a request.
    pub(super) fn ended(cause: CloseCause) -> Self {
        let text = format!("it ended as soon as it was open: {cause}");
        Self::new(io::Error::new(io::ErrorKind::ConnectionReset, text))
    }
}

impl ConnectionHandle {
    pub(super) fn new(number: ConnectionNumber, to: Name, max_buffered: usize) -> Self {
        Self {
            number,
            to,
            write_buffer: Arc::new(WriteBuffer::new(max_buffered)),
            state: Mutex::new(ConnectionState {
                phase: Phase::Planned,
                pending: Pending::default(),
                found: None,
            }),
            dialled: Notify::new(),
            place: AtomicU8::new(SlotRole::First as u8),
            heard: AtomicBool::new(false),
        }
    }

    /// Does something with the pending table. Nothing may be woken within.
    pub(super) fn pending<T>(&self, with: impl FnOnce(&mut Pending) -> T) -> T {
        with(&mut self.state.lock().pending)
    }

    /// Gives it its place among the connections to its address.
    pub(super) fn put(&self, place: SlotRole) {
        self.place.store(place as u8, Ordering::Relaxed);
    }

    /// Whether it has this place.
    pub(super) fn is(&self, place: SlotRole) -> bool {
        self.place.load(Ordering::Relaxed) == place as u8
    }

    /// A whole frame came. True the first time.
    pub(super) fn hear(&self) -> bool {
        !self.heard.swap(true, Ordering::Relaxed)
    }

    /// Whether a whole frame ever came.
    pub(super) fn was_heard(&self) -> bool {
        self.heard.load(Ordering::Relaxed)
    }

    /// Whether it has ended, or never came to be.
    pub(super) fn is_over(&self) -> bool {
        let state = self.state.lock();
        matches!(state.phase, Phase::Failed(_)) || state.pending.ended().is_some()
    }

    /// Whether it takes requests of a caller who wants a connection heard or opened since `since`.
    /// A dial under way is as fresh as can be.
    pub(super) fn trusted(&self, since: Option<Instant>) -> bool {
        let state = self.state.lock();
        match &state.phase {
            Phase::Planned | Phase::Dialling => true,
            Phase::Open(_) => state.pending.trusted(since),
            Phase::Failed(_) => false,
        }
    }

    /// The peer sent this, for which the connection is about to end.
    pub(super) fn note(&self, found: BadFrame) {
        self.state.lock().found = Some(Arc::new(found));
    }

    /// What the peer sent that is no frame, if that is what ended the connection.
    pub(super) fn found(&self) -> Option<Arc<BadFrame>> {
        self.state.lock().found.clone()
    }

    /// The dial begins. False if the connection was given up before.
    pub(super) fn begin(&self) -> bool {
        let mut state = self.state.lock();
        let planned = matches!(state.phase, Phase::Planned);
        if planned {
            state.phase = Phase::Dialling;
        }
        planned
    }

    /// The dial succeeded. False if the connection was given up meanwhile.
    pub(super) fn open(&self) -> bool {
        let opened = {
            let mut state = self.state.lock();
            let dialling = matches!(state.phase, Phase::Dialling);
            if dialling {
                let now = Instant::now();
                state.phase = Phase::Open(now);
                state.pending.heard(now);
            }
            dialling
        };
        self.dialled.notify_waiters();
        opened
    }

    /// The dial failed, or is given up. False if it had ended before, or had not begun.
    pub(super) fn fail(&self, failed: FailedDial) -> bool {
        let dialling = {
            let mut state = self.state.lock();
            let dialling = matches!(state.phase, Phase::Dialling);
            if dialling || matches!(state.phase, Phase::Planned) {
                state.phase = Phase::Failed(failed);
            }
            dialling
        };
        self.write_buffer.close();
        self.dialled.notify_waiters();
        dialling
    }

    /// The open connection has ended: its waiting requests fail at once. Tells how many there
    /// were, or nothing if it had ended before.
    pub(super) fn end(&self, cause: CloseCause) -> Option<u32> {
        let (lost, callers) = self.pending(|pending| {
            let first = pending.ended().is_none();
            first.then(|| pending.end(cause))
        })?;
        self.write_buffer.close();
        for caller in callers {
            caller.wake();
        }
        Some(lost)
    }

    /// What it is good for at `now`.
    pub(super) fn standing(&self, patience: Option<Patience>, now: Instant) -> Standing {
        let state = self.state.lock();
        match &state.phase {
            Phase::Planned | Phase::Dialling | Phase::Failed(_) => Standing::Other,
            Phase::Open(_) if patience.is_some_and(|it| state.pending.silent(it, now)) => {
                Standing::Silent
            }
            Phase::Open(_) => Standing::Open,
        }
    }

    /// Whether the dial has ended, and how.
    pub(super) fn dial_result(&self) -> Option<Result<(), FailedDial>> {
        match &self.state.lock().phase {
            Phase::Planned | Phase::Dialling => None,
            Phase::Open(_) => Some(Ok(())),
            Phase::Failed(failed) => Some(Err(failed.clone())),
        }
    }

    /// When it was opened, if it is open or was.
    pub(super) fn open_since(&self) -> Option<Instant> {
        match self.state.lock().phase {
            Phase::Open(since) => Some(since),
            Phase::Planned | Phase::Dialling | Phase::Failed(_) => None,
        }
    }

    /// Waits until the dial has ended.
    pub(super) async fn dialled(&self) -> Result<(), FailedDial> {
        loop {
            let told = self.dialled.notified();
            tokio::pin!(told);
            told.as_mut().enable();
            if let Some(result) = self.dial_result() {
                return result;
            }
            told.await;
        }
    }
}
