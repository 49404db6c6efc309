//! Handshakes and accept queues.

use std::collections::VecDeque;
use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;
use std::task::{Context, Poll};

use super::{Conn, ConnId, End, Holder, Listening, Phase, Pipe, Segment};
use crate::core::{Core, DeliveryKind};
use crate::event::{DialEnd, EngineEvent};
use crate::node::NodeId;
use crate::strike::Strike;

/// When the SYN is repeated, in milliseconds after the dial: each second at first, then doubling
/// (Linux since 6.5: `tcp_syn_linear_timeouts` 4, `tcp_syn_retries` 6).
const REPETITIONS: [u64; 10] = [
    1_000, 2_000, 3_000, 4_000, 5_000, 7_000, 11_000, 19_000, 35_000, 67_000,
];

/// When a dial without any answer ends.
const DIAL_LIMIT: u64 = 131_000;

impl Core {
    /// Starts a dial from a running process.
    pub(crate) fn dial(&mut self, node: NodeId, told_as: NodeId, to: SocketAddr) -> Result<ConnId> {
        let local = self.ephemeral(node)?;
        let id = ConnId::try_from(self.conns.len()).map_err(Error::other)?;
        let machine = Some(self.known(node).machine);
        let conn = Conn {
            ends: [
                End::new(node, machine, local).told_as(told_as),
                End::new(NodeId::OUTSIDE, None, to),
            ],
            pipes: [Pipe::new(), Pipe::new()],
            phase: Phase::Dialling,
            dialled_at: self.now,
            repetition: 0,
            dialled: None,
            listener: 0,
            swallowed: false,
        };
        self.conns.push(Some(Box::new(conn)));
        self.stats.dials += 1;
        let node = told_as;
        self.tell(EngineEvent::Dial { node, local, to });
        self.send_syn(id);
        Ok(id)
    }

    fn ephemeral(&mut self, node: NodeId) -> Result<SocketAddr> {
        let gone = || Error::from(ErrorKind::AddrNotAvailable);
        let machine = self.known(node).machine;
        let machine = &mut self.machines[machine];
        loop {
            let at = SocketAddr::new(machine.ip, machine.next_port);
            machine.next_port = machine.next_port.checked_add(1).ok_or_else(gone)?;
            if !self.listeners.contains_key(&at) {
                return Ok(at);
            }
        }
    }

    fn send_syn(&mut self, id: ConnId) {
        let to = self.live(id).ends[1].at;
        let machine = self
            .machines
            .iter()
            .position(|machine| machine.ip == to.ip());
        let owner = self
            .listeners
            .get(&to)
            .map(|listening| listening.node)
            .or_else(|| {
                let mut nodes = (0_u16..).zip(&self.nodes);
                let (number, _) = nodes.find(|(_, node)| machine == Some(node.machine))?;
                Some(NodeId(number))
            });
        let conn = self.live_mut(id);
        conn.ends[1].machine = machine;
        conn.ends[1].node = owner.unwrap_or(NodeId::OUTSIDE);
        let next = REPETITIONS.get(conn.repetition).copied();
        let next = conn.dialled_at + next.unwrap_or(DIAL_LIMIT);
        self.schedule(next, id, 0, DeliveryKind::SynAgain);
        self.send_bare(id, 0, DeliveryKind::Syn);
    }

    /// The dialler's repetition timer.
    pub(in crate::core) fn syn_again(&mut self, id: ConnId) {
        let Some(conn) = self.conn_mut(id) else {
            return;
        };
        if conn.dialled.is_some() || conn.ends[0].holder == Holder::Gone {
            return;
        }
        if conn.repetition == REPETITIONS.len() {
            self.dial_failed(id, ErrorKind::TimedOut, DialEnd::TimedOut);
        } else {
            conn.repetition += 1;
            self.send_syn(id);
        }
    }

    /// A SYN reaches the machine that was dialled, which accepts, refuses or swallows it.
    pub(in crate::core) fn syn(&mut self, id: ConnId) {
        if !self.gets_through(id, 0) {
            return;
        }
        let conn = self.live(id);
        let (to, owner) = (conn.ends[1].at, conn.ends[1].node);
        match conn.phase {
            Phase::Open => {}
            Phase::HalfOpen => {
                self.send_bare(id, 1, DeliveryKind::SynAck);
            }
            // The SYN was dropped on its last yard: the dialler repeats it.
            Phase::Dialling if self.node(owner).is_some_and(|node| node.swallows) => {
                self.strikes.add(Strike::Swallow, owner, owner, 1);
            }
            Phase::Dialling => {
                let refuses = self.node(owner).is_some_and(|node| node.refuses);
                if refuses {
                    self.strikes.add(Strike::Refuse, owner, owner, 1);
                }
                let backlog = self.config.backlog;
                match self.listeners.get_mut(&to).filter(|_| !refuses) {
                    None => {
                        self.send_bare(id, 1, DeliveryKind::Refused);
                    }
                    // The queue is full: the kernel says nothing and the dialler repeats.
                    Some(listening) if listening.queue.len() + listening.half_open > backlog => {}
                    Some(listening) => {
                        listening.half_open += 1;
                        let (number, node) = (listening.number, listening.node);
                        let conn = self.live_mut(id);
                        conn.listener = number;
                        conn.ends[1].node = node;
                        conn.phase = Phase::HalfOpen;
                        self.send_bare(id, 1, DeliveryKind::SynAck);
                    }
                }
            }
        }
    }

    /// The answer RST arrives.
    pub(in crate::core) fn refused(&mut self, id: ConnId) {
        if self.gets_through(id, 1) {
            self.dial_failed(id, ErrorKind::ConnectionRefused, DialEnd::Refused);
        }
    }

    fn dial_failed(&mut self, id: ConnId, error: ErrorKind, cause: DialEnd) {
        let conn = self.live_mut(id);
        if conn.dialled.is_some() {
            return;
        }
        conn.dialled = Some(Err(error));
        let abandoned = conn.ends[0].holder == Holder::Gone;
        let (node, local, to) = (conn.ends[0].teller(), conn.ends[0].at, conn.ends[1].at);
        let waker = conn.ends[0].reader.take();
        self.wake(waker);
        if abandoned {
            self.forget(id);
        } else {
            self.tell(EngineEvent::DialFailed {
                node,
                local,
                to,
                cause,
            });
        }
    }

    /// The SYN was accepted; the dialler's end is open.
    pub(in crate::core) fn syn_ack(&mut self, id: ConnId) {
        if !self.gets_through(id, 1) {
            return;
        }
        let now = self.now;
        let conn = self.live_mut(id);
        if conn.dialled.is_none() {
            if conn.ends[0].holder == Holder::Gone {
                self.send_bare(id, 0, DeliveryKind::HandshakeReset);
                return;
            }
            conn.dialled = Some(Ok(()));
            conn.ends[0].told_open = true;
            let (node, local, peer) = (conn.ends[0].teller(), conn.ends[0].at, conn.ends[1].at);
            let waker = conn.ends[0].reader.take();
            self.wake(waker);
            self.tell(EngineEvent::Opened { node, local, peer });
        }
        let conn = self.live(id);
        // The acknowledgement that completes the handshake is a segment without bytes.
        if conn.phase == Phase::HalfOpen && conn.pipes[0].segments.is_empty() {
            let conditions = self.conditions(id, 0);
            let at = now + conditions.latency;
            let segment = Segment {
                from: 0,
                end: 0,
                fin: false,
                sent_at: now,
                at,
            };
            let pipe = &mut self.live_mut(id).pipes[0];
            pipe.segments.push_back(segment);
            pipe.last_at = at;
            self.schedule(at, id, 0, DeliveryKind::Arrival);
        }
    }

    /// A handshake ends that the dialler had given up.
    pub(in crate::core) fn handshake_reset(&mut self, id: ConnId) {
        if !self.gets_through(id, 0) {
            return;
        }
        let conn = self.live(id);
        let (to, number) = (conn.ends[1].at, conn.listener);
        let listening = self.listeners.get_mut(&to);
        if let Some(listening) = listening.filter(|listening| listening.number == number) {
            listening.half_open -= 1;
        }
        self.forget(id);
    }

    /// The handshake is complete at the accepting kernel: the connection waits for `accept`.
    /// `false`: its listener has gone.
    pub(super) fn enqueue(&mut self, id: ConnId) -> bool {
        let conn = self.live(id);
        let (to, number) = (conn.ends[1].at, conn.listener);
        let listening = self.listeners.get_mut(&to).filter(|l| l.number == number);
        let Some(listening) = listening else {
            return false;
        };
        listening.half_open -= 1;
        listening.queue.push_back(id);
        let waker = listening.acceptor.take();
        self.wake(waker);
        self.live_mut(id).phase = Phase::Open;
        true
    }

    /// The result of a dial; its error ends the connection's life.
    pub(crate) fn poll_dial(
        &mut self,
        id: ConnId,
        cx: &Context<'_>,
    ) -> Poll<Result<(SocketAddr, SocketAddr)>> {
        let Some(conn) = self.conn_mut(id) else {
            return Poll::Ready(Err(ErrorKind::ConnectionAborted.into()));
        };
        if conn.ends[0].holder == Holder::Gone {
            return Poll::Ready(Err(ErrorKind::ConnectionAborted.into()));
        }
        match conn.dialled {
            Some(Ok(())) => {
                conn.ends[0].holder = Holder::Program;
                Poll::Ready(Ok((conn.ends[0].at, conn.ends[1].at)))
            }
            Some(Err(error)) => {
                self.forget(id);
                Poll::Ready(Err(error.into()))
            }
            None => {
                let old = conn.ends[0].reader.replace(cx.waker().clone());
                self.effects.drop.extend(old);
                Poll::Pending
            }
        }
    }

    /// The dialling program lost interest before it took the connection.
    pub(crate) fn abandon(&mut self, id: ConnId) {
        let Some(conn) = self.conn_mut(id) else {
            return;
        };
        match conn.dialled {
            Some(Ok(())) => self.close(id, 0),
            Some(Err(_)) => self.forget(id),
            None if conn.ends[0].holder == Holder::Gone => {}
            None => {
                conn.ends[0].holder = Holder::Gone;
                let old = conn.ends[0].reader.take();
                let (node, local, to) = (conn.ends[0].teller(), conn.ends[0].at, conn.ends[1].at);
                self.effects.drop.extend(old);
                let cause = DialEnd::Abandoned;
                self.tell(EngineEvent::DialFailed {
                    node,
                    local,
                    to,
                    cause,
                });
            }
        }
    }

    /// Opens a listener of a running process; its number and its address.
    pub(crate) fn listen(&mut self, node: NodeId, at: SocketAddr) -> Result<(u64, SocketAddr)> {
        let ip = self.machines[self.known(node).machine].ip;
        if at.ip() != ip && !at.ip().is_unspecified() {
            return Err(ErrorKind::AddrNotAvailable.into());
        }
        let at = match at.port() {
            0 => self.ephemeral(node)?,
            port => SocketAddr::new(ip, port),
        };
        if self.listeners.contains_key(&at) {
            return Err(ErrorKind::AddrInUse.into());
        }
        let number = self.next_listener;
        self.next_listener += 1;
        let listening = Listening {
            node,
            number,
            half_open: 0,
            queue: VecDeque::new(),
            acceptor: None,
        };
        self.listeners.insert(at, listening);
        self.tell(EngineEvent::Listen { node, at });
        Ok((number, at))
    }

    /// The next connection of a listener, with the peer's address.
    pub(crate) fn poll_accept(
        &mut self,
        at: SocketAddr,
        number: u64,
        cx: &Context<'_>,
    ) -> Poll<Result<(ConnId, SocketAddr)>> {
        let listening = self.listeners.get_mut(&at).filter(|l| l.number == number);
        let Some(listening) = listening else {
            return Poll::Ready(Err(ErrorKind::NotConnected.into()));
        };
        let Some(id) = listening.queue.pop_front() else {
            let old = listening.acceptor.replace(cx.waker().clone());
            self.effects.drop.extend(old);
            return Poll::Pending;
        };
        let conn = self.live_mut(id);
        let end = &mut conn.ends[1];
        end.holder = Holder::Program;
        end.told_open = !end.dead;
        let (node, dead, peer) = (end.node, end.dead, conn.ends[0].at);
        if !dead {
            self.tell(EngineEvent::Accepted {
                node,
                local: at,
                peer,
            });
        }
        Poll::Ready(Ok((id, peer)))
    }

    /// Closes a listener; connections that wait in its queue are reset.
    pub(crate) fn unlisten(&mut self, at: SocketAddr, number: u64) {
        if self
            .listeners
            .get(&at)
            .is_none_or(|listening| listening.number != number)
        {
            return;
        }
        let Some(mut listening) = self.listeners.remove(&at) else {
            return;
        };
        self.wake(listening.acceptor.take());
        self.tell(EngineEvent::Unlisten {
            node: listening.node,
            at,
        });
        for id in listening.queue {
            self.abort(id, 1);
        }
    }
}
