//! What users of the crates can name is listed in `docs/api`, so that a change of it is seen in review and
//! named in CHANGELOG. `UPDATE_API=1 cargo test --workspace --test public_api` makes the lists anew.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::{Write as _, stderr};
use std::path::Path;

use rmq_tests::api::{Build, Features, chosen, difference, is_other, other_toolchain};
use rmq_tests::workspace;
use serde_json::json;

const RENEW: &str = "UPDATE_API=1 cargo test --workspace --test public_api";

/// The features that open what changes without notice.
const NO_PROMISE: Features = Features::AllBut(&["decisions", "exhaustive"]);

/// Compares a list with the committed one, or makes that anew. The answer is what differs.
fn compare(file: &str, now: &[String], renew: bool) -> String {
    let path = workspace().join("docs/api").join(file);
    if renew {
        let lines = now.iter().map(|line| format!("{line}\n"));
        fs::write(&path, lines.collect::<String>()).expect("docs/api can be written");
        return String::new();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    let differing = difference(&committed, now);
    if differing.is_empty() {
        return String::new();
    }
    format!("docs/api/{file}\n  {}\n", differing.join("\n  "))
}

#[test]
fn the_public_interfaces_are_those_of_the_committed_lists() {
    if let Some(other) = other_toolchain().expect("a toolchain") {
        // Past the test's own capture: whoever runs this must not take it for a comparison.
        let said = writeln!(stderr(), "\nNOTHING WAS COMPARED with docs/api: {other}\n");
        return said.expect("standard error");
    }
    let renew = std::env::var_os("UPDATE_API").is_some();
    let build = Build::of_the_tests().expect("a build");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("public-api");
    let of = |krate: &str, features: Features| {
        let interface = build.interface(krate, features, &folder);
        let interface = interface.unwrap_or_else(|error| panic!("{error}"));
        assert!(interface.len() > 100, "{krate}: {interface:?}");
        interface
    };
    let producer = of("rmq-producer", Features::Default);
    let open = of("rmq-producer", NO_PROMISE);
    let without = |one: &[String], other: &[String]| {
        let left = one.iter().filter(|line| !other.contains(line));
        left.cloned().collect::<Vec<_>>()
    };
    let taken = without(&producer, &open);
    assert!(
        taken.is_empty(),
        "a feature takes something away: {taken:?}"
    );
    let added = without(&open, &producer);
    let differing = [
        ("rmq-producer.txt", producer),
        ("rmq-producer.features.txt", added),
        ("dst-engine.txt", of("dst-engine", Features::Default)),
        ("rmq-sim.txt", of("rmq-sim", Features::Default)),
    ]
    .map(|(file, now)| compare(file, &now, renew))
    .concat();
    assert!(
        differing.is_empty(),
        "the public interface is another one:\n{differing}If that is meant, say so in CHANGELOG and make \
         the lists anew:\n  {RENEW}\n"
    );
}

#[test]
fn an_item_that_is_gone_and_one_that_is_new_are_named() {
    let now = ["pub fn a()", "pub fn c()"].map(str::to_owned);
    let committed = "pub fn a()\npub fn b()\n";
    assert_eq!(
        difference(committed, &now),
        ["- pub fn b()", "+ pub fn c()"]
    );
    assert_eq!(difference("pub fn c()\npub fn a()\n", &now), [""; 0]);
    assert_eq!(difference("", &now).len(), 2, "a list that is not there");
}

#[test]
fn another_toolchain_than_the_named_one_is_told() {
    assert_eq!(is_other("rustdoc 1.95.0 (59807616e 2026-04-14)"), None);
    for version in [
        "rustdoc 1.96.0",
        "rustdoc 1.95.0-nightly (0 2026-04-15)",
        "rustdoc 1.9",
        "",
    ] {
        let told = is_other(version).expect("another");
        assert!(told.contains("made with 1.95."), "{told}");
    }
}

#[test]
fn features_bring_those_that_they_turn_on() {
    let table = json!({
        "default": ["a", "dep:x"],
        "a": ["b", "x/c"],
        "b": [],
        "c": [],
        "decisions": ["d"],
        "d": [],
    });
    let of = |features| chosen(&table, features).into_iter().collect::<Vec<_>>();
    assert_eq!(of(Features::Default), ["a", "b", "default"]);
    assert_eq!(of(NO_PROMISE), ["a", "b", "c", "d", "default"]);
    assert_eq!(
        of(Features::AllBut(&["decisions", "d", "c"])),
        ["a", "b", "default"]
    );
    assert!(chosen(&json!({}), Features::Default).is_empty());
}

#[test]
fn a_crate_that_is_not_there_is_named() {
    let build = Build::read("", "{\"packages\": []}").expect("JSON");
    let error = build.interface("rmq-nothing", Features::Default, Path::new("x"));
    assert!(error.expect_err("none").contains("rmq-nothing"));
    assert!(Build::read("no JSON", "{}").is_err());
}
