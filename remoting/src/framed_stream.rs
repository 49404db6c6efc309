//! One end of a byte stream with its buffers: bytes out of an [`WriteBuffer`], frames in.
//!
//! Polled by the one task that owns the connection, at a client as at a server.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use rmq_host::Stream;
use tokio::io::{AsyncReadExt, AsyncWrite};

use crate::command::Command;
use crate::frame::{FrameDecoder, FrameError};
use crate::opening::{BadFrame, Opening};
use crate::write_buffer::{Mark, WriteBuffer};

/// With less room than this, the input buffer grows by [`READ_ROOM`] before a read.
const READ_LEAST: usize = 2 * 1024;
const READ_ROOM: usize = 16 * 1024;

/// A buffer that grew beyond this in a burst is given back once it is empty.
const KEEP: usize = 256 * 1024;

/// A byte stream with its buffers.
pub(crate) struct FramedStream {
    stream: Box<dyn Stream>,
    input: BytesMut,
    decoder: FrameDecoder,
    /// What was taken from the write buffer, and how much of it is written.
    front: BytesMut,
    at: usize,
    marks: VecDeque<Mark>,
    written: u64,
    unflushed: bool,
    /// Whether bytes moved in either direction since this was last cleared.
    moved: bool,
    /// Whether a whole frame came in since this was last cleared.
    heard: bool,
    /// Whether any whole frame came in.
    spoke: bool,
}

impl FramedStream {
    pub(crate) fn new(stream: Box<dyn Stream>) -> Self {
        Self {
            stream,
            input: BytesMut::new(),
            decoder: FrameDecoder::new(),
            front: BytesMut::new(),
            at: 0,
            marks: VecDeque::new(),
            written: 0,
            unflushed: false,
            moved: false,
            heard: false,
            spoke: false,
        }
    }

    /// Writes what waits in the write buffer, and tells each marked frame whose last byte was accepted.
    /// Ready once everything is out.
    pub(crate) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        write_buffer: &WriteBuffer,
        mut accepted: impl FnMut(i32),
    ) -> Poll<io::Result<()>> {
        loop {
            if self.at == self.front.len() {
                self.reuse_front();
                write_buffer.take(&mut self.front, &mut self.marks);
                if self.front.is_empty() {
                    return self.poll_flush(cx);
                }
            }
            let rest = &self.front[self.at..];
            let count = ready!(Pin::new(&mut self.stream).poll_write(cx, rest))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.at += count;
            self.written += count as u64;
            self.unflushed = true;
            self.moved = true;
            write_buffer.written(count);
            let written = self.written;
            while self.marks.front().is_some_and(|(end, _)| *end <= written)
                && let Some((_, id)) = self.marks.pop_front()
            {
                accepted(id);
            }
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.unflushed {
            ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    fn reuse_front(&mut self) {
        self.at = 0;
        if self.front.capacity() > KEEP {
            self.front = BytesMut::new();
        } else {
            self.front.clear();
        }
    }

    /// Reads once. Ready with the number of bytes, 0 at the end of the stream.
    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.input.capacity() - self.input.len() < READ_LEAST {
            self.input.reserve(READ_ROOM);
        }
        let count = ready!(pin!(self.stream.read_buf(&mut self.input)).poll(cx))?;
        self.moved |= count > 0;
        Poll::Ready(Ok(count))
    }

    /// How many bytes were read that are not yet part of a frame.
    pub(crate) fn unread(&self) -> usize {
        self.input.len()
    }

    /// The next whole frame among the bytes read.
    pub(crate) fn frame(&mut self) -> Result<Option<Command>, BadFrame> {
        let (opening, after_frames) = (Opening::of(&self.input), self.spoke);
        let frame = self.decoder.decode(&mut self.input);
        self.heard |= matches!(frame, Ok(Some(_)));
        self.spoke |= self.heard;
        frame.map_err(|fault| BadFrame {
            fault,
            opening,
            after_frames,
        })
    }

    /// The connection has ended: the piece of a frame that was read and never completed, if there
    /// is one; or, if the peer `closed` it, that it never said a word.
    pub(crate) fn cut(&self, closed: bool) -> Option<BadFrame> {
        let came = self.input.len();
        if came == 0 {
            return (closed && !self.spoke).then(|| BadFrame {
                fault: FrameError::Nothing,
                opening: Opening::of(&[]),
                after_frames: false,
            });
        }
        let announced = FrameDecoder::announced(&self.input);
        Some(BadFrame {
            fault: FrameError::Cut { came, announced },
            opening: Opening::of(&self.input),
            after_frames: self.spoke,
        })
    }

    /// Whether bytes moved since the last time this was asked.
    pub(crate) fn take_moved(&mut self) -> bool {
        std::mem::take(&mut self.moved)
    }

    /// Whether a whole frame came in since the last time this was asked.
    pub(crate) fn take_heard(&mut self) -> bool {
        std::mem::take(&mut self.heard)
    }

    /// Ends politely: shuts the writing side down.
    pub(crate) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
