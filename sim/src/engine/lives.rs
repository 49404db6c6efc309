//! The lives of processes and machines, and the dispatch of what is due.

use std::io::{Error, ErrorKind};
use std::net::IpAddr;

use super::core::{Core, Due, What};
use super::event::EngineEvent;
use super::ops::{Op, Spawned};
use crate::trace::record::NodeId;

impl Core {
    /// Carries out the next delivery that is due, and says what it was.
    pub(super) fn deliver_next(&mut self) -> Option<Due> {
        let due = self.next_due()?;
        let (conn, dir) = (due.conn, usize::from(due.dir));
        if self.holds > 0 && self.is_held(due) {
            return Some(due);
        }
        match due.what {
            What::Syn => self.syn(conn),
            What::SynAgain => self.syn_again(conn),
            What::Refused => self.refused(conn),
            What::SynAck => self.syn_ack(conn),
            What::HandshakeReset => self.handshake_reset(conn),
            What::Arrival => self.arrival(conn, dir),
            What::Room => self.room(conn, dir),
            What::Again => self.again(conn, dir),
            What::Rst => self.rst(conn, dir),
            What::RstIn => self.rst_in(conn, dir),
            // The engine's own: a slow node may poll again.
            What::Tick => {}
        }
        Some(due)
    }

    /// Whether a task may start: its process still runs.
    pub(super) fn task_starts(&mut self, spawned: &Spawned) -> bool {
        let (node, number, name) = (spawned.node, spawned.number, spawned.name);
        let lives = self.lives(node, spawned.incarnation) == Some(true);
        if lives {
            if let Some(node) = self.nodes.get_mut(node.index()) {
                node.tasks += 1;
            }
            self.tell(EngineEvent::TaskOn { node, number, name });
        }
        lives
    }

    /// A process starts, on a machine with power, maybe at another address.
    pub(super) fn start_process(&mut self, node: NodeId, incarnation: u32, ip: Option<IpAddr>) {
        let Some(old) = self.node(node).map(|node| node.machine) else {
            return;
        };
        let machine = ip.map_or(old, |ip| self.machine_at(ip));
        if let Some(node) = self.nodes.get_mut(node.index()) {
            node.machine = machine;
            node.started = incarnation;
            node.incarnation = incarnation;
        }
        if let Some(machine) = self.machines.get_mut(machine) {
            machine.up = true;
        }
        if !self.nodes.iter().any(|node| node.machine == old) {
            self.vanish(old);
        }
    }

    /// A process is killed: its kernel closes its sockets.
    pub(super) fn stop_process(&mut self, node: NodeId) {
        if let Some(state) = self
            .nodes
            .get_mut(node.index())
            .filter(|node| node.is_running())
        {
            state.incarnation = 0;
            self.close_process(node);
        }
    }

    /// The node's machine loses power; the nodes that are gone with it.
    pub(super) fn power_off(&mut self, node: NodeId) -> Vec<NodeId> {
        let Some(machine) = self.node(node).map(|node| node.machine) else {
            return Vec::new();
        };
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

    /// The changes that concern the network alone.
    pub(super) fn change(&mut self, op: &Op) {
        match *op {
            Op::WallClock(node, ms) => {
                if let Some(node) = self.nodes.get_mut(node.index()) {
                    node.wall_offset_ms = node.wall_offset_ms.saturating_add(ms);
                }
            }
            Op::Link(from, to, change) => self.links.change(from, to, change),
            Op::Refuse(node, on) => {
                if let Some(node) = self.nodes.get_mut(node.index()) {
                    node.refuses = on;
                }
            }
            Op::Hold(from, to, on) => self.hold_link(from, to, on),
            Op::SwallowDials(node, on) => {
                if let Some(node) = self.nodes.get_mut(node.index()) {
                    node.swallows = on;
                }
            }
            Op::StopReading(node, on) => self.stop_reading(node, on),
            Op::HalfOpen(from, to) => self.half_open(from, to),
            Op::BlackHole(a, b) => self.black_hole(a, b),
            Op::Reset(a, b) => self.reset_between(a, b),
            // The engine's own: what concerns tasks.
            Op::Boot { .. }
            | Op::Crash(_)
            | Op::PowerOff(_)
            | Op::Freeze(_)
            | Op::Thaw(_)
            | Op::Slow(..)
            | Op::Spawn(_)
            | Op::Cancel(_) => {}
        }
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
