//! `freeze`: a long garbage collection or SIGSTOP: the kernel lives, the process does nothing.

use dst_engine::Change;

use super::FaultKind;
use super::kind::{Behaviour, Changes, Drawn, Engines, Kind, Read, Site, Strike};
use crate::backend::Modelled;
use crate::truth::{Condition, Meaning, Process};

/// The process of a node stands still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Freeze;

pub(super) const KIND: Kind = Kind {
    name: "freeze",
    site: Site::Node,
    keys: &[],
    sample: "",
    situation: "a long garbage collection or SIGSTOP: the kernel lives, the process does nothing",
    engines: Engines::SIMULATED,
    is_at_once: false,
    changes: Changes::Life,
    read: Read::Fault(|_| Ok(FaultKind::Freeze)),
    draw: Drawn::Fault(|_, _, _| FaultKind::Freeze),
};

impl Behaviour for Freeze {
    fn start(&self, strike: &Strike<'_>) -> Modelled {
        strike.apply(Change::Freeze(strike.node()))
    }

    fn end(&self, strike: &Strike<'_>) -> Modelled {
        strike.apply(Change::Thaw(strike.node()))
    }

    fn counted(&self) -> Option<dst_engine::Strike> {
        Some(dst_engine::Strike::Freeze)
    }

    fn meaning(&self) -> Meaning {
        Meaning::of(Condition::Silent).of_process(Process::Frozen)
    }
}
