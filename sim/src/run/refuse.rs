//! What is refused before anything runs: plans that make no sense, or that would test nothing.
//!
//! A fault that strikes nobody passes every check. So a name that no node has, a place where a kind cannot
//! be, an end before the start and a rule for no request are errors, whether a file or a program says them.

use rmq_remoting::observe::Name;

use super::RunError;
use super::facts::policy_of;
use crate::fault::{EngineKind, Fault, FaultKind, Place, Position, Rule, Site};
use crate::scenario::{ProducerPlan, Scenario};
use crate::trace::NodeKind;

/// Where the nodes of a run come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nodes {
    /// All of them are the scenario's.
    OfScenario,
    /// The code of a check adds processes of its own while the run goes on.
    MoreWillCome,
}

/// The longest timeout of a send, as a scenario file may set it.
const LONGEST_TIMEOUT_MS: u64 = 600_000;

/// What is wrong with a fault, to be read after it, and what to do about it.
type Flaw = (String, String);

/// The part of a scenario that is wrong, by its place in the scenario's lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subject {
    /// A fault.
    Fault(usize),
    /// A producer, whose policy makes no sense.
    Producer(usize),
}

/// Everything that makes no sense on any engine: what it is about, and the error.
pub(crate) fn flaws(scenario: &Scenario, nodes: Nodes) -> Vec<(Subject, RunError)> {
    let faults = scenario.faults.iter().enumerate();
    let faults = faults.filter_map(|(index, fault)| {
        let (reason, remedy) = place(scenario, fault, nodes)
            .or_else(|| time(scenario, fault))
            .or_else(|| rule(scenario, fault))
            .or_else(|| {
                let lie = fault.kind.lie()?;
                Some((lie.what.to_owned(), lie.remedy.to_owned()))
            })?;
        let fault = fault.to_string();
        let error = RunError::Fault {
            fault,
            reason,
            remedy,
        };
        Some((Subject::Fault(index), error))
    });
    let producers = scenario.producers.iter().enumerate();
    let producers = producers.filter_map(|(index, plan)| {
        let cause = policy(plan).err()?;
        let producer = Name::clone(&plan.name);
        let error = RunError::Policy { producer, cause };
        Some((Subject::Producer(index), error))
    });
    faults.chain(producers).collect()
}

/// Refuses what makes no sense or what the engine cannot do, before anything runs: all of it at once.
pub(crate) fn check(scenario: &Scenario, engine: EngineKind, nodes: Nodes) -> Result<(), RunError> {
    let flaws = flaws(scenario, nodes).into_iter();
    let mut errors: Vec<RunError> = flaws.map(|(_, error)| error).collect();
    let impossible = scenario.faults.iter().filter_map(|fault| {
        let reason = fault.kind.kind().engines.impossible_on(engine)?;
        Some(RunError::Impossible {
            engine,
            fault: fault.to_string(),
            reason: reason.to_owned(),
            remedy: "run it on the engine event, or remove the fault",
        })
    });
    errors.extend(impossible);
    match errors.len() {
        0 => Ok(()),
        1 => errors.pop().map_or(Ok(()), Err),
        _ => Err(RunError::Several(errors)),
    }
}

/// Why a producer has no policy that a run can wait for.
fn policy(plan: &ProducerPlan) -> Result<(), String> {
    let policy = policy_of(plan).map_err(|cause| cause.to_string())?;
    let timeout = policy.send_timeout;
    if timeout > LONGEST_TIMEOUT_MS {
        let most = format!("a run waits for a send for {LONGEST_TIMEOUT_MS} ms at most");
        return Err(format!("send-timeout is {timeout} ms; {most}"));
    }
    Ok(())
}

/// A fault that would be lost because nothing it could strike is ever there.
fn place(scenario: &Scenario, fault: &Fault, nodes: Nodes) -> Option<Flaw> {
    let known = |name: &str| scenario.kind_of(name);
    let names = || scenario.node_names().join(", ");
    let unknown = fault.place.names().find(|it| known(it).is_none());
    if nodes == Nodes::OfScenario
        && let Some(unknown) = unknown
    {
        return Some((
            format!("names \"{unknown}\", and there is no such node"),
            format!("use one of: {}", names()),
        ));
    }
    let site = fault.kind.kind().site;
    let remedy = site.allows(&fault.place, known).err()?;
    let of_server = matches!(fault.kind, FaultKind::Stop(_) | FaultKind::Rule(_));
    if let (Some(unknown), Place::Node(_)) = (unknown, &fault.place) {
        if site == Site::Server && !of_server {
            // A node of the check has a process that can be taken away and started again.
            return None;
        }
        return Some((
            format!("names \"{unknown}\", and there is no such server"),
            format!("use one of: {}", names()),
        ));
    }
    Some((
        format!("cannot be on \"{}\"", fault.place),
        format!("{remedy}; the nodes are: {}", names()),
    ))
}

/// A fault that never starts, or that is over when it starts.
fn time(scenario: &Scenario, fault: &Fault) -> Option<Flaw> {
    let says = |what: &str, remedy: &str| Some((what.to_owned(), remedy.to_owned()));
    if fault.for_ms == Some(0) {
        return says("is over when it starts", "let it end after its start");
    }
    if fault.for_ms.is_some() && fault.kind.is_at_once() {
        return says(
            "strikes once, and cannot last",
            "leave its length away: what it struck stays so",
        );
    }
    let kind = match &fault.place {
        Place::Node(node) => scenario.kind_of(node),
        Place::Link { .. } | Place::Pair { .. } => None,
    };
    match fault.at {
        Position::Time { ms } if ms >= scenario.seconds.saturating_mul(1_000) => Some((
            format!("starts when the run is over, after {} s", scenario.seconds),
            "let it start earlier".to_owned(),
        )),
        Position::Stored { n: 0 } | Position::Received { n: 0, .. } => {
            says("waits for number 0 of its kind", "count from 1")
        }
        Position::Stored { .. } if kind != Some(NodeKind::Broker) => says(
            "waits for stored messages",
            "place it on a broker, or give it a time",
        ),
        Position::Received { .. } if kind.is_none_or(|it| it == NodeKind::Producer) => says(
            "waits for requests",
            "place it on a server, or give it a time",
        ),
        _ => None,
    }
}

/// A rule that applies to no request.
fn rule(scenario: &Scenario, fault: &Fault) -> Option<Flaw> {
    let FaultKind::Rule(rule) = &fault.kind else {
        return None;
    };
    let Rule {
        codes,
        topic,
        queue,
        per_mille,
        times,
        ..
    } = rule;
    if codes.is_empty() {
        let what = "is about no request".to_owned();
        return Some((what, "name a request, like SEND_MESSAGE_V2".to_owned()));
    }
    if let Some(share @ (0 | 1_001..)) = per_mille {
        let what = format!("applies to {share} of a thousand requests");
        return Some((what, "give it 1 to 1000 of a thousand".to_owned()));
    }
    if *times == Some(0) {
        let what = "applies to no request at all".to_owned();
        return Some((what, "let it apply once or more often".to_owned()));
    }
    let topics = &scenario.cluster.topics;
    let queues = topics.iter().find(|(name, _)| Some(name) == topic.as_ref());
    match (queues, queue) {
        (Some((topic, queues)), Some(queue)) if !(0..*queues).contains(queue) => Some((
            format!("is about queue {queue}, and {topic} has {queues} at each broker"),
            format!("name one of the queues 0 to {}", queues - 1),
        )),
        _ => None,
    }
}
