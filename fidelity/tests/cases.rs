//! Every case under virtual time: the presets leave the traces of the clients they are named after.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::PathBuf;

use rmq_fidelity::case::Case;
use rmq_fidelity::compare::{CLIENTS, CaseVerdict, PresetComparison};
use rmq_producer::Policy;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/fidelity")
}

fn table(preset: &str, recorded: &str, only: &str) -> PresetComparison {
    let policy = Policy::preset(preset).unwrap();
    PresetComparison::of(&folder(), &policy, recorded, only).unwrap()
}

fn assert_equal(preset: &str, least: usize) {
    let client = CLIENTS.iter().find(|(name, _)| *name == preset);
    let (_, recorded) = client.unwrap();
    let table = table(preset, recorded, "");
    let (equal, differs, _) = table.totals();
    assert_eq!(differs, 0, "{table}");
    assert!(equal >= least, "only {equal} cases were compared");
}

#[test]
fn java_5_3_does_what_java_5_3_3_did() {
    assert_equal("java_5_3", 107);
}

#[test]
fn java_4_9_does_what_java_4_9_8_did() {
    assert_equal("java_4_9", 106);
}

#[test]
fn go_2_1_does_what_go_2_1_2_did() {
    assert_equal("go_2_1", 93);
}

#[test]
fn every_case_has_a_recording_of_each_client_that_it_is_for() {
    for case in Case::all(&folder().join("cases")).unwrap() {
        for (_, recorded) in CLIENTS {
            let skipped = case.file["skip"].as_array().into_iter().flatten();
            let skipped = skipped.into_iter().any(|name| name == recorded);
            let file = format!("reference/{recorded}/{}.json", case.name);
            assert_eq!(folder().join(&file).exists(), !skipped, "{file}");
        }
    }
}

#[test]
fn another_clients_habits_are_seen_to_differ() {
    // A client that retries after code 2 against one that does not; one that notices a close
    // against one that waits; one that steps to the next broker against one that does not.
    for (preset, recorded, case) in [
        ("java_5_3", "java498", "code-2-sync"),
        ("java_4_9", "java533", "close-before-first-sync"),
        ("strict", "java533", "silent-first-3-brokers-500"),
        ("go_2_1", "java533", "queue-1-code1"),
    ] {
        let table = table(preset, recorded, case);
        assert_eq!(table.lines.len(), 1, "{case}");
        let differs = matches!(table.lines[0].verdict, CaseVerdict::Differs { .. });
        assert!(differs, "{preset} like {recorded} in {case}");
    }
}
