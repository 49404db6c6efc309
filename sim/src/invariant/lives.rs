//! When the producers of a run live, and their clients with them.

use super::CheckedRun;
use crate::trace::NodeId;
use crate::trace::history::{LifeHistory, ProducerKey, ProducerPhase, Timestamp};

impl<'t> CheckedRun<'t> {
    /// When the last producer of a client began to stop, and when it had stopped, or was dropped.
    pub(super) fn stops(&self, client: NodeId) -> impl Iterator<Item = Timestamp> {
        let shared = self.header().is_shared(client);
        let mut running = 0_usize;
        let lives = self
            .history
            .lives
            .iter()
            .filter(move |it| it.node == client);
        lives.filter_map(move |life| {
            match life.phase {
                ProducerPhase::Started => running += 1,
                ProducerPhase::Stopping | ProducerPhase::Dropped => {
                    running = running.saturating_sub(1);
                }
                ProducerPhase::Stopped => {}
            }
            let ends = life.phase != ProducerPhase::Started;
            (ends && (running == 0 || !shared)).then_some(life.timestamp)
        })
    }

    /// Whether a producer of a client that lives on says goodbye at that moment.
    pub(super) fn says_goodbye(&self, client: NodeId, now: Timestamp) -> bool {
        let lives = self.history.lives.iter();
        let before = lives.filter(|it| it.node == client && it.timestamp < now);
        let count = |phase| {
            let turns = before.clone().filter(move |it| it.phase == phase);
            turns.count()
        };
        count(ProducerPhase::Stopping) > count(ProducerPhase::Stopped)
    }

    /// How often a producer of this name has started before a moment: one that is started again on a shared
    /// client remembers nothing of the one before it.
    pub(super) fn starts_before(&self, producer: ProducerKey<'_>, now: Timestamp) -> usize {
        let before = self.lives(producer).filter(|it| it.timestamp < now);
        let starts = before.filter(|it| it.phase == ProducerPhase::Started);
        starts.count()
    }

    /// Whether a node was one process all the time between two moments. The next one has another client,
    /// which numbers its lookups, routes and sends from the start and knows no topic.
    pub(super) fn is_one_process(&self, node: NodeId, from: Timestamp, to: Timestamp) -> bool {
        let mut exits = self.history.exits.iter();
        !exits.any(|(at, exit)| *at == node && from < *exit && *exit < to)
    }

    /// The turns in the life of one producer.
    pub(super) fn lives<'c>(
        &'c self,
        producer: ProducerKey<'c>,
    ) -> impl Iterator<Item = &'c LifeHistory<'t>> {
        let (node, group) = producer;
        let lives = self.history.lives.iter();
        lives.filter(move |it| it.node == node && (group.is_none() || it.group == group))
    }
}
