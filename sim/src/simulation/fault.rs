//! Faults, written in a test: `crash("broker-a").after_stored(20).down_for_secs(20)`.
//!
//! Every kind of the catalogue has a constructor, and what a kind does not have cannot be written: a crash
//! has no share of requests, a partition loses no data, what strikes once has no length. The type of a
//! [`FaultBuilder`] says which of these it is.

use std::marker::PhantomData;
use std::ops::Range;
use std::time::Duration;

use rmq_remoting::observe::Name;

use crate::fault::rule::{Answer, Delay, DelayRequest, PartialRoute, Since, StoreThenAnswer};
use crate::fault::{
    Bandwidth, ClockJump, Corrupt, Crash, Fault, FaultKind, Latency, Loss, NameServerList,
    OddRoute, Place, Position, PowerLoss, Reset, Resize, Restart, Rule, RuleAction, Slice, Slow,
    Stop,
};

/// A fault that is being described. Without a start it is there from the beginning, without an end
/// it stays. `K` is what kind of description it is.
///
/// ```
/// use std::time::Duration;
/// use rmq_sim::fault::{Fault, Position};
/// use rmq_sim::simulation::{crash, partition};
///
/// let moved: Fault = crash("broker-a").after_stored(20).down_for_secs(5).new_address().into();
/// assert_eq!((moved.at, moved.for_ms), (Position::Stored { n: 20 }, Some(5_000)));
/// let cut = partition("orders-app", "broker-a").at(Duration::from_millis(1_500));
/// let cut: Fault = cut.lasting(Duration::from_secs(20)).into();
/// assert_eq!((cut.at, cut.for_ms), (Position::Time { ms: 1_500 }, Some(20_000)));
/// ```
///
/// What does not fit a fault does not compile:
///
/// ```compile_fail,E0599
/// rmq_sim::simulation::crash("broker-a").per_mille(1);
/// ```
///
/// ```compile_fail,E0599
/// rmq_sim::simulation::partition("orders-app", "broker-a").data_lost();
/// ```
///
/// ```compile_fail,E0599
/// rmq_sim::simulation::partition("orders-app", "broker-a").after_stored(3);
/// ```
///
/// ```compile_fail,E0599
/// rmq_sim::simulation::black_hole("orders-app", "broker-a").for_secs(3);
/// ```
#[derive(Debug, Clone)]
#[must_use = "give it to Simulation::fault or Sim::inject"]
pub struct FaultBuilder<K> {
    fault: Fault,
    kind: PhantomData<K>,
}

/// Describes a fault that takes a process away and brings it back.
#[derive(Debug, Clone, Copy)]
pub struct TakesAway;

/// Describes a fault of one node.
#[derive(Debug, Clone, Copy)]
pub struct OfNode;

/// Describes a fault between two nodes.
#[derive(Debug, Clone, Copy)]
pub struct OfLink;

/// Describes a fault that strikes once; what it struck stays so.
#[derive(Debug, Clone, Copy)]
pub struct StrikesOnce;

/// Describes a server that treats chosen requests differently.
#[derive(Debug, Clone, Copy)]
pub struct OfRequests;

/// Faults that may wait for what a server reads or stores.
pub trait AtServer {}

impl AtServer for TakesAway {}
impl AtServer for OfNode {}
impl AtServer for OfRequests {}

/// Faults that end, and are over then.
pub trait Lasts {}

impl Lasts for OfNode {}
impl Lasts for OfLink {}
impl Lasts for OfRequests {}

/// The process of a server is killed.
pub fn crash(server: &str) -> FaultBuilder<TakesAway> {
    at(server, FaultKind::Crash(Crash::default()))
}

/// A server shuts down in order.
pub fn stop(server: &str) -> FaultBuilder<TakesAway> {
    at(server, FaultKind::Stop(Stop::default()))
}

/// The machine of a server loses its power.
pub fn power_loss(server: &str) -> FaultBuilder<TakesAway> {
    at(server, FaultKind::PowerLoss(PowerLoss::default()))
}

/// The process of a node stands still.
pub fn freeze(node: &str) -> FaultBuilder<OfNode> {
    at(node, FaultKind::Freeze)
}

/// The process of a node makes one step in so long a time.
pub fn slow(node: &str, step: Duration) -> FaultBuilder<OfNode> {
    let ms_per_step = millis(step);
    at(node, FaultKind::Slow(Slow { ms_per_step }))
}

/// Dials to a server are refused.
pub fn refuse(server: &str) -> FaultBuilder<OfNode> {
    at(server, FaultKind::Refuse)
}

/// Dials to a server get no answer; open connections work.
pub fn swallow_dials(server: &str) -> FaultBuilder<OfNode> {
    at(server, FaultKind::SwallowDials)
}

/// A server reads nothing from the connections that it accepted.
pub fn stop_reading(server: &str) -> FaultBuilder<OfNode> {
    at(server, FaultKind::StopReading)
}

/// The wall clock of a node is so many milliseconds ahead, or behind if they are negative.
pub fn clock_jump(node: &str, ms: i64) -> FaultBuilder<OfNode> {
    at(node, FaultKind::ClockJump(ClockJump { ms }))
}

/// A name server is taken out of the list of a producer of a scenario.
pub fn name_server_list(producer: &str, without: &str) -> FaultBuilder<OfNode> {
    let without = Name::from(without);
    at(
        producer,
        FaultKind::NameServerList(NameServerList {
            without,
            instead: None,
        }),
    )
}

/// A broker makes its topics known without write permission.
pub fn read_only(broker: &str) -> FaultBuilder<OfNode> {
    at(broker, FaultKind::ReadOnly)
}

/// A topic has so many write queues at a broker.
pub fn resize(broker: &str, topic: &str, queues: i32) -> FaultBuilder<OfNode> {
    let topic = Name::from(topic);
    at(broker, FaultKind::Resize(Resize { topic, queues }))
}

/// Nothing gets through between two nodes.
pub fn partition(a: &str, b: &str) -> FaultBuilder<OfLink> {
    between(a, b, FaultKind::Partition)
}

/// Nothing gets through from one node to another; the other direction works.
pub fn partition_one_way(from: &str, to: &str) -> FaultBuilder<OfLink> {
    along(from, to, FaultKind::Partition)
}

/// Whatever is on the way between two nodes waits until it ends.
pub fn hold(a: &str, b: &str) -> FaultBuilder<OfLink> {
    between(a, b, FaultKind::Hold)
}

/// So many of a thousand segments are lost from one node to another, and sent again later.
pub fn loss(from: &str, to: &str, per_mille: u32) -> FaultBuilder<OfLink> {
    along(from, to, FaultKind::Loss(Loss { per_mille }))
}

/// Another latency from one node to another: so long, and up to `jitter` more.
pub fn latency(from: &str, to: &str, long: Duration, jitter: Duration) -> FaultBuilder<OfLink> {
    let (ms, jitter_ms) = (millis(long), millis(jitter));
    along(from, to, FaultKind::Latency(Latency { ms, jitter_ms }))
}

/// So many bytes get onto the line from one node to another in a millisecond.
pub fn bandwidth(from: &str, to: &str, bytes_per_ms: u64) -> FaultBuilder<OfLink> {
    along(from, to, FaultKind::Bandwidth(Bandwidth { bytes_per_ms }))
}

/// Each read and each write between two nodes moves so many bytes at most.
pub fn slice(a: &str, b: &str, bytes: u64) -> FaultBuilder<OfLink> {
    between(a, b, FaultKind::Slice(Slice { bytes }))
}

/// One bit of a byte is flipped on its way, the byte that follows so many others from the start on.
pub fn corrupt(from: &str, to: &str, byte: u64) -> FaultBuilder<OfLink> {
    along(from, to, FaultKind::Corrupt(Corrupt { byte }))
}

/// Connections that are open between two nodes swallow every byte from now on; new ones work.
pub fn black_hole(a: &str, b: &str) -> FaultBuilder<StrikesOnce> {
    between(a, b, FaultKind::BlackHole)
}

/// Connections that are open between two nodes are reset.
pub fn reset(a: &str, b: &str) -> FaultBuilder<StrikesOnce> {
    between(a, b, FaultKind::Reset(Reset { byte: 0 }))
}

/// A connection is reset behind so many bytes from one node to another.
pub fn reset_at_byte(from: &str, to: &str, byte: u64) -> FaultBuilder<StrikesOnce> {
    along(from, to, FaultKind::Reset(Reset { byte }))
}

/// A middlebox forgets the connections from one node to another: the receiver loses them.
pub fn half_open(from: &str, to: &str) -> FaultBuilder<StrikesOnce> {
    along(from, to, FaultKind::HalfOpen)
}

/// A server answers with a response code and does nothing. A broker: to sends; a name server: to lookups;
/// [`request`](FaultBuilder::request) says otherwise.
pub fn answer(server: &str, code: i32) -> FaultBuilder<OfRequests> {
    rule(server, RuleAction::Answer(Answer { code, remark: None }))
}

/// A broker stores messages and answers with a code that says that they are not safe.
pub fn store_then_answer(broker: &str, code: i32) -> FaultBuilder<OfRequests> {
    rule(
        broker,
        RuleAction::StoreThenAnswer(StoreThenAnswer { code }),
    )
}

/// A server does its work at once and answers so much later.
pub fn delay_replies(server: &str, by: Duration) -> FaultBuilder<OfRequests> {
    let delay = Delay {
        ms: millis(by),
        jitter_ms: 0,
        since: Since::Received,
    };
    rule(server, RuleAction::Delay(delay))
}

/// A broker does its work only so much later.
pub fn delay_requests(broker: &str, by: Duration) -> FaultBuilder<OfRequests> {
    let ms = millis(by);
    rule(broker, RuleAction::DelayRequest(DelayRequest { ms }))
}

/// A name server leaves a broker out of the routes that it tells.
pub fn partial_route(name_server: &str, broker: &str) -> FaultBuilder<OfRequests> {
    let broker = Name::from(broker);
    rule(
        name_server,
        RuleAction::PartialRoute(PartialRoute { broker }),
    )
}

/// Makes the constructors of rules that have no parameters.
macro_rules! rules {
    ($($(#[$doc:meta])* $name:ident = $action:expr;)*) => {
        $(
            $(#[$doc])*
            pub fn $name(server: &str) -> FaultBuilder<OfRequests> {
                rule(server, $action)
            }
        )*
    };
}

rules! {
    /// A server loses requests that it has read, before its work.
    drop_requests = RuleAction::DropRequest;
    /// A server does its work, and its answers are lost.
    drop_replies = RuleAction::DropReply;
    /// A server closes the connection instead of doing its work.
    close_before = RuleAction::CloseBefore;
    /// A server does its work, then closes the connection instead of answering.
    close_after = RuleAction::CloseAfter;
    /// A server does its work, answers, and closes the connection behind the answer.
    answer_then_close = RuleAction::AnswerThenClose;
    /// A server drops the connection instead of doing its work.
    reset_before = RuleAction::ResetBefore;
    /// A server does its work, then drops the connection instead of answering.
    reset_after = RuleAction::ResetAfter;
    /// A server does its work and answers twice.
    reply_twice = RuleAction::ReplyTwice;
    /// A server does its work; the answer names a request that nobody made.
    unknown_opaque = RuleAction::UnknownOpaque;
    /// A server does its work and writes half of the answer.
    half_frame = RuleAction::HalfFrame;
    /// A server does its work, writes half of the answer and closes the connection.
    half_frame_close = RuleAction::HalfFrameClose;
    /// A server does its work and answers with bytes that are no frame.
    garbage = RuleAction::Garbage;
    /// A server does its work; the answer has its code, and none of its fields.
    empty_answer = RuleAction::EmptyAnswer;
    /// A server answers with a TLS alert instead of doing its work, and closes the connection.
    tls_alert = RuleAction::TlsAlert;
    /// A name server tells the routes as they were when the fault began.
    stale_route = RuleAction::StaleRoute;
    /// A name server lists the brokers of a route in another order each time.
    permuted_route = RuleAction::PermutedRoute;
    /// A name server writes the ids of brokers without quotes, and an id of -1.
    bare_id_route = RuleAction::OddRoute(OddRoute::BareIds);
    /// A name server writes numbers as text.
    text_number_route = RuleAction::OddRoute(OddRoute::TextNumbers);
    /// A name server writes nulls, and members that nobody knows.
    null_route = RuleAction::OddRoute(OddRoute::Nulls);
    /// A name server says success, and its route has no broker.
    empty_route = RuleAction::OddRoute(OddRoute::Empty);
    /// A name server tells a topic in the ordered form: which brokers it has, and how many queues of each.
    ordered_route = RuleAction::OddRoute(OddRoute::Ordered);
    /// A name server tells a topic in the static form, which maps logical queues to brokers.
    static_route = RuleAction::OddRoute(OddRoute::Static);
}

pub(super) fn millis(long: Duration) -> u64 {
    u64::try_from(long.as_millis()).unwrap_or(u64::MAX)
}

fn at<K>(node: &str, kind: FaultKind) -> FaultBuilder<K> {
    new(kind, Place::Node(Name::from(node)))
}

fn between<K>(a: &str, b: &str, kind: FaultKind) -> FaultBuilder<K> {
    let (a, b) = (Name::from(a), Name::from(b));
    new(kind, Place::Pair { a, b })
}

fn along<K>(from: &str, to: &str, kind: FaultKind) -> FaultBuilder<K> {
    let (from, to) = (Name::from(from), Name::from(to));
    new(kind, Place::Link { from, to })
}

fn rule(server: &str, then: RuleAction) -> FaultBuilder<OfRequests> {
    // Which requests, is known when the server is: see `complete`.
    at(server, FaultKind::Rule(Rule::of(&[], then)))
}

fn new<K>(kind: FaultKind, place: Place) -> FaultBuilder<K> {
    FaultBuilder {
        fault: Fault {
            kind,
            place,
            at: Position::Time { ms: 0 },
            for_ms: None,
            may_miss: false,
        },
        kind: PhantomData,
    }
}

/// Says which requests a rule is about that was told of none: lookups at a name server, else sends.
pub(super) fn complete(fault: &mut Fault, is_name_server: impl Fn(&str) -> bool) {
    if let (FaultKind::Rule(rule), Place::Node(node)) = (&mut fault.kind, &fault.place)
        && rule.codes.is_empty()
    {
        rule.codes = Rule::default_codes(!is_name_server(node)).to_vec();
    }
}

impl<K> FaultBuilder<K> {
    /// Starts so long after the start of the run.
    pub fn at(mut self, since_start: Duration) -> Self {
        self.fault.at = Position::Time {
            ms: millis(since_start),
        };
        self
    }

    /// Starts so many virtual seconds after the start of the run.
    pub fn at_secs(self, seconds: u64) -> Self {
        self.at(Duration::from_secs(seconds))
    }

    /// It may strike in none of the seeds. A check fails if any other fault never does: it has not tested
    /// what it seems to.
    ///
    /// ```
    /// use rmq_sim::simulation::{Cluster, Simulation, crash};
    ///
    /// Simulation::new(Cluster::new())
    ///     .fault(crash("broker-a").after_stored(1_000).may_miss())
    ///     .seeds(0..3)
    ///     .check(async |_sim| Ok(()));
    /// ```
    pub fn may_miss(mut self) -> Self {
        self.fault.may_miss = true;
        self
    }
}

impl<K: AtServer> FaultBuilder<K> {
    /// Starts when the fault's own broker has stored so many messages.
    pub fn after_stored(mut self, n: u64) -> Self {
        self.fault.at = Position::Stored { n };
        self
    }

    /// Starts with the n-th request of this code that the fault's own server reads.
    pub fn at_request(mut self, code: i32, n: u64) -> Self {
        self.fault.at = Position::Received { code, n };
        self
    }
}

impl<K: Lasts> FaultBuilder<K> {
    /// Ends after so long.
    pub fn lasting(mut self, long: Duration) -> Self {
        self.fault.for_ms = Some(millis(long));
        self
    }

    /// Ends after so many virtual seconds.
    pub fn for_secs(self, seconds: u64) -> Self {
        self.lasting(Duration::from_secs(seconds))
    }

    /// Starts and ends so long after the start of the run.
    pub fn between(self, times: Range<Duration>) -> Self {
        // An end before the start is refused as no time at all.
        let long = times.end.saturating_sub(times.start);
        self.at(times.start).lasting(long)
    }

    /// Starts and ends at these virtual seconds.
    pub fn between_secs(self, seconds: Range<u64>) -> Self {
        self.between(Duration::from_secs(seconds.start)..Duration::from_secs(seconds.end))
    }
}

impl FaultBuilder<OfRequests> {
    /// Only requests of this code; unless set, sends at a broker, and lookups at a name server.
    pub fn request(mut self, code: i32) -> Self {
        self.rule().codes = vec![code];
        self
    }

    /// Only requests about this topic.
    pub fn topic(mut self, topic: &str) -> Self {
        self.rule().topic = Some(Name::from(topic));
        self
    }

    /// Only sends to the queue with this id.
    pub fn queue(mut self, queue: i32) -> Self {
        self.rule().queue = Some(queue);
        self
    }

    /// Only so many of a thousand requests, drawn by message and attempt.
    pub fn per_mille(mut self, per_mille: u32) -> Self {
        self.rule().per_mille = Some(per_mille);
        self
    }

    /// At most so many times.
    pub fn times(mut self, times: u32) -> Self {
        self.rule().times = Some(times);
        self
    }

    fn rule(&mut self) -> &mut Rule {
        match &mut self.fault.kind {
            FaultKind::Rule(rule) => rule,
            other => unreachable!("only rules are described so: {other:?}"),
        }
    }
}

impl FaultBuilder<TakesAway> {
    /// The node is started again after so long. Without this it stays away.
    pub fn down_for(mut self, long: Duration) -> Self {
        self.fault.for_ms = Some(millis(long));
        self
    }

    /// The node is started again after so many virtual seconds.
    pub fn down_for_secs(self, seconds: u64) -> Self {
        self.down_for(Duration::from_secs(seconds))
    }

    /// The node comes back at another address.
    pub fn new_address(mut self) -> Self {
        self.restart().new_address = true;
        self
    }

    /// The node comes back without its data.
    pub fn data_lost(mut self) -> Self {
        self.restart().keep_data = false;
        self
    }

    fn restart(&mut self) -> &mut Restart {
        match self.fault.kind.restart_mut() {
            Some(restart) => restart,
            None => unreachable!("only what takes a process away is described so"),
        }
    }
}

impl<K> From<FaultBuilder<K>> for Fault {
    fn from(builder: FaultBuilder<K>) -> Self {
        builder.fault
    }
}

mod source;
pub(super) use source::in_rust;

#[cfg(test)]
mod tests;
