//! The bytes that wait to leave on one connection.
//!
//! Whoever sends encodes straight into this buffer and wakes the connection's task, which alone
//! touches the stream. So a frozen peer blocks neither the sender nor any other connection: it
//! only fills this buffer, up to a limit.

use std::collections::VecDeque;
use std::mem;
use std::task::Waker;

use bytes::BytesMut;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::frame::{self, EncodeError, Outgoing, Speaker};

/// A request in the byte stream: where it ends, counted from the connection's first byte, and its
/// id. Kept so that the moment its last byte is accepted can be told.
pub(crate) type Mark = (u64, i32);

/// What became of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Append {
    /// It is in the buffer.
    Done,
    /// More than the limit is waiting already; nothing was added.
    Full,
    /// The connection is closing or closed; nothing was added.
    Closed,
}

/// Whether a frame has to wait for room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Room {
    /// A request: it waits.
    Needed,
    /// A response: who reads requests while the buffer is full holds back reading instead.
    Ignored,
}

/// The output of one connection, shared by its task and everyone who sends on it.
#[derive(Debug)]
pub(crate) struct WriteBuffer {
    limit: usize,
    state: Mutex<BufferState>,
    room: Notify,
}

#[derive(Debug, Default)]
struct BufferState {
    bytes: BytesMut,
    marks: Vec<Mark>,
    /// How many bytes were appended since the connection began.
    appended: u64,
    /// Bytes the connection's task has taken and not yet written.
    taken: usize,
    /// Bytes of responses among those that wait: at most so many.
    responses: usize,
    /// The connection's task, while it sleeps.
    sleeper: Option<Waker>,
    closing: bool,
}

impl BufferState {
    fn buffered(&self) -> usize {
        self.bytes.len().saturating_add(self.taken)
    }
}

impl WriteBuffer {
    /// An empty one. `limit` bytes may wait; one frame more may exceed it.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            state: Mutex::default(),
            room: Notify::new(),
        }
    }

    /// Encodes a frame into the buffer and wakes the connection's task. With `mark`, the frame's
    /// end is remembered under this id.
    pub(crate) fn append(
        &self,
        speaker: &Speaker,
        outgoing: &Outgoing<'_>,
        mark: Option<i32>,
        room: Room,
    ) -> Result<Append, EncodeError> {
        self.add(room, |state| {
            let before = state.bytes.len();
            frame::encode(speaker, outgoing, &mut state.bytes)?;
            state.appended += (state.bytes.len() - before) as u64;
            state.marks.extend(mark.map(|id| (state.appended, id)));
            Ok(())
        })
    }

    /// Puts bytes into the buffer that need not be a frame.
    pub(crate) fn append_raw(&self, bytes: &[u8]) {
        // Without an encoder there is no error; a closed connection takes nothing.
        let _ = self.add(Room::Ignored, |state| {
            state.bytes.extend_from_slice(bytes);
            state.appended += bytes.len() as u64;
            Ok(())
        });
    }

    fn add(
        &self,
        room: Room,
        write: impl FnOnce(&mut BufferState) -> Result<(), EncodeError>,
    ) -> Result<Append, EncodeError> {
        let sleeper = {
            let mut state = self.state.lock();
            if state.closing {
                return Ok(Append::Closed);
            }
            if room == Room::Needed && state.buffered() >= self.limit {
                return Ok(Append::Full);
            }
            let before = state.bytes.len();
            write(&mut state)?;
            if room == Room::Ignored {
                let added = state.bytes.len().saturating_sub(before);
                state.responses = state.responses.saturating_add(added);
            }
            state.sleeper.take()
        };
        wake(sleeper);
        Ok(Append::Done)
    }

    /// What tells those who found the buffer full to try again. Enable it before trying.
    pub(crate) fn room(&self) -> &Notify {
        &self.room
    }

    /// Asks the connection's task to end; nothing can be appended any more.
    pub(crate) fn close(&self) {
        let sleeper = {
            let mut state = self.state.lock();
            state.closing = true;
            state.sleeper.take()
        };
        self.room.notify_waiters();
        wake(sleeper);
    }

    /// For the task: it is awake, and what is appended from now on need not wake it. Moves what
    /// waits into `front`, which must be empty, and its marks behind `marks`.
    pub(crate) fn take(&self, front: &mut BytesMut, marks: &mut VecDeque<Mark>) {
        let mut state = self.state.lock();
        state.sleeper = None;
        if !state.bytes.is_empty() {
            mem::swap(&mut state.bytes, front);
            state.taken = front.len();
            marks.extend(state.marks.drain(..));
        }
    }

    /// For the task: so many of the bytes taken were written.
    pub(crate) fn written(&self, count: usize) {
        let (before, after) = {
            let mut state = self.state.lock();
            let before = state.buffered();
            state.taken = state.taken.saturating_sub(count);
            state.responses = state.responses.min(state.buffered());
            (before, state.buffered())
        };
        if before >= self.limit && after < self.limit {
            self.room.notify_waiters();
        }
    }

    /// For the task: goes to sleep unless there is something to do, which it tells: bytes to
    /// write (`blocked` says that the stream takes none now), or a wish to close not yet `seen`.
    pub(crate) fn sleep(&self, sleeper: &Waker, blocked: bool, seen_closing: bool) -> bool {
        let mut state = self.state.lock();
        let news = (!blocked && !state.bytes.is_empty()) || (state.closing && !seen_closing);
        if !news {
            state.sleeper = Some(sleeper.clone());
        }
        news
    }

    /// Whether the connection was asked to end.
    pub(crate) fn is_closing(&self) -> bool {
        self.state.lock().closing
    }

    /// How many bytes may wait.
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// Whether more responses wait than the limit: the peer goes on asking and does not read what
    /// it is answered. Requests that wait do not count.
    pub(crate) fn is_flooded(&self) -> bool {
        self.state.lock().responses > self.limit
    }

    /// Whether requests have to wait for room.
    pub(crate) fn is_full(&self) -> bool {
        self.state.lock().buffered() >= self.limit
    }
}

fn wake(sleeper: Option<Waker>) {
    if let Some(sleeper) = sleeper {
        sleeper.wake();
    }
}
