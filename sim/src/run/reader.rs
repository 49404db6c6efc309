//! Looking at the brokers' ledgers while a run goes on, without copying what was seen before.

use std::collections::BTreeMap;
use std::sync::Arc;

use rmq_mock_broker::Disk;
use rmq_mock_broker::ledger::Entry;
use rmq_remoting::observe::Name;
use tokio::sync::Notify;

use super::play::RunningCluster;
use crate::trace::{NodeId, NodeKind};

/// How much of each broker's ledger somebody has seen.
#[derive(Debug, Default)]
pub(crate) struct ReadSoFar {
    brokers: BTreeMap<NodeId, (Arc<Disk>, usize)>,
}

impl RunningCluster {
    /// Notifies whoever waits when a broker has stored something.
    pub(crate) fn arrivals(&self) -> Arc<Notify> {
        Arc::clone(&self.controller.arrivals)
    }

    /// Shows what brokers have stored since, broker by broker, in the order in which each has stored it. One that
    /// has come back without its data begins anew.
    pub(crate) fn read_more(&self, read: &mut ReadSoFar, mut show: impl FnMut(&Name, &Entry)) {
        let servers = self.controller.servers.lock();
        for (node, info) in self.controller.layout.all() {
            let Some(disk) = servers.disks.get(&node) else {
                continue;
            };
            if info.kind != NodeKind::Broker {
                continue;
            }
            let new = || (Arc::clone(disk), 0);
            let (seen, count) = read.brokers.entry(node).or_insert_with(new);
            if !Arc::ptr_eq(seen, disk) {
                (*seen, *count) = new();
            }
            disk.with_ledger(|ledger| {
                for entry in &ledger.entries()[*count..] {
                    show(&info.name, entry);
                }
                *count = ledger.entries().len();
            });
        }
    }
}
