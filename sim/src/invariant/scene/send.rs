//! What happens to one send, step by step: its call, its attempts, what brokers do, its end.

use rmq_mock_broker::event::{Ending, Event as BrokerEvent, SendSeen};
use rmq_producer::event::{Event, Failure, Mode, Outcome, QueueRef, SendNumber, Stage};
use rmq_remoting::code::request;
use rmq_remoting::event::Event as Transport;
use rmq_remoting::observe::Name;

use super::{BODY_CRC, OnWire, Scene, TIMEOUT, TOPIC, WALL_CLOCK_MS, connection_to, key, queue};
use crate::trace::{NodeEvent, WorkEvent};

impl Scene {
    /// A sync send is called and its message built.
    pub(crate) fn call(self, send: u64) -> Self {
        self.call_in(send, Mode::Sync)
    }

    /// The same, by a caller that names the message: `s1` for send 1.
    pub(crate) fn named_call(self, send: u64) -> Self {
        let called = WorkEvent::Called {
            keys: format!("s{send}").into(),
            topic: TOPIC.into(),
            mode: Mode::Sync,
            by: None,
            body_crc: BODY_CRC,
            body_len: 16,
            group: None,
            timeout_ms: None,
            application_crc: 0,
            own_id: None,
            queue_of: None,
        };
        self.work(called).call(send)
    }

    /// A send of some mode is called and its message built.
    pub(crate) fn call_in(self, send: u64, mode: Mode) -> Self {
        self.call_to(send, mode, None)
    }

    /// A send is called, perhaps with a queue of the caller's choice.
    pub(crate) fn call_to(self, send: u64, mode: Mode, target_queue: Option<&str>) -> Self {
        let (topic, key) = (TOPIC.into(), key(self.who, send));
        let target_queue = target_queue.map(queue);
        let (send, group) = (send.into(), Name::clone(&self.group));
        self.say(Event::Call {
            send,
            group,
            topic,
            mode,
            timeout_ms: TIMEOUT,
            target_queue,
            unique_key: None,
        })
        .say(Event::Built {
            send,
            unique_key: key,
            body_len: 5,
            body_crc: BODY_CRC,
        })
    }

    /// An attempt starts by the route 1, gets an id on the broker's connection and is written.
    pub(crate) fn attempt(self, send: u64, number: u32, to: &str) -> Self {
        let to = queue(to);
        let connection = connection_to(&to);
        self.attempt_by(send, number, to, 1)
            .request(send, number, connection)
    }

    /// An attempt starts by some route; nothing is written yet.
    pub(crate) fn attempt_by(
        mut self,
        send: u64,
        number: u32,
        to: QueueRef,
        snapshot: u64,
    ) -> Self {
        let on_wire = OnWire {
            connection: 0.into(),
            opaque: 0,
            to: to.clone(),
            request: None,
            offset: None,
        };
        let send = send.into();
        self.wires.insert((self.who, send, number), on_wire);
        let address = Some(self.address_of(&to.broker));
        self.say(Event::Attempt {
            send,
            number,
            snapshot: snapshot.into(),
            to,
            address,
            timeout_ms: 1000,
            avoided: vec![],
        })
    }

    /// An attempt that is wrong starts and is written.
    pub(crate) fn attempt_marked(self, send: u64, number: u32, to: &str) -> Self {
        let to = queue(to);
        let connection = connection_to(&to);
        self.attempt_by(send, number, to, 1)
            .wrong()
            .request(send, number, connection)
    }

    /// The attempt's request gets the next id on a connection and is written.
    pub(crate) fn request(mut self, send: u64, number: u32, connection: u64) -> Self {
        self.next_opaque += 1;
        let opaque = self.next_opaque;
        let (send, connection) = (send.into(), connection.into());
        let on_wire = self
            .wires
            .get_mut(&(self.who, send, number))
            .expect("an attempt");
        (on_wire.connection, on_wire.opaque) = (connection, opaque);
        self.say(Event::Requested {
            send,
            number,
            connection,
            opaque,
        })
        .say(Event::Transport(Transport::Written { connection, opaque }))
    }

    fn wire(&self, send: u64, number: u32) -> OnWire {
        self.wires[&(self.who, send.into(), number)].clone()
    }

    /// The broker reads the attempt's request.
    pub(crate) fn seen(self, send: u64, number: u32) -> Self {
        let broker = self.wire(send, number).to.broker;
        self.seen_at(send, number, &broker)
    }

    /// A broker, perhaps another one, reads the attempt's request.
    pub(crate) fn seen_at(mut self, send: u64, number: u32, broker: &str) -> Self {
        self.next_request += 1;
        let request = self.next_request;
        let on_wire = self
            .wires
            .get_mut(&(self.who, send.into(), number))
            .expect("an attempt");
        on_wire.request = Some(request);
        let on_wire = on_wire.clone();
        let seen = SendSeen {
            topic: TOPIC.into(),
            queue: on_wire.to.queue,
            broker_name: Some(Name::clone(&on_wire.to.broker)),
            unique_key: Some(key(self.who, send)),
            keys: None,
            namespace: None,
            delay: None,
            nth_of_key: 1,
            sys_flag: 0,
            born_ms: self.built_ms(send),
            body_len: 5,
            body_crc: BODY_CRC,
            metadata_crc: 7,
            application_crc: 0,
        };
        let event = BrokerEvent::Received {
            request,
            peer: self.local(on_wire.connection),
            code: request::SEND_MESSAGE_V2,
            opaque: on_wire.opaque,
            oneway: false,
            send: Some(seen),
        };
        self.broker(broker, event)
    }

    /// What the producer's wall clock said when it built the message.
    fn built_ms(&self, send: u64) -> i64 {
        let built = self.trace.records.iter().rev().find(|record| {
            let of_send = matches!(
                &record.what,
                NodeEvent::Producer(Event::Built { send: it, .. }) if *it == SendNumber::from(send)
            );
            of_send && record.node == self.who
        });
        WALL_CLOCK_MS + built.map_or(0, |record| record.ms as i64)
    }

    /// The broker reads the attempt's request, and it carries something else.
    pub(crate) fn seen_with(
        self,
        send: u64,
        number: u32,
        change: impl FnOnce(&mut SendSeen),
    ) -> Self {
        self.seen(send, number).change(|what| {
            if let NodeEvent::Broker(BrokerEvent::Received {
                send: Some(seen), ..
            }) = what
            {
                change(seen);
            }
        })
    }

    /// The broker stores the attempt's message.
    pub(crate) fn stored(mut self, send: u64, number: u32) -> Self {
        let to = self.wire(send, number).to;
        let next = self
            .next_offset
            .entry((Name::clone(&to.broker), to.queue))
            .or_default();
        let offset = *next;
        *next += 1;
        let on_wire = self
            .wires
            .get_mut(&(self.who, send.into(), number))
            .expect("an attempt");
        on_wire.offset = Some(offset);
        let event = BrokerEvent::Stored {
            request: on_wire.request.expect("a request the broker has seen"),
            topic: TOPIC.into(),
            queue: to.queue,
            offset,
            unique_key: key(self.who, send),
            body_crc: BODY_CRC,
        };
        self.broker(&to.broker, event)
    }

    /// The broker answers the attempt's request.
    pub(crate) fn answered(self, send: u64, number: u32, code: i32) -> Self {
        let on_wire = self.wire(send, number);
        let request = on_wire.request.expect("a request the broker has seen");
        let ending = Ending::Answered { code };
        self.broker(&on_wire.to.broker, BrokerEvent::Ended { request, ending })
    }

    /// The answer completes the attempt's request.
    pub(crate) fn reply(self, send: u64, number: u32, code: i32) -> Self {
        let OnWire {
            connection, opaque, ..
        } = self.wire(send, number);
        self.say(Event::Transport(Transport::Reply {
            connection,
            opaque,
            code,
        }))
    }

    /// The answer finds the attempt's request gone.
    pub(crate) fn late(self, send: u64, number: u32) -> Self {
        let OnWire {
            connection, opaque, ..
        } = self.wire(send, number);
        self.say(Event::Transport(Transport::Late { connection, opaque }))
    }

    /// The attempt is hedged.
    pub(crate) fn hedged(self, send: u64, number: u32) -> Self {
        self.say(Event::Hedged {
            send: send.into(),
            number,
            tokens_left: 190,
        })
    }

    /// The producer tells that an attempt ended at a stage, with the code of a broker's answer if
    /// any.
    pub(crate) fn ended(
        self,
        send: u64,
        number: u32,
        stage: Stage,
        code: impl Into<Option<i32>>,
    ) -> Self {
        self.say(Event::AttemptEnded {
            send: send.into(),
            number,
            stage,
            code: code.into(),
            after_ms: 0,
        })
    }

    /// The send succeeds by this attempt.
    pub(crate) fn sent(self, send: u64, number: u32) -> Self {
        let OnWire { to: at, offset, .. } = self.wire(send, number);
        let offset = offset.unwrap_or(0);
        let outcome = Outcome::Sent {
            attempt: number,
            at,
            offset,
            code: 0,
        };
        self.say(Event::Done {
            send: send.into(),
            outcome,
            after_ms: 0,
        })
    }

    /// The producer tells that a send failed, and of which class the error is.
    pub(crate) fn failed(self, send: u64, failure: Failure) -> Self {
        self.say(Event::Done {
            send: send.into(),
            outcome: Outcome::Failed(failure),
            after_ms: 0,
        })
    }

    /// The broker reads, stores and answers; the attempt and its send succeed, 4 ms later.
    pub(crate) fn succeeds(mut self, send: u64, number: u32) -> Self {
        self.now += 2;
        let mut scene = self
            .seen(send, number)
            .stored(send, number)
            .answered(send, number, 0);
        scene.now += 2;
        scene
            .reply(send, number, 0)
            .ended(send, number, Stage::Accepted, 0)
            .sent(send, number)
    }

    /// The broker refuses the attempt, which ends it 4 ms later.
    pub(crate) fn refused(mut self, send: u64, number: u32, code: i32) -> Self {
        self.now += 2;
        let mut scene = self.seen(send, number).answered(send, number, code);
        scene.now += 2;
        scene
            .reply(send, number, code)
            .ended(send, number, Stage::Refused, code)
    }

    /// A whole send that succeeds at once.
    pub(crate) fn whole(self, send: u64, to: &str) -> Self {
        self.call(send).attempt(send, 1, to).succeeds(send, 1)
    }
}
