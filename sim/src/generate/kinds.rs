//! The kinds of fault that a generated run may have, and what each of them draws for itself.

use rmq_remoting::code::{request, response};
use rmq_remoting::observe::Name;

use super::draw::Draw;
use super::knobs::Knobs;
use crate::fault::{FaultKind, OddRoute, Restart, Rule, RuleAction};

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
    /// A broker.
    Broker,
    /// A name server.
    NameServer,
    /// Any process.
    Process,
    /// A producer.
    Producer,
    /// One direction between two nodes.
    Link,
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

/// A rule without parameters of its own.
macro_rules! plain {
    ($name:literal, $site:ident, $then:ident) => {
        kind($name, Site::$site, |draw, knobs, on| {
            rule(draw, knobs, on, RuleAction::$then)
        })
    };
}

/// A route in an odd form.
macro_rules! odd {
    ($name:literal, $form:ident) => {
        kind($name, Site::NameServer, |draw, knobs, on| {
            rule(draw, knobs, on, RuleAction::OddRoute(OddRoute::$form))
        })
    };
}

/// Kinds of fault that exist and are not drawn, each with the reason.
pub const NOT_DRAWN: &[(&str, &str)] = &[(
    "corrupt",
    "where a flipped byte changes a message on its way, evidence and testimony disagree, and \
         no judge can tell that from a producer that lies; it has a scenario of its own",
)];

/// Every kind but those of [`NOT_DRAWN`].
pub(super) const KINDS: &[Kind] = &[
    kind("crash", Site::Server, |draw, knobs, on| {
        FaultKind::Crash(restart(draw, knobs, on))
    }),
    kind("stop", Site::Server, |draw, knobs, on| {
        FaultKind::Stop(restart(draw, knobs, on))
    }),
    kind("power-loss", Site::Server, |draw, knobs, on| {
        FaultKind::PowerLoss(restart(draw, knobs, on))
    }),
    kind("freeze", Site::Process, |_, _, _| FaultKind::Freeze),
    kind("slow", Site::Process, |draw, _, _| FaultKind::Slow {
        ms_per_step: draw.one_of("step", [1, 2, 5, 20, 100]),
    }),
    kind("clock-jump", Site::Process, |draw, _, _| {
        let by = draw.one_of("clock-by", [1, 1_000, 60_000, 3_600_000, 40 * 86_400_000]);
        FaultKind::ClockJump {
            ms: if draw.coin("clock-back", 500) {
                -by
            } else {
                by
            },
        }
    }),
    kind("refuse", Site::Server, |_, _, _| FaultKind::Refuse),
    kind("swallow-dials", Site::Server, |_, _, _| {
        FaultKind::SwallowDials
    }),
    kind("stop-reading", Site::Server, |_, _, _| {
        FaultKind::StopReading
    }),
    kind("name-server-list", Site::Producer, |draw, knobs, _| {
        let servers = knobs.cluster.name_server_names();
        let without = servers.get(draw.index("taken-out", servers.len()));
        FaultKind::NameServerList {
            without: without.map_or_else(|| "".into(), Name::clone),
        }
    }),
    kind("read-only", Site::Broker, |_, _, _| FaultKind::ReadOnly),
    kind("resize", Site::Broker, |draw, knobs, _| {
        let topics = &knobs.cluster.topics;
        let topic = topics.get(draw.index("resized", topics.len()));
        FaultKind::Resize {
            topic: topic.map_or_else(|| "topic-1".into(), |(topic, _)| Name::clone(topic)),
            queues: draw.one_of("resized-to", [1, 2, 3, 8, 16]),
        }
    }),
    kind("partition", Site::LinkOrPair, |_, _, _| {
        FaultKind::Partition
    }),
    kind("hold", Site::LinkOrPair, |_, _, _| FaultKind::Hold),
    kind("black-hole", Site::Pair, |_, _, _| FaultKind::BlackHole),
    kind("half-open", Site::Link, |_, _, _| FaultKind::HalfOpen),
    kind("reset", Site::LinkOrPair, |draw, _, _| FaultKind::Reset {
        byte: draw.between("reset-byte", 0, 2_000),
    }),
    kind("loss", Site::LinkOrPair, |draw, _, _| FaultKind::Loss {
        per_mille: draw.one_of("loss", [10, 50, 200, 500]),
    }),
    kind("latency", Site::LinkOrPair, |draw, _, _| {
        FaultKind::Latency {
            ms: draw.one_of("link-latency", [2, 10, 50, 200, 600, 1_500]),
            jitter_ms: draw.one_of("link-jitter", [0, 0, 10, 100]),
        }
    }),
    kind("bandwidth", Site::LinkOrPair, |draw, _, _| {
        FaultKind::Bandwidth {
            bytes_per_ms: draw.one_of("bandwidth", [1, 5, 50, 1_000]),
        }
    }),
    kind("slice", Site::LinkOrPair, |draw, _, _| FaultKind::Slice {
        bytes: draw.one_of("slice", [1, 7, 100, 1_460]),
    }),
    kind("answer", Site::Server, |draw, knobs, on| {
        rule(draw, knobs, on, answer(draw, on))
    }),
    kind("store-then-answer", Site::Broker, |draw, knobs, on| {
        let code = draw.one_of(
            "stored-code",
            [
                response::FLUSH_DISK_TIMEOUT,
                response::SLAVE_NOT_AVAILABLE,
                response::FLUSH_SLAVE_TIMEOUT,
            ],
        );
        rule(draw, knobs, on, RuleAction::StoreThenAnswer { code })
    }),
    kind("delay", Site::Server, |draw, knobs, on| {
        let ms = delay_ms(draw, knobs);
        let jitter_ms = draw.one_of("delay-jitter", [0, 0, 2, ms]);
        rule(draw, knobs, on, RuleAction::Delay { ms, jitter_ms })
    }),
    kind("delay-request", Site::Broker, |draw, knobs, on| {
        let ms = delay_ms(draw, knobs);
        rule(draw, knobs, on, RuleAction::DelayRequest { ms })
    }),
    plain!("drop-request", Server, DropRequest),
    plain!("drop-reply", Server, DropReply),
    plain!("close-before", Server, CloseBefore),
    plain!("close-after", Server, CloseAfter),
    plain!("reset-before", Server, ResetBefore),
    plain!("reset-after", Server, ResetAfter),
    plain!("reply-twice", Server, ReplyTwice),
    plain!("unknown-opaque", Server, UnknownOpaque),
    plain!("half-frame", Server, HalfFrame),
    plain!("half-frame-close", Server, HalfFrameClose),
    plain!("garbage", Server, Garbage),
    plain!("stale-route", NameServer, StaleRoute),
    kind("partial-route", Site::NameServer, |draw, knobs, on| {
        let brokers = &knobs.cluster.brokers;
        let broker = brokers.get(draw.index("left-out", brokers.len()));
        let broker = broker.map_or_else(|| "".into(), Name::clone);
        rule(draw, knobs, on, RuleAction::PartialRoute { broker })
    }),
    plain!("permuted-route", NameServer, PermutedRoute),
    odd!("bare-id-route", BareIds),
    odd!("text-number-route", TextNumbers),
    odd!("null-route", Nulls),
    odd!("empty-route", Empty),
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
        .max_by_key(|kind| {
            let chances = 0..chances(kind);
            chances
                .map(|nth| draw.part(kind.name, nth).number("kind"))
                .max()
        })
}

/// How often a kind takes part in a draw. An answer may have any of seven codes, and each is a
/// fault of its own to a client; and what is lost without a word is what timeouts are for.
fn chances(kind: &Kind) -> usize {
    match kind.name {
        "answer" => 4,
        "drop-request" | "drop-reply" => 2,
        _ => 1,
    }
}

fn restart(draw: &Draw, knobs: &Knobs, on: Target) -> Restart {
    let keep_data = !draw.coin("lose-data", 200);
    Restart {
        keep_data,
        // A producer has its name servers' addresses from its user; those do not move. A broker
        // that comes back elsewhere and without its topics is named by no route of theirs, so
        // nobody who kept the old route can find it. And a client that asks for no route when a dial
        // fails never finds a broker of a borrowed route again.
        new_address: on == Target::Broker
            && keep_data
            && knobs.is_strict()
            && draw.coin("new-address", 400),
    }
}

fn rule(draw: &Draw, knobs: &Knobs, on: Target, then: RuleAction) -> FaultKind {
    let send = vec![
        request::SEND_MESSAGE,
        request::SEND_MESSAGE_V2,
        request::SEND_BATCH_MESSAGE,
    ];
    let codes = match on {
        _ if then.is_about_routes() => vec![request::GET_ROUTEINFO_BY_TOPIC],
        // A heartbeat is not stored.
        Target::Broker if then.is_broker_only() => send,
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
    let topics = &knobs.cluster.topics;
    let topic = topics.get(draw.index("rule-topic", topics.len()));
    FaultKind::Rule(Rule {
        topic: topic
            .filter(|_| !codes.contains(&request::HEART_BEAT) && draw.coin("one-topic", 300))
            .map(|(topic, _)| Name::clone(topic)),
        queue: None,
        codes,
        per_mille: draw.one_of("per-mille", [None, None, None, Some(100), Some(500)]),
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
                response::GO_AWAY,
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
