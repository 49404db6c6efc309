//! What is written is read again as it was, for every scenario of the project and for any other.

use std::io;
use std::path::Path;

use proptest::prelude::*;
use rmq_remoting::profile::Profile;

use crate::fault::rule::{Answer, Delay, DelayRequest, PartialRoute, Since, StoreThenAnswer};
use crate::fault::{
    Bandwidth, ClockJump, Corrupt, Crash, Fault, FaultKind, Latency, Loss, NameServerList,
    OddRoute, Place, Position, PowerLoss, Resize, Restart, Rule, RuleAction, Slice, Slow, Stop,
};
use crate::scenario::{
    Bound, Callback, ClusterPlan, Expect, Hooks, Limits, Namespace, NetworkPlan, Order,
    PolicySource, ProducerPlan, Scenario, SendMode, Target, Workload,
};

/// Reads the text again, under the scenario's own name, with its own policy texts.
fn again(scenario: &Scenario, text: &str) -> Scenario {
    let load = |wanted: &str| {
        let policies = scenario.producers.iter().map(|plan| &plan.policy);
        policies
            .filter_map(|policy| match policy {
                PolicySource::Text { file, text } if file == wanted => Some(text.clone()),
                _ => None,
            })
            .next()
            .ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    };
    Scenario::parse(&scenario.name, text, &load).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

#[test]
fn every_scenario_of_the_project_is_the_same_when_written_and_read_again() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let scenario = Scenario::load(&entry.unwrap().path()).unwrap();
        assert_eq!(again(&scenario, &scenario.to_toml()), scenario);
        seen += 1;
    }
    assert!(seen >= 14, "{seen} scenarios");
}

#[test]
fn a_scenario_is_written_as_a_person_would_write_it() {
    let text = "# Ignored.\nformat = 2\nseconds = 60\n\
        [cluster]\nname-servers = 2\nbrokers = [\"broker-a\", \"broker-b\"]\n\
        topics = { orders = 4, \"%odd\" = 1 }\n\
        [producer.p1]\ntimeout = \"2500ms\"\n\
        [[workload]]\nproducer = \"p1\"\ntopic = \"orders\"\nsends = 10\n\
        [[fault]]\ndo = \"crash\"\non = [\"broker-a\", \"broker-b\"]\nat = \"20s\"\nfor = \"1500ms\"\n\
        [[fault]]\ndo = \"answer\"\non = \"broker-a\"\ncode = 2\n\
        at = { received = 310, n = 5 }\n\
        [expect]\nfailed = 0\nok = { min = 1 }\n";
    let scenario = Scenario::parse("test.toml", text, &|_| Ok(String::new())).unwrap();
    let written = "\
# test.toml: 2 name servers, 2 brokers, 1 producer, 10 sends, 3 faults, 60 s.
format  = 2
seconds = 60

[cluster]
name-servers = 2
brokers      = [\"broker-a\", \"broker-b\"]
profile      = \"5.3.3\"
topics       = { \"%odd\" = 1, orders = 4 }

[network]
latency     = { ms = 1 }
ready-order = \"fifo\"

[producer.p1]
policy  = \"strict\"
timeout = \"2500ms\"

[[workload]]
producer = \"p1\"
topic    = \"orders\"
mode     = \"sync\"
sends    = 10
every    = \"1s\"
start    = \"1s\"
body     = 16

[[fault]]
do  = \"crash\"
on  = [\"broker-a\", \"broker-b\"]
at  = \"20s\"
for = \"1500ms\"

[[fault]]
do   = \"answer\"
on   = \"broker-a\"
code = \"SYSTEM_BUSY\"
at   = { received = \"SEND_MESSAGE_V2\", n = 5 }

[expect]
ok     = { min = 1 }
failed = 0
";
    assert_eq!(scenario.to_toml(), written);
}

#[test]
fn a_long_comment_is_wrapped_and_keeps_its_lines() {
    let scenario = Scenario::parse(
        "test.toml",
        "format = 2\nseconds = 1\n[cluster]\nbrokers = [\"b\"]\n",
        &|_| Ok(String::new()),
    )
    .unwrap();
    let text = scenario.to_toml_under(&format!("One.\n\n{}", "word ".repeat(40).trim_end()));
    let lines: Vec<&str> = text.lines().take_while(|it| it.starts_with('#')).collect();
    assert_eq!(lines[..2], ["# One.", "#"]);
    assert_eq!(lines.len(), 5);
    assert!(lines.iter().all(|line| line.len() <= 98), "{lines:?}");
}

fn node() -> impl Strategy<Value = Place> {
    prop_oneof![Just("broker-a"), Just("broker-b"), Just("ns-1")]
        .prop_map(|name| Place::Node(name.into()))
}

fn two_ways() -> impl Strategy<Value = Place> {
    prop_oneof![
        Just(Place::Link {
            from: "p1".into(),
            to: "broker-a".into()
        }),
        Just(Place::Pair {
            a: "broker-b".into(),
            b: "ns-1".into()
        }),
    ]
}

fn restart() -> impl Strategy<Value = Restart> {
    any::<(bool, bool)>().prop_map(|(keep_data, new_address)| Restart {
        keep_data,
        new_address,
    })
}

fn action() -> impl Strategy<Value = RuleAction> {
    prop_oneof![
        // The codes below 20 that say "stored" would be lies.
        (20..3_000i32, proptest::option::of("[ -~]{0,12}"))
            .prop_map(|(code, remark)| RuleAction::Answer(Answer { code, remark })),
        (1..5_000u64, 0..50u64).prop_map(|(ms, jitter_ms)| RuleAction::Delay(Delay {
            ms,
            jitter_ms,
            since: Since::Received,
        })),
        Just(RuleAction::DropRequest),
        Just(RuleAction::DropReply),
        Just(RuleAction::CloseBefore),
        Just(RuleAction::CloseAfter),
        Just(RuleAction::ResetBefore),
        Just(RuleAction::ResetAfter),
        Just(RuleAction::ReplyTwice),
        Just(RuleAction::UnknownOpaque),
        Just(RuleAction::HalfFrame),
        Just(RuleAction::HalfFrameClose),
        Just(RuleAction::Garbage),
    ]
}

/// What only a broker does.
fn broker_action() -> impl Strategy<Value = RuleAction> {
    prop_oneof![
        (0..3_000i32).prop_map(|code| RuleAction::StoreThenAnswer(StoreThenAnswer { code })),
        (1..5_000u64).prop_map(|ms| RuleAction::DelayRequest(DelayRequest { ms })),
    ]
}

/// What only a name server does.
fn route_action() -> impl Strategy<Value = RuleAction> {
    prop_oneof![
        Just(RuleAction::StaleRoute),
        Just(RuleAction::PartialRoute(PartialRoute {
            broker: "broker-b".into()
        })),
        Just(RuleAction::PermutedRoute),
        Just(RuleAction::OddRoute(OddRoute::BareIds)),
        Just(RuleAction::OddRoute(OddRoute::TextNumbers)),
        Just(RuleAction::OddRoute(OddRoute::Nulls)),
        Just(RuleAction::OddRoute(OddRoute::Empty)),
        Just(RuleAction::OddRoute(OddRoute::Ordered)),
        Just(RuleAction::OddRoute(OddRoute::Static)),
    ]
}

fn rule(action: impl Strategy<Value = RuleAction>) -> impl Strategy<Value = FaultKind> {
    let codes = prop_oneof![
        Just(vec![10, 310]),
        Just(vec![105]),
        proptest::collection::vec(0..3_000i32, 1..4)
    ];
    let topic = proptest::option::of("[ -~]{1,8}".prop_map(|topic| topic.as_str().into()));
    let queue = proptest::option::of(0..8i32);
    let chance = proptest::option::of(1..=1_000u32);
    let times = proptest::option::of(1..9u32);
    (codes, topic, queue, chance, times, action).prop_map(
        |(codes, topic, queue, per_mille, times, then)| {
            FaultKind::Rule(Rule {
                codes,
                topic,
                queue,
                per_mille,
                times,
                then,
            })
        },
    )
}

fn resize(queues: i32) -> FaultKind {
    FaultKind::Resize(Resize {
        topic: "topic-1".into(),
        queues,
    })
}

fn kind_and_place() -> impl Strategy<Value = (FaultKind, Place)> {
    let of_node = prop_oneof![
        restart().prop_map(|it| FaultKind::Crash(Crash(it))),
        restart().prop_map(|it| FaultKind::Stop(Stop(it))),
        restart().prop_map(|it| FaultKind::PowerLoss(PowerLoss(it))),
        Just(FaultKind::Freeze),
        (1..500u64).prop_map(|ms_per_step| FaultKind::Slow(Slow { ms_per_step })),
        Just(FaultKind::Refuse),
        Just(FaultKind::SwallowDials),
        Just(FaultKind::StopReading),
        (1..100_000i64, any::<bool>()).prop_map(|(ms, back)| FaultKind::ClockJump(ClockJump {
            ms: if back { -ms } else { ms }
        })),
        rule(action()),
    ];
    let broker = Just(Place::Node("broker-a".into()));
    let name_server = Just(Place::Node("ns-1".into()));
    let link = Just(Place::Link {
        from: "broker-a".into(),
        to: "p1".into(),
    });
    let of_link = prop_oneof![
        Just(FaultKind::Partition),
        Just(FaultKind::Hold),
        (1..9_000u64).prop_map(|bytes_per_ms| FaultKind::Bandwidth(Bandwidth { bytes_per_ms })),
        (1..9_000u64).prop_map(|bytes| FaultKind::Slice(Slice { bytes })),
        (1..1_000u32).prop_map(|per_mille| FaultKind::Loss(Loss { per_mille })),
        (1..5_000u64, 0..50u64)
            .prop_map(|(ms, jitter_ms)| FaultKind::Latency(Latency { ms, jitter_ms })),
    ];
    prop_oneof![
        (of_node, node()),
        (
            Just(FaultKind::NameServerList(NameServerList {
                without: "ns-1".into(),
                instead: Some("ns-2".into()),
            })),
            Just(Place::Node("p1".into()))
        ),
        (rule(broker_action()), broker.clone()),
        (Just(FaultKind::ReadOnly), broker.clone()),
        ((1..40i32).prop_map(resize), broker),
        (rule(route_action()), name_server),
        (of_link, two_ways()),
        (
            (0..9_000u64).prop_map(|byte| FaultKind::Corrupt(Corrupt { byte })),
            link
        ),
    ]
}

fn fault() -> impl Strategy<Value = Fault> {
    let at = prop_oneof![
        (0..60_000u64).prop_map(|ms| Position::Time { ms }),
        (
            1..=5u64,
            proptest::option::of(1..4u32),
            1..=5u64,
            0..9_000u64
        )
            .prop_map(|(send, attempt, sends, after_ms)| Position::Send {
                workload: 2,
                send,
                attempt,
                sends,
                after_ms,
            }),
        (0..3_000i32, 1..9u64).prop_map(|(code, n)| Position::Received { code, n }),
    ];
    let lasts = proptest::option::of(1..90_000u64);
    (kind_and_place(), at, lasts, any::<bool>()).prop_map(
        |((kind, place), at, for_ms, may_miss)| {
            let is_server = |node: &str| node != "p1";
            let at = match (&place, at) {
                (Place::Node(node), at) if is_server(node) => at,
                (_, Position::Received { .. }) => Position::Time { ms: 1 },
                (_, at) => at,
            };
            let at = match at {
                Position::Send {
                    workload,
                    send,
                    attempt,
                    sends,
                    after_ms,
                } => {
                    // A rule waits for requests, anything else for a moment.
                    let is_rule = matches!(kind, FaultKind::Rule(_));
                    Position::Send {
                        workload,
                        send,
                        attempt,
                        sends: if is_rule { sends } else { 1 },
                        after_ms: if is_rule { 0 } else { after_ms },
                    }
                }
                at => at,
            };
            Fault {
                kind,
                place,
                at,
                for_ms,
                may_miss,
            }
        },
    )
}

fn target() -> impl Strategy<Value = Target> {
    let queue = |queue: i32| Target::Queue {
        broker: "broker-b".into(),
        queue,
        topic: (queue == 3).then(|| "another".into()),
    };
    prop_oneof![
        Just(Target::Any),
        (0..4i32).prop_map(queue),
        (1..9u32).prop_map(Target::Keys),
        Just(Target::Random),
        Just(Target::Last),
        Just(Target::Nothing),
    ]
}

fn workload() -> impl Strategy<Value = Workload> {
    let mode = prop_oneof![
        Just(SendMode::Sync),
        Just(SendMode::Async),
        Just(SendMode::Oneway)
    ];
    let manner = (
        proptest::option::of(1..9_000u64),
        proptest::option::of("[a-z \"]{1,6}"),
        proptest::option::of(1..=18u32),
        any::<(i32, bool, bool)>(),
    );
    let callback = prop_oneof![
        Just(Callback::Plain),
        Just(Callback::Panics),
        Just(Callback::SendsAgain)
    ];
    (
        mode,
        10..20u64,
        1..2_000u64,
        0..9_000u64,
        1..999usize,
        target(),
        1..9u32,
        proptest::option::of(0..2_000u64),
        (callback, manner),
    )
        .prop_map(
            |(
                mode,
                sends,
                every_ms,
                start_ms,
                body_bytes,
                target,
                callers,
                drop_after_ms,
                (callback, (timeout_ms, tag, delay_level, (flag, waits_stored, own_ids))),
            )| Workload {
                target,
                timeout_ms,
                tag,
                delay_level,
                flag,
                property: waits_stored.then(|| "a \"value\"".to_owned()),
                waits_stored,
                own_ids,
                callers,
                drop_after_ms: drop_after_ms.filter(|_| mode != SendMode::Async),
                callback: match mode {
                    SendMode::Async => callback,
                    _ => Callback::Plain,
                },
                producer: "p1".into(),
                topic: "orders \"x\"".into(),
                mode,
                sends,
                every_ms,
                start_ms,
                body_bytes,
            },
        )
}

fn hooks(figures: Option<(u64, u64)>) -> Hooks {
    match figures {
        Some((low, _)) if low > 4 => Hooks::Watch,
        Some(_) => Hooks::Forbid("broker-a".into()),
        None => Hooks::Panic,
    }
}

fn scenario() -> impl Strategy<Value = Scenario> {
    let order = prop_oneof![Just(Order::Fifo), Just(Order::Seeded), Just(Order::Drawn)];
    let network =
        (1..99u64, 0..9u64, order).prop_map(|(latency_ms, jitter_ms, ready_order)| NetworkPlan {
            latency_ms,
            jitter_ms,
            ready_order,
        });
    let policy = prop_oneof![
        Just(PolicySource::Preset("strict")),
        Just(PolicySource::Preset("java_5_3")),
        Just(PolicySource::Text {
            file: "own.toml".to_owned(),
            text: "compress-over = 100".to_owned()
        })
    ];
    let figures = proptest::option::of((0..9u64, 9..99u64));
    let faults = proptest::collection::vec(fault(), 0..6);
    let workloads = [workload(), workload()];
    let profile = proptest::sample::select(&Profile::ALL[..]);
    (profile, network, policy, figures, faults, workloads).prop_map(
        |(profile, network, policy, figures, faults, workloads)| Scenario {
            liveness_ms: figures.map(|(low, _)| 1_000 + 250 * low),
            name: "made.toml".to_owned(),
            seconds: 60,
            cluster: ClusterPlan {
                name_servers: 2,
                brokers: vec!["broker-a".into(), "broker-b".into()],
                profile,
                topics: vec![("orders \"x\"".into(), 4)],
                only_on: vec![("orders \"x\"".into(), vec!["broker-a".into()])],
                without_master: vec!["broker-b".into()],
            },
            network,
            producers: vec![ProducerPlan {
                name: "p1".into(),
                client: None,
                dropped: figures.is_none(),
                group: "a group".to_owned(),
                policy,
                changes: None,
                limits: Limits {
                    sends: figures.map(|(low, _)| low as u32),
                    bytes: None,
                    refuses: figures.is_some(),
                },
                namespace: figures.map(|_| Namespace::V1("ns".to_owned())),
                hooks: hooks(figures),
                timeout_ms: Some(network.latency_ms),
                retries: Some(0),
                first_queue: Some(7),
                first_name_server: Some(0),
                id_constant: None,
                first_opaque: figures.map(|(low, _)| i32::MAX - i32::try_from(low).unwrap_or(0)),
                first_message: figures.map(|(low, _)| low as u16),
                fault_tolerance: figures.map(|(low, _)| low > 4),
                stop_ms: figures.map(|(_, high)| high),
            }],
            workloads: workloads.to_vec(),
            faults,
            expect: Expect {
                copies: figures.map(|(min, max)| Bound { min, max }),
                failed: figures.map(|(min, _)| Bound::exactly(min)),
                stored: figures.map(|(min, _)| Bound { min, max: u64::MAX }),
                ..Expect::default()
            },
        },
    )
}

proptest! {
    #[test]
    fn any_scenario_is_the_same_when_written_and_read_again(scenario in scenario()) {
        prop_assert_eq!(again(&scenario, &scenario.to_toml()), scenario);
    }
}
