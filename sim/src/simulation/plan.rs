//! What a check is asked to do, and what is wrong with that, before its first seed.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::ops::Range;

use rmq_remoting::observe::Name;

use crate::scenario::Scenario;

/// The environment variable that makes every simulation run one seed and print its trace.
pub const SEED_VARIABLE: &str = "ROCKETMQ_SIM_SEED";

/// The environment variable that makes every simulation run so many seeds, from the first of its own on: a
/// nightly job runs more of them than a build.
pub const SEEDS_VARIABLE: &str = "ROCKETMQ_SIM_SEEDS";

/// One seed in so many is played twice.
const TWICE: u64 = 20;

/// The longest name of a topic that RocketMQ allows.
const LONGEST_TOPIC: usize = 127;

/// The most servers of one kind.
const MOST_SERVERS: u32 = 100;

/// Which seeds a check runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SeedPlan {
    pub(super) seeds: Range<u64>,
    /// A person repeats the one seed.
    pub(super) repeats: bool,
}

impl SeedPlan {
    /// The seeds of a check, or those that the environment asks for; or why there are none, with a remedy.
    pub(super) fn of_environment(own: &Range<u64>) -> Result<Self, String> {
        let of = |name: &str| std::env::var_os(name);
        Self::of(own, of(SEED_VARIABLE), of(SEEDS_VARIABLE))
    }

    fn of(own: &Range<u64>, one: Option<OsString>, many: Option<OsString>) -> Result<Self, String> {
        if tokio::runtime::Handle::try_current().is_ok() {
            return Err(
                "a simulation has a runtime of its own, and this is inside another one\n  \
                 remedy: write #[test] and fn instead of #[tokio::test] and async fn"
                    .to_owned(),
            );
        }
        let number = |name: &str, text: OsString, what: &str| {
            let number = text.to_str().and_then(|text| text.trim().parse().ok());
            // A range of seeds ends before a number.
            let number = number.filter(|number: &u64| *number < u64::MAX);
            number.ok_or_else(|| {
                format!(
                    "{name} is {text:?}, which is no {what}\n  remedy: write a whole number, or unset it"
                )
            })
        };
        if let Some(text) = one {
            let seed = number(SEED_VARIABLE, text, "seed")?;
            return Ok(Self {
                seeds: seed..seed + 1,
                repeats: true,
            });
        }
        let mut seeds = own.clone();
        if let Some(text) = many {
            let count = number(SEEDS_VARIABLE, text, "number of seeds")?;
            seeds = own.start..own.start.saturating_add(count);
        }
        if seeds.is_empty() {
            let Range { start, end } = seeds;
            return Err(format!(
                "the seeds {start}..{end} are none\n  remedy: let the range end behind its start"
            ));
        }
        Ok(Self {
            seeds,
            repeats: false,
        })
    }

    /// Whether a seed is played twice, so that a program that is not deterministic shows itself.
    pub(super) fn is_played_twice(&self, seed: u64) -> bool {
        self.repeats || (seed - self.seeds.start).is_multiple_of(TWICE)
    }
}

/// What is wrong with a cluster, with a remedy.
pub(super) fn check(scenario: &Scenario) -> Result<(), String> {
    let cluster = &scenario.cluster;
    let counts = [
        ("brokers", cluster.brokers.len() as u64),
        ("name servers", u64::from(cluster.name_servers)),
    ];
    for (what, count) in counts {
        if count == 0 || count > u64::from(MOST_SERVERS) {
            return Err(format!(
                "the cluster has {count} {what}\n  remedy: give it 1 to {MOST_SERVERS}"
            ));
        }
    }
    let mut known: BTreeSet<&Name> = BTreeSet::new();
    for (topic, queues) in &cluster.topics {
        if let Some(flaw) = topic_flaw(topic) {
            return Err(format!(
                "the topic \"{topic}\" {flaw}\n  remedy: use up to {LONGEST_TOPIC} letters, digits, \
                 '-', '_', '%' and '|'"
            ));
        }
        if *queues < 1 {
            return Err(format!(
                "the topic {topic} has {queues} queues\n  remedy: give it 1 or more"
            ));
        }
        if !known.insert(topic) {
            return Err(format!(
                "the topic {topic} is there twice\n  remedy: remove one of the two"
            ));
        }
    }
    Ok(())
}

fn topic_flaw(topic: &str) -> Option<&'static str> {
    let legal = |it: char| it.is_ascii_alphanumeric() || "%|-_".contains(it);
    if topic.is_empty() {
        Some("has no name")
    } else if topic.len() > LONGEST_TOPIC {
        Some("has a name that is too long")
    } else if !topic.chars().all(legal) {
        Some("has a name that no broker accepts")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_asks_for_one_seed_or_for_many() {
        let plan = |one: Option<&str>, many: Option<&str>| {
            SeedPlan::of(&(5..10), one.map(Into::into), many.map(Into::into))
        };
        let seeds = |one, many| plan(one, many).map(|plan| (plan.seeds, plan.repeats));
        assert_eq!(seeds(None, None), Ok((5..10, false)));
        assert_eq!(seeds(Some(" 7 "), Some("20")), Ok((7..8, true)));
        assert_eq!(seeds(None, Some("20")), Ok((5..25, false)));
        for text in ["", "0x7", "-1", "18446744073709551615"] {
            let refused = seeds(Some(text), None).unwrap_err();
            assert!(refused.contains("which is no seed"), "{refused}");
            assert!(seeds(None, Some(text)).is_err());
        }
        assert!(seeds(None, Some("0")).unwrap_err().contains("are none"));
    }

    #[test]
    fn the_first_seed_and_every_twentieth_are_played_twice() {
        let plan = SeedPlan {
            seeds: 3..100,
            repeats: false,
        };
        let twice: Vec<u64> = (3..100)
            .filter(|seed| plan.is_played_twice(*seed))
            .collect();
        assert_eq!(twice, [3, 23, 43, 63, 83]);
    }
}
