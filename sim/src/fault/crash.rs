//! `crash`: the process is killed, its kernel closes the sockets; started again after `for`.

use dst_engine::Change;
use serde::{Deserialize, Serialize};

use super::kind::{Behaviour, Changes, Drawn, Engines, Kind, Read, Site, Strike};
use super::{FaultKind, Restart};
use crate::backend::Modelled;
use crate::truth::{Condition, Meaning, Process};

/// The process of a server is killed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Crash(pub Restart);

pub(super) const KIND: Kind = Kind {
    name: "crash",
    site: Site::Server,
    keys: &["data", "address"],
    sample: "",
    situation: "the process is killed, its kernel closes the sockets; started again after `for`",
    engines: Engines::ALL,
    is_at_once: false,
    changes: Changes::Life,
    read: Read::Fault(|keys| Ok(FaultKind::Crash(Crash(Restart::read(keys)?)))),
    draw: Drawn::Fault(|draw, knobs, on| FaultKind::Crash(Crash(Restart::draw(draw, knobs, on)))),
};

impl Behaviour for Crash {
    fn start(&self, strike: &Strike<'_>) -> Modelled {
        strike.apply(Change::Crash(strike.node()))
    }

    fn counted(&self) -> Option<dst_engine::Strike> {
        Some(dst_engine::Strike::Killed)
    }

    fn meaning(&self) -> Meaning {
        Meaning::of(Condition::Gone).of_process(Process::Gone)
    }

    fn restart(&self) -> Option<Restart> {
        Some(self.0)
    }

    fn restart_mut(&mut self) -> Option<&mut Restart> {
        Some(&mut self.0)
    }

    fn loses_the_request(&self) -> bool {
        true
    }
}
