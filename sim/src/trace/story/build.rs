//! The pass that joins a trace: the producers' and the callers' side.

use std::collections::BTreeMap;

use rmq_producer::event::{Event, SendNumber, SnapshotNumber};
use rmq_remoting::event::Event as Transport;
use rmq_remoting::observe::Name;
use smallvec::SmallVec;

use super::{
    AttemptStory, BuiltStory, ConnectionStory, EndStory, HealthStory, Index, Life, LookupStory,
    Moment, Queues, SendStory, SnapshotStory, Story, Wire, WorkStory,
};
use crate::trace::{NodeId, Trace, What, WorkEvent};

/// A story in the making, and where to find its parts again.
pub(super) struct Builder<'t> {
    pub(super) story: Story<'t>,
    sends: BTreeMap<(NodeId, SendNumber), usize>,
    works: BTreeMap<&'t str, usize>,
    /// Where in the list of requests each broker's present incarnation begins.
    pub(super) incarnations: Vec<(NodeId, usize)>,
    /// The send looked up last: its events mostly come in a row.
    last: Option<(NodeId, SendNumber, usize)>,
}

pub(super) fn build(trace: &Trace) -> Story<'_> {
    let mut builder = Builder {
        story: Story::default(),
        sends: BTreeMap::new(),
        works: BTreeMap::new(),
        incarnations: Vec::new(),
        last: None,
    };
    for (at, record) in trace.records.iter().enumerate() {
        let moment = Moment { at, ms: record.ms };
        match &record.what {
            What::Producer(event) => builder.producer(record.node, moment, event),
            What::Broker(event) => builder.broker(record.node, moment, event),
            What::NameServer(event) => builder.name_server(record.node, moment, event),
            What::Work(event) => builder.work(record.node, moment, event),
            What::Engine(event) => builder.engine(moment, event),
            What::Fault(_) => {}
        }
    }
    builder.story.index = Index::of(&builder.story);
    builder.story
}

impl<'t> Builder<'t> {
    fn producer(&mut self, node: NodeId, moment: Moment, event: &'t Event) {
        match event {
            Event::Transport(event) => self.transport(node, moment, event),
            Event::Started { .. } => self.story.lives.push((node, Life::Started, moment)),
            Event::Stopping => self.story.lives.push((node, Life::Stopping, moment)),
            Event::Stopped => self.story.lives.push((node, Life::Stopped, moment)),
            Event::Call { .. } => self.call(node, moment, event),
            Event::NameServers { servers } => self.story.lists.push((node, moment, servers)),
            Event::Health {
                broker,
                for_ms,
                reason,
            } => self.story.health.push(HealthStory {
                node,
                moment,
                broker,
                for_ms: *for_ms,
                reason: *reason,
            }),
            Event::Lookup { .. }
            | Event::NameServerChosen { .. }
            | Event::LookupEnded { .. }
            | Event::Snapshot { .. } => self.route(node, moment, event),
            _ => self.of_send(node, moment, event),
        }
    }

    fn call(&mut self, node: NodeId, moment: Moment, event: &'t Event) {
        let Event::Call {
            send,
            topic,
            mode,
            timeout_ms,
            pinned,
        } = event
        else {
            return;
        };
        let index = self.story.sends.len();
        self.sends.insert((node, *send), index);
        self.last = Some((node, *send, index));
        self.story.sends.push(SendStory {
            node,
            number: *send,
            called: moment,
            topic,
            mode: *mode,
            timeout_ms: *timeout_ms,
            pinned: pinned.as_ref(),
            selected_from: None,
            built: None,
            attempts: SmallVec::new(),
            done: SmallVec::new(),
            cancelled: None,
            callbacks: SmallVec::new(),
            requests: SmallVec::new(),
        });
    }

    fn find(&mut self, node: NodeId, send: SendNumber) -> Option<usize> {
        if let Some((last_node, last_send, index)) = self.last
            && (last_node, last_send) == (node, send)
        {
            return Some(index);
        }
        let index = self.sends.get(&(node, send)).copied()?;
        self.last = Some((node, send, index));
        Some(index)
    }

    /// Events of one send.
    fn of_send(&mut self, node: NodeId, moment: Moment, event: &'t Event) {
        let send = match event {
            Event::Built { send, .. }
            | Event::Selected { send, .. }
            | Event::Attempt { send, .. }
            | Event::Requested { send, .. }
            | Event::Overtaken { send, .. }
            | Event::AttemptEnded { send, .. }
            | Event::Done { send, .. }
            | Event::Cancelled { send }
            | Event::Callback { send } => *send,
            _ => return,
        };
        let Some(index) = self.find(node, send) else {
            self.story.strays.push(moment);
            return;
        };
        match event {
            Event::Selected { snapshot, to, .. } => {
                self.story.sends[index].pinned = Some(to);
                self.story.sends[index].selected_from = self.snapshot(node, *snapshot);
            }
            Event::Attempt { .. } => self.attempt(index, moment, event),
            Event::Requested {
                number,
                connection,
                opaque,
                ..
            } => {
                self.requested(index, *number, moment, (*connection, *opaque));
            }
            _ => of_known_send(&mut self.story.sends[index], moment, event),
        }
    }

    /// A producer's route, by its number.
    fn snapshot(&self, node: NodeId, number: SnapshotNumber) -> Option<usize> {
        let mut snapshots = self.story.snapshots.iter();
        snapshots.rposition(|it| it.node == node && it.number == number)
    }

    fn attempt(&mut self, index: usize, moment: Moment, event: &'t Event) {
        let Event::Attempt {
            number,
            snapshot,
            to,
            address,
            budget_ms,
            avoided,
            ..
        } = event
        else {
            return;
        };
        let node = self.story.sends[index].node;
        let snapshot = self.snapshot(node, *snapshot);
        self.story.sends[index].attempts.push(AttemptStory {
            started: moment,
            number: *number,
            snapshot,
            to,
            address: address.as_ref(),
            budget_ms: *budget_ms,
            avoided,
            wires: SmallVec::new(),
            overtaken: None,
            tokens_left: None,
            ended: None,
            reply: None,
            late: None,
        });
    }

    fn requested(&mut self, send: usize, number: u32, moment: Moment, id: (u64, i32)) {
        let (connection, opaque) = id;
        let node = self.story.sends[send].node;
        let connection = self.connection(node, connection);
        let attempts = &mut self.story.sends[send].attempts;
        let Some(attempt) = attempts.iter().rposition(|it| it.number == number) else {
            self.story.strays.push(moment);
            return;
        };
        let wires = &mut attempts[attempt].wires;
        if let Some(connection) = connection {
            let given = (opaque, send, attempt, wires.len());
            self.story.connections[connection].given.push(given);
        }
        wires.push(Wire {
            moment,
            connection,
            opaque,
            seen: None,
        });
    }

    fn route(&mut self, node: NodeId, moment: Moment, event: &'t Event) {
        let find = |lookups: &[LookupStory<'_>], number: u64| {
            lookups
                .iter()
                .rposition(|it| it.node == node && it.number == number)
        };
        match event {
            Event::Lookup {
                lookup,
                topic,
                reason,
            } => self.story.lookups.push(LookupStory {
                node,
                number: *lookup,
                started: moment,
                topic,
                reason: *reason,
                servers: SmallVec::new(),
                ended: None,
            }),
            Event::NameServerChosen { lookup, server } => {
                if let Some(index) = find(&self.story.lookups, *lookup) {
                    self.story.lookups[index].servers.push((moment, server));
                }
            }
            Event::LookupEnded { lookup, end } => {
                if let Some(index) = find(&self.story.lookups, *lookup) {
                    self.story.lookups[index].ended = Some((moment, end));
                }
            }
            Event::Snapshot {
                snapshot,
                topic,
                lookup,
                queues,
                addresses,
            } => {
                let lookup = find(&self.story.lookups, *lookup);
                self.story.snapshots.push(SnapshotStory {
                    node,
                    number: *snapshot,
                    moment,
                    topic,
                    lookup,
                    queues: Queues::of(queues),
                    addresses,
                });
            }
            _ => {}
        }
    }

    fn connection(&self, node: NodeId, number: u64) -> Option<usize> {
        self.story
            .connections
            .iter()
            .rposition(|it| it.node == node && it.number == number)
    }

    fn transport(&mut self, node: NodeId, moment: Moment, event: &'t Transport) {
        if let Transport::Dial { connection, to } = event {
            self.story
                .connections
                .push(dialled(node, *connection, moment, to));
            return;
        }
        let (Transport::DialFailed { connection, .. }
        | Transport::Opened { connection, .. }
        | Transport::Closed { connection, .. }
        | Transport::Written { connection, .. }
        | Transport::Reply { connection, .. }
        | Transport::Late { connection, .. }
        | Transport::Dial { connection, .. }) = event;
        let Some(index) = self.connection(node, *connection) else {
            self.story.strays.push(moment);
            return;
        };
        let connection = &mut self.story.connections[index];
        match event {
            Transport::Dial { .. } => {}
            Transport::DialFailed { .. } => connection.failed = Some(moment),
            Transport::Opened { local, .. } => connection.opened = Some((moment, *local)),
            Transport::Closed { cause, .. } => connection.closed = Some((moment, *cause)),
            Transport::Written { opaque, .. } => connection.written.push((*opaque, moment)),
            Transport::Reply { opaque, code, .. } => {
                connection.answers.push((*opaque, moment, Some(*code)));
                if let Some(attempt) = self.given(index, *opaque) {
                    attempt.reply = Some((moment, *code));
                }
            }
            Transport::Late { opaque, .. } => {
                connection.answers.push((*opaque, moment, None));
                if let Some(attempt) = self.given(index, *opaque) {
                    attempt.late = attempt.late.or(Some(moment));
                }
            }
        }
    }

    /// The attempt that has an id on a connection.
    fn given(&mut self, connection: usize, opaque: i32) -> Option<&mut AttemptStory<'t>> {
        let given = &self.story.connections[connection].given;
        let (_, send, attempt, _) = *given.iter().rev().find(|it| it.0 == opaque)?;
        self.story.sends[send].attempts.get_mut(attempt)
    }

    fn work(&mut self, node: NodeId, moment: Moment, event: &'t WorkEvent) {
        match event {
            WorkEvent::Called {
                keys,
                topic,
                by,
                body_crc,
                ..
            } => {
                self.works.insert(&**keys, self.story.work.len());
                self.story.work.push(WorkStory {
                    node,
                    keys,
                    called: moment,
                    topic,
                    by: by.as_ref(),
                    body_crc: *body_crc,
                    returned: SmallVec::new(),
                    dropped: None,
                });
            }
            WorkEvent::Returned { keys, result } => match self.works.get(&**keys) {
                Some(index) => self.story.work[*index].returned.push((moment, result)),
                None => self.story.strays.push(moment),
            },
            WorkEvent::Dropped { keys } => {
                if let Some(index) = self.works.get(&**keys) {
                    self.story.work[*index].dropped = Some(moment);
                }
            }
            WorkEvent::StopCalled | WorkEvent::StopReturned | WorkEvent::Healed => {}
        }
    }
}

fn dialled(node: NodeId, number: u64, moment: Moment, to: &Name) -> ConnectionStory<'_> {
    ConnectionStory {
        node,
        number,
        dialled: moment,
        to,
        opened: None,
        failed: None,
        closed: None,
        torn: None,
        given: Vec::new(),
        answers: Vec::new(),
        written: Vec::new(),
    }
}

fn of_known_send<'t>(send: &mut SendStory<'t>, moment: Moment, event: &'t Event) {
    match event {
        Event::Built {
            key,
            body_len,
            body_crc,
            ..
        } => {
            let (body_len, body_crc) = (*body_len, *body_crc);
            send.built = Some(BuiltStory {
                moment,
                key,
                body_crc,
                body_len,
            });
        }
        Event::Overtaken {
            number,
            tokens_left,
            ..
        } => {
            if let Some(attempt) = send.attempts.iter_mut().find(|it| it.number == *number) {
                attempt.overtaken = Some(moment);
                attempt.tokens_left = Some(*tokens_left);
            }
        }
        Event::AttemptEnded {
            number,
            stage,
            code,
            ..
        } => {
            if let Some(attempt) = send.attempts.iter_mut().find(|it| it.number == *number) {
                let end = EndStory {
                    moment,
                    stage: *stage,
                    code: *code,
                };
                attempt.ended = attempt.ended.or(Some(end));
            }
        }
        Event::Done { outcome, .. } => send.done.push((moment, outcome)),
        Event::Cancelled { .. } => send.cancelled = send.cancelled.or(Some(moment)),
        Event::Callback { .. } => send.callbacks.push(moment),
        _ => {}
    }
}
