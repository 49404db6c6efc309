//! A trace, joined: each send with its attempts, the requests that brokers saw and what was stored.
//!
//! Records stand in the order things happened, mixed over all nodes. Judges and views think in
//! sends, lookups and connections. The joining is made here, once for all of them and in one pass:
//! connection = the pair of addresses, request = (connection, opaque), message = unique key.
//! Nothing is copied but references into the trace, and nothing is judged.

use std::net::SocketAddr;

use rmq_mock_broker::event::{Ending, SendSeen};
use rmq_producer::event::{LookupEnd, LookupReason, Mode, Outcome, QueueRef, Stage};
use rmq_remoting::event::CloseCause;
use rmq_remoting::observe::Name;
use smallvec::SmallVec;

use super::record::{NodeId, Trace, WorkResult};
use super::work;

mod build;
mod index;
mod route;
mod servers;

pub use index::Index;
pub use route::Queues;

/// A place in the trace: the record's index and its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment {
    /// The index of the record.
    pub at: usize,
    /// Its millisecond.
    pub ms: u64,
}

/// Everything that belongs together in a trace.
#[derive(Debug, Default)]
pub struct Story<'t> {
    /// Sends, in the order of the calls.
    pub sends: Vec<SendStory<'t>>,
    /// Send requests as the brokers read them, in order of arrival.
    pub requests: Vec<RequestStory<'t>>,
    /// Routes as producers published them.
    pub snapshots: Vec<SnapshotStory<'t>>,
    /// Lookups of producers.
    pub lookups: Vec<LookupStory<'t>>,
    /// Connections of producers.
    pub connections: Vec<ConnectionStory<'t>>,
    /// What callers did and got.
    pub work: Vec<WorkStory<'t>>,
    /// Heartbeats as the brokers read them: broker, client's address, when.
    pub beats: Vec<(NodeId, SocketAddr, Moment)>,
    /// Route requests as the name servers read them.
    pub asked: Vec<Asked<'t>>,
    /// News of write queues, of every topic.
    pub widths: Vec<Width<'t>>,
    /// Sends ended that no call started, and attempts of such sends.
    pub strays: Vec<Moment>,
    /// Tasks of nodes, as the engine runs them.
    pub tasks: Vec<TaskStory>,
    /// Brokers that producers avoid from some moment on.
    pub health: Vec<HealthStory<'t>>,
    /// Lists of name servers, as they came into force.
    pub lists: Vec<(NodeId, Moment, &'t [Name])>,
    /// Servers that begin to listen: at first, and after each restart.
    pub boots: Vec<(NodeId, Moment)>,
    /// `Started`, `Stopping` and `Stopped` of producers.
    pub lives: Vec<(NodeId, Life, Moment)>,
    /// Where to find some of all this again.
    pub index: Index<'t>,
}

/// A turn in a producer's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// It can send.
    Started,
    /// `stop` was called.
    Stopping,
    /// `stop` is done.
    Stopped,
}

/// A send.
#[derive(Debug)]
pub struct SendStory<'t> {
    /// The producer.
    pub node: NodeId,
    /// Its number at the producer.
    pub number: u64,
    /// The call.
    pub called: Moment,
    /// The topic.
    pub topic: &'t Name,
    /// How it is sent.
    pub mode: Mode,
    /// Its whole time.
    pub timeout_ms: u64,
    /// The queue the caller chose, itself or by a selector.
    pub pinned: Option<&'t QueueRef>,
    /// The route a selector chose from: an index into [`Story::snapshots`].
    pub selected_from: Option<usize>,
    /// The message once it was built.
    pub built: Option<BuiltStory<'t>>,
    /// Its attempts, in the order they started.
    pub attempts: SmallVec<[AttemptStory<'t>; 1]>,
    /// Every `Done`; more than one is a fault of the producer.
    pub done: SmallVec<[(Moment, &'t Outcome); 1]>,
    /// When the caller dropped it.
    pub cancelled: Option<Moment>,
    /// Every return of its callback.
    pub callbacks: SmallVec<[Moment; 1]>,
    /// The requests with its unique key that brokers read: indexes into [`Story::requests`].
    pub requests: SmallVec<[usize; 1]>,
}

impl SendStory<'_> {
    /// When its whole time is used up.
    pub fn deadline_ms(&self) -> u64 {
        self.called.ms.saturating_add(self.timeout_ms)
    }

    /// When it was over: its first `Done`, or its cancellation.
    pub fn over(&self) -> Option<Moment> {
        let done = self.done.first().map(|(moment, _)| *moment);
        match (done, self.cancelled) {
            (Some(done), Some(cancelled)) => Some(done.min(cancelled)),
            (done, cancelled) => done.or(cancelled),
        }
    }

    /// Its outcome.
    pub fn outcome(&self) -> Option<&Outcome> {
        self.done.first().map(|(_, outcome)| *outcome)
    }
}

/// A message as it was built.
#[derive(Debug, Clone, Copy)]
pub struct BuiltStory<'t> {
    /// When.
    pub moment: Moment,
    /// Its unique key.
    pub key: &'t Name,
    /// CRC-32 of the caller's body.
    pub body_crc: u32,
    /// The bytes of the caller's body.
    pub body_len: u32,
}

/// An attempt of a send, with the request that a broker saw.
#[derive(Debug)]
pub struct AttemptStory<'t> {
    /// Its start.
    pub started: Moment,
    /// Its number within the send, from 1.
    pub number: u32,
    /// The route it was chosen from: an index into [`Story::snapshots`].
    pub snapshot: Option<usize>,
    /// Where it goes.
    pub to: &'t QueueRef,
    /// The broker's address.
    pub address: Option<&'t Name>,
    /// Its share of the time.
    pub budget_ms: u64,
    /// The brokers that were avoided.
    pub avoided: &'t [Name],
    /// The requests it wrote: more than one only after a drain notice.
    pub wires: SmallVec<[Wire; 1]>,
    /// When it was overtaken.
    pub overtaken: Option<Moment>,
    /// What was left in the bucket then, in tenths of a token.
    pub tokens_left: Option<u32>,
    /// Its end.
    pub ended: Option<EndStory>,
    /// The answer that completed its request, with the response code.
    pub reply: Option<(Moment, i32)>,
    /// An answer that came when the request had left the table.
    pub late: Option<Moment>,
}

impl AttemptStory<'_> {
    /// The request the broker read, as an index into [`Story::requests`].
    pub fn seen(&self) -> Option<usize> {
        self.wires.iter().rev().find_map(|wire| wire.seen)
    }

    /// Whether it was open at a moment: started, and not ended before it.
    pub fn open_at(&self, moment: Moment, over: Option<Moment>) -> bool {
        let end = self
            .ended
            .map(|end| end.moment)
            .into_iter()
            .chain(over)
            .min();
        self.started < moment && end.is_none_or(|end| end > moment)
    }
}

/// A request of an attempt.
#[derive(Debug, Clone, Copy)]
pub struct Wire {
    /// When it got its id.
    pub moment: Moment,
    /// The connection: an index into [`Story::connections`].
    pub connection: Option<usize>,
    /// Its id.
    pub opaque: i32,
    /// What the broker saw: an index into [`Story::requests`].
    pub seen: Option<usize>,
}

/// The end of an attempt.
#[derive(Debug, Clone, Copy)]
pub struct EndStory {
    /// When.
    pub moment: Moment,
    /// At which stage.
    pub stage: Stage,
    /// The response code, where a broker answered.
    pub code: Option<i32>,
}

/// A send request as a broker saw it.
#[derive(Debug)]
pub struct RequestStory<'t> {
    /// The broker.
    pub broker: NodeId,
    /// Its number in that incarnation.
    pub number: u64,
    /// When it was read.
    pub received: Moment,
    /// The client's address.
    pub peer: SocketAddr,
    /// The request code.
    pub code: i32,
    /// Its id.
    pub opaque: i32,
    /// No answer wanted.
    pub oneway: bool,
    /// What it carried.
    pub seen: &'t SendSeen,
    /// The rule that applied.
    pub ruled: Option<&'t Name>,
    /// What was stored.
    pub stored: Option<StoredStory<'t>>,
    /// How it left the broker; none if the broker died before.
    pub ended: Option<(Moment, Ending)>,
    /// The send and the attempt (indexes), joined by connection and id.
    pub attempt: Option<(usize, usize)>,
    /// The send (an index), joined by the unique key.
    pub send: Option<usize>,
}

/// A message that a broker stored.
#[derive(Debug, Clone, Copy)]
pub struct StoredStory<'t> {
    /// When.
    pub moment: Moment,
    /// The queue.
    pub queue: i32,
    /// Its position in the queue.
    pub offset: i64,
    /// Its unique key.
    pub key: &'t Name,
    /// CRC-32 of the stored body; zero if it is compressed.
    pub body_crc: u32,
}

/// A route that a producer published.
#[derive(Debug)]
pub struct SnapshotStory<'t> {
    /// The producer.
    pub node: NodeId,
    /// Its number.
    pub number: u64,
    /// When.
    pub moment: Moment,
    /// The topic.
    pub topic: &'t Name,
    /// The lookup it came from: an index into [`Story::lookups`].
    pub lookup: Option<usize>,
    /// The writable queues.
    pub queues: Queues<'t>,
    /// The masters' addresses.
    pub addresses: &'t [(Name, Name)],
}

/// A lookup.
#[derive(Debug)]
pub struct LookupStory<'t> {
    /// The producer.
    pub node: NodeId,
    /// Its number.
    pub number: u64,
    /// Its start.
    pub started: Moment,
    /// The topic.
    pub topic: &'t Name,
    /// Why.
    pub reason: LookupReason,
    /// The name servers asked, in order.
    pub servers: SmallVec<[(Moment, &'t Name); 1]>,
    /// Its end.
    pub ended: Option<(Moment, &'t LookupEnd)>,
}

/// A connection of a producer, from its dial.
#[derive(Debug)]
pub struct ConnectionStory<'t> {
    /// The producer.
    pub node: NodeId,
    /// Its number.
    pub number: u64,
    /// The dial.
    pub dialled: Moment,
    /// The address.
    pub to: &'t Name,
    /// When it opened, and this end's address.
    pub opened: Option<(Moment, SocketAddr)>,
    /// When the dial failed.
    pub failed: Option<Moment>,
    /// When it closed, and why.
    pub closed: Option<(Moment, CloseCause)>,
    /// When the engine saw this end go.
    pub torn: Option<Moment>,
    /// Ids given on it: opaque, send, attempt, wire (indexes).
    pub given: Vec<(i32, usize, usize, usize)>,
    /// Answers on it that completed a request or matched none: opaque, when, code if it completed.
    pub answers: Vec<(i32, Moment, Option<i32>)>,
    /// Requests written on it.
    pub written: Vec<(i32, Moment)>,
}

/// A broker is avoided by a producer.
#[derive(Debug, Clone, Copy)]
pub struct HealthStory<'t> {
    /// The producer.
    pub node: NodeId,
    /// Since when.
    pub moment: Moment,
    /// The broker.
    pub broker: &'t Name,
    /// For how long.
    pub for_ms: u64,
    /// What made it so.
    pub reason: Stage,
}

/// A task of a node.
#[derive(Debug, Clone, Copy)]
pub struct TaskStory {
    /// The node.
    pub node: NodeId,
    /// Its number in the run.
    pub number: u64,
    /// Its name.
    pub name: &'static str,
    /// When it started.
    pub started: Moment,
    /// When it ended.
    pub ended: Option<Moment>,
}

/// A send as its caller saw it.
#[derive(Debug)]
pub struct WorkStory<'t> {
    /// The producer.
    pub node: NodeId,
    /// What identifies it.
    pub keys: &'t Name,
    /// When it was called.
    pub called: Moment,
    /// The topic.
    pub topic: &'t Name,
    /// The key whose hash chooses the queue.
    pub by: Option<&'t Name>,
    /// CRC-32 of the body.
    pub body_crc: u32,
    /// Every return; more than one is a fault of the producer.
    pub returned: SmallVec<[(Moment, &'t WorkResult); 1]>,
    /// When the caller dropped it.
    pub dropped: Option<Moment>,
}

/// A route request as a name server read it.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'t> {
    /// The name server.
    pub server: NodeId,
    /// Who asks, by address.
    pub peer: SocketAddr,
    /// When.
    pub moment: Moment,
    /// The topic.
    pub topic: &'t Name,
}

/// News of how many write queues a topic has at brokers, from some moment on.
#[derive(Debug, Clone, Copy)]
pub struct Width<'t> {
    /// The topic.
    pub topic: &'t Name,
    /// Since when.
    pub moment: Moment,
    /// Who says so.
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

impl<'t> Story<'t> {
    /// Joins a trace.
    pub fn of(trace: &'t Trace) -> Self {
        build::build(trace)
    }

    /// The connection of a producer whose own end has this address.
    pub fn connection_from(&self, local: SocketAddr) -> Option<usize> {
        self.connections
            .iter()
            .rposition(|it| it.opened.is_some_and(|(_, address)| address == local))
    }

    /// What a name server says of a topic at some moment: the write queues of each broker. Empty
    /// if it knows none, as after a restart.
    pub fn route_at(&self, server: NodeId, topic: &str, moment: Moment) -> &'t [(Name, i32)] {
        let boots = self.boots.iter().rev();
        let booted = boots
            .filter(|(node, at)| *node == server && *at <= moment)
            .map(|(_, at)| *at)
            .next();
        let news = self.widths.iter().rev().filter(|news| {
            news.moment <= moment && booted.is_none_or(|booted| news.moment > booted)
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
    pub fn routed(&self, node: NodeId, master: &Name, from: Moment, to_ms: u64) -> bool {
        let own = || self.snapshots.iter().filter(|it| it.node == node);
        let names = |it: &SnapshotStory<'_>| it.addresses.iter().any(|(_, at)| at == master);
        let mut candidates = own().filter(|it| it.moment <= from && names(it));
        candidates.any(|first| {
            let mut later = own().filter(|it| it.topic == first.topic && it.moment > first.moment);
            later.all(|it| it.moment.ms > to_ms || names(it))
        })
    }

    /// The attempts of a producer at a broker that may have been open, or have ended, from `from_ms` to
    /// `to_ms`, each with its send.
    pub fn attempts_at(
        &self,
        at: (NodeId, &str),
        window: (u64, u64),
    ) -> impl Iterator<Item = (&SendStory<'t>, &AttemptStory<'t>)> {
        let found = self.index.attempts(&self.sends, at, window).iter();
        found.map(|(send, attempt)| {
            let send = &self.sends[*send];
            (send, &send.attempts[*attempt])
        })
    }

    /// The isolations that may be in force just before a moment: those of the time before it that is
    /// as long as the longest of all.
    pub fn isolations(&self, now: Moment) -> &[HealthStory<'t>] {
        let longest = self.index.longest_isolation_ms;
        let end = self.health.partition_point(|it| it.moment < now);
        let began = |it: &HealthStory<'_>| it.moment.ms.saturating_add(longest) <= now.ms;
        let start = self.health[..end].partition_point(began);
        work::done(1 + end - start);
        &self.health[start..end]
    }

    /// The route in force for a topic at a producer at some moment: an index into `snapshots`.
    pub fn in_force(&self, node: NodeId, topic: &str, moment: Moment) -> Option<usize> {
        let mut routes = self.index.routes(node, topic).iter().rev();
        routes
            .find(|index| self.snapshots[**index].moment <= moment)
            .copied()
    }
}
