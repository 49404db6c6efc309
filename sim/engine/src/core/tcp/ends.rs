//! How connections end: FIN, RST, crash, power loss, and devices that kill them on the way.

use std::io::ErrorKind;

use super::{ConnId, Fin, Holder, Phase};
use crate::core::{Core, DeliveryKind, Due};
use crate::event::{EndCause, EngineEvent};
use crate::node::NodeId;
use crate::strike::Strike;

impl Core {
    /// The program closes end `side`: FIN after what it has written, or RST if input is unread.
    pub(crate) fn close(&mut self, id: ConnId, side: usize) {
        let Some(conn) = self.conn_mut(id) else {
            return;
        };
        let unread = conn.pipes[1 - side].arrived > conn.pipes[1 - side].read;
        let end = &mut conn.ends[side];
        let wakers = [end.reader.take(), end.writer.take()];
        match end.holder {
            Holder::Gone | Holder::Orphan => {}
            Holder::Kernel | Holder::Program if end.dead => {
                end.holder = Holder::Gone;
                self.settle(id);
            }
            Holder::Kernel | Holder::Program if unread => self.abort(id, side),
            Holder::Kernel | Holder::Program => {
                end.holder = Holder::Orphan;
                self.told_closed(id, side, EndCause::Closed);
                self.queue_fin(id, side);
                self.settle(id);
            }
        }
        self.effects.drop.extend(wakers.into_iter().flatten());
    }

    /// Queues the FIN of `side` behind what it has written.
    pub(super) fn queue_fin(&mut self, id: ConnId, side: usize) {
        let pipe = &mut self.live_mut(id).pipes[side];
        if pipe.fin == Fin::None {
            pipe.fin = Fin::Queued;
        }
        self.transmit(id, side);
    }

    /// Ends `side` with RST: what has left still arrives, the rest is discarded.
    pub(super) fn abort(&mut self, id: ConnId, side: usize) {
        let conn = self.live_mut(id);
        if !conn.ends[side].is_there() {
            return;
        }
        conn.pipes[side].discard_unsent();
        let last_at = conn.pipes[side].last_at;
        let conditions = self.conditions(id, side);
        if self.leaves(id, side, conditions) {
            let at = (self.now + conditions.latency).max(last_at);
            self.schedule(at, id, 1 - side, DeliveryKind::RstIn);
        }
        self.drop_socket(id, side);
        self.told_closed(id, side, EndCause::Aborted);
    }

    /// The socket of `side` is gone: nothing is sent again from there, arrivals are answered with
    /// RST.
    pub(super) fn drop_socket(&mut self, id: ConnId, side: usize) {
        let end = &mut self.live_mut(id).ends[side];
        end.holder = Holder::Gone;
        let wakers = [end.reader.take(), end.writer.take()];
        self.effects.drop.extend(wakers.into_iter().flatten());
    }

    /// RST sent by end `from` arrives at the other one.
    pub(in crate::core) fn rst(&mut self, id: ConnId, from: usize) {
        if self.gets_through(id, from) {
            self.rst_in(id, 1 - from);
        }
    }

    /// RST reaches end `side`.
    pub(in crate::core) fn rst_in(&mut self, id: ConnId, side: usize) {
        if !self.gets_through(id, 1 - side) {
            return;
        }
        let got_fin = self.live(id).ends[side].got_fin;
        // Linux reports EPIPE to a program that had seen the peer's FIN.
        let error = if got_fin {
            ErrorKind::BrokenPipe
        } else {
            ErrorKind::ConnectionReset
        };
        self.break_end(id, side, error, EndCause::Reset);
    }

    /// End `side` breaks: its program gets `error` once, what had arrived can still be read.
    pub(super) fn break_end(&mut self, id: ConnId, side: usize, error: ErrorKind, why: EndCause) {
        let conn = self.live_mut(id);
        let end = &mut conn.ends[side];
        if !end.is_there() {
            return;
        }
        if end.holder == Holder::Orphan {
            end.holder = Holder::Gone;
        } else {
            end.dead = true;
            end.error = Some(error);
        }
        let (reader, writer) = (end.reader.take(), end.writer.take());
        conn.pipes[side].discard();
        self.wake(reader);
        self.wake(writer);
        self.told_closed(id, side, why);
        self.settle(id);
    }

    /// A device on the way resets the connection: both ends get RST in `latency` milliseconds.
    pub(super) fn cut_off(&mut self, id: ConnId, latency: u64) {
        let conn = self.live(id);
        let at = (self.now + latency)
            .max(conn.pipes[0].last_at)
            .max(conn.pipes[1].last_at);
        self.schedule(at, id, 0, DeliveryKind::RstIn);
        self.schedule(at, id, 1, DeliveryKind::RstIn);
    }

    /// Tells the sink, once, that an end it knows as open has ended.
    fn told_closed(&mut self, id: ConnId, side: usize, cause: EndCause) {
        let conn = self.live_mut(id);
        let peer = conn.ends[1 - side].at;
        let end = &mut conn.ends[side];
        if std::mem::take(&mut end.told_open) {
            let (node, local) = (end.teller(), end.at);
            self.tell(EngineEvent::Closed {
                node,
                local,
                peer,
                cause,
            });
        }
    }

    /// Lets go of ends that are done, and of the connection when both are.
    pub(super) fn settle(&mut self, id: ConnId) {
        let conn = self.live_mut(id);
        for side in 0..2 {
            let sent_all = conn.pipes[side].fin_acked;
            let end = &mut conn.ends[side];
            if end.holder == Holder::Orphan && end.got_fin && sent_all {
                end.holder = Holder::Gone;
            }
        }
        let gone = conn.ends.iter().all(|end| end.holder == Holder::Gone);
        if gone && conn.phase == Phase::Open && conn.pipes.iter().all(|p| p.segments.is_empty()) {
            self.forget(id);
        }
    }

    /// Removes a connection of which nothing is left, with the wakers of its ends.
    pub(super) fn forget(&mut self, id: ConnId) {
        let Some(conn) = self.conns[id as usize].take() else {
            unreachable!("connection {id} is forgotten twice")
        };
        let wakers = conn
            .ends
            .into_iter()
            .flat_map(|end| [end.reader, end.writer]);
        self.effects.drop.extend(wakers.flatten());
    }

    /// The kernel closes everything that a killed process held.
    pub(in crate::core) fn close_process(&mut self, node: NodeId) {
        for (at, number) in self.listeners_of(node) {
            self.unlisten(at, number);
        }
        for (id, side) in self.ends_of(|end_node| end_node == node) {
            let dialling = self
                .conn(id)
                .is_some_and(|c| side == 0 && c.dialled.is_none());
            if dialling {
                self.abandon(id);
            } else {
                self.close(id, side);
            }
        }
    }

    /// The machine loses power: its sockets vanish without a word.
    pub(in crate::core) fn vanish(&mut self, machine: usize) {
        self.machines[machine].up = false;
        let there: Vec<_> = (0_u16..)
            .zip(&self.nodes)
            .filter(|(_, node)| node.machine == machine)
            .map(|(number, _)| NodeId(number))
            .collect();
        for node in &there {
            for (at, _) in self.listeners_of(*node) {
                let gone = self.listeners.remove(&at);
                self.effects
                    .drop
                    .extend(gone.and_then(|mut gone| gone.acceptor.take()));
                self.tell(EngineEvent::Unlisten { node: *node, at });
            }
        }
        for (id, side) in self.ends_of(|node| there.contains(&node)) {
            self.live_mut(id).pipes[side].discard_unsent();
            self.drop_socket(id, side);
            self.told_closed(id, side, EndCause::Vanished);
        }
    }

    fn listeners_of(&self, node: NodeId) -> Vec<(std::net::SocketAddr, u64)> {
        let of_node = self
            .listeners
            .iter()
            .filter(|(_, listening)| listening.node == node);
        of_node
            .map(|(at, listening)| (*at, listening.number))
            .collect()
    }

    /// The ends of these nodes that somebody holds, in the order of the dials.
    fn ends_of(&self, belongs: impl Fn(NodeId) -> bool) -> Vec<(ConnId, usize)> {
        let mut ends = Vec::new();
        for (id, conn) in (0..).zip(&self.conns) {
            for (side, end) in conn.iter().flat_map(|conn| conn.ends.iter().enumerate()) {
                let accepted = side == 0 || conn.as_ref().is_some_and(|c| c.phase == Phase::Open);
                if end.holder != Holder::Gone && accepted && belongs(end.node) {
                    ends.push((id, side));
                }
            }
        }
        ends
    }

    /// Every connection between the two nodes that is open now.
    pub(super) fn conns_between(&self, a: NodeId, b: NodeId) -> Vec<ConnId> {
        let open = (0..).zip(&self.conns).filter(|(_, conn)| {
            conn.as_ref().is_some_and(|conn| {
                conn.dialled == Some(Ok(())) && conn.joins(a, b) && !conn.is_loop()
            })
        });
        open.map(|(id, _)| id).collect()
    }

    /// Open connections between the two nodes swallow everything from now on.
    pub(in crate::core) fn black_hole(&mut self, a: NodeId, b: NodeId) {
        for id in self.conns_between(a, b) {
            self.live_mut(id).swallowed = true;
        }
    }

    /// Open connections between the two nodes are reset now, at both ends.
    pub(in crate::core) fn reset_between(&mut self, a: NodeId, b: NodeId) {
        for id in self.conns_between(a, b) {
            self.strikes.add(Strike::Reset, a, b, 1);
            for side in 0..2 {
                self.rst_in(id, side);
            }
        }
    }

    /// Open connections between the two nodes vanish at the end of `to`, and `from` hears nothing.
    pub(in crate::core) fn half_open(&mut self, from: NodeId, to: NodeId) {
        for id in self.conns_between(from, to) {
            let side = usize::from(self.live(id).ends[1].node == to);
            self.strikes.add(Strike::HalfOpen, from, to, 1);
            self.break_end(id, side, ErrorKind::TimedOut, EndCause::Vanished);
        }
    }

    /// The node's program stops reading from connections it accepted, or goes on.
    pub(in crate::core) fn stop_reading(&mut self, node: NodeId, on: bool) {
        self.known_mut(node).deaf = on;
        for (id, side) in self.ends_of(|end_node| !on && end_node == node) {
            let waker = self.live_mut(id).ends[side].reader.take();
            self.wake(waker);
        }
    }

    /// Whether a delivery travels on a direction that is held; if so, it waits there.
    pub(in crate::core) fn is_held(&mut self, due: Due) -> bool {
        let dir = usize::from(due.dir);
        let sender = match due.what {
            DeliveryKind::Syn
            | DeliveryKind::SynAck
            | DeliveryKind::Refused
            | DeliveryKind::HandshakeReset
            | DeliveryKind::Arrival
            | DeliveryKind::Rst => dir,
            DeliveryKind::RstIn => 1 - dir,
            // Clocks of the kernels.
            DeliveryKind::SynAgain
            | DeliveryKind::Room
            | DeliveryKind::Again
            | DeliveryKind::Tick => return false,
        };
        let Some(conn) = self.conn(due.conn).filter(|conn| !conn.is_loop()) else {
            return false;
        };
        let (from, to) = (conn.ends[sender].node, conn.ends[1 - sender].node);
        let waits = self.links.waits(from, to, due);
        if waits {
            self.strikes.add(Strike::Hold, from, to, 1);
        }
        waits
    }

    /// Starts to hold one direction, or lets everything that has waited arrive now.
    pub(in crate::core) fn hold_link(&mut self, from: NodeId, to: NodeId, on: bool) {
        let was = self.links.is_held(from, to);
        let released = self.links.hold(from, to, on);
        match (was, on) {
            (false, true) => self.holds += 1,
            (true, false) => self.holds -= 1,
            (false, false) | (true, true) => {}
        }
        for due in released {
            self.schedule(self.now, due.conn, usize::from(due.dir), due.what);
        }
    }
}
