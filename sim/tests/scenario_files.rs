//! The scenario files of the project read, and a broken one says where it is broken and how to
//! mend it.

#![expect(clippy::expect_used, reason = "helpers of tests")]

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rmq_producer::Policy;
use rmq_sim::fault::{FaultKind, Place, Position, RuleAction};
use rmq_sim::scenario::{PolicySource, Scenario, ScenarioError};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios")
}

fn parse(text: &str) -> Result<Scenario, ScenarioError> {
    Scenario::parse("test.toml", text, &|file| {
        if file == "own.toml" {
            Ok("name = \"own\"".to_owned())
        } else {
            Err(io::Error::from(io::ErrorKind::NotFound))
        }
    })
}

/// A scenario that is right, with more lines at its end.
fn with(lines: &str) -> String {
    format!(
        "format = 2\nseconds = 60\n\
         [cluster]\nbrokers = [\"broker-a\", \"broker-b\"]\n\
         [producer.p1]\n\
         [[workload]]\nproducer = \"p1\"\ntopic = \"orders\"\nsends = 10\n{lines}"
    )
}

/// `with` has nine lines before the ones of the test.
const FIRST: usize = 10;

/// Asserts the line and that the whole text has both parts.
fn refused(text: &str, line: usize, what: &str, remedy: &str) {
    let error = parse(text).expect_err("the scenario is broken");
    assert_eq!(error.line, Some(line), "{error}");
    assert!(error.what.contains(what), "{error}");
    assert!(error.remedy.contains(remedy), "{error}");
    let text = error.to_string();
    assert!(text.starts_with(&format!("test.toml:{line}:")), "{text}");
    assert!(text.contains("\n  remedy: "), "{text}");
}

/// Every error of a text, as its line, column and the first words.
fn errors(text: &str) -> Vec<(usize, usize, String)> {
    let mut first = parse(text).expect_err("the scenario is broken");
    let others = std::mem::take(&mut first.others);
    let all = [first].into_iter().chain(others);
    let place = |it: ScenarioError| Some((it.line?, it.column?, it.what));
    all.map(|it| place(it).expect("a place")).collect()
}

fn assert_errors(text: &str, expected: &[(usize, usize, &str)]) {
    let found = errors(text);
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for ((line, column, what), (at, character, words)) in found.iter().zip(expected) {
        assert_eq!((line, column), (at, character), "{found:#?}");
        assert!(what.contains(words), "{found:#?}");
    }
}

#[test]
fn all_that_is_wrong_with_a_file_is_told_at_once_and_in_its_order() {
    let text = with(
        "body = true\nfold = 3\nevery = \"soon\"\n\
         [[fault]]\ndo = \"crash\"\non = \"broker-c\"\nat = \"90s\"\ncode = 2\n\
         [[fault]]\ndo = \"crush\"\non = \"broker-a\"\n\
         [[fault]]\ndo = \"delay\"\non = \"broker-a\"\nby = \"1 week\"\n\
         [expect]\nok = \"many\"\n",
    );
    assert_errors(
        &text,
        &[
            (10, 8, "invalid type: boolean"),
            (11, 1, "no key \"fold\""),
            (12, 9, "\"soon\" is no duration"),
            (15, 6, "no node is called \"broker-c\""),
            (16, 6, "would start at 90000 ms"),
            (17, 8, "\"code\" means nothing"),
            (19, 6, "no fault \"crush\""),
            (24, 6, "\"1 week\" is no duration"),
            (26, 6, "invalid type: string \"many\""),
        ],
    );
    let shown = parse(&text).expect_err("it is broken").to_string();
    assert_eq!(shown.matches("\n  remedy: ").count(), 9, "{shown}");
    assert!(
        shown.contains(
            "test.toml:12:9: \"soon\" is no duration\n  remedy: write a number of milliseconds or a text like \"200ms\""
        ),
        "{shown}"
    );
}

#[test]
fn a_table_that_cannot_be_read_does_not_make_those_wrong_that_name_it() {
    let text =
        with("[[workload]]\nproducer = \"p1\"\nsends = 3\n[[fault]]\ndo = \"crash\"\non = 3\n");
    assert_errors(
        &text,
        &[
            (10, 1, "\"topic\" is missing"),
            (15, 6, "invalid type: integer `3`"),
        ],
    );
    let text = with("").replace(
        "brokers = [\"broker-a\", \"broker-b\"]",
        "brokers = 3\nprofil = 1",
    );
    assert_errors(
        &text,
        &[
            (4, 11, "invalid type: integer `3`"),
            (5, 1, "no key \"profil\""),
        ],
    );
}

#[test]
fn a_text_that_is_no_toml_and_one_of_another_format_have_one_error() {
    assert_eq!(errors("format = 2\nseconds =\nfold").len(), 1);
    assert_errors(
        "seconds = 1\nformat = 9\nfold = 1\n",
        &[(2, 10, "format 9 is unknown")],
    );
}

#[test]
fn what_a_run_would_refuse_is_told_in_the_line_of_the_fault_and_of_the_producer() {
    let text = with(
        "[producer.p2]\nchanges = { send-timeout = \"20min\" }\n\
         [[fault]]\ndo = \"answer\"\non = \"broker-a\"\ncode = 2\ntopic = \"orders\"\nqueue = 9\n\
         [[fault]]\ndo = \"drop-reply\"\non = [\"broker-a\", \"broker-b\"]\ntopic = \"orders\"\nqueue = 8\n",
    );
    let text = text.replace("[producer.p1]", "topics = { orders = 4 }\n[producer.p1]");
    assert_errors(
        &text,
        &[
            (11, 1, "producer p2: send-timeout is 1200000 ms"),
            (14, 6, "is about queue 9"),
            (20, 6, "\"drop-reply broker-a"),
            (20, 6, "\"drop-reply broker-b"),
        ],
    );
}

#[test]
fn a_duration_is_a_number_of_milliseconds_or_a_text_with_a_unit() {
    let fault = |at: &str, by: &str| {
        with(&format!(
            "every = {by}\n[[fault]]\ndo = \"clock-jump\"\non = \"p1\"\nat = {at}\nby = {by}\n"
        ))
    };
    let texts = parse(&fault("\"5s\"", "\"2min\"").replace("seconds = 60", "seconds = 9000"));
    let numbers = parse(&fault("5000", "120000").replace("seconds = 60", "seconds = 9000"));
    assert_eq!(texts.expect("it reads"), numbers.expect("it reads"));
    let text = with("[network]\nlatency = { ms = \"2ms\", jitter = 3 }\n");
    assert_eq!(parse(&text).expect("it reads").network.jitter_ms, 3);
    refused(&with("every = -1\n"), FIRST, "cannot be -1 ms", "0 or more");
    refused(
        &with("every = \"3h\"\n"),
        FIRST,
        "no duration",
        "a number of milliseconds or a text like \"200ms\"",
    );
}

#[test]
fn every_scenario_of_the_project_reads_and_says_what_to_watch() {
    let mut seen = 0;
    for entry in fs::read_dir(folder()).expect("the folder") {
        let path = entry.expect("an entry").path();
        let scenario = Scenario::load(&path).unwrap_or_else(|error| panic!("{error}"));
        let text = fs::read_to_string(&path).expect("the text");
        assert!(text.contains("\n# Watch: "), "{}", scenario.name);
        assert!(text.contains("[expect]"), "{}", scenario.name);
        assert!(scenario.expect.failed.is_some(), "{}", scenario.name);
        seen += 1;
    }
    assert!(seen >= 14, "{seen} scenarios");
}

/// The reference for people who write scenarios.
fn reference() -> String {
    let path = folder().join("../docs/scenarios.md");
    fs::read_to_string(path).expect("the reference")
}

#[test]
fn producers_share_a_client_and_not_its_settings() {
    let shares = |more: &str| with(&format!("[producer.p2]\nclient = \"p1\"\n{more}"));
    let scenario = parse(&shares("timeout = \"1s\"\n")).expect("it is right");
    assert_eq!(scenario.producers[1].client.as_deref(), Some("p1"));
    assert!(!scenario.node_names().iter().any(|name| **name == *"p2"));
    for key in [
        "policy = \"strict\"",
        "changes = { compress-over = 1 }",
        "first-name-server = 0",
        "first-opaque = 1",
        "first-message = 1",
        "id-constant = 1",
        "namespace-v2 = \"ns\"",
    ] {
        refused(&shares(key), FIRST + 2, "is the client's", "[producer.p1]");
    }
    let line = FIRST + 1;
    refused(
        &shares("group = \"group-p1\""),
        line,
        "one group",
        "of its own",
    );
    let with_client = |of: &str| with(&format!("[producer.p2]\nclient = \"{of}\"\n"));
    refused(&with_client("p2"), line, "no producer with", "p1");
    refused(&with_client("p3"), line, "no producer with", "p1");
    let fault = "[[fault]]\ndo = \"freeze\"\non = \"p2\"\n";
    refused(&shares(fault), FIRST + 4, "is no node", "\"p1\"");
    let both = with("[producer.p2]\nstop = \"9s\"\ndropped = true\n");
    refused(&both, line, "or it is dropped", "remove stop");
}

#[test]
fn the_example_of_the_reference_reads_and_is_played() {
    let text = reference();
    let (_, rest) = text.split_once("```toml\n").expect("an example");
    let (example, _) = rest.split_once("```").expect("the example's end");
    let scenario = parse(example).unwrap_or_else(|error| panic!("{error}"));
    let run = rmq_sim::run::run(&scenario.into(), 7, rmq_sim::fault::EngineKind::Event);
    let run = run.expect("the engine can do all of it");
    assert_eq!(run.verdict.class, rmq_sim::verdict::Class::Pass);
}

#[test]
fn the_reference_names_every_key_of_every_table_and_no_other() {
    let text = reference();
    let head = "format = 2\nseconds = 60\n[cluster]\nbrokers = [\"broker-a\"]\n";
    let tables = [
        ("## The file", "zzz = 1\n".to_owned() + head),
        ("## `[cluster]`", format!("{head}zzz = 1")),
        ("## `[network]`", format!("{head}[network]\nzzz = 1")),
        (
            "## `[producer.NAME]`",
            format!("{head}[producer.p1]\nzzz = 1"),
        ),
        ("## `[[workload]]`", format!("{head}[[workload]]\nzzz = 1")),
        ("## `[[fault]]`", format!("{head}[[fault]]\nzzz = 1")),
        ("## `[expect]`", format!("{head}[expect]\nzzz = 1")),
    ];
    for (title, with_unknown) in tables {
        let told = parse(&with_unknown)
            .expect_err("an unknown key")
            .to_string();
        let (_, known) = told.split_once("use one of: ").expect("the keys");
        let known = known.lines().next().expect("a line");
        let known = known.replace(" or ", ", ");
        let mut known: Vec<&str> = known.split(", ").collect();
        // Tables have sections of their own.
        let is_table = |key: &&str| text.contains(&format!("[{key}")) && title == "## The file";
        known.retain(|key| !is_table(key));
        let (_, section) = text.split_once(&format!("\n{title}\n")).expect(title);
        let section = section.split("\n## ").next().unwrap_or(section);
        let rows = section.lines().filter(|line| line.starts_with("| `"));
        let firsts = rows.filter_map(|row| row.split(" | ").next());
        let mut named: Vec<&str> = firsts
            .flat_map(|cell| cell.trim_start_matches("| ").split(", "))
            .map(|key| key.trim_matches('`'))
            .collect();
        known.sort_unstable();
        named.sort_unstable();
        assert_eq!(named, known, "{title}");
    }
}

#[test]
fn what_a_file_leaves_out_is_healthy_and_fixed() {
    let scenario = parse(&with("")).expect("a scenario");
    assert_eq!(scenario.network.latency_ms, 1);
    assert_eq!(scenario.network.jitter_ms, 0);
    assert_eq!(scenario.cluster.name_servers, 1);
    assert_eq!(scenario.workloads[0].every_ms, 1_000);
    assert!(scenario.faults.is_empty());
    assert_eq!(&*scenario.keys_of(1, 21), "s21");
}

#[test]
fn a_fault_on_several_places_is_one_fault_for_each() {
    let scenario = parse(&with(
        "[[fault]]\ndo = \"answer\"\non = [\"broker-a\", \"broker-b\"]\ncode = \"SYSTEM_BUSY\"\n\
         at = \"2s\"\nfor = \"3s\"\n",
    ))
    .expect("a scenario");
    assert_eq!(scenario.faults.len(), 2);
    assert_eq!(scenario.faults[1].place, Place::Node("broker-b".into()));
    assert_eq!(scenario.faults[1].for_ms, Some(3_000));
    let FaultKind::Rule(rule) = &scenario.faults[1].kind else {
        panic!("{:?}", scenario.faults[1]);
    };
    assert_eq!(rule.codes, [10, 310]);
    assert!(matches!(&rule.then, RuleAction::Answer(answer) if answer.code == 2));
    assert_eq!(
        scenario.faults[1].to_string(),
        "answer broker-b code 2 for 3 s"
    );
}

#[test]
fn the_fifth_request_is_one_request() {
    let scenario = parse(&with(
        "[[fault]]\ndo = \"drop-reply\"\non = \"broker-a\"\n\
         at = { received = \"SEND_MESSAGE_V2\", n = 5 }\n",
    ))
    .expect("a scenario");
    let fault = &scenario.faults[0];
    assert_eq!(fault.at, Position::Received { code: 310, n: 5 });
    assert!(matches!(&fault.kind, FaultKind::Rule(rule) if rule.times == Some(1)));
}

#[test]
fn a_link_reads_in_both_forms() {
    let scenario = parse(&with(
        "[[fault]]\ndo = \"loss\"\non = \"p1 -> broker-b\"\nper-mille = 100\n\
         [[fault]]\ndo = \"partition\"\non = \"ns-1 <-> broker-b\"\n",
    ))
    .expect("a scenario");
    assert_eq!(scenario.faults[0].place.to_string(), "p1 -> broker-b");
    assert_eq!(scenario.faults[1].place.to_string(), "ns-1 <-> broker-b");
}

#[test]
fn a_missing_file_is_named() {
    let error = Scenario::load(Path::new("no/such.toml")).expect_err("there is none");
    assert_eq!(
        error.to_string(),
        "no/such.toml: there is no such file\n  remedy: give the path of a scenario file, for \
         example scenarios/healthy.toml"
    );
}

#[test]
fn unknown_and_missing_keys_are_named_with_their_line() {
    refused(
        &with("retries = 3\n"),
        FIRST,
        "no key \"retries\"",
        "producer, topic",
    );
    refused(
        &with("[[fault]]\non = \"broker-a\"\n"),
        FIRST,
        "\"do\" is missing",
        "add a line",
    );
    refused(
        &with("[[fault]]\ndo = \"crash\"\non = \"broker-a\"\nper-mille = 3\n"),
        FIRST + 3,
        "\"per-mille\" means nothing for the fault \"crash\"",
        "loss",
    );
    refused(
        &with("[[fault]]\ndo = \"answer\"\non = \"broker-a\"\n"),
        FIRST,
        "\"answer\" needs the key \"code\"",
        "add code",
    );
}

#[test]
fn a_name_that_no_node_has_is_answered_with_the_names_there_are() {
    refused(
        &with("[[fault]]\ndo = \"crash\"\non = \"broker-z\"\n"),
        FIRST + 2,
        "no node is called \"broker-z\"",
        "p1, ns-1, broker-a, broker-b",
    );
    refused(
        &with("[[workload]]\nproducer = \"p2\"\ntopic = \"t\"\nsends = 1\n"),
        FIRST + 1,
        "no producer is called \"p2\"",
        "p1",
    );
    refused(
        &with("[[fault]]\ndo = \"explode\"\non = \"broker-a\"\n"),
        FIRST + 1,
        "no fault \"explode\"",
        "crash, stop",
    );
}

#[test]
fn a_kind_on_the_wrong_sort_of_place_is_refused() {
    for (fault, on, remedy) in [
        ("crash", "p1", "broker or a name server"),
        ("crash", "p1 -> broker-a", "broker or a name server"),
        ("freeze", "p1 -> broker-a", "name a node"),
        ("partition", "broker-a", "two nodes"),
        ("black-hole", "p1 -> broker-a", "both ends"),
        ("corrupt", "p1 <-> broker-a", "one direction"),
        ("partition", "p1 -> p1", "two different nodes"),
    ] {
        let text = with(&format!("[[fault]]\ndo = \"{fault}\"\non = \"{on}\"\n"));
        refused(&text, FIRST + 2, "cannot be on", remedy);
    }
}

#[test]
fn impossible_figures_are_refused() {
    refused(
        &with("").replace("seconds = 60", "seconds = 5"),
        9,
        "the last send would be at 10000 ms",
        "raise seconds",
    );
    refused(
        &with("[[fault]]\ndo = \"crash\"\non = \"broker-a\"\nat = \"61s\"\n"),
        FIRST + 3,
        "start at 61000 ms",
        "earlier",
    );
    refused(
        &with("[[fault]]\ndo = \"crash\"\non = \"broker-a\"\nfor = \"ten\"\n"),
        FIRST + 3,
        "\"ten\" is no duration",
        "a number of milliseconds or a text like",
    );
    refused(
        &with("[[fault]]\ndo = \"crash\"\non = \"broker-a\"\nfor = \"99999999999999999999s\"\n"),
        FIRST + 3,
        "is longer than anything lasts",
        "shorter duration",
    );
    refused(
        &with("[[fault]]\ndo = \"freeze\"\non = \"broker-a\"\nfor = \"18446744073709551s\"\n"),
        FIRST + 3,
        "a fault's duration cannot be",
        "86400000ms",
    );
    refused(
        &with("[[fault]]\ndo = \"clock-jump\"\non = \"broker-a\"\nby = \"-9999999999999999s\"\n"),
        FIRST + 3,
        "no clock jumps by \"-9999999999999999s\"",
        "shorter duration",
    );
    refused(
        &with("[expect]\nok = {}\n"),
        FIRST + 1,
        "without min and max expects nothing",
        "write min, max or both",
    );
    refused(
        &with("[[fault]]\ndo = \"loss\"\non = \"p1 -> broker-a\"\nper-mille = 1000\n"),
        FIRST + 3,
        "per-mille cannot be 1000",
        "1 to 999",
    );
    refused(
        &with("[network]\nlatency = { ms = 0 }\n"),
        FIRST + 1,
        "0 ms",
        "whole milliseconds",
    );
    refused(
        &with("[[fault]]\ndo = \"crash\"\non = \"broker-a\"\nat = { send = 11 }\n"),
        FIRST + 3,
        "it has 10 sends",
        "from 1",
    );
    refused(
        &with("").replace("format = 2", "format = 3"),
        1,
        "format 3",
        "format = 2",
    );
}

#[test]
fn a_send_has_a_key_only_where_it_may_choose() {
    let queue = "queue = { broker = \"broker-a\", id = 1 }\nkeys = 3";
    refused(&with(queue), FIRST + 1, "not two of them", "all but one");
    let both = "keys = 3\nselect = \"last\"";
    refused(&with(both), FIRST + 1, "not two of them", "all but one");
    let unknown = "select = \"first\"";
    refused(&with(unknown), FIRST, "no selector \"first\"", "\"last\"");
    refused(&with("keys = 0"), FIRST, "keys cannot be 0", "1 to 1000000");
    let scenario = parse(&with("keys = 3")).expect("a scenario");
    let keys: Vec<_> = (1..=4)
        .map(|send| scenario.workloads[0].target.key_of(send))
        .collect();
    assert_eq!(keys[0], keys[3]);
    assert_ne!(keys[0], keys[1]);
}

#[test]
fn a_release_that_the_servers_cannot_imitate_is_refused() {
    let text = with("").replace("[cluster]\n", "[cluster]\nprofile = \"6.0\"\n");
    refused(&text, 4, "release 6.0", "\"4.9.7\", \"5.2.0\", \"5.3.3\"");
}

#[test]
fn a_code_that_rocketmq_does_not_have_is_refused() {
    refused(
        &with("[[fault]]\ndo = \"answer\"\non = \"broker-a\"\ncode = \"SYSTEM_TIRED\"\n"),
        FIRST + 3,
        "\"SYSTEM_TIRED\"",
        "SYSTEM_BUSY",
    );
}

#[test]
fn a_policy_is_a_preset_or_a_file() {
    let own = with("").replace("[producer.p1]", "[producer.p1]\npolicy = \"own.toml\"");
    assert!(parse(&own).is_ok());
    refused(
        &own.replace("own.toml", "gone.toml"),
        6,
        "\"gone.toml\" is no preset",
        "strict",
    );
}

#[test]
fn what_is_no_toml_is_refused_in_its_line() {
    refused(&with("[[fault\n"), FIRST, "", "");
}

#[test]
fn an_answer_that_claims_a_message_was_stored_is_refused_with_the_fault_that_stores_it() {
    let codes = ["0", "\"FLUSH_DISK_TIMEOUT\"", "11", "12"];
    for code in codes {
        let fault = format!("[[fault]]\ndo = \"answer\"\non = \"broker-a\"\ncode = {code}\n");
        refused(
            &with(&fault),
            FIRST + 3,
            "stores nothing",
            "store-then-answer",
        );
        let stores = fault.replace("\"answer\"", "\"store-then-answer\"");
        assert!(parse(&with(&stores)).is_ok(), "{code}");
        let others = format!("{fault}request = \"HEART_BEAT\"\n");
        assert!(parse(&with(&others)).is_ok(), "{code} to what is no send");
    }
    let refuses = "[[fault]]\ndo = \"answer\"\non = \"broker-a\"\ncode = \"SYSTEM_BUSY\"\n";
    assert!(parse(&with(refuses)).is_ok());
}

/// The scenarios of the last commit of format 1 whose files are called otherwise today.
const RENAMED: [(&str, &str); 2] = [
    ("overtake-budget.toml", "hedging-budget.toml"),
    ("pinned-broker-left.toml", "target-broker-left.toml"),
];

#[test]
fn every_scenario_of_format_1_is_read_as_what_it_is_in_format_2() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut read = 0;
    for entry in fs::read_dir(folder.join("tests/format_1")).expect("the folder") {
        let old = entry.expect("a file").path();
        let file = old.file_name().and_then(|it| it.to_str()).expect("a name");
        let renamed = RENAMED.iter().find(|(it, _)| *it == file);
        let today = renamed.map_or(file, |(_, today)| today);
        let text = fs::read_to_string(&old).expect("the file");
        assert!(text.contains("\nformat  = 1\n"), "{file}");
        let old = Scenario::load(&old).expect("a scenario of format 1");
        let new = folder.join("../scenarios").join(today);
        let mut new = Scenario::load(&new).expect("a scenario of format 2");
        new.name = old.name.clone();
        assert_eq!(old, new, "{file}");
        read += 1;
    }
    assert_eq!(read, 42);
}

#[test]
fn a_policy_file_in_the_words_of_format_1_is_read() {
    let strict = Policy::strict().to_toml();
    let old = strict.replacen("attempt-timeout = ", "share = ", 1);
    let old = old.replacen("hedging-tokens = ", "overtake-tokens = ", 1);
    assert_ne!(old, strict);
    let text = "format = 1\nseconds = 1\n[cluster]\nbrokers = [\"b\"]\n[producer.p]\npolicy = \"p.toml\"\n";
    let load = |_: &str| Ok(old.clone());
    let scenario = Scenario::parse("old.toml", text, &load).expect("a scenario");
    let PolicySource::Text { text, .. } = &scenario.producers[0].policy else {
        panic!("a policy file");
    };
    assert_eq!(Policy::from_toml(text).expect("a policy"), Policy::strict());
}
