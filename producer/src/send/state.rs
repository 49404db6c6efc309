//! The state that the sends of one producer share: its policy, its identity, what it has learnt about
//! brokers, and the limits of what it may have open.

use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;

use super::compressor::Compressor;
use super::life::Life;
use super::permits::Permits;
use crate::client::state::ClientCore;
use crate::client::tasks::TaskSet;
use crate::decide::budget::HedgingBudget;
use crate::decide::encoding::ProducerIdentity;
use crate::decide::health::HealthTable;
use crate::hook::Hooks;
use crate::policy::Policy;

/// What the sends of one producer work with.
pub(crate) struct ProducerCore {
    pub(crate) client: Arc<ClientCore>,
    pub(crate) policy: Policy,
    pub(crate) identity: ProducerIdentity,
    pub(crate) hedging_budget: Mutex<HedgingBudget>,
    pub(crate) health: Mutex<HealthTable>,
    pub(crate) life: Life,
    pub(crate) async_sends: Arc<TaskSet>,
    pub(crate) permits: Permits,
    pub(crate) compressor: Compressor,
    pub(crate) hooks: Hooks,
}

impl fmt::Debug for ProducerCore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProducerCore")
            .field("group", &self.identity.group)
            .finish_non_exhaustive()
    }
}
