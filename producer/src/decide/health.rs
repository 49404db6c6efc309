//! For how long a broker that was slow or failed is avoided by later sends.
//!
//! Only what a broker *did* counts: slowness, silence, a broken or refused connection. A refusal
//! of one message says nothing about the next one, and a request that was merely written says
//! nothing at all. With [`Health::Off`] nothing is remembered.

use std::collections::BTreeMap;

use rmq_remoting::observe::Name;

use crate::event::Stage;
use crate::policy::{Health, Policy};

use super::Millis;
use super::retry::Ended;

/// Latency thresholds and isolation times of the Java client 4.9.
const TABLE_4: [(Millis, Millis); 7] = [
    (50, 0),
    (100, 0),
    (550, 30_000),
    (1_000, 60_000),
    (2_000, 120_000),
    (3_000, 180_000),
    (15_000, 600_000),
];

/// Latency thresholds and isolation times of the Java client 5.x.
const TABLE_5: [(Millis, Millis); 7] = [
    (50, 0),
    (100, 0),
    (550, 2_000),
    (1_800, 5_000),
    (3_000, 6_000),
    (5_000, 10_000),
    (15_000, 30_000),
];

/// What a result does to the standing of its broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Isolation {
    /// For how long from now the broker is avoided; 0 is not at all.
    pub for_ms: Millis,
    /// Whether this replaces an isolation that would end later.
    pub overwrites: bool,
}

/// What the end of an attempt after `took` does to the standing of its broker.
#[must_use]
pub fn isolation(policy: &Policy, ended: Ended, took: Millis) -> Option<Isolation> {
    let (table, failure, overwrites) = match policy.health {
        Health::Off => return None,
        Health::Table4 => (&TABLE_4, 30_000, true),
        Health::Table5 => (&TABLE_5, 10_000, false),
    };
    let latency = match ended.stage {
        Stage::Accepted => took,
        Stage::Dial | Stage::Write | Stage::Lost | Stage::Silent => failure,
        Stage::Refused | Stage::Decode | Stage::Address | Stage::Superseded => return None,
    };
    let row = table.iter().rfind(|(least, _)| latency >= *least);
    let for_ms = row.map_or(0, |&(_, isolated)| isolated);
    Some(Isolation { for_ms, overwrites })
}

/// The brokers avoided, and until when. Belongs to one producer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    until: BTreeMap<Name, Millis>,
}

impl Table {
    /// Notes a result; returns for how long the broker is avoided if that changed.
    pub fn note(&mut self, broker: &Name, isolation: Isolation, now: Millis) -> Option<Millis> {
        let until = now.saturating_add(isolation.for_ms);
        let before = self.until.get(broker).copied().unwrap_or(0);
        let later = isolation.for_ms > 0 && until > before;
        let earlier = isolation.overwrites && before > now;
        if !later && !earlier {
            return None;
        }
        self.until.retain(|_, until| *until > now);
        if isolation.for_ms > 0 {
            self.until.insert(Name::clone(broker), until);
        } else {
            self.until.remove(broker);
        }
        Some(isolation.for_ms)
    }

    /// Whether the broker may be a first choice.
    #[must_use]
    pub fn healthy(&self, broker: &Name, now: Millis) -> bool {
        self.until.get(broker).is_none_or(|until| now >= *until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(health: Health) -> Policy {
        Policy {
            health,
            ..Policy::strict()
        }
    }

    fn at(stage: Stage) -> Ended {
        Ended { stage, code: None }
    }

    fn for_ms(health: Health, stage: Stage, took: Millis) -> Option<Millis> {
        isolation(&with(health), at(stage), took).map(|isolation| isolation.for_ms)
    }

    #[test]
    fn switched_off_nothing_is_remembered() {
        assert_eq!(for_ms(Health::Off, Stage::Silent, 3000), None);
    }

    #[test]
    fn a_slow_success_isolates_by_its_latency_in_steps() {
        let five = |took| for_ms(Health::Table5, Stage::Accepted, took);
        assert_eq!(five(0), Some(0));
        assert_eq!(five(549), Some(0));
        assert_eq!(five(550), Some(2_000));
        assert_eq!(five(1_800), Some(5_000));
        assert_eq!(five(Millis::MAX), Some(30_000));
        assert_eq!(for_ms(Health::Table4, Stage::Accepted, 550), Some(30_000));
    }

    #[test]
    fn a_failure_isolates_for_ten_seconds_and_for_ten_minutes_in_4_9() {
        assert_eq!(for_ms(Health::Table5, Stage::Dial, 1), Some(10_000));
        assert_eq!(for_ms(Health::Table4, Stage::Lost, 1), Some(600_000));
    }

    #[test]
    fn a_refused_message_isolates_nobody() {
        assert_eq!(for_ms(Health::Table5, Stage::Refused, 5), None);
    }

    #[test]
    fn a_fast_success_shortens_an_isolation_in_4_9_only() {
        for (health, healthy) in [(Health::Table4, true), (Health::Table5, false)] {
            let policy = with(health);
            let broker = Name::from("broker-a");
            let mut table = Table::default();
            let slow = isolation(&policy, at(Stage::Accepted), 600).unwrap();
            let fast = isolation(&policy, at(Stage::Accepted), 40).unwrap();
            assert!(table.note(&broker, slow, 1_000).is_some());
            table.note(&broker, fast, 1_500);
            assert_eq!(table.healthy(&broker, 1_500), healthy);
        }
    }

    #[test]
    fn a_broker_is_back_in_the_millisecond_its_isolation_ends() {
        let broker = Name::from("broker-a");
        let mut table = Table::default();
        let slow = Isolation {
            for_ms: 2_000,
            overwrites: false,
        };
        assert_eq!(table.note(&broker, slow, 100), Some(2_000));
        assert!(!table.healthy(&broker, 2_099));
        assert!(table.healthy(&broker, 2_100));
    }
}
