//! Faults, written in a test: `crash("broker-a").after_stored(20).down_for_secs(20)`.

use std::ops::Range;

use rmq_remoting::code::request;
use rmq_remoting::observe::Name;

use crate::fault::rule::{Answer, Delay, Since};
use crate::fault::{
    Crash, Fault, FaultKind, Latency, Loss, Place, Position, PowerLoss, Restart, Rule, RuleAction,
    Stop,
};

/// A fault that is being described. Without a start it is there from the beginning, without an end
/// it stays.
///
/// ```
/// use rmq_sim::fault::{Fault, Position};
/// use rmq_sim::simulation::{crash, partition};
///
/// let moved: Fault = crash("broker-a").after_stored(20).down_for_secs(5).new_address().into();
/// assert_eq!((moved.at, moved.for_ms), (Position::Stored { n: 20 }, Some(5_000)));
/// let cut: Fault = partition("orders-app", "broker-a").between_secs(10..30).into();
/// assert_eq!((cut.at, cut.for_ms), (Position::Time { ms: 10_000 }, Some(20_000)));
/// ```
#[derive(Debug, Clone)]
#[must_use = "give it to Simulation::fault"]
pub struct FaultBuilder {
    fault: Fault,
}

/// The process of a server is killed.
pub fn crash(server: &str) -> FaultBuilder {
    at(server, FaultKind::Crash(Crash::default()))
}

/// A server shuts down in order.
pub fn stop(server: &str) -> FaultBuilder {
    at(server, FaultKind::Stop(Stop::default()))
}

/// The machine of a server loses its power.
pub fn power_loss(server: &str) -> FaultBuilder {
    at(server, FaultKind::PowerLoss(PowerLoss::default()))
}

/// The process of a node stands still.
pub fn freeze(node: &str) -> FaultBuilder {
    at(node, FaultKind::Freeze)
}

/// Dials to a server are refused.
pub fn refuse(server: &str) -> FaultBuilder {
    at(server, FaultKind::Refuse)
}

/// Nothing gets through between two nodes.
pub fn partition(a: &str, b: &str) -> FaultBuilder {
    between(a, b, FaultKind::Partition)
}

/// Nothing gets through from one node to another; the other direction works.
pub fn partition_one_way(from: &str, to: &str) -> FaultBuilder {
    along(from, to, FaultKind::Partition)
}

/// Connections that are open between two nodes swallow every byte from now on; new ones work.
pub fn black_hole(a: &str, b: &str) -> FaultBuilder {
    between(a, b, FaultKind::BlackHole)
}

/// So many of a thousand segments are lost from one node to another, and sent again later.
pub fn loss(from: &str, to: &str, per_mille: u32) -> FaultBuilder {
    along(from, to, FaultKind::Loss(Loss { per_mille }))
}

/// Another latency from one node to another: so many milliseconds, and up to `jitter_ms` more.
pub fn latency(from: &str, to: &str, ms: u64, jitter_ms: u64) -> FaultBuilder {
    along(from, to, FaultKind::Latency(Latency { ms, jitter_ms }))
}

/// A broker answers sends with a response code and does not store them.
pub fn answer(broker: &str, code: i32) -> FaultBuilder {
    rule(broker, RuleAction::Answer(Answer { code, remark: None }))
}

/// A broker stores messages at once and answers so many milliseconds later.
pub fn delay_replies(broker: &str, ms: u64) -> FaultBuilder {
    rule(
        broker,
        RuleAction::Delay(Delay {
            ms,
            jitter_ms: 0,
            since: Since::Received,
        }),
    )
}

/// A broker loses sends that it has read, before storing them.
pub fn drop_requests(broker: &str) -> FaultBuilder {
    rule(broker, RuleAction::DropRequest)
}

/// A broker stores messages, and its answers are lost.
pub fn drop_replies(broker: &str) -> FaultBuilder {
    rule(broker, RuleAction::DropReply)
}

/// A broker closes the connection instead of storing the message.
pub fn close_before(broker: &str) -> FaultBuilder {
    rule(broker, RuleAction::CloseBefore)
}

/// A broker stores the message, then closes the connection instead of answering.
pub fn close_after(broker: &str) -> FaultBuilder {
    rule(broker, RuleAction::CloseAfter)
}

fn at(node: &str, kind: FaultKind) -> FaultBuilder {
    new(kind, Place::Node(Name::from(node)))
}

fn between(a: &str, b: &str, kind: FaultKind) -> FaultBuilder {
    let (a, b) = (Name::from(a), Name::from(b));
    new(kind, Place::Pair { a, b })
}

fn along(from: &str, to: &str, kind: FaultKind) -> FaultBuilder {
    let (from, to) = (Name::from(from), Name::from(to));
    new(kind, Place::Link { from, to })
}

fn rule(broker: &str, then: RuleAction) -> FaultBuilder {
    let rule = Rule {
        codes: vec![request::SEND_MESSAGE, request::SEND_MESSAGE_V2],
        topic: None,
        queue: None,
        per_mille: None,
        times: None,
        then,
    };
    at(broker, FaultKind::Rule(rule))
}

fn new(kind: FaultKind, place: Place) -> FaultBuilder {
    FaultBuilder {
        fault: Fault {
            kind,
            place,
            at: Position::Time { ms: 0 },
            for_ms: None,
        },
    }
}

impl FaultBuilder {
    /// Starts so many virtual seconds after the start of the run.
    pub fn at_secs(self, seconds: u64) -> Self {
        self.at_ms(seconds * 1_000)
    }

    /// Starts so many virtual milliseconds after the start of the run.
    pub fn at_ms(mut self, ms: u64) -> Self {
        self.fault.at = Position::Time { ms };
        self
    }

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

    /// Ends after so many virtual seconds.
    pub fn for_secs(self, seconds: u64) -> Self {
        self.for_ms(seconds * 1_000)
    }

    /// Ends after so many virtual milliseconds.
    pub fn for_ms(mut self, ms: u64) -> Self {
        self.fault.for_ms = Some(ms);
        self
    }

    /// The node is started again after so many virtual seconds.
    pub fn down_for_secs(self, seconds: u64) -> Self {
        self.for_secs(seconds)
    }

    /// Starts and ends at these virtual seconds.
    pub fn between_secs(self, seconds: Range<u64>) -> Self {
        let long = seconds.end.saturating_sub(seconds.start);
        self.at_secs(seconds.start).for_secs(long)
    }

    /// Only so many of a thousand requests, drawn by message and attempt.
    pub fn per_mille(mut self, per_mille: u32) -> Self {
        if let FaultKind::Rule(rule) = &mut self.fault.kind {
            rule.per_mille = Some(per_mille);
        }
        self
    }

    /// At most so many times.
    pub fn times(mut self, times: u32) -> Self {
        if let FaultKind::Rule(rule) = &mut self.fault.kind {
            rule.times = Some(times);
        }
        self
    }

    /// The node comes back at another address.
    pub fn new_address(mut self) -> Self {
        if let Some(restart) = self.restart() {
            restart.new_address = true;
        }
        self
    }

    /// The node comes back without its data.
    pub fn data_lost(mut self) -> Self {
        if let Some(restart) = self.restart() {
            restart.keep_data = false;
        }
        self
    }

    fn restart(&mut self) -> Option<&mut Restart> {
        self.fault.kind.restart_mut()
    }
}

impl From<FaultBuilder> for Fault {
    fn from(builder: FaultBuilder) -> Self {
        builder.fault
    }
}
