//! The text trace as a person has it before them: it fits a terminal, and what moves a fault moves no
//! other line.

#![expect(clippy::expect_used, reason = "helpers of tests")]

use std::io::ErrorKind;
use std::sync::Arc;

use rmq_sim::fault::{EngineKind, Position};
use rmq_sim::internals::generate::generate;
use rmq_sim::run::run;
use rmq_sim::scenario::Scenario;
use rmq_sim::trace::short;

/// A terminal's width.
const WIDTH: usize = 120;
/// The column of milliseconds.
const TIME: usize = 10;

fn parse(text: &str) -> Scenario {
    let none = |_: &str| Err(ErrorKind::NotFound.into());
    Scenario::parse("text.toml", text, &none).expect("it reads")
}

fn shown(scenario: Scenario, seed: u64) -> String {
    let run = run(&Arc::new(scenario), seed, EngineKind::Event).expect("it runs");
    short::render(&run.trace)
}

fn too_long(text: &str) -> Option<&str> {
    text.lines().find(|line| line.chars().count() > WIDTH)
}

/// So many brokers, two producers and all sorts of trouble.
fn troubled(brokers: usize) -> Scenario {
    let letters = (0..brokers).map(|at| {
        let letter = |at: usize| char::from(b'a' + u8::try_from(at % 26).expect("a letter"));
        match at / 26 {
            0 => format!("\"broker-{}\"", letter(at)),
            more => format!("\"broker-{}{}\"", letter(more - 1), letter(at)),
        }
    });
    let names: Vec<String> = letters.collect();
    let workload = |producer: &str| {
        format!(
            "[[workload]]\nproducer = \"{producer}\"\ntopic = \"orders\"\nsends = 400\nevery = \"100ms\"\n"
        )
    };
    parse(&format!(
        "format = 2\nseconds = 60\n[cluster]\nname-servers = 3\nbrokers = [{}]\ntopics = {{ orders = 4 }}\n\
         [network]\nlatency = {{ ms = 2, jitter = 3 }}\n\
         [producer.orders]\n[producer.payments]\n{}{}\
         [[fault]]\ndo = \"crash\"\non = \"broker-a\"\nat = \"5s\"\nfor = \"9s\"\n\
         [[fault]]\ndo = \"partition\"\non = \"orders <-> broker-c\"\nat = \"12s\"\nfor = \"5s\"\n\
         [[fault]]\ndo = \"answer\"\non = \"broker-d\"\nat = \"9s\"\nfor = \"20s\"\ncode = 2\nper-mille = 300\n\
         remark = \"[TIMEOUT_CLEAN_QUEUE]broker busy, start flow control for a while, period in queue: 206ms, size of queue: 876, and many more words than any column has room for\"\n\
         [[fault]]\ndo = \"freeze\"\non = \"ns-2\"\nat = \"3s\"\nfor = \"9s\"\n",
        names.join(", "),
        workload("orders"),
        workload("payments"),
    ))
}

#[test]
fn eight_brokers_and_three_name_servers_in_trouble_fit_a_terminal_and_have_a_column_each() {
    for seed in 0..8 {
        let text = shown(troubled(8), seed);
        assert_eq!(too_long(&text), None, "{text}");
        let titles = text.lines().nth(2).expect("titles").split_whitespace();
        let titles: Vec<&str> = titles.collect();
        let names = "ms producers n1 n2 n3 a b c d e f g h";
        assert_eq!(titles.join(" "), names, "{text}");
        assert!(text.contains("n1: ns-1 …  a: broker-a …"), "{text}");
    }
}

#[test]
fn dozens_of_brokers_fit_because_the_quiet_ones_share_a_column() {
    for brokers in [9, 30, 100] {
        let text = shown(troubled(brokers), 7);
        assert_eq!(too_long(&text), None, "{text}");
        assert!(
            text.contains("rest: ") && text.contains(" servers, "),
            "{text}"
        );
        let titles = text
            .lines()
            .find(|line| line.contains(" rest"))
            .expect("a column");
        for concerned in ["n2", "a", "d"] {
            assert!(
                titles.split_whitespace().any(|it| it == concerned),
                "{titles}"
            );
        }
    }
}

#[test]
fn generated_scenarios_fit_a_terminal() {
    for seed in 0..40 {
        let text = shown(generate(seed), seed);
        assert_eq!(too_long(&text), None, "seed {seed}: {text}");
    }
}

/// The same with the fault 4 s later.
fn later(mut scenario: Scenario) -> Scenario {
    for fault in &mut scenario.faults {
        if let Position::Time { ms } = &mut fault.at {
            *ms += 4_000;
        }
    }
    scenario
}

fn without_times(text: &str) -> Vec<&str> {
    let cut = |line: &str| {
        line.char_indices()
            .nth(TIME)
            .map_or(line.len(), |(at, _)| at)
    };
    text.lines().map(|line| &line[cut(line)..]).collect()
}

#[test]
fn a_fault_that_moves_by_four_seconds_changes_the_times_of_lines_and_nothing_else() {
    let quiet = |kind: &str, on: &str, more: &str| {
        parse(&format!(
            "format = 2\nseconds = 60\n[cluster]\nname-servers = 2\n\
             brokers = [\"broker-a\", \"broker-b\", \"broker-c\"]\ntopics = {{ orders = 4 }}\n\
             [producer.p1]\n[[workload]]\nproducer = \"p1\"\ntopic = \"orders\"\nsends = 10\n\
             [[fault]]\ndo = \"{kind}\"\non = \"{on}\"\nat = \"20s\"\nfor = \"5s\"\n{more}"
        ))
    };
    let remark = "code = 2\nremark = \"a remark with so many words that no column has room for all of them, and which goes on below\"\n";
    for (kind, on, more) in [
        ("freeze", "ns-2", ""),
        ("stop", "broker-b", ""),
        ("partition", "p1 <-> broker-c", ""),
        ("answer", "broker-a", remark),
        ("latency", "p1 -> broker-a", "latency = \"200ms\"\n"),
    ] {
        let more = more.replace("\"200ms\"", "{ ms = \"200ms\" }");
        let scenario = quiet(kind, on, &more);
        for seed in 0..3 {
            let one = shown(scenario.clone(), seed);
            let other = shown(later(scenario.clone()), seed);
            assert_ne!(one, other, "the fault moves");
            assert_eq!(without_times(&one), without_times(&other), "{kind}");
        }
    }
}

#[test]
fn what_came_before_a_fault_that_moves_is_told_in_the_same_lines() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios");
    for name in [
        "broker-busy",
        "rolling-restart",
        "partition-one-way",
        "name-server-down",
    ] {
        let path = folder.join(name).with_extension("toml");
        let scenario = Scenario::load(&path).unwrap_or_else(|error| panic!("{error}"));
        let times = scenario.faults.iter().filter_map(|fault| match fault.at {
            Position::Time { ms } => Some(ms),
            _ => None,
        });
        let first = times.min().expect("a fault with a time");
        let one = shown(scenario.clone(), 7);
        let other = shown(later(scenario), 7);
        let before = |text: &str| -> Vec<String> {
            let time = |line: &str| line.split_whitespace().next()?.parse::<u64>().ok();
            let early = |line: &&str| time(line).is_none_or(|ms| ms < first);
            let lines = text.lines().take_while(early).map(str::to_owned);
            lines.collect()
        };
        let (one, mut other) = (before(&one), before(&other));
        other.truncate(one.len());
        // The last fold before the fault may go on when the fault comes later.
        let same = one.len() - 1;
        assert!(same >= 3, "{one:?}");
        assert_eq!(one[..same], other[..same], "{name}");
    }
}
