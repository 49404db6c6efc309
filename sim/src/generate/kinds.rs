//! The kinds of fault that a generated run may have. What each of them draws for itself is said in
//! its own file.

use super::draw::Draw;
use super::knobs::Knobs;
use crate::fault::{Drawn, FaultKind, Kind, Rule, catalogue};

/// What was chosen from the site of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    Producer,
    NameServer,
    Broker,
    Network,
}

/// Every kind but those that say why they are not drawn.
pub(super) fn all() -> impl Iterator<Item = &'static Kind> {
    catalogue::all().filter(|kind| !matches!(kind.draw, Drawn::Never(_)))
}

/// The kinds that exist in a run. Some runs have all of them.
pub(super) fn of_this_run(draw: &Draw) -> Vec<&'static str> {
    let per_mille = draw.one_of("kinds", [150, 300, 300, 1_000]);
    let exists = |kind: &&Kind| draw.part(kind.name, 0).coin("exists", per_mille);
    all().filter(exists).map(|kind| kind.name).collect()
}

/// The kind of one fault: of those that exist, the one with the highest draw.
pub(super) fn choose(draw: &Draw, kinds: &[&'static str]) -> Option<&'static Kind> {
    all()
        .filter(|kind| kinds.contains(&kind.name))
        .max_by_key(|kind| {
            let chances = 0..chances(kind);
            chances
                .map(|nth| draw.part(kind.name, nth).number("kind"))
                .max()
        })
}

/// How often a kind takes part in a draw.
fn chances(kind: &Kind) -> usize {
    match kind.draw {
        Drawn::Fault(_) => 1,
        Drawn::Rule(chances, _) => chances,
        Drawn::Never(_) => 0,
    }
}

/// Draws a fault of a kind, for such a place.
pub(super) fn make(kind: &Kind, draw: &Draw, knobs: &Knobs, on: Target) -> FaultKind {
    match kind.draw {
        Drawn::Fault(make) => make(draw, knobs, on),
        Drawn::Rule(_, make) => {
            let then = make(draw, knobs, on);
            FaultKind::Rule(Rule::draw(draw, knobs, on, then))
        }
        Drawn::Never(reason) => unreachable!("\"{}\" is not drawn: {reason}", kind.name),
    }
}
