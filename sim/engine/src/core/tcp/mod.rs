//! TCP as a program on Linux sees it: connections of bytes, not packets.
//!
//! Each direction of a connection is a [`Pipe`]: the bytes between what the writer has written and
//! what the reader has read, with counters for how far they have come. Bytes leave as segments with
//! a time of arrival; they are never lost on a live connection. What would lose a packet makes the
//! segment, and all that follows it, wait for a retransmission.
//!
//! * `dial`: handshake, listeners, the accept queue
//! * `flow`: transmission, arrival, windows, retransmission
//! * `ends`: FIN, RST, crash, power loss
//! * `socket`: what a program calls

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::task::Waker;

use super::link::Conditions;
use super::{Core, DeliveryKind};
use crate::node::NodeId;
use crate::strike::Strike;

mod dial;
mod ends;
mod flow;
mod socket;

/// A connection's number, counted over the run by the start of its dial.
pub(crate) type ConnId = u32;

/// Who answers for one end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holder {
    /// The kernel: a dial that goes on, or a connection nobody accepted yet.
    Kernel,
    /// The program that dialled or accepted it.
    Program,
    /// The kernel again: the program closed it and the rest is being sent.
    Orphan,
    /// Nobody: what arrives is answered with RST.
    Gone,
}

/// One end of a connection. End 0 dialled.
#[derive(Debug)]
struct End {
    node: NodeId,
    /// The component of the node's process that has it, if one has.
    component: Option<NodeId>,
    /// `None`: no machine has this address.
    machine: Option<usize>,
    at: SocketAddr,
    holder: Holder,
    /// The peer's FIN arrived.
    got_fin: bool,
    /// RST arrived or the connection timed out: nothing moves any more.
    dead: bool,
    /// What the next operation reports, once.
    error: Option<ErrorKind>,
    /// The sink knows this end as open.
    told_open: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl End {
    fn new(node: NodeId, machine: Option<usize>, at: SocketAddr) -> Self {
        Self {
            node,
            component: None,
            machine,
            at,
            holder: Holder::Kernel,
            got_fin: false,
            dead: false,
            error: None,
            told_open: false,
            reader: None,
            writer: None,
        }
    }

    /// The same end, as events tell of it.
    fn told_as(mut self, component: NodeId) -> Self {
        self.component = (component != self.node).then_some(component);
        self
    }

    /// Under whose number events tell of it.
    fn teller(&self) -> NodeId {
        self.component.unwrap_or(self.node)
    }

    /// Whether a socket is there to take what arrives.
    fn is_there(&self) -> bool {
        self.holder != Holder::Gone && !self.dead
    }
}

/// How far the FIN of a direction has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fin {
    None,
    Queued,
    Sent,
    Arrived,
}

/// Bytes on their way.
#[derive(Debug, Clone, Copy)]
struct Segment {
    from: u64,
    end: u64,
    fin: bool,
    sent_at: u64,
    at: u64,
}

/// One direction. All counters are positions in the stream: `read <= arrived <= sent <= written`.
#[derive(Debug)]
struct Pipe {
    /// The bytes from `read` to `written`.
    bytes: VecDeque<u8>,
    read: u64,
    arrived: u64,
    sent: u64,
    written: u64,
    /// What the sender knows to have arrived.
    acked: u64,
    fin: Fin,
    fin_acked: bool,
    segments: VecDeque<Segment>,
    /// Positions at which a read ends.
    cuts: VecDeque<u64>,
    last_at: u64,
    /// Timers of the oldest byte so far, and when its first timeout was.
    backoff: u32,
    since: u64,
    /// A retransmission timer runs.
    timer: bool,
    /// Nothing new is sent before it has fired and its retransmission was acknowledged.
    waiting: bool,
    /// The sender is about to learn that there is room.
    room_due: bool,
}

impl Pipe {
    fn new() -> Self {
        Self {
            bytes: VecDeque::new(),
            read: 0,
            arrived: 0,
            sent: 0,
            written: 0,
            acked: 0,
            fin: Fin::None,
            fin_acked: false,
            segments: VecDeque::new(),
            cuts: VecDeque::new(),
            last_at: 0,
            backoff: 0,
            since: 0,
            timer: false,
            waiting: false,
            room_due: false,
        }
    }

    /// Forgets everything that has not arrived: the sender's socket is gone.
    fn discard(&mut self) {
        let kept = (self.arrived - self.read) as usize;
        self.bytes.truncate(kept);
        self.segments.clear();
        self.sent = self.arrived;
        self.written = self.arrived;
        self.acked = self.arrived;
        if self.fin != Fin::Arrived {
            self.fin = Fin::None;
        }
    }

    /// Forgets everything that has not left: the rest is on its way already.
    fn discard_unsent(&mut self) {
        let kept = (self.sent - self.read) as usize;
        self.bytes.truncate(kept);
        self.written = self.sent;
        if self.fin == Fin::Queued {
            self.fin = Fin::None;
        }
    }

    /// Whether the sender waits for an acknowledgement.
    fn has_unacked(&self) -> bool {
        self.acked < self.written || (self.fin != Fin::None && !self.fin_acked)
    }
}

/// How far the handshake has come, as the accepting kernel sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Dialling,
    HalfOpen,
    Open,
}

/// A connection, from the start of its dial until nobody holds either end.
#[derive(Debug)]
pub(super) struct Conn {
    ends: [End; 2],
    /// `pipes[0]` carries from end 0 to end 1.
    pipes: [Pipe; 2],
    phase: Phase,
    dialled_at: u64,
    repetition: usize,
    /// How the dial ended.
    dialled: Option<Result<(), ErrorKind>>,
    /// The listener's number that took it.
    listener: u64,
    /// A device on the way swallows all of it.
    swallowed: bool,
}

impl Conn {
    /// How many of its ends a program of `node` holds.
    pub(super) fn held_by(&self, node: NodeId) -> u32 {
        let held = |end: &&End| end.node == node && end.holder == Holder::Program;
        self.ends.iter().filter(held).count() as u32
    }

    fn is_loop(&self) -> bool {
        self.ends[0].machine.is_some() && self.ends[0].machine == self.ends[1].machine
    }

    fn joins(&self, a: NodeId, b: NodeId) -> bool {
        let nodes = (self.ends[0].node, self.ends[1].node);
        nodes == (a, b) || nodes == (b, a)
    }
}

/// A listener's kernel side.
#[derive(Debug)]
pub(super) struct Listening {
    pub(super) node: NodeId,
    number: u64,
    half_open: usize,
    queue: VecDeque<ConnId>,
    acceptor: Option<Waker>,
}

impl Core {
    /// The connection, unless it is forgotten: what is due may outlive it, and so may the number that
    /// a program holds.
    fn conn(&self, id: ConnId) -> Option<&Conn> {
        self.conns[id as usize].as_deref()
    }

    /// As [`conn`](Self::conn), to be changed.
    fn conn_mut(&mut self, id: ConnId) -> Option<&mut Conn> {
        self.conns[id as usize].as_deref_mut()
    }

    /// A connection that is being worked on, and so is not forgotten.
    fn live(&self, id: ConnId) -> &Conn {
        let Some(conn) = self.conn(id) else {
            unreachable!("connection {id} is forgotten, and worked on")
        };
        conn
    }

    /// As [`live`](Self::live), to be changed.
    fn live_mut(&mut self, id: ConnId) -> &mut Conn {
        let Some(conn) = self.conn_mut(id) else {
            unreachable!("connection {id} is forgotten, and worked on")
        };
        conn
    }

    /// Whether what leaves end `dir` now, or arrives from it now, gets through.
    fn gets_through(&mut self, id: ConnId, dir: usize) -> bool {
        let Some(conn) = self.conn(id) else {
            return false;
        };
        let (from, to) = (&conn.ends[dir], &conn.ends[1 - dir]);
        let up = to.machine.is_some_and(|at| self.machines[at].up);
        let (from, to) = (from.node, to.node);
        if !up {
            return false;
        }
        if conn.swallowed {
            self.strikes.add(Strike::BlackHole, from, to, 1);
            return false;
        }
        let cut = !conn.is_loop() && self.links.is_cut(from, to);
        if cut {
            self.strikes.add(Strike::Cut, from, to, 1);
        }
        !cut
    }

    /// Whether what end `dir` sends now, in these conditions, gets onto its way.
    fn leaves(&mut self, id: ConnId, dir: usize, conditions: Conditions) -> bool {
        if !conditions.lost {
            return self.gets_through(id, dir);
        }
        let conn = self.live(id);
        let (from, to) = (conn.ends[dir].node, conn.ends[1 - dir].node);
        self.strikes.add(Strike::Loss, from, to, 1);
        false
    }

    /// The conditions for what leaves end `dir` now.
    fn conditions(&mut self, id: ConnId, dir: usize) -> Conditions {
        let conn = self.live(id);
        if conn.is_loop() {
            return Conditions::LOOP;
        }
        let (from, to) = (conn.ends[dir].node, conn.ends[1 - dir].node);
        let conditions = self.links.conditions(from, to, self.now);
        if conditions.altered {
            self.strikes.add(Strike::Latency, from, to, 1);
        }
        conditions
    }

    /// Sends something without a retransmission of its own from end `dir`; whether it left.
    fn send_bare(&mut self, id: ConnId, dir: usize, what: DeliveryKind) -> bool {
        let conditions = self.conditions(id, dir);
        let leaves = self.leaves(id, dir, conditions);
        if leaves {
            self.schedule(self.now + conditions.latency, id, dir, what);
        }
        leaves
    }
}
