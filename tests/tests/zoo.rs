//! The planted bugs stay plantable: every patch applies to the sources of today.

use std::collections::BTreeSet;
use std::path::PathBuf;

use rmq_sim::internals::zoo::{Bug, BuildFolder, catalogue};
use rmq_tests::workspace;

#[expect(clippy::panic, reason = "a test fails by panicking")]
fn bugs() -> Vec<Bug> {
    catalogue(&workspace()).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn every_patch_applies_to_the_sources() {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("zoo");
    let build_folder = BuildFolder::new(&workspace(), Some(&folder)).unwrap();
    build_folder.restore().unwrap();
    let broken: Vec<String> = bugs()
        .iter()
        .filter_map(|bug| build_folder.plant(bug, true).err())
        .map(|error| error.to_string())
        .collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn every_bug_is_described_and_names_what_exists() {
    let bugs = bugs();
    assert!(bugs.len() >= 20, "only {} bugs", bugs.len());
    for Bug { id, about, .. } in &bugs {
        let number = id
            .strip_prefix('Z')
            .and_then(|digits| digits.parse::<u8>().ok());
        assert!(number.is_some(), "{id}");
        assert!(
            about.description.ends_with('.'),
            "{id}: a description is a sentence"
        );
        assert!(
            !about.citation.is_empty() && !about.invariants.is_empty(),
            "{id}"
        );
        for place in &about.citation {
            let (repository, number) = place.split_once('#').expect("owner/repository#number");
            assert!(
                repository.contains('/') && number.parse::<u32>().is_ok(),
                "{id}: {place}"
            );
        }
        for file in &about.files {
            assert!(workspace().join(file).is_file(), "{id}: {file}");
        }
    }
}

#[test]
fn every_bug_breaks_an_invariant_that_is_judged() {
    let checked: BTreeSet<&str> = rmq_sim::internals::invariant::all()
        .iter()
        .map(|one| one.id)
        .collect();
    for Bug { id, about, .. } in bugs() {
        let hit = about
            .invariants
            .iter()
            .any(|one| checked.contains(one.as_str()));
        assert!(hit, "{id}: none of {:?} is checked", about.invariants);
    }
}
