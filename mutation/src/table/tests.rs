//! Pages of a few results.

use super::*;
use crate::find::find;
use crate::mutant::number;

fn line(mutant: usize, outcome: Outcome) -> (usize, Line) {
    let line = Line {
        mutant,
        seeds: 1_000,
        millis: 1,
        outcome,
    };
    (mutant, line)
}

fn survived(reached: bool, digest: &str) -> Outcome {
    Outcome::Survived {
        reached,
        digest: digest.to_owned(),
    }
}

#[test]
fn a_page_counts_what_was_tried_and_lists_what_survived() {
    let mut files = [find("a.rs", "fn f() -> bool { a || b }").unwrap()];
    let mutants = number(&mut files);
    let killed = Outcome::Killed {
        by: "INV-05".to_owned(),
        seed: Some(3),
        reason: String::new(),
    };
    let lines = [
        line(0, survived(false, "d0")),
        line(1, killed),
        line(2, survived(true, "d1")),
        line(3, survived(false, "d0")),
    ];
    let lines = BTreeMap::from(lines);
    let equivalent = Verdict {
        verdict: Meaning::Equivalent,
        reason: "b is never".to_owned(),
    };
    let mut verdicts = BTreeMap::from([(mutants[2].key.clone(), equivalent.clone())]);
    let mut gone = mutants[2].key.clone();
    gone.nth = 7;
    verdicts.insert(gone, equivalent);
    let page = Results {
        files: &files,
        mutants: &mutants,
        unviable: &BTreeSet::new(),
        lines: &lines,
        verdicts: &verdicts,
        seeds: 1_000,
    }
    .page();
    for row in [
        "| a.rs | 3 | 0 | 1 | 2 | 50.0 % |",
        "| INV-05 | 1 |",
        "| of these, traces differ | 1 |",
        "| of these, never reached | 1 |",
        "| 2 | a.rs:1 | `f` | the body → `false` | hole (unjudged) |",
        "| 3 | a.rs:1 | `f` | `a \\|\\| b`: \\|\\| → && | equivalent: b is never |",
        "* a.rs `f`: `a || b`: || → && (7)",
    ] {
        assert!(page.contains(row), "{row}\n{page}");
    }
}
