//! What is wrong with one server costs the others' customers nothing.
//!
//! A client that answers one frame of garbage by closing all of its connections, or one refused dial by
//! asking for every route again, turns a small fault into a large one, and each of its single steps looks
//! sensible. INV-40 sees in one run that attempts at a healthy broker are answered in time; what else a
//! fault may cost is seen only beside a run without it. Checked by two runs: one has a single fault of
//! a single server, the other none. What does not touch that server is the same in both: sends end alike,
//! take as long and make as many attempts and copies, and the other servers' connections, route requests
//! and heartbeats are no more than what the policy gives for the attempts that met the fault.
//!
//! A send is its neighbour's affair in one way: the strict policy takes up a send elsewhere that began at
//! the struck broker, and turns to other brokers for a while. So rotations move, and a send is compared
//! only if it stays away from the struck server in *both* runs, wherever else it goes.

use std::collections::{BTreeMap, BTreeSet};

use rmq_mock_broker::event::Event as BrokerEvent;
use rmq_producer::event::{Outcome, Stage};
use rmq_remoting::event::CloseCause;
use rmq_remoting::observe::Name;

use super::{CheckReport, Checker, Invariant, Source, side};
use crate::fault::FaultEvent;
use crate::trace::history::{
    AttemptHistory, ConnectionHistory, History, ProducerPhase, SendHistory, Timestamp,
};
use crate::trace::record::Form;
use crate::trace::{NodeEvent, NodeId, NodeKind, PolicyFacts, Trace};

pub(super) const INVARIANT: Invariant = Invariant {
    id: "INV-59",
    title: "Blast radius",
    source: Source::PairedRuns,
    rate_per_mille: 10,
    checker: Checker::PairedRuns(check),
    sides: &[
        side(
            "ends otherwise when … is struck",
            &["the sends of the others are the same"],
        ),
        side(
            "makes … attempts when … is struck, and … without",
            &[
                "a send that meets the fault is taken up elsewhere",
                "the rotation brings a send to a broker that a hook forbids",
            ],
        ),
        side(
            "is stored … times when … is struck, and … without",
            &["the sends of the others are the same"],
        ),
        side(
            "takes … ms when … is struck, and … ms without",
            &["a send to another broker waits for its dial and a lookup"],
        ),
        side(
            "loses a connection to … when … is struck: …",
            &[
                "a connection that nobody used is closed and dialled again",
                "a hedge replaces a connection that was not heard since the silence began",
            ],
        ),
        side(
            "dials … more often when … is struck",
            &["a connection that nobody used is closed and dialled again"],
        ),
        side(
            "beats for … more often when … is struck",
            &["beats once in each period, and when it starts"],
        ),
        side(
            "asks for … more often when … is struck",
            &["an attempt that meets the fault has its route refreshed"],
        ),
    ],
    #[cfg(test)]
    examples: tests::EXAMPLES,
};

/// Round trips that a send may take more: a dial and a lookup, and those of a broker that makes a topic and
/// tells its name servers.
const ROUND_TRIPS: u64 = 4;
/// Bytes that a connection takes without waiting for its peer: a larger body takes longer
/// beside another one, and rotations that move bring them together.
const FREE_BYTES: u32 = 32_768;

fn check(struck: &Trace, calm: &Trace, report: &mut CheckReport) {
    // What another client's policy does to neighbours is that policy's.
    let mut policies = calm.header.policies.iter();
    let strict = policies.all(|it| it.form == Form::Strict && !it.is_limited());
    let Some(server) = struck_server(struck).filter(|_| strict) else {
        return;
    };
    let runs = Runs {
        struck: OneRun::of(struck),
        calm: OneRun::of(calm),
        server,
    };
    runs.sends(report);
    for producer in calm.header.of_kind(NodeKind::Producer) {
        for kind in [NodeKind::Broker, NodeKind::NameServer] {
            let others = calm.header.of_kind(kind).filter(|it| *it != server);
            for other in others {
                runs.connections(producer, other, report);
                runs.heartbeats(producer, other, report);
            }
        }
        runs.lookups(producer, report);
    }
}

/// The only server that a fault of the run strikes; none if nothing was struck, or several were.
fn struck_server(trace: &Trace) -> Option<NodeId> {
    let is_server = |node: &NodeId| {
        let info = trace.header.nodes.get(node.index());
        info.is_some_and(|info| info.kind != NodeKind::Producer)
    };
    let mut struck = BTreeSet::new();
    for record in &trace.records {
        match &record.what {
            NodeEvent::Fault(FaultEvent::On { data, .. }) => {
                struck.insert(record.node);
                struck.extend(data.place.names().filter_map(|it| trace.header.node(it)));
            }
            // A rule at whichever broker a send goes to is at none before.
            NodeEvent::Broker(BrokerEvent::Ruled { .. }) => {
                struck.insert(record.node);
            }
            _ => {}
        }
    }
    let mut servers = struck.into_iter().filter(is_server);
    servers.next().filter(|_| servers.next().is_none())
}

/// One of the two runs.
struct OneRun<'t> {
    trace: &'t Trace,
    history: History<'t>,
}

impl<'t> OneRun<'t> {
    fn of(trace: &'t Trace) -> Self {
        let history = History::of(trace);
        Self { trace, history }
    }

    /// When the producer began to stop.
    fn stops(&self, producer: NodeId) -> Option<Timestamp> {
        let mut lives = self.history.lives.iter();
        let stops = lives.find(|it| it.node == producer && it.phase != ProducerPhase::Started);
        stops.map(|it| it.timestamp)
    }

    /// The connections of a producer to a server, in the order of the dials.
    fn connections(
        &self,
        producer: NodeId,
        server: NodeId,
    ) -> impl Iterator<Item = &ConnectionHistory<'t>> {
        let info = self.trace.header.nodes.get(server.index());
        let address = info.and_then(|info| info.address.as_ref());
        let own = address.map_or(&[][..], |to| self.history.index.connections(producer, to));
        own.iter().map(|index| &self.history.connections[*index])
    }

    /// Whether the address is that of a producer's end of a connection.
    fn is_of(&self, producer: NodeId, local: std::net::SocketAddr) -> bool {
        let connection = self.history.connection_from(local);
        connection.is_some_and(|index| self.history.connections[index].node == producer)
    }

    /// Hedges of a producer's silent attempts that went to a server: each may have dialled a connection, in the
    /// place of one that was not heard since the silence began.
    fn hedges(&self, producer: NodeId, server: NodeId) -> usize {
        let name = self.trace.header.name(server);
        let sends = self.history.sends.iter().filter(|it| it.node == producer);
        let pairs = sends.flat_map(|send| send.attempts.iter().zip(send.attempts.iter().skip(1)));
        let hedges =
            pairs.filter(|(silent, next)| silent.hedged.is_some() && *next.to.broker == *name);
        hedges.count()
    }

    /// Copies of a send's message that brokers stored.
    fn copies(&self, send: &SendHistory<'_>) -> usize {
        let requests = send.requests.iter().map(|it| &self.history.requests[*it]);
        requests.filter(|request| request.stored.is_some()).count()
    }

    /// Whether a connection stands, or the policy closed it for its own reasons: the next send must dial, or
    /// has dialled another one.
    fn closed_in_order(connection: &ConnectionHistory<'_>) -> bool {
        let cause = connection.closed.map(|(_, cause)| cause);
        matches!(
            cause,
            None | Some(CloseCause::Idle | CloseCause::Stopped | CloseCause::Offline)
        )
    }

    /// Whether a second connection took its place.
    fn replaced(connection: &ConnectionHistory<'_>) -> bool {
        let cause = connection.closed.map(|(_, cause)| cause);
        cause == Some(CloseCause::Replaced)
    }
}

struct Runs<'t> {
    struck: OneRun<'t>,
    calm: OneRun<'t>,
    /// The server that is struck.
    server: NodeId,
}

impl Runs<'_> {
    fn name(&self, node: NodeId) -> &str {
        self.calm.trace.header.name(node)
    }

    /// So much longer may what touches no fault take.
    fn slack_ms(&self) -> u64 {
        let header = &self.calm.trace.header;
        header.slack_ms + ROUND_TRIPS * header.round_trip_ms
    }

    /// Whether a send has to do with the struck server, or with nothing that can be compared.
    fn is_touched(&self, run: &OneRun<'_>, send: &SendHistory<'_>) -> bool {
        let struck = self.name(self.server);
        let there = send.attempts.iter().any(|it| *it.to.broker == *struck);
        let asked = match run.trace.header.nodes.get(self.server.index()) {
            // A send without a route waits for the name servers, and so does a broker that makes the topic.
            Some(info) if info.kind == NodeKind::NameServer => self.asks(run, send),
            _ => false,
        };
        let stops = run.stops(send.node);
        let unstopped = send
            .over()
            .is_some_and(|over| stops.is_none_or(|stops| over < stops));
        // So little time that a draw of the network decides.
        let hasty = send.timeout_ms <= self.slack_ms()
            || send
                .attempts
                .iter()
                .any(|it| it.timeout_ms <= self.slack_ms());
        // Where a hook forbids a broker, the rotation decides which sends meet it.
        let vetoed =
            |it: &AttemptHistory<'_>| it.ended.is_some_and(|end| end.stage == Stage::Vetoed);
        let forbidden = send.attempts.iter().any(vetoed);
        there || asked || !unstopped || hasty || forbidden || send.cancelled.is_some()
    }

    /// Whether a send had to wait for a name server.
    fn asks(&self, run: &OneRun<'_>, send: &SendHistory<'_>) -> bool {
        let first = send.attempts.first().and_then(|it| it.snapshot);
        let route = first.map(|index| &run.history.snapshots[index]);
        let made = self.made().contains(send.topic);
        made || route.is_none_or(|route| route.timestamp > send.called)
    }

    fn sends(&self, report: &mut CheckReport) {
        let struck: BTreeMap<_, _> = self.struck.history.named().collect();
        for (name, calm) in self.calm.history.named() {
            // One that is not called has a caller that waits, or was called otherwise.
            let Some(send) = struck.get(name) else {
                continue;
            };
            if self.is_touched(&self.calm, calm) || self.is_touched(&self.struck, send) {
                continue;
            }
            report.exercised();
            self.compare(name, send, calm, report);
        }
    }

    fn compare(
        &self,
        name: &Name,
        send: &SendHistory<'_>,
        calm: &SendHistory<'_>,
        report: &mut CheckReport,
    ) {
        let who = self.name(send.node);
        let server = self.name(self.server);
        let well = |send: &SendHistory<'_>| !matches!(send.outcome(), Some(Outcome::Failed(_)));
        let took = |send: &SendHistory<'_>| send.over().map_or(0, |over| over.ms) - send.called.ms;
        let small = send.built.is_none_or(|built| built.body_len <= FREE_BYTES);
        let (attempts, before) = (send.attempts.len(), calm.attempts.len());
        let (copies, once) = (self.struck.copies(send), self.calm.copies(calm));
        let text = if well(send) != well(calm) {
            format!(
                "{who} {name} ends otherwise when {server} is struck, which it has not to do with"
            )
        } else if attempts > before {
            format!(
                "{who} {name} makes {attempts} attempts when {server} is struck, and {before} without"
            )
        } else if copies > once {
            format!(
                "{who} {name} is stored {copies} times when {server} is struck, and {once} without"
            )
        } else if small && took(send) > took(calm) + self.slack_ms() {
            let (ms, alone) = (took(send), took(calm));
            format!("{who} {name} takes {ms} ms when {server} is struck, and {alone} ms without")
        } else {
            return;
        };
        report.wrong(send.called, text);
    }

    /// Connections to another server are not closed, and not dialled more often: once, as sends that are
    /// taken up elsewhere may need one that nobody needed before, and again for each that the policy
    /// closed because nobody used it, or that a hedge replaced.
    fn connections(&self, producer: NodeId, other: NodeId, report: &mut CheckReport) {
        let (who, to) = (self.name(producer), self.name(other));
        let server = self.name(self.server);
        let hedges = self.struck.hedges(producer, other);
        for (of_hedges, more) in [(false, 0), (true, hedges)] {
            let unfit = |it: &&ConnectionHistory<'_>| {
                !OneRun::closed_in_order(it) && OneRun::replaced(it) == of_hedges
            };
            let before = self.calm.connections(producer, other).filter(unfit).count();
            let mut closed = self.struck.connections(producer, other).filter(unfit);
            if let Some((closed, cause)) = closed.nth(before + more).and_then(|it| it.closed) {
                let text =
                    format!("{who} loses a connection to {to} when {server} is struck: {cause}");
                report.wrong(closed, text);
                return;
            }
        }
        let idle = self
            .struck
            .connections(producer, other)
            .filter(|it| it.closed.is_some());
        let allowed = self.calm.connections(producer, other).count().max(1) + idle.count();
        let mut dials = self.struck.connections(producer, other);
        if let Some(dial) = dials.nth(allowed) {
            let text = format!("{who} dials {to} more often when {server} is struck");
            report.wrong(dial.dialled, text);
        }
    }

    /// Another broker hears a heartbeat in each period of the policy, one more at the edge, and one for
    /// each connection.
    fn heartbeats(&self, producer: NodeId, other: NodeId, report: &mut CheckReport) {
        let Some(policy) = self.calm.trace.header.policy(producer) else {
            return;
        };
        let heard = |run: &OneRun<'_>| {
            let beats = run.history.heartbeats.iter();
            let beats = beats.filter(|it| it.broker == other && run.is_of(producer, it.peer));
            beats.map(|it| it.timestamp).collect::<Vec<_>>()
        };
        let periods = self.struck.trace.end_ms / policy.heartbeat_ms.max(1);
        let dials = self.struck.connections(producer, other).count();
        let by_policy = usize::try_from(periods)
            .unwrap_or(usize::MAX)
            .saturating_add(1 + dials);
        let allowed = by_policy.max(heard(&self.calm).len());
        if let Some(beat) = heard(&self.struck).get(allowed) {
            let (who, to, server) = (
                self.name(producer),
                self.name(other),
                self.name(self.server),
            );
            let text = format!("{who} beats for {to} more often when {server} is struck");
            report.wrong(*beat, text);
        }
    }

    /// Route requests of topics that are there all the time: as many as without the fault, and for each attempt
    /// that failed or was hedged one refresh of its topic, and those of polls in the time that the run
    /// is longer, or at its edge. A lookup that meets a struck name server goes on to each other one.
    fn lookups(&self, producer: NodeId, report: &mut CheckReport) {
        let Some(policy) = self.calm.trace.header.policy(producer) else {
            return;
        };
        let header = &self.calm.trace.header;
        let servers = header.of_kind(NodeKind::NameServer).count();
        let each = match header.nodes.get(self.server.index()) {
            Some(info) if info.kind == NodeKind::NameServer => servers,
            _ => 1,
        };
        let asked = |run: &OneRun<'_>, topic: &Name| {
            let asked = run.history.asked.iter().filter(|it| it.topic == topic);
            let asked = asked.filter(|it| run.is_of(producer, it.peer));
            asked.map(|it| it.timestamp).collect::<Vec<_>>()
        };
        for topic in self.topics() {
            let longer = self
                .struck
                .trace
                .end_ms
                .saturating_sub(self.calm.trace.end_ms);
            let polls = polls(policy, longer);
            let more = (self.failed(producer, topic) + polls) * each;
            let before = asked(&self.calm, topic).len() * each;
            if let Some(at) = asked(&self.struck, topic).get(before + more) {
                let (who, server) = (self.name(producer), self.name(self.server));
                let text = format!("{who} asks for {topic} more often when {server} is struck");
                report.wrong(*at, text);
            }
        }
    }

    /// Topics that brokers make for a send.
    fn made(&self) -> BTreeSet<&Name> {
        let history = &self.calm.history;
        let brokers = self.calm.trace.header.of_kind(NodeKind::Broker);
        let made = brokers.flat_map(|broker| history.index.created(broker));
        // Those of the scenario are there when the brokers are.
        let made = made.filter(|(at, _)| at.ms > 0);
        made.map(|(_, topic)| *topic).collect()
    }

    /// Topics that are there from the beginning.
    fn topics(&self) -> BTreeSet<&Name> {
        let made = self.made();
        let sent = self.calm.history.sends.iter().map(|it| it.topic);
        sent.filter(|it| !made.contains(it)).collect()
    }

    /// Attempts of a topic that did not go as they should when the server was struck.
    fn failed(&self, producer: NodeId, topic: &Name) -> usize {
        let sends = self.struck.history.sends.iter();
        let sends = sends.filter(|it| it.node == producer && it.topic == topic);
        let attempts = sends.flat_map(|it| &it.attempts);
        let well = |stage| matches!(stage, Stage::Accepted);
        attempts
            .filter(|it| it.hedged.is_some() || it.ended.is_none_or(|end| !well(end.stage)))
            .count()
    }
}

/// Polls of one topic in so much time, and one at its edge.
fn polls(policy: &PolicyFacts, longer_ms: u64) -> usize {
    let polls = longer_ms / policy.poll_ms.max(1);
    usize::try_from(polls)
        .unwrap_or(usize::MAX)
        .saturating_add(1)
}

#[cfg(test)]
mod tests;
