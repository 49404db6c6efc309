//! For how long a broker that was slow or failed is avoided by later sends.
//!
//! What counts as a failure, what a failure costs and who is chosen while every broker is avoided
//! is data: [`Health`]. With `enabled = false` nothing is remembered.

use std::collections::BTreeMap;

use rmq_remoting::observe::Name;

use crate::event::{Mode, Stage};
use crate::policy::{Detector, Fallback, Health, Policy};

use super::Millis;
use super::retry::Ended;
use super::select::Grade;

/// The rules, if anything is remembered.
#[must_use]
pub fn rules(policy: &Policy) -> Option<&Health> {
    policy.health.enabled.then_some(&policy.health)
}

/// How brokers are asked whether they can be reached, if they are.
#[must_use]
pub fn detector(policy: &Policy) -> Option<Detector> {
    let detector = rules(policy)?.detector;
    detector.enabled.then_some(detector)
}

/// What a result does to the standing of its broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Isolation {
    /// For how long from now the broker is avoided; 0 is not at all.
    pub for_ms: Millis,
    /// Whether this replaces an isolation that would end later.
    pub overwrites: bool,
    /// How long the attempt took, in milliseconds.
    pub latency: Millis,
    /// Whether the broker counts as reachable.
    pub reachable: bool,
}

/// What the end of an attempt after `took` does to the standing of its broker.
#[must_use]
pub fn isolation(policy: &Policy, ended: Ended, took: Millis) -> Option<Isolation> {
    let rules = rules(policy)?;
    let failed = rules.failures.contains(&ended.stage);
    if !failed && ended.stage != Stage::Accepted {
        return None;
    }
    let counted = if failed { rules.failure } else { took };
    let row = rules.table.iter().rfind(|(least, _)| counted >= *least);
    Some(Isolation {
        for_ms: row.map_or(0, |&(_, isolated)| isolated),
        overwrites: rules.overwrites,
        latency: took,
        reachable: !rules.unreachable.contains(&ended.stage),
    })
}

/// Whether the end of an attempt teaches anything about its broker.
#[must_use]
pub fn counts(policy: &Policy, mode: Mode, has_target_queue: bool) -> bool {
    let counts_with_target = |rules: &Health| rules.counts_target_queue_sync || mode != Mode::Sync;
    rules(policy).is_some_and(|rules| !has_target_queue || counts_with_target(rules))
}

/// Whether a broker with so many prompt results in a row is known to answer.
#[must_use]
pub fn known(policy: &Policy, prompt: u32) -> bool {
    policy.hedge_known > 0 && prompt >= policy.hedge_known
}

/// Whether a result says that its broker answers promptly.
#[must_use]
pub fn is_prompt(policy: &Policy, took: Millis) -> bool {
    let accepted = Ended {
        stage: Stage::Accepted,
        code: None,
    };
    isolation(policy, accepted, took).is_some_and(|isolation| isolation.for_ms == 0)
}

/// Whether a request that was written teaches that its broker is quick.
#[must_use]
pub fn counts_dispatch(policy: &Policy, mode: Mode) -> bool {
    rules(policy).is_some_and(|rules| rules.counts_dispatch) && mode != Mode::Sync
}

/// What is known of one broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Standing {
    until: Millis,
    latency: Millis,
    reachable: bool,
    /// When it may be asked again whether it can be reached.
    next_probe: Millis,
    /// Results in a row that did not isolate it, up to the last one.
    prompt: u32,
}

/// What is known of the brokers. Belongs to one producer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HealthTable {
    brokers: BTreeMap<Name, Standing>,
}

impl HealthTable {
    /// Notes a result; returns for how long the broker is avoided if that changed.
    pub fn note(&mut self, broker: &Name, isolation: Isolation, now: Millis) -> Option<Millis> {
        let known = self.brokers.get(broker).copied();
        let before = known.map_or(0, |standing| standing.until);
        let until = now.saturating_add(isolation.for_ms);
        let later = isolation.for_ms > 0 && until > before;
        let earlier = isolation.overwrites && before > now;
        let standing = Standing {
            until: if later || earlier { until } else { before },
            latency: isolation.latency,
            reachable: isolation.reachable,
            next_probe: known.map_or(0, |standing| standing.next_probe),
            prompt: match isolation.for_ms {
                0 => known
                    .map_or(0, |standing| standing.prompt)
                    .saturating_add(1),
                _ => 0,
            },
        };
        self.brokers.insert(Name::clone(broker), standing);
        (later || earlier).then_some(isolation.for_ms)
    }

    /// The brokers that are asked now whether they can be reached, and not again for `interval`.
    pub fn due_for_probe(&mut self, now: Millis, interval: Millis) -> Vec<Name> {
        let due = |(broker, standing): (&Name, &mut Standing)| {
            (standing.next_probe <= now).then(|| {
                standing.next_probe = now.saturating_add(interval);
                Name::clone(broker)
            })
        };
        self.brokers.iter_mut().filter_map(due).collect()
    }

    /// A broker has answered: it can be reached.
    pub fn reached(&mut self, broker: &Name) {
        if let Some(standing) = self.brokers.get_mut(broker) {
            standing.reachable = true;
        }
    }

    /// Nothing is known of a broker any more.
    pub fn forget(&mut self, broker: &Name) {
        self.brokers.remove(broker);
    }

    /// Whether the broker's last result was one for which it is avoided.
    #[must_use]
    pub fn last_isolated(&self, broker: &Name) -> bool {
        let standing = self.brokers.get(broker);
        standing.is_some_and(|standing| standing.prompt == 0)
    }

    /// How many results in a row did not isolate the broker, up to the last one.
    #[must_use]
    pub fn prompt(&self, broker: &Name) -> u32 {
        let standing = self.brokers.get(broker);
        standing.map_or(0, |standing| standing.prompt)
    }

    /// Whether the broker may be a first choice.
    #[must_use]
    pub fn healthy(&self, broker: &Name, now: Millis) -> bool {
        self.brokers
            .get(broker)
            .is_none_or(|standing| now >= standing.until)
    }

    /// The one of these brokers whose last result was the least bad, if they are all avoided.
    #[must_use]
    pub fn least_bad<'a>(
        &self,
        policy: &Policy,
        brokers: impl Iterator<Item = &'a Name> + Clone,
        now: Millis,
    ) -> Option<&'a Name> {
        let rules = rules(policy)?;
        if rules.fallback != Fallback::LeastBad || brokers.clone().any(|one| self.healthy(one, now))
        {
            return None;
        }
        let latency = |broker: &&Name| {
            let known = self.brokers.get(*broker);
            known.map_or(0, |standing| standing.latency)
        };
        brokers.min_by_key(latency)
    }

    /// How good a choice a broker is.
    #[must_use]
    pub fn grade(
        &self,
        policy: &Policy,
        broker: &Name,
        least_bad: Option<&Name>,
        now: Millis,
    ) -> Grade {
        let Some(rules) = rules(policy) else {
            return Grade::Usable;
        };
        let blind = rules.fallback == Fallback::LeastBad;
        match self.brokers.get(broker) {
            _ if Some(broker) == least_bad => Grade::Welcome,
            _ if blind && self.healthy(broker, now) => Grade::Welcome,
            _ if self.healthy(broker, now) => Grade::Usable,
            Some(standing) if !standing.reachable => Grade::Unreachable,
            _ => Grade::Reachable,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn enabled(mut policy: Policy) -> Policy {
        policy.health.enabled = true;
        policy
    }

    fn five() -> Policy {
        enabled(Policy::java_5_3())
    }

    fn four() -> Policy {
        enabled(Policy::java_4_9())
    }

    fn at(stage: Stage) -> Ended {
        Ended { stage, code: None }
    }

    fn for_ms(policy: &Policy, stage: Stage, took: Millis) -> Option<Millis> {
        isolation(policy, at(stage), took).map(|isolation| isolation.for_ms)
    }

    #[test]
    fn switched_off_nothing_is_remembered() {
        let off = Policy::java_5_3();
        assert_eq!(for_ms(&off, Stage::Silent, 3000), None);
    }

    #[test]
    fn a_slow_success_isolates_by_its_latency_in_steps() {
        let five = |took| for_ms(&five(), Stage::Accepted, took);
        assert_eq!(five(0), Some(0));
        assert_eq!(five(549), Some(0));
        assert_eq!(five(550), Some(2_000));
        assert_eq!(five(1_800), Some(5_000));
        assert_eq!(five(Millis::MAX), Some(30_000));
        assert_eq!(for_ms(&four(), Stage::Accepted, 550), Some(30_000));
    }

    #[test]
    fn a_failure_isolates_for_ten_seconds_and_for_ten_minutes_in_4_9() {
        assert_eq!(for_ms(&five(), Stage::Dial, 1), Some(10_000));
        assert_eq!(for_ms(&four(), Stage::Lost, 1), Some(600_000));
        assert_eq!(for_ms(&five(), Stage::Address, 1), None);
        assert_eq!(for_ms(&four(), Stage::Address, 1), Some(600_000));
    }

    #[test]
    fn a_refused_message_isolates_a_broker_in_java_only() {
        assert_eq!(for_ms(&five(), Stage::Refused, 5), Some(10_000));
        let strict = enabled(Policy::strict());
        assert_eq!(for_ms(&strict, Stage::Refused, 5), None);
    }

    #[test]
    fn javas_sync_send_to_a_chosen_queue_teaches_nothing() {
        assert!(!counts(&five(), Mode::Sync, true));
        assert!(counts(&five(), Mode::Async, true));
        assert!(counts(&five(), Mode::Sync, false));
        assert!(!counts(&Policy::java_5_3(), Mode::Sync, false));
    }

    #[test]
    fn a_fast_success_shortens_an_isolation_in_4_9_only() {
        for (policy, healthy) in [(four(), true), (five(), false)] {
            let broker = Name::from("broker-a");
            let mut table = HealthTable::default();
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
        let mut table = HealthTable::default();
        let slow = isolation(&five(), at(Stage::Accepted), 600).unwrap();
        assert_eq!(table.note(&broker, slow, 100), Some(2_000));
        assert!(!table.healthy(&broker, 2_099));
        assert!(table.healthy(&broker, 2_100));
    }

    #[test]
    fn three_prompt_results_in_a_row_make_a_broker_known_and_a_slow_or_silent_one_ends_the_row() {
        let policy = Policy::strict();
        let broker = Name::from("broker-a");
        let mut table = HealthTable::default();
        let mut note = |stage, took| {
            let isolation = isolation(&policy, at(stage), took).unwrap();
            table.note(&broker, isolation, 0);
            known(&policy, table.prompt(&broker))
        };
        for (stage, took, is_known) in [
            (Stage::Accepted, 5, false),
            (Stage::Accepted, 5, false),
            (Stage::Accepted, 5, true),
            (Stage::Accepted, 549, true),
            (Stage::Accepted, 550, false),
            (Stage::Accepted, 5, false),
            (Stage::Accepted, 5, false),
            (Stage::Accepted, 5, true),
            (Stage::Silent, 1000, false),
        ] {
            assert_eq!(note(stage, took), is_known, "{stage:?} after {took} ms");
        }
        assert!(!known(&Policy::java_5_3(), u32::MAX));
    }

    #[test]
    fn a_broker_that_answers_is_reachable_again_and_asked_no_more_often_than_it_should() {
        let broker = Name::from("broker-a");
        let mut policy = enabled(Policy::strict());
        assert_eq!(detector(&policy), None);
        policy.health.detector.enabled = true;
        let interval = detector(&policy).unwrap().interval;
        let mut table = HealthTable::default();
        let refused = isolation(&policy, at(Stage::Dial), 1).unwrap();
        table.note(&broker, refused, 0);
        assert_eq!(table.grade(&policy, &broker, None, 1), Grade::Unreachable);
        assert_eq!(table.due_for_probe(3_000, interval), [Name::clone(&broker)]);
        table.note(&broker, refused, 3_500);
        assert!(table.due_for_probe(4_999, interval).is_empty());
        table.reached(&broker);
        assert_eq!(table.grade(&policy, &broker, None, 5_000), Grade::Reachable);
        assert_eq!(table.due_for_probe(5_000, interval).len(), 1);
        table.forget(&broker);
        assert_eq!(table.grade(&policy, &broker, None, 5_000), Grade::Usable);
    }

    #[test]
    fn when_all_are_avoided_5_x_takes_a_reachable_one_and_4_9_the_least_bad() {
        let (a, b) = (Name::from("a"), Name::from("b"));
        for (policy, grades) in [
            (five(), [Grade::Unreachable, Grade::Reachable]),
            (four(), [Grade::Welcome, Grade::Reachable]),
        ] {
            let mut table = HealthTable::default();
            let refused = isolation(&policy, at(Stage::Refused), 3).unwrap();
            let lost = isolation(&policy, at(Stage::Lost), 900).unwrap();
            table.note(&a, refused, 0);
            table.note(&b, lost, 0);
            let least = table.least_bad(&policy, [&a, &b].into_iter(), 1);
            let grade = |broker| table.grade(&policy, broker, least, 1);
            assert_eq!([grade(&a), grade(&b)], grades, "{}", policy.name);
        }
    }
}
