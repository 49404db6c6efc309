//! The pass that joins a trace: the servers' side, and the link from a request to its attempt.

use dst_engine::EngineEvent;
use rmq_mock_broker::event::{Event as BrokerEvent, SendSeen};
use rmq_mock_namesrv::event::Event as NameServerEvent;
use rmq_producer::event::Mode;
use rmq_remoting::code::request;

use super::build::Builder;
use super::{
    Asked, AttemptRequest, GoodbyeHistory, HeartbeatHistory, Master, RequestHistory, StoredMessage,
    TaskHistory, Timestamp, Width, WidthSource,
};
use crate::trace::NodeId;

impl<'t> Builder<'t> {
    /// What a broker hears of the producers of a client.
    fn presence(&mut self, node: NodeId, timestamp: Timestamp, event: &'t BrokerEvent) {
        match event {
            BrokerEvent::Received {
                code: request::HEART_BEAT,
                peer,
                opaque,
                ..
            } => self.history.heartbeats.push(HeartbeatHistory {
                broker: node,
                peer: *peer,
                opaque: *opaque,
                timestamp,
                groups: None,
            }),
            BrokerEvent::Received {
                code: request::UNREGISTER_CLIENT,
                peer,
                ..
            } => self.history.goodbyes.push(GoodbyeHistory {
                broker: node,
                peer: *peer,
                timestamp,
                group: None,
            }),
            // What the request says, right behind it.
            BrokerEvent::Heartbeat { groups, .. } => {
                let mut beats = self.history.heartbeats.iter_mut().rev();
                if let Some(beat) = beats.find(|it| it.broker == node) {
                    beat.groups = Some(groups);
                }
            }
            BrokerEvent::ProducerLeft { group, .. } => {
                let mut goodbyes = self.history.goodbyes.iter_mut().rev();
                if let Some(goodbye) = goodbyes.find(|it| it.broker == node) {
                    goodbye.group = group.as_ref();
                }
            }
            _ => {}
        }
    }

    pub(super) fn broker(&mut self, node: NodeId, timestamp: Timestamp, event: &'t BrokerEvent) {
        match event {
            BrokerEvent::Received {
                send: Some(seen), ..
            } => {
                self.received(node, timestamp, event, seen);
            }
            BrokerEvent::Received {
                code: request::HEART_BEAT | request::UNREGISTER_CLIENT,
                ..
            }
            | BrokerEvent::Heartbeat { .. }
            | BrokerEvent::ProducerLeft { .. } => self.presence(node, timestamp, event),
            BrokerEvent::Listening { .. } => {
                // Its requests are numbered anew.
                let first = self.history.requests.len();
                self.incarnations.retain(|(broker, _)| *broker != node);
                self.incarnations.push((node, first));
                self.history.boots.push((node, timestamp));
            }
            BrokerEvent::Ruled { request, rule } => {
                if let Some(it) = self.request(node, *request) {
                    it.ruled = Some(rule);
                }
            }
            BrokerEvent::Stored {
                request,
                queue,
                offset,
                unique_key: key,
                body_crc,
                ..
            } => {
                let (queue, offset, body_crc) = (*queue, *offset, *body_crc);
                if let Some(it) = self.request(node, *request) {
                    it.stored = Some(StoredMessage {
                        timestamp,
                        queue,
                        offset,
                        unique_key: key,
                        body_crc,
                    });
                }
            }
            BrokerEvent::Ended { request, ending } => {
                if let Some(it) = self.request(node, *request) {
                    it.ended = Some((timestamp, *ending));
                }
            }
            BrokerEvent::TopicCreated {
                topic,
                write_queues,
                ..
            } => {
                let source = WidthSource::Broker(node, *write_queues);
                self.history.widths.push(Width {
                    topic,
                    timestamp,
                    source,
                });
            }
            _ => {}
        }
    }

    fn received(
        &mut self,
        broker: NodeId,
        timestamp: Timestamp,
        event: &'t BrokerEvent,
        seen: &'t SendSeen,
    ) {
        let BrokerEvent::Received {
            request,
            peer,
            code,
            opaque,
            oneway,
            ..
        } = event
        else {
            return;
        };
        let index = self.history.requests.len();
        let attempt = self.attempt_of(*peer, *opaque, index);
        let send = seen
            .unique_key
            .as_deref()
            .and_then(|key| self.send_of(key, attempt));
        if let Some(send) = send {
            self.history.sends[send].requests.push(index);
        }
        let attempt = attempt.or_else(|| self.one_way(send?, *opaque, (index, timestamp)));
        self.history.requests.push(RequestHistory {
            broker,
            number: *request,
            received: timestamp,
            peer: *peer,
            code: *code,
            opaque: *opaque,
            oneway: *oneway,
            seen,
            ruled: None,
            stored: None,
            ended: None,
            attempt,
            send,
        });
    }

    /// The attempt whose id this is, by connection and opaque; it learns which request it made.
    fn attempt_of(
        &mut self,
        peer: std::net::SocketAddr,
        opaque: i32,
        request: usize,
    ) -> Option<(usize, usize)> {
        let connection = self.history.connection_from(peer)?;
        let given = &self.history.connections[connection].given;
        let (_, send, attempt, wire) = *given.iter().rev().find(|it| it.0 == opaque)?;
        let wires = &mut self.history.sends[send].attempts[attempt].wires;
        wires[wire].seen = Some(request);
        Some((send, attempt))
    }

    /// The attempt of a one-way send, which waits for no answer and so knows no id: its only one.
    fn one_way(
        &mut self,
        send: usize,
        opaque: i32,
        (request, timestamp): (usize, Timestamp),
    ) -> Option<(usize, usize)> {
        let history = &mut self.history.sends[send];
        let [attempt] = &mut history.attempts[..] else {
            return None;
        };
        if history.mode != Mode::Oneway || !attempt.wires.is_empty() {
            return None;
        }
        attempt.wires.push(AttemptRequest {
            timestamp,
            connection: None,
            opaque,
            seen: Some(request),
        });
        Some((send, 0))
    }

    /// The send with a unique key: almost always that of the attempt.
    fn send_of(&self, key: &str, attempt: Option<(usize, usize)>) -> Option<usize> {
        let has_key = |index: &usize| {
            self.history.sends[*index]
                .built
                .is_some_and(|built| **built.unique_key == *key)
        };
        attempt
            .map(|(send, _)| send)
            .filter(has_key)
            .or_else(|| (0..self.history.sends.len()).rev().find(has_key))
    }

    /// A send request of a broker's present incarnation.
    fn request(&mut self, node: NodeId, number: u64) -> Option<&mut RequestHistory<'t>> {
        let first = self.incarnations.iter().find(|(broker, _)| *broker == node);
        let first = first.map_or(0, |(_, first)| *first);
        self.history.requests[first..]
            .iter_mut()
            .rev()
            .filter(|it| it.broker == node)
            // Numbers rise within an incarnation: a smaller one ends the search.
            .take_while(|it| it.number >= number)
            .find(|it| it.number == number)
    }

    /// Tasks that run, and how each side of a connection ended.
    pub(super) fn engine(&mut self, timestamp: Timestamp, event: &EngineEvent) {
        match event {
            EngineEvent::TaskOn { node, number, name } => self.history.tasks.push(TaskHistory {
                node: *node,
                number: *number,
                name,
                started: timestamp,
                ended: None,
            }),
            EngineEvent::TaskOff { node, number, .. } => {
                let mut tasks = self.history.tasks.iter_mut().rev();
                if let Some(task) = tasks.find(|it| (it.node, it.number) == (*node, *number)) {
                    task.ended = Some(timestamp);
                }
            }
            EngineEvent::Closed { local, .. } => {
                if let Some(index) = self.history.connection_from(*local) {
                    self.history.connections[index].torn = Some(timestamp);
                }
            }
            _ => {}
        }
    }

    pub(super) fn name_server(
        &mut self,
        node: NodeId,
        timestamp: Timestamp,
        event: &'t NameServerEvent,
    ) {
        match event {
            NameServerEvent::Received {
                request,
                peer,
                topic: Some(topic),
                code,
                opaque,
            } if *code == request::GET_ROUTEINFO_BY_TOPIC => {
                self.asked
                    .insert((node, *request), self.history.asked.len());
                self.history.asked.push(Asked {
                    server: node,
                    peer: *peer,
                    timestamp,
                    topic,
                    opaque: *opaque,
                    ruled: None,
                    answered: None,
                });
            }
            NameServerEvent::Ruled { request, rule } => {
                if let Some(index) = self.asked.get(&(node, *request)) {
                    self.history.asked[*index].ruled = Some(rule);
                }
            }
            NameServerEvent::Answered { request, code } => {
                if let Some(index) = self.asked.remove(&(node, *request)) {
                    self.history.asked[index].answered = Some((timestamp, *code));
                }
            }
            NameServerEvent::BrokerAdded {
                broker,
                id,
                address,
            } => self.history.masters.push(Master {
                server: node,
                timestamp,
                broker,
                address,
                is_master: *id == 0,
            }),
            NameServerEvent::BrokerRemoved {
                broker, address, ..
            } => self.history.masters.push(Master {
                server: node,
                timestamp,
                broker,
                address,
                is_master: false,
            }),
            NameServerEvent::Listening { .. } => {
                // Its requests are numbered anew.
                self.asked.retain(|(server, _), _| *server != node);
                self.history.boots.push((node, timestamp));
            }
            NameServerEvent::RouteChanged {
                topic,
                write_queues,
            } => {
                let source = WidthSource::Route(node, write_queues);
                self.history.widths.push(Width {
                    topic,
                    timestamp,
                    source,
                });
            }
            _ => {}
        }
    }
}
