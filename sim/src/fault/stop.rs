//! `stop`: an orderly shutdown: the process unregisters first.

use serde::{Deserialize, Serialize};

use super::kind::{Behaviour, Changes, Drawn, Engines, Kind, Read, Site, Strike};
use super::{FaultKind, Restart};
use crate::backend::Modelled;
use crate::truth::{Condition, Meaning, Process};

/// The process shuts down in order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Stop(pub Restart);

pub(super) const KIND: Kind = Kind {
    name: "stop",
    site: Site::Server,
    keys: &["data", "address"],
    sample: "",
    situation: "an orderly shutdown: the process unregisters first",
    engines: Engines::ALL,
    is_at_once: false,
    changes: Changes::Life,
    read: Read::Fault(|keys| Ok(FaultKind::Stop(Stop(Restart::read(keys)?)))),
    draw: Drawn::Fault(|draw, knobs, on| FaultKind::Stop(Stop(Restart::draw(draw, knobs, on)))),
};

impl Behaviour for Stop {
    fn start(&self, strike: &Strike<'_>) -> Modelled {
        // A process that has ended already needs no asking.
        if strike.run.ask_to_stop(strike.node()) {
            strike.has_struck();
        }
        Ok(())
    }

    fn counted(&self) -> Option<dst_engine::Strike> {
        None
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
}
