//! How bytes travel: transmission, arrival, windows, retransmission.

use std::io::ErrorKind;

use super::{ConnId, Fin, Holder, Phase, Segment};
use crate::core::{Core, DeliveryKind};
use crate::event::EndCause;
use crate::node::NodeId;
use crate::strike::Strike;

/// The shortest retransmission timeout, in milliseconds (Linux's `TCP_RTO_MIN`).
const RTO_MIN: u64 = 200;
/// The longest (Linux's `TCP_RTO_MAX`).
const RTO_MAX: u64 = 120_000;

/// The wait before transmission number `backoff + 1` of the same bytes. The first repetition is
/// Linux's tail loss probe; the timeouts that double start from it: 0.2, 0.4, 0.8, 1.6, 3.2 s …
fn rto(backoff: u32) -> u64 {
    RTO_MIN
        .checked_shl(backoff.saturating_sub(1).min(20))
        .map_or(RTO_MAX, |ms| ms.min(RTO_MAX))
}

/// How many repetitions there were when the clock of the give-up limit starts: the probe does not
/// count, the first timeout does.
const CLOCK_STARTS: u32 = 2;

/// How long unacknowledged bytes may wait, given `tcp_retries2`.
fn give_up(retries: u32) -> u64 {
    // Linux doubles up to TCP_RTO_MAX and adds whole ones above (`retransmits_timed_out`).
    let doubling = RTO_MAX.checked_div(RTO_MIN).map_or(0, u64::ilog2);
    if retries <= doubling {
        ((2_u64 << retries) - 1) * RTO_MIN
    } else {
        ((2_u64 << doubling) - 1) * RTO_MIN + u64::from(retries - doubling) * RTO_MAX
    }
}

impl Core {
    /// Sends what the window allows from end `dir`.
    pub(super) fn transmit(&mut self, id: ConnId, dir: usize) {
        let window = self.config.receive_window;
        let conn = self.live(id);
        let pipe = &conn.pipes[dir];
        let limit = pipe.written.min(pipe.read + window);
        let fin = pipe.fin == Fin::Queued && limit == pipe.written;
        if pipe.waiting || !conn.ends[dir].is_there() || (limit == pipe.sent && !fin) {
            return;
        }
        let conditions = self.conditions(id, dir);
        if !self.leaves(id, dir, conditions) {
            self.hold(id, dir, self.now, true);
            return;
        }
        let first = self.live(id).pipes[dir].sent;
        let struck = self.strike(id, dir, limit - first);
        let limit = struck.map_or(limit, |at| first + at);
        self.launch(id, dir, limit, fin && struck.is_none(), conditions);
        if struck.is_some() {
            self.cut_off(id, conditions.latency);
        }
    }

    /// Puts the bytes up to `limit` on their way, in segments as the line and the conditions cut them.
    fn launch(
        &mut self,
        id: ConnId,
        dir: usize,
        limit: u64,
        fin: bool,
        conditions: crate::core::link::Conditions,
    ) {
        let now = self.now;
        let conn = self.live(id);
        let first = conn.pipes[dir].sent;
        let (from, to) = (conn.ends[dir].node, conn.ends[1 - dir].node);
        let piece = if conn.is_loop() {
            None
        } else {
            self.links.piece(from, to)
        };
        let cut = conditions.cut(limit - first).map(|at| first + at);
        let mut start = first;
        loop {
            let mut end = piece.map_or(limit, |piece| limit.min(start + piece));
            if let Some(cut) =
                cut.filter(|cut| conditions.late_by > 0 && (start..end).contains(cut))
            {
                end = if cut > start { cut } else { end };
            }
            let late = cut
                .filter(|cut| start >= *cut)
                .map_or(0, |_| conditions.late_by);
            let line = match piece {
                Some(_) => {
                    self.strikes.add(Strike::Bandwidth, from, to, end - start);
                    self.links.serialise(from, to, now, end - start)
                }
                None => 0,
            };
            let pipe = &mut self.live_mut(id).pipes[dir];
            let at = (now + conditions.latency + late + line).max(pipe.last_at);
            let last = end == limit;
            let segment = Segment {
                from: start,
                end,
                fin: fin && last,
                sent_at: now,
                at,
            };
            pipe.segments.push_back(segment);
            pipe.last_at = at;
            self.schedule(at, id, dir, DeliveryKind::Arrival);
            if last {
                break;
            }
            start = end;
        }
        let pipe = &mut self.live_mut(id).pipes[dir];
        pipe.sent = limit;
        pipe.cuts.extend(cut);
        if fin {
            pipe.fin = Fin::Sent;
        }
    }

    /// The line has no limit any more: what waits for it leaves now.
    pub(in crate::core) fn empty_line(&mut self, from: NodeId, to: NodeId) {
        let soonest = self.now + self.links.least_latency(from, to);
        for id in self.conns_between(from, to) {
            let conn = self.live_mut(id);
            let dir = usize::from(conn.ends[1].node == from);
            let pipe = &mut conn.pipes[dir];
            if pipe.last_at <= soonest {
                continue;
            }
            for segment in &mut pipe.segments {
                segment.at = segment.at.min(soonest);
            }
            pipe.last_at = soonest;
            self.schedule(soonest, id, dir, DeliveryKind::Arrival);
        }
    }

    /// Counts `bytes` on the link; corrupts those that are to be, and returns where the connection
    /// is to be reset.
    fn strike(&mut self, id: ConnId, dir: usize, bytes: u64) -> Option<u64> {
        let conn = self.live(id);
        if bytes == 0 || conn.is_loop() {
            return None;
        }
        let (from, to) = (conn.ends[dir].node, conn.ends[1 - dir].node);
        let struck = self.links.carry(from, to, bytes);
        if struck.reset.is_some() {
            self.strikes.add(Strike::Reset, from, to, 1);
        }
        let flipped = struck.corrupt.len() as u64;
        if flipped > 0 {
            self.strikes.add(Strike::Corrupt, from, to, flipped);
        }
        let pipe = &mut self.live_mut(id).pipes[dir];
        for at in struck.corrupt {
            pipe.bytes[(pipe.sent - pipe.read + at) as usize] ^= 0x20;
        }
        struck.reset
    }

    /// What was sent, or should have been, at `sent_at` is lost, or its acknowledgement is: it waits
    /// for a retransmission, and if `blocks`, so does everything behind it.
    fn hold(&mut self, id: ConnId, dir: usize, sent_at: u64, blocks: bool) {
        let now = self.now;
        let pipe = &mut self.live_mut(id).pipes[dir];
        pipe.waiting |= blocks;
        if std::mem::replace(&mut pipe.timer, true) {
            return;
        }
        let at = (sent_at + rto(pipe.backoff)).max(now + 1);
        pipe.backoff += 1;
        self.schedule(at, id, dir, DeliveryKind::Again);
    }

    /// A retransmission timer fires.
    pub(in crate::core) fn again(&mut self, id: ConnId, dir: usize) {
        let limit = give_up(self.config.retries);
        let now = self.now;
        let Some(conn) = self.conn_mut(id) else {
            return;
        };
        let handshake = dir == 0 && conn.phase == Phase::HalfOpen;
        let there = conn.ends[dir].is_there();
        let pipe = &mut conn.pipes[dir];
        pipe.timer = false;
        pipe.waiting = false;
        if !there || !(pipe.has_unacked() || handshake) {
            return;
        }
        if pipe.backoff <= CLOCK_STARTS {
            pipe.since = now;
        } else if now - pipe.since >= limit && pipe.has_unacked() {
            self.time_out(id, dir);
            return;
        }
        let unknown_bytes = pipe.arrived == pipe.sent && pipe.acked < pipe.arrived;
        let arrived_unknown = unknown_bytes || (pipe.fin == Fin::Arrived && !pipe.fin_acked);
        let conditions = self.conditions(id, dir);
        if !self.leaves(id, dir, conditions) {
            self.hold(id, dir, now, true);
        } else if arrived_unknown || handshake {
            // A repetition of what has arrived, or the end of a handshake.
            let pipe = &mut self.live_mut(id).pipes[dir];
            let (from, fin) = (pipe.sent, false);
            let at = (now + conditions.latency).max(pipe.last_at);
            pipe.waiting = true;
            pipe.last_at = at;
            pipe.segments.push_back(Segment {
                from,
                end: from,
                fin,
                sent_at: now,
                at,
            });
            self.schedule(at, id, dir, DeliveryKind::Arrival);
        } else {
            self.transmit(id, dir);
        }
    }

    /// Segments of end `dir` arrive.
    pub(in crate::core) fn arrival(&mut self, id: ConnId, dir: usize) {
        while let Some(segment) = self
            .conn(id)
            .and_then(|conn| conn.pipes[dir].segments.front())
        {
            let segment = *segment;
            if segment.at > self.now {
                break;
            }
            if !self.deliver_segment(id, dir, segment) {
                break;
            }
        }
    }

    /// One segment arrives. `false`: it was lost, and all behind it with it.
    fn deliver_segment(&mut self, id: ConnId, dir: usize, segment: Segment) -> bool {
        if !self.gets_through(id, dir) {
            self.lose(id, dir, segment);
            return false;
        }
        let arrives = dir == 0 && self.live(id).phase == Phase::HalfOpen;
        if arrives && !self.enqueue(id) {
            self.live_mut(id).ends[1].holder = Holder::Gone;
        }
        let conn = self.live_mut(id);
        let to = &conn.ends[1 - dir];
        let bytes = segment.end - segment.from;
        if !to.is_there() || (to.holder == Holder::Orphan && bytes > 0) {
            self.bounce(id, dir, segment);
            return false;
        }
        let (from_node, to_node) = (conn.ends[dir].node, to.node);
        let to = &mut conn.ends[1 - dir];
        let pipe = &mut conn.pipes[dir];
        pipe.segments.pop_front();
        pipe.arrived = segment.end;
        if segment.fin {
            pipe.fin = Fin::Arrived;
            to.got_fin = true;
        }
        let waker = if bytes > 0 || segment.fin {
            to.reader.take()
        } else {
            None
        };
        self.wake(waker);
        self.links.delivered(from_node, to_node, bytes);
        self.acknowledge(id, dir, segment);
        if segment.fin {
            self.settle(id);
        }
        true
    }

    /// The sender of `dir` learns what has arrived, if the way back is open.
    fn acknowledge(&mut self, id: ConnId, dir: usize, segment: Segment) {
        if !self.gets_through(id, 1 - dir) {
            self.hold(id, dir, segment.sent_at, false);
            return;
        }
        let conn = self.live_mut(id);
        let wanted = conn.ends[dir].writer.is_some();
        let pipe = &mut conn.pipes[dir];
        pipe.acked = pipe.arrived;
        pipe.fin_acked = pipe.fin == Fin::Arrived;
        pipe.backoff = 0;
        pipe.waiting = false;
        let wanted = wanted || pipe.written > pipe.sent || pipe.fin == Fin::Queued;
        if wanted && !pipe.room_due {
            pipe.room_due = true;
            let back = self.conditions(id, 1 - dir).latency;
            self.schedule(self.now + back, id, dir, DeliveryKind::Room);
        }
    }

    /// The program at the receiving end has read from `dir`: opens the window again if it was full.
    pub(super) fn has_read(&mut self, id: ConnId, dir: usize) {
        let window = self.config.receive_window;
        let pipe = &mut self.live_mut(id).pipes[dir];
        // As kernels do, not for every byte: a window that opens by a sliver is not worth telling.
        let free = window - (pipe.arrived - pipe.read).min(window);
        if pipe.written > pipe.sent && !pipe.room_due && free * 2 >= window {
            pipe.room_due = true;
            let back = self.conditions(id, 1 - dir).latency;
            self.schedule(self.now + back, id, dir, DeliveryKind::Room);
        }
    }

    /// The sender of `dir` learns that there is room.
    pub(in crate::core) fn room(&mut self, id: ConnId, dir: usize) {
        // Whoever has no socket any more probes nothing.
        if !self.conn(id).is_some_and(|conn| conn.ends[dir].is_there()) {
            return;
        }
        if !self.gets_through(id, 1 - dir) {
            // The sender probes the closed window until an answer gets through.
            self.schedule(self.now + RTO_MIN, id, dir, DeliveryKind::Room);
            return;
        }
        let conn = self.live_mut(id);
        conn.pipes[dir].room_due = false;
        let waker = conn.ends[dir].writer.take();
        self.wake(waker);
        self.transmit(id, dir);
    }

    /// A segment did not arrive: it and everything behind it must be sent again.
    fn lose(&mut self, id: ConnId, dir: usize, segment: Segment) {
        let pipe = &mut self.live_mut(id).pipes[dir];
        pipe.segments.clear();
        pipe.sent = pipe.arrived;
        if pipe.fin == Fin::Sent {
            pipe.fin = Fin::Queued;
        }
        self.hold(id, dir, segment.sent_at, true);
    }

    /// A segment arrives where no socket is: the machine answers with RST. Until that has arrived,
    /// the sender goes on as if the segment were lost.
    fn bounce(&mut self, id: ConnId, dir: usize, segment: Segment) {
        let was_orphan = self.live(id).ends[1 - dir].holder == Holder::Orphan;
        if was_orphan {
            self.drop_socket(id, 1 - dir);
        }
        self.lose(id, dir, segment);
        self.send_bare(id, 1 - dir, DeliveryKind::Rst);
    }

    /// Nothing was acknowledged for too long.
    fn time_out(&mut self, id: ConnId, dir: usize) {
        self.break_end(id, dir, ErrorKind::TimedOut, EndCause::TimedOut);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_gives_up_when_linux_does() {
        assert_eq!(give_up(15), 924_600);
        assert_eq!(give_up(3), 3_000);
    }

    #[test]
    fn retransmission_timeouts_double_up_to_two_minutes() {
        let waits: Vec<u64> = (0..5).map(rto).collect();
        assert_eq!(waits, [200, 200, 400, 800, 1_600]);
        assert_eq!(rto(30), RTO_MAX);
    }
}
