//! Every observable check of the two specifications is accounted for: proven by a named test, still
//! to come, or not ours for a stated reason. `tests/checks.toml` holds the account.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use rmq_tests::{sources, workspace};
use toml::Table;

/// The sections of the specifications with the number of checks each states: `P…` for what a
/// producer does, `W…` for wire and servers.
const SECTIONS: [(&str, usize); 23] = [
    ("P1", 7),
    ("P2", 6),
    ("P3", 9),
    ("P4", 7),
    ("P5", 10),
    ("P6", 8),
    ("P7", 3),
    ("P8", 8),
    ("P9", 4),
    ("P10", 5),
    ("P11", 4),
    ("P12", 3),
    ("P13", 2),
    ("P14", 3),
    ("P15", 8),
    ("P16", 2),
    ("P17", 2),
    ("W1", 9),
    ("W2", 3),
    ("W3", 6),
    ("W4", 10),
    ("W5", 12),
    ("W6", 9),
];

/// What the account says of one check.
#[derive(Debug, PartialEq, Eq)]
enum Entry<'a> {
    /// Proven by the test `name` in `file`.
    Proven { file: &'a str, name: &'a str },
    /// It is to be proven later.
    Later,
    /// Not ours, with the reason.
    NotOurs,
}

fn entry(text: &str) -> Result<Entry<'_>, String> {
    if text == "later" {
        return Ok(Entry::Later);
    }
    if let Some(reason) = text.strip_prefix("not ours:") {
        return if reason.trim().len() > 10 {
            Ok(Entry::NotOurs)
        } else {
            Err(format!("{text:?} states no reason"))
        };
    }
    match text.split_once(": ") {
        Some((file, name)) if file.ends_with(".rs") => Ok(Entry::Proven { file, name }),
        _ => Err(format!(
            "{text:?} is neither \"FILE.rs: TEST\" nor \"later\" nor \"not ours: …\""
        )),
    }
}

/// Whether `text` defines the test `name`: a function of that name behind a test attribute.
fn defines_test(text: &str, name: &str) -> bool {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let is_definition = |line: &str| {
        let line = line.trim_start_matches("pub ").trim_start_matches("async ");
        line.strip_prefix("fn ")
            .and_then(|rest| rest.strip_prefix(name))
            .is_some_and(|rest| rest.starts_with('('))
    };
    lines.iter().enumerate().any(|(at, line)| {
        is_definition(line)
            && lines[at.saturating_sub(6)..at]
                .iter()
                .rev()
                .take_while(|l| !l.ends_with('}'))
                .any(|l| l.starts_with("#[test") || l.starts_with("#[tokio::test"))
            || is_definition(line) && inside_proptest(&lines[..at])
    })
}

/// Inside `proptest! { … }` the attribute stands before the function too, but may be far above.
fn inside_proptest(before: &[&str]) -> bool {
    let opened = before
        .iter()
        .rposition(|line| line.starts_with("proptest! {"));
    opened.is_some_and(|at| before[at..].contains(&"#[test]"))
}

fn account() -> Table {
    let path = workspace().join("tests/checks.toml");
    let text = std::fs::read_to_string(&path).expect("tests/checks.toml is part of the project");
    text.parse().expect("tests/checks.toml is TOML")
}

#[test]
fn each_check_of_the_specifications_has_its_line() {
    let account = account();
    let ids: Vec<String> = SECTIONS
        .iter()
        .flat_map(|(section, count)| (1..=*count).map(move |n| format!("{section}.{n}")))
        .collect();
    let missing: Vec<&String> = ids.iter().filter(|id| !account.contains_key(*id)).collect();
    assert!(missing.is_empty(), "no line for {missing:?}");
    let unknown: Vec<&String> = account.keys().filter(|id| !ids.contains(id)).collect();
    assert!(unknown.is_empty(), "the specifications have no {unknown:?}");
}

#[test]
fn each_line_names_a_test_that_exists() {
    let sources = sources();
    let (mut proven, mut later, mut not_ours) = (0, 0, 0);
    let mut wrong = Vec::new();
    for (id, value) in &account() {
        match value
            .as_str()
            .ok_or_else(|| "is not a text".to_owned())
            .and_then(entry)
        {
            Ok(Entry::Later) => later += 1,
            Ok(Entry::NotOurs) => not_ours += 1,
            Ok(Entry::Proven { file, name }) => {
                proven += 1;
                let found = sources.iter().find(|source| source.path == file);
                if !found.is_some_and(|source| defines_test(&source.text, name)) {
                    wrong.push(format!("{id}: no test {name} in {file}"));
                }
            }
            Err(reason) => wrong.push(format!("{id}: {reason}")),
        }
    }
    println!("{proven} checks proven, {later} later, {not_ours} not ours");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_line_without_a_test_or_a_reason_is_rejected() {
    assert!(entry("some day").is_err());
    assert!(entry("not ours: no").is_err());
    assert_eq!(entry("later"), Ok(Entry::Later));
    assert!(matches!(
        entry("a/b.rs: c"),
        Ok(Entry::Proven {
            file: "a/b.rs",
            name: "c"
        })
    ));
    assert!(defines_test("#[test]\nfn c() {}", "c"));
    assert!(!defines_test("fn c() {}", "c"));
    assert!(!defines_test("#[test]\nfn cc() {}", "c"));
}
