//! `cargo sim faults` and `cargo sim invariants`: what can go wrong, and what is checked.

use std::fmt::Write as _;
use std::path::PathBuf;

use super::{CliError, print};
use crate::fault::catalogue;
use crate::invariant::{self, Invariant, Source};
use crate::sweep::Sweep;
use crate::sweep::file;
use crate::verdict::Class;

/// What `invariants` is given.
#[derive(Debug, clap::Args)]
pub(super) struct InvariantArgs {
    /// Only this one, with its sides: INV-38.
    #[arg(value_parser = known, conflicts_with = "sweep")]
    id: Option<&'static str>,
    /// Adds what each of them objects to, as its findings say it.
    #[arg(long)]
    sides: bool,
    /// The file of a sweep: adds the share of its runs in which each precondition was true.
    #[arg(long, value_name = "FILE")]
    sweep: Option<PathBuf>,
}

/// Reads the id of an invariant.
fn known(id: &str) -> Result<&'static str, String> {
    let found = invariant::all().iter().find(|one| one.id == id);
    let remedy = "no checker is called so; write it as the list does: INV-38";
    found.map(|one| one.id).ok_or_else(|| remedy.to_owned())
}

/// Prints the catalogue of faults: the table of the module's documentation.
pub(super) fn faults() -> Result<Class, CliError> {
    print::to_stdout(&catalogue::markdown())?;
    Ok(Class::Pass)
}

/// Prints the catalogue of invariants, with the shares of a sweep's file if one is given.
pub(super) fn invariants(args: &InvariantArgs) -> Result<Class, CliError> {
    let mut sweep = None;
    if let Some(path) = &args.sweep {
        let mut all = Sweep::default();
        for portion in &file::read(path)?.portions {
            all.add(portion);
        }
        sweep = Some(all);
    }
    let rare = sweep.as_ref().map_or(Vec::new(), Sweep::rare);
    let mut text = String::new();
    let asked = |one: &&Invariant| args.id.is_none_or(|id| id == one.id);
    for one in invariant::all().iter().filter(asked) {
        let _ = write!(
            text,
            "{}  {:<30} {:<10}",
            one.id,
            one.title,
            class(one.source)
        );
        if let Some(sweep) = &sweep {
            let runs = sweep.exercised.get(one.id).copied().unwrap_or(0);
            let share = print::percent(runs, sweep.runs);
            let stated = print::percent(one.rate_per_mille.into(), 1_000);
            let _ = write!(text, "  {share:>6} of the runs, stated {stated}");
            if rare.iter().any(|rare| rare.id == one.id) {
                text.push_str("  TOO RARE");
            }
        }
        text.push('\n');
        if args.sides || args.id.is_some() {
            for side in one.sides {
                // What stands before it is who does it: a producer, its send, a server.
                let _ = writeln!(text, "        … {}", side.objects_to);
            }
        }
    }
    print::to_stdout(&text)?;
    Ok(match rare.is_empty() {
        true => Class::Pass,
        false => Class::Violation,
    })
}

fn class(source: Source) -> &'static str {
    match source {
        Source::Evidence => "evidence",
        Source::ClientEvents => "client events",
        Source::Both => "both",
        Source::Truth => "truth",
        Source::End => "end",
        Source::PairedRuns => "paired runs",
    }
}
