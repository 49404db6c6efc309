//! What each engine can do, and why the others cannot.

use super::{Engine, FaultKind};

impl FaultKind {
    /// Why an engine cannot do it; `None`: it can.
    pub fn impossible_on(&self, engine: Engine) -> Option<&'static str> {
        match (engine, self) {
            (Engine::Event, _)
            | (
                _,
                Self::Crash(_)
                | Self::Stop(_)
                | Self::Rule(_)
                | Self::ClockJump { .. }
                | Self::NameServerList { .. }
                | Self::ReadOnly
                | Self::Resize { .. },
            )
            | (
                Engine::Turmoil,
                Self::Freeze
                | Self::Partition
                | Self::Hold
                | Self::Latency { .. }
                | Self::PowerLoss(_),
            ) => None,
            (Engine::Tcp, Self::PowerLoss(_)) => {
                Some("a process cannot cut the power of the machine it runs on")
            }
            (Engine::Tcp, Self::Slow { .. }) => {
                Some("all nodes share one processor there, which is as fast as it is")
            }
            (Engine::Tcp, _) => Some("the loop-back interface of a real machine never does that"),
            (Engine::Turmoil, Self::Loss { .. }) => {
                Some("turmoil's TCP never sends a lost segment again")
            }
            (Engine::Turmoil, _) => Some("turmoil's network model has no such thing"),
        }
    }
}
