//! Sweeps that are a few lines of shell, and what is said of them.
#![cfg(unix)]

use std::os::unix::fs::PermissionsExt as _;

use super::*;

/// What comes of a program that does this; `$7` is the file of its sweep, to seed 40.
fn outcome(does: &str) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("program");
    let good = r#"echo "{}" > "$7"; echo '{"to":20,"found":{"failures":[]}}' >> "$7""#;
    fs::write(&program, format!("#!/bin/sh\n{good}\n{does}\n")).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let trial = Trial {
        program,
        sources: folder.path().to_owned(),
        results: folder.path().to_owned(),
        seeds: 40,
        patience: Duration::from_secs(2),
        memory: 4_096,
    };
    trial.of(7).unwrap()
}

fn is_killed(outcome: &Outcome, killer: &str, at: Option<u64>) {
    match outcome {
        Outcome::Killed { by, seed, .. } => assert_eq!((&**by, *seed), (killer, at)),
        Outcome::Survived { .. } => panic!("survived, not {killer}"),
    }
}

// One after the other: a file that a process beside writes cannot be run.
#[test]
fn a_sweep_ends_at_its_first_failure_or_with_its_process() {
    let end = r#"echo '{"to":40,"found":{"failures":[]}}' >> "$7"; echo "digest   $RMQ_MUTANT""#;
    let survived = Outcome::Survived {
        reached: true,
        digest: "7".to_owned(),
    };
    assert_eq!(outcome(end), survived);
    let red = r#"echo '{"to":40,"found":{"failures":[{"seed":23,"by":"INV-05","reason":""}]}}' >> "$7"; exec sleep 60"#;
    is_killed(&outcome(red), "INV-05", Some(23));
    let rare = format!("{end}; echo 'rare     INV-30 had something to say in 1 %'; exit 1");
    is_killed(&outcome(&rare), "rare INV-30", None);
    is_killed(&outcome("exec sleep 60"), "timeout", Some(20));
    is_killed(&outcome("kill -ABRT $$"), "crash", Some(20));
    is_killed(&outcome("echo 'error: no' >&2; exit 2"), "no run", Some(20));
}
