//! Faults of a check: of the same kinds as a sweep's, over a cluster and a program that are somebody else's.
//!
//! A sweep knows what its producers send, and lets faults wait for it. Of a check it is known which servers
//! there are, and nothing of its program. So a fault waits for what a server reads or stores, wherever that
//! comes from, or comes at a time, early more often than late, for most checks are short.

use rmq_remoting::code::request;
use rmq_remoting::observe::Name;

use super::draw::Draw;
use super::kinds::{self, Target};
use super::knobs::Knobs;
use super::plan;
use crate::fault::{Fault, FaultKind, Kind, Place, Position, Site};
use crate::scenario::{Callback, ClusterPlan, NetworkPlan, SendMode, Target as Queue, Workload};

/// What a check lets be drawn.
#[derive(Debug)]
pub(crate) struct OfCheck<'c> {
    pub(crate) cluster: &'c ClusterPlan,
    pub(crate) network: NetworkPlan,
    /// The kinds that may be drawn.
    pub(crate) kinds: Vec<&'static str>,
    /// At most so many faults.
    pub(crate) most: usize,
    /// The check's own machines.
    pub(crate) nodes: &'c [Name],
    /// Those with a program that can be started again.
    pub(crate) programs: &'c [Name],
    /// No fault starts later than so many milliseconds after the start of the run.
    pub(crate) within_ms: u64,
    /// Whether servers may come back without their data.
    pub(crate) loses_data: bool,
}

/// The kinds that can be drawn for a check of such a cluster.
pub(crate) fn kinds(cluster: &ClusterPlan) -> impl Iterator<Item = &'static Kind> {
    let has_topics = !cluster.topics.is_empty();
    let fits = move |kind: &&Kind| match kind.name {
        // It is about a topic that a broker has from the start.
        "resize" => has_topics,
        // The list of a producer is that of a scenario.
        _ => kind.site != Site::Producer,
    };
    kinds::all().filter(fits)
}

impl OfCheck<'_> {
    /// Draws the faults of a seed, none of which undoes another one or one of `others`.
    pub(crate) fn faults(&self, seed: u64, others: &[Fault]) -> Vec<Fault> {
        let draw = Draw::of(seed).part("check", 0);
        let knobs = self.knobs(seed, &draw);
        let count = draw.one_of("faults", [0, 1, 2, 3, 3, 4, 4, 5, 6, 8]);
        let mut faults: Vec<Fault> = Vec::new();
        for number in 0..count.min(self.most) {
            let draw = draw.part("fault", number);
            let fault = kinds::choose(&draw, &knobs.kinds)
                .and_then(|kind| self.of_kind(&draw, &knobs, kind));
            let Some(fault) = fault else { continue };
            let mut before = others.iter().chain(&faults);
            if !before.any(|other| plan::clash(other, &fault)) {
                faults.push(fault);
            }
        }
        faults
    }

    /// What the kinds of faults ask when they are drawn.
    fn knobs(&self, seed: u64, draw: &Draw) -> Knobs {
        let exist = kinds::of_this_run(draw).into_iter();
        let exist: Vec<_> = exist.filter(|kind| self.kinds.contains(kind)).collect();
        let topics = self
            .cluster
            .topics
            .iter()
            .map(|(topic, _)| Name::clone(topic));
        let mut workloads: Vec<Workload> = topics.map(work).collect();
        if workloads.is_empty() {
            workloads.push(work(Name::from("")));
        }
        Knobs {
            seed,
            // A run without any kind would be one without faults.
            kinds: match exist.is_empty() {
                true => self.kinds.clone(),
                false => exist,
            },
            near: false,
            cluster: self.cluster.clone(),
            network: self.network,
            producers: Vec::new(),
            workloads,
            faults: Vec::new(),
        }
    }

    /// A fault of a kind; none if there is no place for it.
    fn of_kind(&self, draw: &Draw, knobs: &Knobs, kind: &Kind) -> Option<Fault> {
        let (place, target) = self.place(draw, kind)?;
        let mut what = kinds::make(kind, draw, knobs, target);
        if let FaultKind::Rule(rule) = &mut what {
            // Only of a scenario's sends is it known when their attempts started.
            rule.then = rule.then.since_attempt(0);
            rule.topic = rule.topic.take().filter(|topic| !topic.is_empty());
        }
        if let Some(restart) = what.restart_mut().filter(|_| !self.loses_data) {
            restart.keep_data = true;
        }
        let at = self.position(draw, target, &what);
        let for_ms = match &what {
            kind if kind.is_at_once() => None,
            FaultKind::Rule(rule) if rule.then.is_about_routes() => Some(35_000),
            _ => Some(plan::lasts(draw)),
        };
        Some(Fault {
            kind: what,
            place,
            at,
            for_ms,
            may_miss: true,
        })
    }

    /// Where a fault is, and what that is.
    fn place(&self, draw: &Draw, kind: &Kind) -> Option<(Place, Target)> {
        let brokers = || (draw.pick("broker", &self.cluster.brokers), Target::Broker);
        let name_servers = || {
            let all = self.cluster.name_server_names();
            (draw.pick("name-server", &all), Target::NameServer)
        };
        let own = |nodes: &[Name]| (draw.pick("own", nodes), Target::Producer);
        let is_own =
            |nodes: &[Name], per_mille| !nodes.is_empty() && draw.coin("is-own", per_mille);
        // A program has no orderly end, and answers to no rule.
        let has_rules = kind.is_rule() || kind.name == "stop";
        let (node, target) = match kind.site {
            Site::Server if !has_rules && is_own(self.programs, 300) => own(self.programs),
            Site::Node if is_own(self.nodes, 300) => own(self.nodes),
            Site::Server | Site::Node => match draw.coin("at-name-server", 300) {
                true => name_servers(),
                false => brokers(),
            },
            Site::Broker => brokers(),
            Site::NameServer => name_servers(),
            Site::Producer => return None,
            Site::Link | Site::Pair | Site::LinkOrPair => {
                if let Some((a, b)) = self.two_own(draw) {
                    return Some((plan::ends(draw, kind.site, a, b), Target::Network));
                }
                let (other, _) = match draw.coin("at-name-server", 300) {
                    true => name_servers(),
                    false => brokers(),
                };
                let end = match is_own(self.nodes, 900) {
                    true => own(self.nodes).0,
                    // Two servers of one kind have nothing to say to each other.
                    false if self.cluster.brokers.contains(&other) => name_servers().0,
                    false => brokers().0,
                };
                return Some((plan::ends(draw, kind.site, end, other), Target::Network));
            }
        };
        Some((Place::Node(node), target))
    }

    /// Two of the check's own machines, for a part of the links.
    fn two_own(&self, draw: &Draw) -> Option<(Name, Name)> {
        if !draw.coin("between-own", 400) || self.nodes.is_empty() {
            return None;
        }
        let one = draw.pick("own", self.nodes);
        let others = self.nodes.iter().filter(|name| **name != one);
        let others: Vec<Name> = others.cloned().collect();
        (!others.is_empty()).then(|| (one, draw.pick("other-own", &others)))
    }

    /// When a fault starts.
    fn position(&self, draw: &Draw, target: Target, what: &FaultKind) -> Position {
        let code = match target {
            Target::Broker => Some(request::SEND_MESSAGE_V2),
            Target::NameServer => Some(request::GET_ROUTEINFO_BY_TOPIC),
            Target::Producer | Target::Network => None,
        };
        // A rule starts with one of its own requests.
        let code = code.filter(|code| match what {
            FaultKind::Rule(rule) => rule.codes.contains(code),
            _ => true,
        });
        let n = draw.between("n", 1, draw.one_of("n-most", [2, 5, 20, 50]));
        let is_rule = matches!(what, FaultKind::Rule(_));
        match (code, draw.between("waits-for", 1, 10)) {
            (Some(code), 1..=5) => Position::Received { code, n },
            (Some(_), 6..=7) if target == Target::Broker && !is_rule => Position::Stored { n },
            _ => {
                let before = draw.one_of("before", [1_000, 2_000, 5_000, 10_000, 30_000, 60_000]);
                let before = before.min(self.within_ms);
                Position::Time {
                    ms: draw.between("at", 0, before),
                }
            }
        }
    }
}

/// Sends to a topic, of which nothing else is known.
fn work(topic: Name) -> Workload {
    Workload {
        producer: Name::from(""),
        topic,
        mode: SendMode::Sync,
        sends: 1,
        every_ms: 0,
        start_ms: 0,
        body_bytes: 0,
        target: Queue::Any,
        callers: 1,
        drop_after_ms: None,
        callback: Callback::Plain,
        timeout_ms: None,
        tag: None,
        delay_level: None,
        flag: 0,
        property: None,
        waits_stored: true,
        own_ids: false,
    }
}
