//! The pass that joins a trace: the producers' and the callers' side.

use std::collections::BTreeMap;

use rmq_producer::event::{Event, LookupNumber, SendNumber, SnapshotNumber};
use rmq_remoting::event::{ConnectionNumber, Event as Transport};
use rmq_remoting::observe::Name;
use smallvec::SmallVec;

use super::{
    AttemptHistory, AttemptRequest, BuiltMessage, ConnectionHistory, EndedAttempt, HealthHistory,
    History, HookedHistory, Index, LifeHistory, LookupHistory, ProducerKey, ProducerPhase,
    RouteQueues, SendHistory, SnapshotHistory, Timestamp, WorkHistory, presence,
};
use crate::trace::{NodeEvent, NodeId, Trace, TraceHeader, WorkEvent};

/// A history in the making, and where to find its parts again.
pub(super) struct Builder<'t> {
    pub(super) history: History<'t>,
    sends: BTreeMap<(NodeId, SendNumber), usize>,
    works: BTreeMap<&'t str, usize>,
    /// Where in the list of requests each broker's present incarnation begins.
    pub(super) incarnations: Vec<(NodeId, usize)>,
    /// Where the route requests of name servers' present incarnations are, by server and number.
    pub(super) asked: BTreeMap<(NodeId, u64), usize>,
    /// The send looked up last: its events mostly come in a row.
    last: Option<(NodeId, SendNumber, usize)>,
    /// The node that was called last, and the bytes of the body: the producer tells of the send next.
    body: Option<(NodeId, u32)>,
    header: &'t TraceHeader,
}

pub(super) fn build(trace: &Trace) -> History<'_> {
    let mut builder = Builder {
        history: History::default(),
        sends: BTreeMap::new(),
        works: BTreeMap::new(),
        incarnations: Vec::new(),
        asked: BTreeMap::new(),
        last: None,
        body: None,
        header: &trace.header,
    };
    for (at, record) in trace.records.iter().enumerate() {
        let timestamp = Timestamp { at, ms: record.ms };
        match &record.what {
            NodeEvent::Producer(event) => builder.producer(record.node, timestamp, event),
            NodeEvent::Broker(event) => builder.broker(record.node, timestamp, event),
            NodeEvent::NameServer(event) => builder.name_server(record.node, timestamp, event),
            NodeEvent::Work(event) => builder.work(record.node, timestamp, event),
            NodeEvent::Engine(event) => builder.engine(timestamp, event),
            NodeEvent::Fault(_) => {}
        }
    }
    presence::whose(&mut builder.history, &trace.header);
    builder.history.index = Index::of(&builder.history);
    builder.history
}

impl<'t> Builder<'t> {
    fn producer(&mut self, node: NodeId, timestamp: Timestamp, event: &'t Event) {
        match event {
            Event::Transport(event) => self.transport(node, timestamp, event),
            Event::Started { group } => {
                self.enters(timestamp, (node, Some(group)), ProducerPhase::Started);
            }
            Event::Stopping { group } => {
                self.enters(timestamp, (node, Some(group)), ProducerPhase::Stopping);
            }
            Event::Stopped { group } => {
                self.enters(timestamp, (node, Some(group)), ProducerPhase::Stopped);
            }
            Event::Call { .. } => self.call(node, timestamp, event),
            Event::NameServers { servers } => self.history.lists.push((node, timestamp, servers)),
            Event::Health {
                broker,
                for_ms,
                reason,
            } => self.history.health.push(HealthHistory {
                node,
                group: None,
                timestamp,
                broker,
                for_ms: *for_ms,
                reason: *reason,
            }),
            Event::Lookup { .. }
            | Event::NameServerChosen { .. }
            | Event::LookupEnded { .. }
            | Event::Snapshot { .. } => self.route(node, timestamp, event),
            _ => self.of_send(node, timestamp, event),
        }
    }

    fn enters(
        &mut self,
        timestamp: Timestamp,
        (node, group): ProducerKey<'t>,
        phase: ProducerPhase,
    ) {
        self.history.lives.push(LifeHistory {
            node,
            phase,
            timestamp,
            group,
        });
    }

    fn call(&mut self, node: NodeId, timestamp: Timestamp, event: &'t Event) {
        let Event::Call {
            send,
            group,
            topic,
            mode,
            timeout_ms,
            target_queue,
            unique_key,
        } = event
        else {
            return;
        };
        let index = self.history.sends.len();
        self.sends.insert((node, *send), index);
        self.last = Some((node, *send, index));
        let body = self.body.take_if(|(called, _)| *called == node);
        self.history.sends.push(SendHistory {
            node,
            group: self.header.is_shared(node).then_some(group),
            number: *send,
            called: timestamp,
            topic,
            mode: *mode,
            timeout_ms: *timeout_ms,
            target_queue: target_queue.as_ref(),
            own_key: unique_key.as_ref(),
            body_len: body.map(|(_, len)| len),
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
    fn of_send(&mut self, node: NodeId, timestamp: Timestamp, event: &'t Event) {
        let send = match event {
            Event::Built { send, .. }
            | Event::Selected { send, .. }
            | Event::Attempt { send, .. }
            | Event::Requested { send, .. }
            | Event::Hedged { send, .. }
            | Event::AttemptEnded { send, .. }
            | Event::Done { send, .. }
            | Event::Cancelled { send }
            | Event::Callback { send } => *send,
            // Nothing else is joined.
            _ => return,
        };
        let Some(index) = self.find(node, send) else {
            self.history.strays.push(timestamp);
            return;
        };
        match event {
            Event::Selected { snapshot, to, .. } => {
                self.history.sends[index].target_queue = Some(to);
                self.history.sends[index].selected_from = self.snapshot(node, *snapshot);
            }
            Event::Attempt { .. } => self.attempt(index, timestamp, event),
            Event::Requested {
                number,
                connection,
                opaque,
                ..
            } => {
                self.requested(index, *number, timestamp, (*connection, *opaque));
            }
            _ => {
                if !of_known_send(&mut self.history.sends[index], timestamp, event) {
                    self.history.strays.push(timestamp);
                }
            }
        }
    }

    /// A producer's route, by its number.
    fn snapshot(&self, node: NodeId, number: SnapshotNumber) -> Option<usize> {
        let mut snapshots = self.history.snapshots.iter();
        snapshots.rposition(|it| it.node == node && it.number == number)
    }

    fn attempt(&mut self, index: usize, timestamp: Timestamp, event: &'t Event) {
        let Event::Attempt {
            number,
            snapshot,
            to,
            address,
            timeout_ms,
            avoided,
            ..
        } = event
        else {
            return;
        };
        let node = self.history.sends[index].node;
        let snapshot = self.snapshot(node, *snapshot);
        self.history.sends[index].attempts.push(AttemptHistory {
            started: timestamp,
            number: *number,
            snapshot,
            to,
            address: address.as_ref(),
            timeout_ms: *timeout_ms,
            avoided,
            wires: SmallVec::new(),
            hedged: None,
            tokens_left: None,
            ended: None,
            reply: None,
            late: None,
        });
    }

    fn requested(
        &mut self,
        send: usize,
        number: u32,
        timestamp: Timestamp,
        id: (ConnectionNumber, i32),
    ) {
        let (connection, opaque) = id;
        let node = self.history.sends[send].node;
        let connection = self.connection(node, connection);
        let attempts = &mut self.history.sends[send].attempts;
        let Some(attempt) = attempts.iter().rposition(|it| it.number == number) else {
            self.history.strays.push(timestamp);
            return;
        };
        let wires = &mut attempts[attempt].wires;
        if let Some(connection) = connection {
            let given = (opaque, send, attempt, wires.len());
            self.history.connections[connection].given.push(given);
        }
        wires.push(AttemptRequest {
            timestamp,
            connection,
            opaque,
            seen: None,
        });
    }

    fn route(&mut self, node: NodeId, timestamp: Timestamp, event: &'t Event) {
        let find = |lookups: &[LookupHistory<'_>], number: LookupNumber| {
            lookups
                .iter()
                .rposition(|it| it.node == node && it.number == number)
        };
        match event {
            Event::Lookup {
                lookup,
                topic,
                reason,
            } => self.history.lookups.push(LookupHistory {
                node,
                number: *lookup,
                started: timestamp,
                topic,
                reason: *reason,
                servers: SmallVec::new(),
                ended: None,
            }),
            Event::NameServerChosen { lookup, server } => {
                match find(&self.history.lookups, *lookup) {
                    Some(index) => {
                        let lookup = &mut self.history.lookups[index];
                        lookup.servers.push((timestamp, server));
                    }
                    None => self.history.strays.push(timestamp),
                }
            }
            Event::LookupEnded { lookup, end } => match find(&self.history.lookups, *lookup) {
                Some(index) => self.history.lookups[index].ended = Some((timestamp, end)),
                None => self.history.strays.push(timestamp),
            },
            Event::Snapshot {
                snapshot,
                topic,
                lookup,
                queues,
                addresses,
            } => {
                let lookup = find(&self.history.lookups, *lookup);
                self.history.snapshots.push(SnapshotHistory {
                    node,
                    number: *snapshot,
                    timestamp,
                    topic,
                    lookup,
                    queues: RouteQueues::of(queues),
                    addresses,
                });
            }
            _ => {}
        }
    }

    fn connection(&self, node: NodeId, number: ConnectionNumber) -> Option<usize> {
        self.history
            .connections
            .iter()
            .rposition(|it| it.node == node && it.number == number)
    }

    fn transport(&mut self, node: NodeId, timestamp: Timestamp, event: &'t Transport) {
        if let Transport::Dial { connection, to } = event {
            self.history
                .connections
                .push(dialled(node, *connection, timestamp, to));
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
            self.history.strays.push(timestamp);
            return;
        };
        let connection = &mut self.history.connections[index];
        match event {
            Transport::Dial { .. } => {}
            Transport::DialFailed { .. } => connection.failed = Some(timestamp),
            Transport::Opened { local, .. } => connection.opened = Some((timestamp, *local)),
            Transport::Closed { cause, .. } => connection.closed = Some((timestamp, *cause)),
            Transport::Written { opaque, .. } => connection.written.push((*opaque, timestamp)),
            Transport::Reply { opaque, code, .. } => {
                connection.answers.push((*opaque, timestamp, Some(*code)));
                if let Some(attempt) = self.given(index, *opaque) {
                    attempt.reply = Some((timestamp, *code));
                }
            }
            Transport::Late { opaque, .. } => {
                connection.answers.push((*opaque, timestamp, None));
                if let Some(attempt) = self.given(index, *opaque) {
                    attempt.late = attempt.late.or(Some(timestamp));
                }
            }
        }
    }

    /// The attempt that has an id on a connection.
    fn given(&mut self, connection: usize, opaque: i32) -> Option<&mut AttemptHistory<'t>> {
        let given = &self.history.connections[connection].given;
        let (_, send, attempt, _) = *given.iter().rev().find(|it| it.0 == opaque)?;
        self.history.sends[send].attempts.get_mut(attempt)
    }

    fn work(&mut self, node: NodeId, timestamp: Timestamp, event: &'t WorkEvent) {
        match event {
            WorkEvent::Called {
                keys,
                topic,
                by,
                body_crc,
                body_len,
                timeout_ms,
                application_crc,
                own_id,
                queue_of,
                group,
                mode: _,
            } => {
                self.body = Some((node, *body_len));
                self.works.insert(&**keys, self.history.work.len());
                self.history.work.push(WorkHistory {
                    node,
                    group: group.as_ref(),
                    keys,
                    called: timestamp,
                    topic,
                    by: by.as_ref(),
                    body_crc: *body_crc,
                    timeout_ms: *timeout_ms,
                    application_crc: *application_crc,
                    own_id: own_id.as_ref(),
                    queue_of: queue_of.as_ref(),
                    returned: SmallVec::new(),
                    dropped: None,
                });
            }
            WorkEvent::Returned { keys, result } => match self.works.get(&**keys) {
                Some(index) => self.history.work[*index].returned.push((timestamp, result)),
                None => self.history.strays.push(timestamp),
            },
            WorkEvent::Dropped { keys } => match self.works.get(&**keys) {
                Some(index) => self.history.work[*index].dropped = Some(timestamp),
                None => self.history.strays.push(timestamp),
            },
            WorkEvent::HandleDropped { group } => {
                self.enters(timestamp, (node, group.as_ref()), ProducerPhase::Dropped);
            }
            WorkEvent::Hooked {
                unique_key,
                attempt,
                begins,
            } => self.history.hooked.push(HookedHistory {
                node,
                timestamp,
                unique_key,
                attempt: *attempt,
                begins: *begins,
            }),
            WorkEvent::ProcessEnded => self.process_ended(node, timestamp),
            WorkEvent::StopCalled { .. } | WorkEvent::StopReturned { .. } | WorkEvent::Healed => {}
        }
    }

    /// What was open in a process is gone with it, and nobody tells the end.
    fn process_ended(&mut self, node: NodeId, timestamp: Timestamp) {
        self.history.exits.push((node, timestamp));
        let sends = self.history.sends.iter_mut();
        for send in sends.filter(|it| it.node == node && it.done.is_empty()) {
            send.cancelled.get_or_insert(timestamp);
        }
        let mut lives = self.history.lives.iter().rev();
        let last = lives.find(|it| it.node == node);
        if last.is_some_and(|it| it.phase != ProducerPhase::Dropped) {
            self.enters(timestamp, (node, None), ProducerPhase::Dropped);
        }
    }
}

fn dialled(
    node: NodeId,
    number: ConnectionNumber,
    timestamp: Timestamp,
    to: &Name,
) -> ConnectionHistory<'_> {
    ConnectionHistory {
        node,
        number,
        dialled: timestamp,
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

/// Joins an event to its send. `false`: the attempt that it is about has not started.
fn of_known_send<'t>(send: &mut SendHistory<'t>, timestamp: Timestamp, event: &'t Event) -> bool {
    let attempt = |number: &u32| send.attempts.iter().position(|it| it.number == *number);
    match event {
        Event::Built {
            unique_key: key,
            body_len,
            body_crc,
            ..
        } => {
            let (body_len, body_crc) = (*body_len, *body_crc);
            send.built = Some(BuiltMessage {
                timestamp,
                unique_key: key,
                body_crc,
                body_len,
            });
        }
        Event::Hedged {
            number,
            tokens_left,
            ..
        } => {
            let Some(at) = attempt(number) else {
                return false;
            };
            send.attempts[at].hedged = Some(timestamp);
            send.attempts[at].tokens_left = Some(*tokens_left);
        }
        Event::AttemptEnded {
            number,
            stage,
            code,
            ..
        } => {
            let Some(at) = attempt(number) else {
                return false;
            };
            let end = EndedAttempt {
                timestamp,
                stage: *stage,
                code: *code,
            };
            send.attempts[at].ended = send.attempts[at].ended.or(Some(end));
        }
        Event::Done { outcome, .. } => send.done.push((timestamp, outcome)),
        Event::Cancelled { .. } => send.cancelled = send.cancelled.or(Some(timestamp)),
        Event::Callback { .. } => send.callbacks.push(timestamp),
        other => unreachable!("of no send, or joined elsewhere: {other:?}"),
    }
    true
}
