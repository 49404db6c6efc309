//! The task of one connection: it dials, then reads, writes and keeps the deadlines.
//!
//! It is the only one that touches the stream. Callers put bytes into the write buffer and their request
//! into the pending table, so a caller that goes away leaves the connection whole, and a peer that
//! hangs holds up nobody but those who wait for it.
//!
//! Answers are read before deadlines are looked at: one that arrives in the millisecond of its
//! deadline is in time.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use rmq_host::Connection;
use tokio::time::{Instant, sleep_until, timeout};

use super::connection_handle::{ConnectionHandle, FailedDial, SlotRole};
use super::pending::Answered;
use super::registry::Environment;
use crate::command::Command;
use crate::deadline_timer::DeadlineTimer;
use crate::event::{CloseCause, Event};
use crate::framed_stream::FramedStream;
use crate::service::Peer;
use crate::serving::{Next, Serving};

/// How many reads a connection may do before other tasks get a turn.
const READS_PER_TURN: usize = 16;

/// How many bytes it may read before: a read takes as much as the buffer of a long frame has room for.
const BYTES_PER_TURN: usize = 1024 * 1024;

/// After so many turns in a row that left something to read, deadlines are looked at all the same.
/// An answer behind four megabytes of others is not in time.
const TURNS_WITHOUT_TIME: u32 = 16;

/// The life of a connection, from the dial on.
pub(super) async fn run(
    handle: Arc<ConnectionHandle>,
    not_before: Option<Instant>,
    environment: Arc<Environment>,
) {
    let ending = Ending {
        handle: &handle,
        environment: &environment,
    };
    if let Some(not_before) = not_before {
        tokio::select! {
            biased;
            _ = handle.dialled() => {} // given up meanwhile
            () = sleep_until(not_before) => {}
        }
    }
    if !handle.begin() {
        // Given up before its turn came: there was no dial, and nobody need know of it.
        return;
    }
    environment.observe(Event::Dial {
        connection: handle.number,
        to: Arc::clone(&handle.to),
    });
    let Some(connection) = dial(&handle, &environment).await else {
        return;
    };
    if !handle.open() {
        // It was closed meanwhile, which is how its dial ended for everyone.
        return;
    }
    environment.observe(Event::Opened {
        connection: handle.number,
        to: Arc::clone(&handle.to),
        local: connection.local,
        peer: connection.peer,
    });
    let mut task = ConnectionTask::new(connection, &handle, &environment);
    let cause = poll_fn(|cx| task.poll(cx)).await;
    // The stream goes first: who is woken by the end may dial anew at once.
    let ConnectionTask {
        framed, serving, ..
    } = task;
    drop(framed);
    environment.end(&handle, cause);
    if cause != CloseCause::Stopped {
        // What the peer asked for is done all the same; a client that stops must not wait for it.
        serving.finish().await;
    }
    drop(ending);
}

async fn dial(handle: &ConnectionHandle, environment: &Environment) -> Option<Connection> {
    let connect = environment.host.connect(&handle.to);
    let dialled = tokio::select! {
        biased;
        dialled = timeout(environment.settings.dial_timeout, connect) => dialled,
        _ = handle.dialled() => return None, // given up meanwhile
    };
    let failed = match dialled {
        Ok(Ok(connection)) => return Some(connection),
        Ok(Err(error)) => FailedDial::new(error),
        Err(_) => FailedDial::timed_out(),
    };
    environment.fail(handle, failed);
    None
}

/// Sees to it that nobody waits for a connection whose task is gone.
struct Ending<'a> {
    handle: &'a Arc<ConnectionHandle>,
    environment: &'a Environment,
}

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.environment.end(self.handle, CloseCause::Broken);
        } else {
            // Cancelled with its client or its machine. A process that is gone says nothing.
            self.handle
                .fail(FailedDial::new(std::io::ErrorKind::Interrupted.into()));
            self.handle.end(CloseCause::Stopped);
        }
    }
}

struct ConnectionTask<'a> {
    handle: &'a ConnectionHandle,
    environment: &'a Environment,
    framed: FramedStream,
    serving: Serving,
    timer: DeadlineTimer,
    idle: Duration,
    idle_at: Instant,
    /// Why writing failed. What the peer said before is still read.
    broken: bool,
    /// Turns in a row that left something to read.
    busy: u32,
}

/// How far reading got.
enum Reading {
    /// There is nothing to read now.
    Waits,
    /// There may be more.
    More,
    /// The connection has ended.
    Over(CloseCause),
}

impl<'a> ConnectionTask<'a> {
    fn new(
        connection: Connection,
        handle: &'a ConnectionHandle,
        environment: &'a Environment,
    ) -> Self {
        let peer = Peer::new(
            (connection.peer, connection.local),
            handle.number,
            Arc::clone(&handle.write_buffer),
            environment.settings.speaker,
            Arc::clone(&environment.opaque),
        );
        let idle = environment.settings.idle;
        let idle_at = Instant::now() + idle;
        Self {
            handle,
            environment,
            framed: FramedStream::new(connection.stream),
            serving: Serving::new(Arc::clone(&environment.inbound), peer),
            timer: DeadlineTimer::new(idle_at),
            idle,
            idle_at,
            broken: false,
            busy: 0,
        }
    }

    /// Ready when the connection has ended, with the cause.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<CloseCause> {
        let write_buffer = &self.handle.write_buffer;
        loop {
            if write_buffer.is_closing() {
                let ended = self.handle.pending(|pending| pending.ended());
                let cause = ended.unwrap_or(CloseCause::Stopped);
                self.shut_down(cause, cx);
                return Poll::Ready(cause);
            }
            let blocked = self.write(cx);
            let reading = self.read(cx);
            let over = match reading {
                Reading::Over(cause) => Some(cause),
                Reading::Waits | Reading::More => self.broken.then_some(CloseCause::Broken),
            };
            if let Some(cause) = over {
                // A last answer may have come in this turn: the address was not dialled in vain.
                self.hear(Instant::now());
                return Poll::Ready(cause);
            }
            if self.serving.poll(cx).is_ready() {
                return Poll::Ready(CloseCause::Stopped);
            }
            if matches!(reading, Reading::More) {
                cx.waker().wake_by_ref();
                return self.goes_on(cx);
            }
            self.busy = 0;
            if !write_buffer.sleep(cx.waker(), blocked, false) {
                break;
            }
        }
        self.keep_time(cx)
    }

    /// There is more to read, in the next turn. A peer that always has more must not keep deadlines
    /// from being seen.
    fn goes_on(&mut self, cx: &mut Context<'_>) -> Poll<CloseCause> {
        self.busy = self.busy.saturating_add(1);
        if self.busy < TURNS_WITHOUT_TIME {
            return Poll::Pending;
        }
        self.busy = 0;
        self.keep_time(cx)
    }

    /// The connection was closed from this side. In a friendly end what fits into the machine's
    /// buffers still leaves; a request that was reported as lost must not, it is made again elsewhere.
    fn shut_down(&mut self, cause: CloseCause, cx: &mut Context<'_>) {
        let leaves = match cause {
            CloseCause::Stopped => true,
            CloseCause::Offline => self.handle.pending(|pending| pending.lost()) == 0,
            _ => false,
        };
        if leaves {
            let _ = self.write(cx);
        }
        let _ = self.framed.poll_shutdown(cx);
    }

    /// Writes what it can, and tells whether the stream takes no more.
    fn write(&mut self, cx: &mut Context<'_>) -> bool {
        let (handle, environment) = (self.handle, self.environment);
        let accepted = |opaque| {
            environment.observe(Event::Written {
                connection: handle.number,
                opaque,
            });
        };
        match self.framed.poll_write(cx, &handle.write_buffer, accepted) {
            Poll::Ready(result) => {
                self.broken |= result.is_err();
                false
            }
            Poll::Pending => true,
        }
    }

    fn read(&mut self, cx: &mut Context<'_>) -> Reading {
        let mut bytes = 0_usize;
        for _ in 0..READS_PER_TURN {
            if bytes >= BYTES_PER_TURN {
                break;
            }
            match self.framed.poll_read(cx) {
                Poll::Ready(Ok(0)) => return self.cut(CloseCause::PeerClosed),
                Poll::Ready(Ok(count)) => bytes = bytes.saturating_add(count),
                Poll::Ready(Err(_)) => return self.cut(CloseCause::Broken),
                Poll::Pending => return Reading::Waits,
            }
            loop {
                match self.framed.frame() {
                    Ok(Some(answer)) if answer.is_response() => self.answered(answer),
                    Ok(Some(request)) => {
                        if self.serving.serve(request) == Next::Reset {
                            return Reading::Over(CloseCause::Stopped);
                        }
                        if self.handle.write_buffer.is_flooded() {
                            return Reading::Over(CloseCause::Flooded);
                        }
                    }
                    Ok(None) => break,
                    Err(error) => {
                        let to = &*self.handle.to;
                        tracing::warn!(to, %error, "a connection is closed for what it sent");
                        self.handle.note(error);
                        return Reading::Over(CloseCause::BadFrame);
                    }
                }
            }
        }
        Reading::More
    }

    /// The connection ended, perhaps in the middle of a frame.
    fn cut(&self, cause: CloseCause) -> Reading {
        if let Some(piece) = self.framed.cut(cause == CloseCause::PeerClosed) {
            self.handle.note(piece);
        }
        Reading::Over(cause)
    }

    fn answered(&self, answer: Command) {
        let (connection, opaque, code) = (self.handle.number, answer.opaque, answer.code);
        match self.handle.pending(|pending| pending.answer(answer)) {
            Answered::Open(caller) => {
                self.environment.observe(Event::Reply {
                    connection,
                    opaque,
                    code,
                });
                if let Some(caller) = caller {
                    caller.wake();
                }
            }
            Answered::Late => self.environment.observe(Event::Late { connection, opaque }),
        }
    }

    /// Notes that the peer was heard, if a frame came since this was last asked, and tells so.
    fn hear(&mut self, now: Instant) -> bool {
        let heard = self.framed.take_heard();
        if heard {
            self.handle.pending(|pending| pending.heard(now));
            if self.handle.hear() {
                self.environment.answers(self.handle);
            }
        }
        heard
    }

    /// Ends requests whose deadline has come. Ready when the idle limit has, or when nothing can come
    /// any more on a connection whose place another one took.
    fn keep_time(&mut self, cx: &mut Context<'_>) -> Poll<CloseCause> {
        if self.framed.take_moved() {
            let now = Instant::now();
            self.idle_at = now + self.idle;
            if self.hear(now) && self.handle.is(SlotRole::Trial) {
                self.environment.proven(self.handle);
            }
        }
        loop {
            let last_answers = [
                (SlotRole::Replaced, CloseCause::Replaced),
                (SlotRole::Drained, CloseCause::Drained),
            ];
            let last_answers = last_answers.iter().find(|(role, _)| self.handle.is(*role));
            if let Some((_, cause)) = last_answers
                && self.handle.pending(|pending| pending.waiting()) == 0
            {
                return Poll::Ready(*cause);
            }
            let earliest = self.handle.pending(|pending| pending.earliest());
            let at = earliest.map_or(self.idle_at, |earliest| earliest.min(self.idle_at));
            if self.timer.poll(at, cx).is_pending() {
                return Poll::Pending;
            }
            let now = Instant::now();
            for caller in self.handle.pending(|pending| pending.expire(now)) {
                caller.wake();
            }
            if self.idle_at <= now {
                return Poll::Ready(CloseCause::Idle);
            }
        }
    }
}
