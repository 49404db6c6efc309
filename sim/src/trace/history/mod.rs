//! A trace, joined: each send with its attempts, the requests that brokers saw and what was stored.
//!
//! Records stand in the order things happened, mixed over all nodes. Checkers and views think in sends, lookups
//! and connections. The joining is made here, in one pass: connection = the pair of addresses, request =
//! (connection, opaque), message = unique key. Only references are copied, and nothing is checked.

use std::net::SocketAddr;

use rmq_mock_broker::event::{Ending, SendSeen};
use rmq_producer::event::{
    LookupEnd, LookupNumber, LookupReason, Mode, Outcome, QueueRef, SendNumber, SnapshotNumber,
    Stage,
};
use rmq_remoting::event::{CloseCause, ConnectionNumber};
use rmq_remoting::observe::Name;
use smallvec::SmallVec;

use super::record::{NodeId, Trace, WorkResult};
use super::work;

mod asked;
mod build;
mod index;
mod presence;
mod route;
mod servers;

pub(crate) use asked::Asked;
pub(crate) use index::Index;
pub(crate) use presence::{
    GoodbyeHistory, HeartbeatHistory, LifeHistory, ProducerKey, ProducerPhase,
};
pub(crate) use route::RouteQueues;

/// A place in the trace: the record's index and its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp {
    /// The index of the record.
    pub at: usize,
    /// Virtual milliseconds from the start of the run to the record.
    pub ms: u64,
}

/// Everything that belongs together in a trace.
#[derive(Debug, Default)]
pub struct History<'t> {
    /// Sends, in the order of the calls.
    pub sends: Vec<SendHistory<'t>>,
    /// Send requests as the brokers read them, in order of arrival.
    pub requests: Vec<RequestHistory<'t>>,
    /// Routes as producers published them.
    pub snapshots: Vec<SnapshotHistory<'t>>,
    /// Route lookups of producers, in the order of their starts.
    pub lookups: Vec<LookupHistory<'t>>,
    /// Connections of producers, in the order of their dials.
    pub connections: Vec<ConnectionHistory<'t>>,
    /// What callers did and got.
    pub work: Vec<WorkHistory<'t>>,
    /// What send hooks heard of attempts.
    pub hooked: Vec<HookedHistory<'t>>,
    /// Heartbeats as the brokers read them.
    pub heartbeats: Vec<HeartbeatHistory<'t>>,
    /// Producers that say goodbye, as the brokers read it.
    pub goodbyes: Vec<GoodbyeHistory<'t>>,
    /// Route requests as the name servers read them.
    pub asked: Vec<Asked<'t>>,
    /// News of write queues, of every topic.
    pub widths: Vec<Width<'t>>,
    /// Brokers' addresses as name servers learn and forget them.
    pub masters: Vec<Master<'t>>,
    /// Sends ended that no call started, and attempts of such sends.
    pub strays: Vec<Timestamp>,
    /// Tasks of nodes, as the engine runs them.
    pub tasks: Vec<TaskHistory>,
    /// Brokers that producers avoid from some moment on.
    pub health: Vec<HealthHistory<'t>>,
    /// Lists of name servers, as they came into force.
    pub lists: Vec<(NodeId, Timestamp, &'t [Name])>,
    /// Servers that begin to listen: at first, and after each restart.
    pub boots: Vec<(NodeId, Timestamp)>,
    /// The turns in the lives of producers.
    pub lives: Vec<LifeHistory<'t>>,
    /// Ends of the processes of nodes that a check's own code added.
    pub exits: Vec<(NodeId, Timestamp)>,
    /// Where to find some of all this again.
    pub index: Index<'t>,
}

/// A send as its producer tells it, with its attempts and the requests that brokers read.
#[derive(Debug)]
pub struct SendHistory<'t> {
    /// The node whose producer sends it.
    pub node: NodeId,
    /// The group of the producer, where several share the client of the node.
    pub group: Option<&'t Name>,
    /// The number of the send at its client, from 1 in the order of the calls.
    pub number: SendNumber,
    /// The unique key that the program gave the message; none: it left that to the producer.
    pub own_key: Option<&'t Name>,
    /// When the send was called, by the producer's event.
    pub called: Timestamp,
    /// The topic that the message goes to.
    pub topic: &'t Name,
    /// Whether the caller waits, is called back, or wants no answer.
    pub mode: Mode,
    /// The time that the whole send may take, in milliseconds from its call.
    pub timeout_ms: u64,
    /// The queue the caller chose, itself or by a selector.
    pub target_queue: Option<&'t QueueRef>,
    /// The bytes of the body that the caller gave; none if the caller told nothing.
    pub body_len: Option<u32>,
    /// The route a selector chose from: an index into [`History::snapshots`].
    pub selected_from: Option<usize>,
    /// The message once it was built.
    pub built: Option<BuiltMessage<'t>>,
    /// Its attempts, in the order they started.
    pub attempts: SmallVec<[AttemptHistory<'t>; 1]>,
    /// Every `Done`; more than one is a fault of the producer.
    pub done: SmallVec<[(Timestamp, &'t Outcome); 1]>,
    /// When the caller dropped it.
    pub cancelled: Option<Timestamp>,
    /// Every return of its callback.
    pub callbacks: SmallVec<[Timestamp; 1]>,
    /// The requests with its unique key that brokers read: indexes into [`History::requests`].
    pub requests: SmallVec<[usize; 1]>,
}

impl<'t> SendHistory<'t> {
    /// The producer whose send it is.
    pub fn producer(&self) -> ProducerKey<'t> {
        (self.node, self.group)
    }

    /// When its whole time is used up.
    pub fn deadline_ms(&self) -> u64 {
        self.called.ms.saturating_add(self.timeout_ms)
    }

    /// When it was over: its first `Done`, or its cancellation.
    pub fn over(&self) -> Option<Timestamp> {
        let done = self.done.first().map(|(timestamp, _)| *timestamp);
        match (done, self.cancelled) {
            (Some(done), Some(cancelled)) => Some(done.min(cancelled)),
            (done, cancelled) => done.or(cancelled),
        }
    }

    /// The outcome that the send ended with first; absent while it is open, or if it was cancelled.
    pub fn outcome(&self) -> Option<&Outcome> {
        self.done.first().map(|(_, outcome)| *outcome)
    }
}

/// A message as it was built.
#[derive(Debug, Clone, Copy)]
pub struct BuiltMessage<'t> {
    /// When the producer told that the message is built.
    pub timestamp: Timestamp,
    /// The unique key that the producer gave the message.
    pub unique_key: &'t Name,
    /// CRC-32 of the caller's body.
    pub body_crc: u32,
    /// The bytes of the caller's body.
    pub body_len: u32,
}

/// An attempt of a send, with the request that a broker saw.
#[derive(Debug)]
pub struct AttemptHistory<'t> {
    /// When the attempt started.
    pub started: Timestamp,
    /// Its number within the send, from 1.
    pub number: u32,
    /// The route it was chosen from: an index into [`History::snapshots`].
    pub snapshot: Option<usize>,
    /// The broker and the queue that the attempt goes to.
    pub to: &'t QueueRef,
    /// The address of the broker, as the producer knew it; absent if it knew none.
    pub address: Option<&'t Name>,
    /// How long the attempt may take before the next one starts, in milliseconds.
    pub timeout_ms: u64,
    /// The brokers that the choice of its queue avoided.
    pub avoided: &'t [Name],
    /// The requests it wrote: more than one only after a drain notice.
    pub wires: SmallVec<[AttemptRequest; 1]>,
    /// When its timeout passed and it was hedged; absent if it was not.
    pub hedged: Option<Timestamp>,
    /// What the hedging budget had left then, in tenths of a token; absent if it was not hedged.
    pub tokens_left: Option<u32>,
    /// How the attempt ended; absent if it was open at the end of the trace.
    pub ended: Option<EndedAttempt>,
    /// When an answer completed its request, with the response code; absent if none did.
    pub reply: Option<(Timestamp, i32)>,
    /// When an answer came after its request had left the table; absent if none did.
    pub late: Option<Timestamp>,
}

impl AttemptHistory<'_> {
    /// The request the broker read, as an index into [`History::requests`].
    pub fn seen(&self) -> Option<usize> {
        self.wires.iter().rev().find_map(|wire| wire.seen)
    }

    /// Whether it was open at a moment: started, and not ended before it.
    pub fn open_at(&self, timestamp: Timestamp, over: Option<Timestamp>) -> bool {
        let end = self
            .ended
            .map(|end| end.timestamp)
            .into_iter()
            .chain(over)
            .min();
        self.started < timestamp && end.is_none_or(|end| end > timestamp)
    }
}

/// A request of an attempt.
#[derive(Debug, Clone, Copy)]
pub struct AttemptRequest {
    /// When it got its id.
    pub timestamp: Timestamp,
    /// The connection: an index into [`History::connections`].
    pub connection: Option<usize>,
    /// The opaque of the request on its connection.
    pub opaque: i32,
    /// What the broker saw: an index into [`History::requests`].
    pub seen: Option<usize>,
}

/// The end of an attempt.
#[derive(Debug, Clone, Copy)]
pub struct EndedAttempt {
    /// When the attempt ended.
    pub timestamp: Timestamp,
    /// The stage at which the attempt ended.
    pub stage: Stage,
    /// The response code, where a broker answered.
    pub code: Option<i32>,
}

/// A send request as a broker saw it.
#[derive(Debug)]
pub struct RequestHistory<'t> {
    /// The broker that read the request.
    pub broker: NodeId,
    /// The number that the broker gave it, counted anew by each incarnation of the broker.
    pub number: u64,
    /// When the broker read it.
    pub received: Timestamp,
    /// The address of the client's end of the connection.
    pub peer: SocketAddr,
    /// The request code, one of those that carry a message.
    pub code: i32,
    /// The opaque, as the broker read it.
    pub opaque: i32,
    /// Whether the request asks for no answer.
    pub oneway: bool,
    /// The message and the fields of the header, as the broker read them.
    pub seen: &'t SendSeen,
    /// The name of the rule that a server applied to it; absent if none did.
    pub ruled: Option<&'t Name>,
    /// The message that the broker stored for it; absent if it stored none.
    pub stored: Option<StoredMessage<'t>>,
    /// When and how it left the broker; absent if the broker died before.
    pub ended: Option<(Timestamp, Ending)>,
    /// The send and the attempt (indexes), joined by connection and id.
    pub attempt: Option<(usize, usize)>,
    /// The send (an index), joined by the unique key.
    pub send: Option<usize>,
}

/// A message that a broker stored.
#[derive(Debug, Clone, Copy)]
pub struct StoredMessage<'t> {
    /// When the broker stored the message.
    pub timestamp: Timestamp,
    /// The id of the queue that the message is stored in.
    pub queue: i32,
    /// Its position in the queue.
    pub offset: i64,
    /// The unique key of the message.
    pub unique_key: &'t Name,
    /// CRC-32 of the stored body; zero if it is compressed.
    pub body_crc: u32,
}

/// A route that a producer published.
#[derive(Debug)]
pub struct SnapshotHistory<'t> {
    /// The producer that published the route.
    pub node: NodeId,
    /// The number of the snapshot at its producer.
    pub number: SnapshotNumber,
    /// When the producer published the route.
    pub timestamp: Timestamp,
    /// The topic that the route is for.
    pub topic: &'t Name,
    /// The lookup it came from: an index into [`History::lookups`].
    pub lookup: Option<usize>,
    /// The writable queues, in the order of the route.
    pub queues: RouteQueues<'t>,
    /// The name and the address of each broker's master.
    pub addresses: &'t [(Name, Name)],
}

/// A route lookup of a producer, with the name servers that it asked.
#[derive(Debug)]
pub struct LookupHistory<'t> {
    /// The producer that looks up the route.
    pub node: NodeId,
    /// The number of the lookup at its producer.
    pub number: LookupNumber,
    /// When the lookup started.
    pub started: Timestamp,
    /// The topic whose route is looked up.
    pub topic: &'t Name,
    /// Why the producer looked up the route.
    pub reason: LookupReason,
    /// The name servers asked, in order.
    pub servers: SmallVec<[(Timestamp, &'t Name); 1]>,
    /// When and how the lookup ended; absent if it was open at the end of the trace.
    pub ended: Option<(Timestamp, &'t LookupEnd)>,
}

/// A connection of a producer, from its dial.
#[derive(Debug)]
pub struct ConnectionHistory<'t> {
    /// The producer that dialled.
    pub node: NodeId,
    /// The number of the connection at its producer.
    pub number: ConnectionNumber,
    /// When the producer began to dial.
    pub dialled: Timestamp,
    /// The address that was dialled.
    pub to: &'t Name,
    /// When it opened, and this end's address.
    pub opened: Option<(Timestamp, SocketAddr)>,
    /// When the dial failed; absent if it did not.
    pub failed: Option<Timestamp>,
    /// When it closed, and why.
    pub closed: Option<(Timestamp, CloseCause)>,
    /// When the engine saw this end go.
    pub torn: Option<Timestamp>,
    /// Ids given on it: opaque, send, attempt, wire (indexes).
    pub given: Vec<(i32, usize, usize, usize)>,
    /// Answers on it that completed a request or matched none: opaque, when, code if it completed.
    pub answers: Vec<(i32, Timestamp, Option<i32>)>,
    /// Requests written on it: opaque, and when.
    pub written: Vec<(i32, Timestamp)>,
}

impl ConnectionHistory<'_> {
    /// When it ended: by what the producer says, and by what the engine saw of this end.
    pub fn ends(&self) -> impl Iterator<Item = Timestamp> + use<> {
        let closed = self.closed.map(|(closed, _)| closed);
        closed.into_iter().chain(self.torn)
    }
}

/// A broker is avoided by a producer.
#[derive(Debug, Clone, Copy)]
pub struct HealthHistory<'t> {
    /// The node of the producer that avoids the broker.
    pub node: NodeId,
    /// The group of the producer, where several share the client of the node.
    pub group: Option<&'t Name>,
    /// The moment from which the broker is avoided.
    pub timestamp: Timestamp,
    /// The name of the broker.
    pub broker: &'t Name,
    /// How long the broker is avoided, in milliseconds from `timestamp` on.
    pub for_ms: u64,
    /// The stage of the attempt that made the producer avoid it.
    pub reason: Stage,
}

impl<'t> HealthHistory<'t> {
    /// The producer that avoids the broker.
    pub fn producer(&self) -> ProducerKey<'t> {
        (self.node, self.group)
    }
}

/// A task of a node.
#[derive(Debug, Clone, Copy)]
pub struct TaskHistory {
    /// The node whose task it is.
    pub node: NodeId,
    /// Its number in the run.
    pub number: u64,
    /// The name that the task was spawned with.
    pub name: &'static str,
    /// When the task was spawned.
    pub started: Timestamp,
    /// When the task ended; absent if it lived at the end of the trace.
    pub ended: Option<Timestamp>,
}

/// A send as its caller saw it.
#[derive(Debug)]
pub struct WorkHistory<'t> {
    /// The node whose producer was called.
    pub node: NodeId,
    /// The group of the producer, where several share the client of the node.
    pub group: Option<&'t Name>,
    /// The `KEYS` of the message, which are unique in the run.
    pub keys: &'t Name,
    /// When the caller called the producer.
    pub called: Timestamp,
    /// The topic that the message goes to.
    pub topic: &'t Name,
    /// The key whose hash chooses the queue.
    pub by: Option<&'t Name>,
    /// CRC-32 of the body.
    pub body_crc: u32,
    /// The time that its caller gave it, in milliseconds; none: it left that to the producer.
    pub timeout_ms: Option<u64>,
    /// What the message carries beside its body.
    pub application_crc: u32,
    /// The unique key that its caller gave the message.
    pub own_id: Option<&'t Name>,
    /// The topic of the queue that its caller chose, if that is not the message's.
    pub queue_of: Option<&'t Name>,
    /// Every return; more than one is a fault of the producer.
    pub returned: SmallVec<[(Timestamp, &'t WorkResult); 1]>,
    /// When the caller dropped it.
    pub dropped: Option<Timestamp>,
}

impl<'t> WorkHistory<'t> {
    /// The producer that was called.
    pub fn producer(&self) -> ProducerKey<'t> {
        (self.node, self.group)
    }
}

/// What a send hook of a program heard of an attempt.
#[derive(Debug, Clone, Copy)]
pub struct HookedHistory<'t> {
    /// The node whose program it is.
    pub node: NodeId,
    /// When it heard that.
    pub timestamp: Timestamp,
    /// The unique key of the message.
    pub unique_key: &'t Name,
    /// The number of the attempt, from 1.
    pub attempt: u32,
    /// Whether the attempt began; otherwise it ended.
    pub begins: bool,
}

/// News of how many write queues a topic has at brokers, from some moment on.
#[derive(Debug, Clone, Copy)]
pub struct Width<'t> {
    /// The topic whose write queues are told.
    pub topic: &'t Name,
    /// When the server said so; the number holds from then on.
    pub timestamp: Timestamp,
    /// The server that says so, with the number of queues.
    pub source: WidthSource<'t>,
}

/// Who says how many write queues there are.
#[derive(Debug, Clone, Copy)]
pub enum WidthSource<'t> {
    /// The broker that created the topic.
    Broker(NodeId, i32),
    /// A name server, of its route: brokers by name.
    Route(NodeId, &'t [(Name, i32)]),
}

/// The address of a broker at a name server, from some moment on.
#[derive(Debug, Clone, Copy)]
pub struct Master<'t> {
    /// The name server.
    pub server: NodeId,
    /// When it learnt or forgot the address.
    pub timestamp: Timestamp,
    /// The name of the broker.
    pub broker: &'t Name,
    /// The address; that of a master is the one that messages go to.
    pub address: &'t Name,
    /// Whether it is a master that registers. Otherwise it is a slave, or leaves.
    pub is_master: bool,
}

impl<'t> History<'t> {
    /// The address of a broker's master, as a name server knows it at some moment.
    pub fn master_at(
        &self,
        server: NodeId,
        broker: &str,
        timestamp: Timestamp,
    ) -> Option<&'t Name> {
        let boots = self.boots.iter().rev();
        let mut boots = boots.filter(|(node, at)| *node == server && *at <= timestamp);
        let booted = boots.next().map(|(_, at)| *at);
        let news = self.masters.iter().filter(|it| {
            let here = it.server == server && **it.broker == *broker;
            here && it.timestamp <= timestamp && booted.is_none_or(|booted| it.timestamp > booted)
        });
        let mut master = None;
        for news in news {
            if news.is_master {
                master = Some(news.address);
            } else if master == Some(news.address) {
                master = None;
            }
        }
        master
    }

    /// Joins the records of a trace, in one pass over them.
    pub fn of(trace: &'t Trace) -> Self {
        build::build(trace)
    }

    /// Every send by the `KEYS` that its caller gave it: those of the call that was the last at its producer.
    pub fn named(&self) -> impl Iterator<Item = (&'t Name, &SendHistory<'t>)> {
        self.sends.iter().filter_map(|send| {
            let before = self.work.partition_point(|it| it.called < send.called);
            let mut calls = self.work[..before].iter().rev();
            let call = calls.find(|it| it.node == send.node)?;
            let here = call.called.ms == send.called.ms && call.topic == send.topic;
            here.then_some((call.keys, send))
        })
    }

    /// The connection of a producer whose own end has this address.
    pub fn connection_from(&self, local: SocketAddr) -> Option<usize> {
        self.connections
            .iter()
            .rposition(|it| it.opened.is_some_and(|(_, address)| address == local))
    }

    /// What a name server says of a topic at some moment: the write queues of each broker. Empty
    /// if it knows none, as after a restart.
    pub fn route_at(&self, server: NodeId, topic: &str, timestamp: Timestamp) -> &'t [(Name, i32)] {
        let boots = self.boots.iter().rev();
        let booted = boots
            .filter(|(node, at)| *node == server && *at <= timestamp)
            .map(|(_, at)| *at)
            .next();
        let news = self.widths.iter().rev().filter(|news| {
            news.timestamp <= timestamp && booted.is_none_or(|booted| news.timestamp > booted)
        });
        let mut routes = news.filter_map(|news| match news.source {
            WidthSource::Route(node, route) if node == server && **news.topic == *topic => {
                Some(route)
            }
            _ => None,
        });
        routes.next().unwrap_or_default()
    }

    /// Whether a producer had one route all the time from `from` to `to_ms`, whatever its topic,
    /// that named this master.
    pub fn routed(&self, node: NodeId, master: &Name, from: Timestamp, to_ms: u64) -> bool {
        let own = || self.snapshots.iter().filter(|it| it.node == node);
        let names = |it: &SnapshotHistory<'_>| it.addresses.iter().any(|(_, at)| at == master);
        let mut candidates = own().filter(|it| it.timestamp <= from && names(it));
        candidates.any(|first| {
            let mut later =
                own().filter(|it| it.topic == first.topic && it.timestamp > first.timestamp);
            later.all(|it| it.timestamp.ms > to_ms || names(it))
        })
    }

    /// The attempts of a producer at a broker that may have been open, or have ended, from `from_ms` to
    /// `to_ms`, each with its send.
    pub fn attempts_at(
        &self,
        at: (NodeId, &str),
        window: (u64, u64),
    ) -> impl Iterator<Item = (&SendHistory<'t>, &AttemptHistory<'t>)> {
        let found = self.index.attempts(&self.sends, at, window).iter();
        found.map(|(send, attempt)| {
            let send = &self.sends[*send];
            (send, &send.attempts[*attempt])
        })
    }

    /// The isolations that may be in force just before a moment: those of the time before it that is
    /// as long as the longest of all.
    pub fn isolations(&self, now: Timestamp) -> &[HealthHistory<'t>] {
        let longest = self.index.longest_isolation_ms;
        let end = self.health.partition_point(|it| it.timestamp < now);
        let began = |it: &HealthHistory<'_>| it.timestamp.ms.saturating_add(longest) <= now.ms;
        let start = self.health[..end].partition_point(began);
        work::done(1 + end - start);
        &self.health[start..end]
    }

    /// The route in force for a topic at a producer at some moment: an index into `snapshots`.
    pub fn in_force(&self, node: NodeId, topic: &str, timestamp: Timestamp) -> Option<usize> {
        let mut routes = self.index.routes(node, topic).iter().rev();
        routes
            .find(|index| self.snapshots[**index].timestamp <= timestamp)
            .copied()
    }
}
