//! The lives of processes and machines, and the dispatch of what is due.

use std::io::{Error, ErrorKind};
use std::net::IpAddr;

use super::{Core, DeliveryKind, Due, Node};
use crate::change::{Change, Direction};
use crate::command::NewTask;
use crate::event::EngineEvent;
use crate::node::NodeId;

impl Core {
    /// Carries out the next delivery that is due, and says what it was.
    pub(crate) fn deliver_next(&mut self) -> Option<Due> {
        let due = self.next_due()?;
        let (conn, dir) = (due.conn, usize::from(due.dir));
        if self.holds > 0 && self.is_held(due) {
            return Some(due);
        }
        match due.what {
            DeliveryKind::Syn => self.syn(conn),
            DeliveryKind::SynAgain => self.syn_again(conn),
            DeliveryKind::Refused => self.refused(conn),
            DeliveryKind::SynAck => self.syn_ack(conn),
            DeliveryKind::HandshakeReset => self.handshake_reset(conn),
            DeliveryKind::Arrival => self.arrival(conn, dir),
            DeliveryKind::Room => self.room(conn, dir),
            DeliveryKind::Again => self.again(conn, dir),
            DeliveryKind::Rst => self.rst(conn, dir),
            DeliveryKind::RstIn => self.rst_in(conn, dir),
            // The engine's own: a slow node may poll again.
            DeliveryKind::Tick => {}
        }
        Some(due)
    }

    /// Whether a task may start: its process still runs.
    pub(crate) fn task_starts(&mut self, spawned: &NewTask) -> bool {
        let (node, number, name) = (spawned.node, spawned.number, spawned.name);
        let lives = self.lives(node, spawned.incarnation) == Some(true);
        if lives {
            self.known_mut(node).tasks += 1;
            let node = spawned.told_as;
            self.tell(EngineEvent::TaskOn { node, number, name });
        }
        lives
    }

    /// A process starts, on a machine with power, maybe at another address.
    pub(crate) fn start_process(&mut self, node: NodeId, incarnation: u32, ip: Option<IpAddr>) {
        let old = self.known(node).machine;
        let machine = ip.map_or(old, |ip| self.machine_at(ip));
        let node = self.known_mut(node);
        node.machine = machine;
        node.started = incarnation;
        node.incarnation = incarnation;
        self.machines[machine].up = true;
        let lives_there = |node: &Node| node.machine == old && !node.is_component;
        if !self.nodes.iter().any(lives_there) {
            self.vanish(old);
        }
    }

    /// A process is killed: its kernel closes its sockets.
    pub(crate) fn stop_process(&mut self, node: NodeId) {
        let state = self.known_mut(node);
        if state.is_running() {
            state.incarnation = 0;
            self.close_process(node);
        }
    }

    /// The node's machine loses power; the nodes that are gone with it.
    pub(crate) fn power_off(&mut self, node: NodeId) -> Vec<NodeId> {
        let machine = self.known(node).machine;
        let mut gone = Vec::new();
        for (number, node) in (0_u16..).zip(&mut self.nodes) {
            if node.machine == machine {
                node.incarnation = 0;
                gone.push(NodeId(number));
            }
        }
        self.vanish(machine);
        gone
    }

    /// Carries out a change, as far as it concerns kernels and links.
    pub(crate) fn change(&mut self, change: Change) {
        match change {
            Change::JumpWallClock { node, ms } => self.with_node(node, |node| {
                node.wall_offset_ms = node.wall_offset_ms.saturating_add(ms);
            }),
            Change::Refuse(node, on) => self.with_node(node, |node| node.refuses = on),
            Change::SwallowDials(node, on) => self.with_node(node, |node| node.swallows = on),
            Change::StopReading(node, on) => self.stop_reading(node, on),
            Change::Cut(on) => self.links.change(on, |link| link.cut = true),
            Change::Heal(on) => self.links.change(on, |link| link.cut = false),
            Change::Loss { on, per_mille } => self.links.change(on, |link| link.loss = per_mille),
            Change::Latency { on, ms, jitter_ms } => {
                let latency = Some((ms.max(1), jitter_ms));
                self.links.change(on, |link| link.latency = latency);
            }
            Change::DefaultLatency(on) => self.links.change(on, |link| link.latency = None),
            Change::Bandwidth { on, bytes_per_ms } => {
                self.links.change(on, |link| link.limit(bytes_per_ms));
                if bytes_per_ms == 0 {
                    for (from, to) in on.each() {
                        self.empty_line(from, to);
                    }
                }
            }
            Change::Slice { on, bytes } => self.links.change(on, |link| link.slice = bytes),
            Change::Hold(on, held) => {
                for (from, to) in on.each() {
                    self.hold_link(from, to, held);
                }
            }
            Change::HalfOpen { from, to } => self.half_open(from, to),
            Change::BlackHole(a, b) => self.black_hole(a, b),
            Change::Reset(a, b) => self.reset_between(a, b),
            Change::Corrupt { from, to, after } => {
                let on = Direction::One(from, to);
                self.links.change(on, |link| link.corrupt_after(after));
            }
            Change::ResetAfter { from, to, after } => {
                let on = Direction::One(from, to);
                self.links.change(on, |link| link.reset_after(after));
            }
            // These concern tasks, which the root future owns.
            Change::Crash(_)
            | Change::PowerOff(_)
            | Change::Freeze(_)
            | Change::Thaw(_)
            | Change::Slow { .. } => {}
        }
    }

    fn with_node(&mut self, node: NodeId, change: impl FnOnce(&mut Node)) {
        change(self.known_mut(node));
    }

    /// What a process needs to go on: `None`: it is still to start.
    pub(crate) fn check_alive(&self, node: NodeId, incarnation: u32) -> Option<Result<(), Error>> {
        match self.lives(node, incarnation) {
            None => None,
            Some(true) => Some(Ok(())),
            Some(false) => {
                let text = "this process of a simulated node has ended";
                Some(Err(Error::new(ErrorKind::NotConnected, text)))
            }
        }
    }
}
