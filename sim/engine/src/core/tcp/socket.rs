//! What a program does with an end of a connection that it holds.

use std::io::{ErrorKind, Result};
use std::task::{Context, Poll, Waker};

use tokio::io::ReadBuf;

use super::{ConnId, Fin, Holder};
use crate::core::link::Links;
use crate::core::{Core, Effects};
use crate::node::NodeId;
use crate::strike::{Strike, Strikes};

/// Keeps the waker of the task that polled last.
fn keep(effects: &mut Effects, slot: &mut Option<Waker>, cx: &Context<'_>) {
    match slot {
        Some(waker) if waker.will_wake(cx.waker()) => {}
        _ => effects.drop.extend(slot.replace(cx.waker().clone())),
    }
}

/// How many of `count` bytes one read or write moves on a link.
fn sliced(
    links: &Links,
    strikes: &mut Strikes,
    (from, to): (NodeId, NodeId),
    count: usize,
) -> usize {
    let most = links.slice(from, to);
    if most < count {
        strikes.add(Strike::Slice, from, to, 1);
    }
    count.min(most)
}

impl Core {
    /// Reads at most one piece. A read into nothing waits for something to read, as Tokio's does.
    pub(crate) fn poll_read(
        &mut self,
        id: ConnId,
        side: usize,
        cx: &Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        let Some(conn) = self.conns[id as usize].as_deref_mut() else {
            return Poll::Ready(Err(ErrorKind::NotConnected.into()));
        };
        let end = &mut conn.ends[side];
        if end.holder != Holder::Program {
            return Poll::Ready(Err(ErrorKind::NotConnected.into()));
        }
        let to = end.node;
        if side == 1 && self.nodes[to.index()].deaf {
            keep(&mut self.effects, &mut end.reader, cx);
            if conn.pipes[0].arrived > conn.pipes[0].read {
                self.strikes.add(Strike::Deaf, to, to, 1);
            }
            return Poll::Pending;
        }
        let from = conn.ends[1 - side].node;
        let end = &mut conn.ends[side];
        let pipe = &mut conn.pipes[1 - side];
        if pipe.arrived > pipe.read {
            while pipe.cuts.front().is_some_and(|cut| *cut <= pipe.read) {
                pipe.cuts.pop_front();
            }
            let until = pipe
                .cuts
                .front()
                .map_or(pipe.arrived, |cut| pipe.arrived.min(*cut));
            let there = (until - pipe.read) as usize;
            let count = there.min(buf.remaining());
            let count = sliced(&self.links, &mut self.strikes, (from, to), count);
            let (front, back) = pipe.bytes.as_slices();
            let first = count.min(front.len());
            buf.put_slice(&front[..first]);
            buf.put_slice(&back[..count - first]);
            pipe.bytes.drain(..count);
            pipe.read += count as u64;
            if pipe.written > pipe.sent {
                self.has_read(id, 1 - side);
            }
            return Poll::Ready(Ok(()));
        }
        if end.got_fin {
            return Poll::Ready(Ok(()));
        }
        match end.error.take() {
            Some(error) => Poll::Ready(Err(error.into())),
            None if end.dead => Poll::Ready(Ok(())),
            None => {
                keep(&mut self.effects, &mut end.reader, cx);
                Poll::Pending
            }
        }
    }

    /// Writes as much as the kernel takes now.
    pub(crate) fn poll_write(
        &mut self,
        id: ConnId,
        side: usize,
        cx: &Context<'_>,
        data: &[u8],
    ) -> Poll<Result<usize>> {
        let Some(conn) = self.conns[id as usize].as_deref_mut() else {
            return Poll::Ready(Err(ErrorKind::NotConnected.into()));
        };
        let to = conn.ends[1 - side].node;
        let end = &mut conn.ends[side];
        let pipe = &mut conn.pipes[side];
        if end.holder != Holder::Program {
            return Poll::Ready(Err(ErrorKind::NotConnected.into()));
        }
        if end.dead || pipe.fin != Fin::None {
            let error = end.error.take().unwrap_or(ErrorKind::BrokenPipe);
            return Poll::Ready(Err(error.into()));
        }
        let used = pipe.written - pipe.acked;
        let free = self.config.send_buffer.saturating_sub(used);
        let count = data.len().min(usize::try_from(free).unwrap_or(usize::MAX));
        let count = sliced(&self.links, &mut self.strikes, (end.node, to), count);
        if count == 0 && !data.is_empty() {
            keep(&mut self.effects, &mut end.writer, cx);
            return Poll::Pending;
        }
        pipe.bytes.extend(&data[..count]);
        pipe.written += count as u64;
        self.transmit(id, side);
        Poll::Ready(Ok(count))
    }

    /// Sends FIN behind what was written; reading goes on.
    pub(crate) fn shutdown(&mut self, id: ConnId, side: usize) -> Result<()> {
        match self.conn(id).map(|conn| &conn.ends[side]) {
            Some(end) if end.holder == Holder::Program => {
                // On a broken connection there is nothing to shut down, and Tokio says so with Ok.
                if !end.dead {
                    self.queue_fin(id, side);
                }
                Ok(())
            }
            _ => Err(ErrorKind::NotConnected.into()),
        }
    }
}
