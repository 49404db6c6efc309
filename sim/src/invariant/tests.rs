//! Every checker against its examples.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::scene::Example;
use super::*;

fn findings(invariant: &Invariant, example: &Example) -> (CheckReport, Option<usize>) {
    let scene = (example.scene)();
    let mut report = CheckReport::new(invariant.id);
    match (invariant.checker, &scene.paired) {
        (Checker::Run(check), _) => check(&CheckedRun::of(&scene.trace), &mut report),
        (Checker::PairedRuns(check), Some(paired)) => {
            check(&scene.trace, &paired.trace, &mut report);
        }
        (Checker::PairedRuns(_), None) => {
            panic!("{}: {} has no paired run", invariant.id, example.says)
        }
    }
    (report, scene.marked)
}

#[test]
fn every_invariant_accepts_what_it_must_and_has_something_to_say_about_it() {
    for invariant in all() {
        let accepted = invariant.examples.iter().filter(|example| example.accepted);
        let mut precondition = 0;
        for example in accepted {
            let (report, _) = findings(invariant, example);
            let says = (invariant.id, example.says);
            assert_eq!(report.findings, [], "{says:?}");
            precondition += report.precondition;
        }
        assert!(
            precondition > 0,
            "{}: no accepted trace exercises it",
            invariant.id
        );
    }
}

#[test]
fn every_invariant_rejects_what_it_must_and_names_the_record() {
    for invariant in all() {
        let mut rejected = 0;
        for example in invariant
            .examples
            .iter()
            .filter(|example| !example.accepted)
        {
            let (report, marked) = findings(invariant, example);
            let says = (invariant.id, example.says);
            let first = report
                .findings
                .first()
                .unwrap_or_else(|| panic!("{says:?}"));
            assert_eq!(first.at, marked, "{says:?}: {first}");
            assert_eq!(first.by, invariant.id);
            rejected += 1;
        }
        assert!(rejected > 0, "{}: no rejected trace", invariant.id);
    }
}

#[test]
fn ids_are_unique_and_in_order() {
    assert!(all().is_sorted_by(|a, b| a.id < b.id));
}

#[test]
fn a_healthy_run_is_accepted_by_every_invariant() {
    let scene = (1..=12).fold(scene::Scene::new(), |scene, send| {
        let to = ["a", "b", "c"][usize::try_from((send - 1) / 4).unwrap()];
        let queue = (send - 1) % 4;
        scene.at(1000 * send).whole(send, &format!("{to}/{queue}"))
    });
    let scene = scene.end(TraceEnd::Finished, 15_000);
    assert_eq!(check(&CheckedRun::of(&scene.trace)).findings, []);
}

#[test]
fn every_side_has_a_rejected_and_an_accepted_example_and_no_example_is_of_none() {
    let mut missing = Vec::new();
    for invariant in all() {
        let (accepted, rejected): (Vec<&Example>, Vec<&Example>) =
            invariant.examples.iter().partition(|it| it.accepted);
        let mut provoked = Vec::new();
        for example in rejected {
            let (report, _) = findings(invariant, example);
            for found in &report.findings {
                let sides = invariant.sides.iter().filter(|it| it.is_of(&found.text));
                let sides: Vec<&str> = sides.map(|it| it.objects_to).collect();
                if sides.len() != 1 {
                    missing.push(format!("of one side each, and not of {sides:?}: {found}"));
                }
                provoked.extend(sides);
            }
        }
        for side in invariant.sides {
            let told = (invariant.id, side.objects_to);
            if !provoked.contains(&side.objects_to) {
                missing.push(format!("{told:?}: no rejected example"));
            }
            if side.accepts.is_empty() {
                missing.push(format!("{told:?}: no accepted example"));
            }
            for says in side.accepts {
                if !accepted.iter().any(|it| it.says == *says) {
                    missing.push(format!("{told:?}: no accepted example says {says:?}"));
                }
            }
        }
        for example in accepted {
            let mut sides = invariant.sides.iter();
            if !sides.any(|side| side.accepts.contains(&example.says)) {
                missing.push(format!("{}: of no side: {:?}", invariant.id, example.says));
            }
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

#[test]
fn whatever_a_checker_can_say_a_rejected_example_makes_it_say() {
    let mut said = BTreeSet::new();
    for invariant in all() {
        for example in invariant.examples.iter().filter(|it| !it.accepted) {
            for place in findings(invariant, example).0.places {
                let (_, file) = place.file().rsplit_once("invariant/").expect("a checker");
                said.insert((file.to_owned(), place.line() as usize));
            }
        }
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/invariant");
    let mut never = Vec::new();
    for path in sources(&folder) {
        let text = fs::read_to_string(&path).expect("a source file");
        let file = path.strip_prefix(&folder).expect("below it");
        let file = file.to_string_lossy().replace('\\', "/");
        let checker = text.lines().take_while(|line| *line != "mod tests {");
        for (number, _) in (1..)
            .zip(checker)
            .filter(|(_, it)| it.contains("report.wrong("))
        {
            if !said.contains(&(file.clone(), number)) {
                never.push(format!("{file}:{number}"));
            }
        }
    }
    assert!(never.is_empty(), "said in no example: {}", never.join(", "));
}

/// Every source file of the checkers.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        if path.is_dir() && name.starts_with("inv_") {
            files.extend(sources(&path));
        } else if name.ends_with(".rs") && name != "tests.rs" {
            files.push(path);
        }
    }
    files
}
