//! The figures of a run, counted from its trace, and whether they are the expected ones.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use rmq_mock_broker::event::Event as BrokerEvent;
use rmq_producer::event::{Event as ProducerEvent, SendNumber};
use rmq_remoting::observe::Name;
use serde::Serialize;

use crate::scenario::{Bound, Expect};
use crate::trace::{NodeEvent, NodeId, NodeKind, Trace, WorkEvent, WorkResult};
use crate::verdict::Finding;

/// The figures of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Sends that were called, whatever became of them.
    pub sends: u64,
    /// Sends that ended well; for one-way sends: that were written.
    pub ok: u64,
    /// Sends that ended with an error.
    pub failed: u64,
    /// The attempts of all sends together.
    pub attempts: u64,
    /// The most attempts of one send.
    pub max_attempts: u64,
    /// The longest send, in milliseconds.
    pub max_send_ms: u64,
    /// Messages stored, each counted once.
    pub stored: u64,
    /// Stored copies beyond the first of each message.
    pub copies: u64,
    /// Attempts that another one was started beside.
    pub hedged: u64,
    /// For each broker: the sends whose success it answered.
    pub share: Vec<(Name, u64)>,
    /// For each link that carried anything: sender, receiver, bytes delivered.
    pub links: Vec<(Name, Name, u64)>,
    /// When the run ended, in virtual milliseconds.
    pub virtual_ms: u64,
}

impl Summary {
    /// Counts a trace. The bytes of the links are the engine's to tell.
    pub fn of(trace: &Trace) -> Self {
        let brokers = trace.header.of_kind(NodeKind::Broker);
        let mut share: IndexMap<Name, u64> = brokers
            .map(|node| (Name::from(trace.header.name(node)), 0))
            .collect();
        let mut summary = Summary {
            virtual_ms: trace.end_ms,
            ..Summary::default()
        };
        let mut called: BTreeMap<&str, u64> = BTreeMap::new();
        let mut stored: BTreeMap<&str, u64> = BTreeMap::new();
        let mut attempts: BTreeMap<(NodeId, SendNumber), u64> = BTreeMap::new();
        for record in &trace.records {
            match &record.what {
                NodeEvent::Work(WorkEvent::Called { keys, .. }) => {
                    summary.sends += 1;
                    called.insert(keys, record.ms);
                }
                NodeEvent::Work(WorkEvent::Returned { keys, result }) => {
                    // A trace written by hand may begin after the call.
                    let since = called.get(&**keys).copied().unwrap_or(record.ms);
                    summary.max_send_ms = summary.max_send_ms.max(record.ms - since);
                    match result {
                        WorkResult::Failed(_) => summary.failed += 1,
                        WorkResult::Written => summary.ok += 1,
                        WorkResult::Sent { broker, .. } => {
                            summary.ok += 1;
                            *share.entry(Name::clone(broker)).or_default() += 1;
                        }
                    }
                }
                NodeEvent::Producer(ProducerEvent::Attempt { send, .. }) => {
                    summary.attempts += 1;
                    *attempts.entry((record.node, *send)).or_default() += 1;
                }
                NodeEvent::Producer(ProducerEvent::Hedged { .. }) => summary.hedged += 1,
                NodeEvent::Broker(BrokerEvent::Stored {
                    unique_key: key, ..
                }) => {
                    *stored.entry(key).or_default() += 1;
                }
                // Nothing else is counted.
                _ => {}
            }
        }
        summary.max_attempts = attempts.values().copied().fold(0, u64::max);
        summary.stored = stored.len() as u64;
        summary.copies = stored.values().map(|copies| copies - 1).sum();
        summary.share = share.into_iter().collect();
        summary
    }

    /// Every figure that a person expected otherwise: its name, the figure, what was expected.
    pub fn missed(&self, expect: &Expect) -> Vec<(&'static str, u64, Bound)> {
        let figures: [(&str, u64, Option<Bound>); 8] = [
            ("ok", self.ok, expect.ok),
            ("failed", self.failed, expect.failed),
            ("attempts", self.attempts, expect.attempts),
            ("max-attempts", self.max_attempts, expect.max_attempts),
            ("max-send-ms", self.max_send_ms, expect.max_send_ms),
            ("stored", self.stored, expect.stored),
            ("copies", self.copies, expect.copies),
            ("hedged", self.hedged, expect.hedged),
        ];
        let missed = figures.into_iter().filter_map(|(name, figure, bound)| {
            let bound = bound.filter(|bound| !bound.holds(figure))?;
            Some((name, figure, bound))
        });
        missed.collect()
    }

    /// The same figures, each as a finding by `expect`.
    pub fn unexpected(&self, expect: &Expect) -> Vec<Finding> {
        let missed = self.missed(expect).into_iter();
        missed
            .map(|(name, figure, bound)| Finding {
                by: "expect",
                at: None,
                text: format!("{name} is {figure}, and the scenario expects {bound}"),
            })
            .collect()
    }
}
