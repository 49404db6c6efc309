//! Two runs that should have been alike, told: both of them, and where they part.

use std::fmt::Write as _;

use super::{colour, print};
use crate::run::{PairedRun, PairedRuns};
use crate::trace::{TraceHeader, TraceRecord, json};

/// Both traces of a pair that failed.
pub(super) fn traces(pair: &PairedRuns) -> String {
    let one = |name: &str, run: &PairedRun| {
        format!(
            "{name:<8} {}\n\n{}\n",
            run.played,
            colour::trace(&run.trace)
        )
    };
    one("one", &pair.one) + &one("other", &pair.other)
}

/// What the runs differ in, what is wrong, each with the record in both forms, and how to see more.
pub(super) fn findings(pair: &PairedRuns, arguments: &str) -> String {
    let mut text = words(pair);
    for found in &pair.findings {
        let (one, other) = pair.parting(found);
        // Writing to a string cannot fail.
        let _ = writeln!(text, "parts    {}", found.text);
        if one.is_some() || other.is_some() {
            let _ = writeln!(text, "one      {}", line(&pair.one.trace.header, one));
            let _ = writeln!(text, "other    {}", line(&pair.other.trace.header, other));
        }
    }
    let _ = writeln!(
        text,
        "compare  {} diff {arguments} --pair",
        print::program()
    );
    text
}

/// Which pair it is, and what each of its runs is.
pub(super) fn words(pair: &PairedRuns) -> String {
    format!(
        "pair     {} compares two runs of this seed\none      {}\nother    {}\n",
        pair.checker(),
        pair.one.played,
        pair.other.played
    )
}

/// A record as `--jsonl` has it.
fn line(header: &TraceHeader, record: Option<&TraceRecord>) -> String {
    let Some(record) = record else {
        return "nothing of the kind".to_owned();
    };
    let mut bytes = Vec::new();
    // Writing to memory cannot fail.
    let _ = json::write_record(header, record, &mut bytes);
    String::from_utf8_lossy(&bytes).trim_end().to_owned()
}
