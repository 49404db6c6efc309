//! What faults did is counted from what happened: a fault that met nothing is told, and none is
//! blamed for what another one did.

#![expect(clippy::expect_used, reason = "helpers of tests")]

use std::io;

use rmq_sim::fault::EngineKind;
use rmq_sim::run::{Effect, Missed, Run, run};
use rmq_sim::scenario::Scenario;

/// Two brokers, and forty sends from the first second on, two a second.
fn play(faults: &str) -> Run {
    let text = format!(
        "format = 2\nseconds = 60\n\
         [cluster]\nname-servers = 2\nbrokers = [\"broker-a\", \"broker-b\"]\n\
         topics = {{ orders = 4 }}\n[producer.p1]\n\
         [[workload]]\nproducer = \"p1\"\ntopic = \"orders\"\nsends = 40\nevery = \"500ms\"\n{faults}"
    );
    let none = |_: &str| Err(io::Error::from(io::ErrorKind::NotFound));
    let scenario = Scenario::parse("effects.toml", &text, &none).expect("a scenario");
    run(&scenario.into(), 5, EngineKind::Event).expect("a run")
}

fn fault(what: &str, rest: &str) -> String {
    format!("[[fault]]\ndo = \"{what}\"\n{rest}\n")
}

/// Each kind of fault where sends go by, from second 10 to second 15.
const KINDS: [(&str, &str); 22] = [
    ("crash", "on = \"broker-a\""),
    ("stop", "on = \"broker-a\""),
    ("power-loss", "on = \"broker-a\""),
    ("freeze", "on = \"broker-a\""),
    ("slow", "on = \"broker-a\"\nstep = \"20ms\""),
    ("stop-reading", "on = \"broker-a\""),
    ("clock-jump", "on = \"p1\"\nby = \"60m\""),
    ("name-server-list", "on = \"p1\"\nwithout = \"ns-1\""),
    ("read-only", "on = \"broker-a\""),
    (
        "resize",
        "on = \"broker-a\"\ntopic = \"orders\"\nqueues = 2",
    ),
    ("partition", "on = \"p1 -> broker-a\""),
    ("hold", "on = \"p1 -> broker-a\""),
    ("loss", "on = \"p1 -> broker-a\"\nper-mille = 900"),
    ("latency", "on = \"p1 -> broker-a\"\nlatency = { ms = 30 }"),
    ("bandwidth", "on = \"p1 -> broker-a\"\nbytes-per-ms = 1"),
    ("slice", "on = \"p1 -> broker-a\"\nbytes = 3"),
    ("corrupt", "on = \"p1 -> broker-a\"\nbyte = 40"),
    ("reset", "on = \"p1 -> broker-a\"\nbyte = 40"),
    ("answer", "on = \"broker-a\"\ncode = \"SYSTEM_BUSY\""),
    ("delay", "on = \"broker-a\"\nby = \"20ms\""),
    ("drop-reply", "on = \"broker-a\""),
    (
        "partial-route",
        "on = \"ns-1\"\nbroker = \"broker-a\"\nrequest = \"GET_ROUTEINFO_BY_TOPIC\"",
    ),
];

#[test]
fn a_fault_of_each_kind_that_meets_traffic_is_counted() {
    for (kind, place) in KINDS {
        let lasts = match kind {
            "reset" => "at = \"10s\"",
            // A name server is asked twice a minute.
            "partial-route" => "at = \"1s\"\nfor = \"55s\"",
            _ => "at = \"10s\"\nfor = \"5s\"",
        };
        let run = play(&fault(kind, &format!("{place}\n{lasts}")));
        let [effect] = &run.effects[..] else {
            panic!("{kind}: {:?}", run.effects);
        };
        assert!(effect.started, "{kind}");
        assert!(effect.struck > Some(0), "{kind}: {effect:?}");
        assert_eq!(effect.missed(), None, "{kind}");
    }
}

#[test]
fn connections_that_are_struck_at_once_are_counted_and_so_are_dials() {
    let once = [
        ("black-hole", "on = \"p1 <-> broker-a\""),
        ("reset", "on = \"p1 <-> broker-a\""),
        ("half-open", "on = \"p1 -> broker-a\""),
    ];
    for (kind, place) in once {
        let run = play(&fault(kind, &format!("{place}\nat = \"10s\"")));
        assert!(run.effects[0].struck > Some(0), "{kind}: {:?}", run.effects);
    }
    for kind in ["refuse", "swallow-dials"] {
        // The crash makes the producer dial again.
        let dials = fault(kind, "on = \"broker-a\"\nat = \"10s\"\nfor = \"8s\"");
        let crash = fault("reset", "on = \"p1 <-> broker-a\"\nat = \"11s\"");
        let run = play(&format!("{dials}{crash}"));
        assert!(run.effects[0].struck > Some(0), "{kind}: {:?}", run.effects);
        let alone = play(&dials);
        assert_eq!(
            alone.effects[0].missed(),
            Some(Missed::NeverStruck),
            "{kind}"
        );
    }
}

#[test]
fn a_fault_that_waits_for_what_does_not_come_never_started() {
    let late = "on = \"broker-a\"\nat = { stored = 1000000 }\nfor = \"2s\"";
    let nobody = "on = \"broker-a\"\nat = \"10s\"\nfor = \"5s\"\ntopic = \"payments\"";
    let after_all = "on = \"p1 -> broker-a\"\nat = \"50s\"\nfor = \"2s\"";
    let plan = fault("crash", late) + &fault("drop-reply", nobody) + &fault("partition", after_all);
    let run = play(&plan);
    let missed: Vec<_> = run.effects.iter().map(Effect::missed).collect();
    let never = [
        Missed::NeverStarted,
        Missed::NeverStruck,
        Missed::NeverStruck,
    ];
    assert_eq!(missed, never.map(Some));
    assert!(run.verdict.is_pass(), "{}", run.verdict);
}

#[test]
fn what_one_fault_does_is_not_counted_for_another_one() {
    let first = fault(
        "partition",
        "on = \"p1 -> broker-a\"\nat = \"10s\"\nfor = \"3s\"",
    );
    let other = fault(
        "partition",
        "on = \"p1 -> broker-a\"\nat = \"50s\"\nfor = \"1s\"",
    );
    let run = play(&(first + &other));
    assert!(run.effects[0].struck > Some(0), "{:?}", run.effects);
    assert_eq!(run.effects[1].struck, Some(0), "{:?}", run.effects);
}
