//! The kinds of fault that a generated run may have, and what each of them draws for itself.

use rmq_remoting::code::{request, response};

use super::draw::Draw;
use super::knobs::Knobs;
use crate::fault::{FaultKind, Restart, Rule, RuleAction};

/// A kind of fault, as the generator sees it.
pub(super) struct Kind {
    /// As a scenario file calls it.
    pub(super) name: &'static str,
    /// Where it may be.
    pub(super) site: Site,
    /// Draws its parameters, for a fault at such a place.
    pub(super) make: fn(&Draw, &Knobs, Target) -> FaultKind,
}

/// Where a kind of fault may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Site {
    /// A broker or a name server.
    Server,
    /// Any process.
    Process,
    /// Both directions between two nodes.
    Pair,
    /// One direction or both.
    LinkOrPair,
}

/// What was chosen from the site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    Producer,
    NameServer,
    Broker,
    Network,
}

const fn kind(
    name: &'static str,
    site: Site,
    make: fn(&Draw, &Knobs, Target) -> FaultKind,
) -> Kind {
    Kind { name, site, make }
}

/// Every kind but `corrupt`: where a flipped byte changes a message on its way, evidence and testimony
/// disagree, and no judge can tell that from a producer that lies. It has a scenario of its own.
pub(super) const KINDS: &[Kind] = &[
    kind("crash", Site::Server, |draw, _, on| {
        FaultKind::Crash(restart(draw, on))
    }),
    kind("stop", Site::Server, |draw, _, on| {
        FaultKind::Stop(restart(draw, on))
    }),
    kind("power-loss", Site::Server, |draw, _, on| {
        FaultKind::PowerLoss(restart(draw, on))
    }),
    kind("freeze", Site::Process, |_, _, _| FaultKind::Freeze),
    kind("slow", Site::Process, |draw, _, _| FaultKind::Slow {
        ms_per_step: draw.one_of("step", [1, 2, 5, 20, 100]),
    }),
    kind("refuse", Site::Server, |_, _, _| FaultKind::Refuse),
    kind("partition", Site::LinkOrPair, |_, _, _| {
        FaultKind::Partition
    }),
    kind("black-hole", Site::Pair, |_, _, _| FaultKind::BlackHole),
    kind("loss", Site::LinkOrPair, |draw, _, _| FaultKind::Loss {
        per_mille: draw.one_of("loss", [10, 50, 200, 500]),
    }),
    kind("latency", Site::LinkOrPair, |draw, _, _| {
        FaultKind::Latency {
            ms: draw.one_of("link-latency", [2, 10, 50, 200, 600, 1_500]),
            jitter_ms: draw.one_of("link-jitter", [0, 0, 10, 100]),
        }
    }),
    kind("answer", Site::Server, |draw, _, on| {
        rule(draw, on, answer(draw, on))
    }),
    kind("delay", Site::Server, |draw, knobs, on| {
        let ms = delay_ms(draw, knobs);
        rule(draw, on, RuleAction::Delay { ms })
    }),
    kind("drop-request", Site::Server, |draw, _, on| {
        rule(draw, on, RuleAction::DropRequest)
    }),
    kind("drop-reply", Site::Server, |draw, _, on| {
        rule(draw, on, RuleAction::DropReply)
    }),
    kind("close-before", Site::Server, |draw, _, on| {
        rule(draw, on, RuleAction::CloseBefore)
    }),
    kind("close-after", Site::Server, |draw, _, on| {
        rule(draw, on, RuleAction::CloseAfter)
    }),
];

/// The kinds that exist in a run. Some runs have all of them.
pub(super) fn of_this_run(draw: &Draw) -> Vec<&'static str> {
    let per_mille = draw.one_of("kinds", [150, 300, 300, 1_000]);
    let exists = |kind: &&Kind| draw.part(kind.name, 0).coin("exists", per_mille);
    KINDS.iter().filter(exists).map(|kind| kind.name).collect()
}

/// The kind of one fault: of those that exist, the one with the highest draw.
pub(super) fn choose(draw: &Draw, kinds: &[&'static str]) -> Option<&'static Kind> {
    KINDS
        .iter()
        .filter(|kind| kinds.contains(&kind.name))
        .max_by_key(|kind| draw.part(kind.name, 0).number("kind"))
}

fn restart(draw: &Draw, on: Target) -> Restart {
    Restart {
        keep_data: !draw.coin("lose-data", 200),
        // A producer has its name servers' addresses from its user; those do not move.
        new_address: on == Target::Broker && draw.coin("new-address", 200),
    }
}

fn rule(draw: &Draw, on: Target, then: RuleAction) -> FaultKind {
    let send = vec![
        request::SEND_MESSAGE,
        request::SEND_MESSAGE_V2,
        request::SEND_BATCH_MESSAGE,
    ];
    let codes = match on {
        Target::Broker => draw.one_of("code", [send.clone(), send, vec![request::HEART_BEAT]]),
        _ => draw.one_of(
            "code",
            [
                vec![request::GET_ROUTEINFO_BY_TOPIC],
                vec![request::GET_ROUTEINFO_BY_TOPIC],
                vec![request::REGISTER_BROKER],
            ],
        ),
    };
    FaultKind::Rule(Rule {
        codes,
        topic: None,
        queue: None,
        per_mille: draw.one_of("per-mille", [None, None, Some(50), Some(300), Some(700)]),
        times: draw.one_of("times", [None, None, Some(1), Some(3)]),
        then,
    })
}

fn answer(draw: &Draw, on: Target) -> RuleAction {
    let code = match on {
        Target::Broker => draw.one_of(
            "answer",
            [
                response::SYSTEM_ERROR,
                response::SYSTEM_BUSY,
                response::SERVICE_NOT_AVAILABLE,
                response::NO_PERMISSION,
                response::TOPIC_NOT_EXIST,
                response::MESSAGE_ILLEGAL,
            ],
        ),
        _ => draw.one_of(
            "answer",
            [
                response::SYSTEM_ERROR,
                response::SYSTEM_BUSY,
                response::TOPIC_NOT_EXIST,
            ],
        ),
    };
    RuleAction::Answer { code, remark: None }
}

/// How late an answer is: anything, or within a millisecond of when a send or a share ends.
fn delay_ms(draw: &Draw, knobs: &Knobs) -> u64 {
    let any = draw.one_of("delay", [1, 20, 100, 500, 1_200, 3_000, 8_000, 20_000]);
    let whose = draw.index("delay-of", knobs.producers.len());
    let Some(producer) = knobs.producers.get(whose).filter(|_| knobs.near) else {
        return any;
    };
    let timeout = producer.timeout_ms.unwrap_or(3_000);
    let attempts = u64::from(producer.retries.unwrap_or(2)) + 1;
    let end = draw.one_of("delay-end", [timeout, timeout / attempts]);
    let around = draw.between("delay-around", 0, 2);
    let round_trip = 2 * knobs.network.latency_ms;
    (end + around).saturating_sub(1 + round_trip).max(1)
}
