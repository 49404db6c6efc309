//! What a check is asked to do, and what is wrong with that, before its first seed.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::ops::Range;
use std::thread;
use std::time::Duration;

use rmq_remoting::observe::Name;

use crate::scenario::{Ms, Scenario};

/// The environment variable that makes every simulation run one seed and print its trace.
pub const SEED_VARIABLE: &str = "ROCKETMQ_SIM_SEED";

/// The environment variable that makes every simulation run so many seeds, from the first of its own on: a
/// nightly job runs more of them than a build.
pub const SEEDS_VARIABLE: &str = "ROCKETMQ_SIM_SEEDS";

/// The environment variable that makes every simulation run seeds for so long, from the first of its own on,
/// however many that are: `60s`, `10m`. Where the number of seeds is said as well, the check is over when
/// either is reached.
pub const TIME_VARIABLE: &str = "ROCKETMQ_SIM_TIME";

/// The environment variable that says on how many threads a simulation plays its seeds; all processors
/// unless set. The outcome does not depend on it.
pub const JOBS_VARIABLE: &str = "ROCKETMQ_SIM_JOBS";

/// One seed in so many is played twice.
const TWICE: u64 = 20;

/// The longest name of a topic that RocketMQ allows.
const LONGEST_TOPIC: usize = 127;

/// The most servers of one kind.
const MOST_SERVERS: u32 = 100;

/// Which seeds a check runs, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SeedPlan {
    pub(super) seeds: Range<u64>,
    /// A person repeats the one seed.
    pub(super) repeats: bool,
    /// How many are played side by side.
    pub(super) jobs: usize,
    /// After so long no further one is started.
    pub(super) time: Option<Duration>,
}

/// What the environment asks of every check.
#[derive(Debug, Default)]
struct Environment {
    seed: Option<OsString>,
    seeds: Option<OsString>,
    time: Option<OsString>,
    jobs: Option<OsString>,
}

impl SeedPlan {
    /// The seeds of a check, or those that the environment asks for; or why there are none, with a remedy.
    pub(super) fn of_environment(own: &Range<u64>, jobs: Option<usize>) -> Result<Self, String> {
        let of = |name: &str| std::env::var_os(name);
        let environment = Environment {
            seed: of(SEED_VARIABLE),
            seeds: of(SEEDS_VARIABLE),
            time: of(TIME_VARIABLE),
            jobs: of(JOBS_VARIABLE),
        };
        Self::of(own, jobs, environment)
    }

    fn of(own: &Range<u64>, jobs: Option<usize>, environment: Environment) -> Result<Self, String> {
        if tokio::runtime::Handle::try_current().is_ok() {
            return Err(
                "a simulation has a runtime of its own, and this is inside another one\n  \
                 remedy: write #[test] and fn instead of #[tokio::test] and async fn"
                    .to_owned(),
            );
        }
        if let Some(text) = environment.seed {
            let seed = number(SEED_VARIABLE, &text, "seed")?;
            return Ok(Self {
                seeds: seed..seed + 1,
                repeats: true,
                jobs: 1,
                time: None,
            });
        }
        let time = environment.time.map(|text| duration(&text)).transpose()?;
        let mut seeds = own.clone();
        if time.is_some() {
            seeds.end = u64::MAX;
        }
        if let Some(text) = environment.seeds {
            let count = number(SEEDS_VARIABLE, &text, "number of seeds")?;
            seeds.end = own.start.saturating_add(count);
        }
        if seeds.is_empty() {
            let Range { start, end } = seeds;
            return Err(format!(
                "the seeds {start}..{end} are none\n  remedy: let the range end behind its start"
            ));
        }
        let jobs = match (environment.jobs, jobs) {
            (Some(text), _) => number(JOBS_VARIABLE, &text, "number of threads")?,
            (None, Some(jobs)) => jobs as u64,
            (None, None) => thread::available_parallelism().map_or(1, |it| it.get() as u64),
        };
        // No more threads than seeds.
        let jobs = jobs.clamp(1, seeds.end - seeds.start);
        Ok(Self {
            seeds,
            repeats: false,
            jobs: usize::try_from(jobs).unwrap_or(usize::MAX),
            time,
        })
    }

    /// Whether a seed is played twice, so that a program that is not deterministic shows itself.
    pub(super) fn is_played_twice(&self, seed: u64) -> bool {
        self.repeats || (seed - self.seeds.start).is_multiple_of(TWICE)
    }
}

/// A number that a variable of the environment gives.
fn number(name: &str, text: &OsStr, what: &str) -> Result<u64, String> {
    let number = text.to_str().and_then(|text| text.trim().parse().ok());
    // A range of seeds ends before a number.
    let number = number.filter(|number: &u64| *number < u64::MAX);
    number.ok_or_else(|| {
        format!(
            "{name} is {text:?}, which is no {what}\n  remedy: write a whole number, or unset it"
        )
    })
}

/// How long a variable of the environment says.
fn duration(text: &OsStr) -> Result<Duration, String> {
    let ms = text
        .to_str()
        .and_then(|text| text.trim().parse::<Ms>().ok());
    ms.map(|ms| Duration::from_millis(ms.0)).ok_or_else(|| {
        format!(
            "{TIME_VARIABLE} is {text:?}, which is no duration\n  \
             remedy: write a whole number and a unit, like 60s or 10m, or unset it"
        )
    })
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

    /// The environment with these texts: one seed, many seeds, time, threads.
    fn environment(texts: [Option<&str>; 4]) -> Environment {
        let [seed, seeds, time, jobs] = texts.map(|text| text.map(OsString::from));
        Environment {
            seed,
            seeds,
            time,
            jobs,
        }
    }

    fn plan(texts: [Option<&str>; 4]) -> Result<SeedPlan, String> {
        SeedPlan::of(&(5..10), Some(2), environment(texts))
    }

    #[test]
    fn the_environment_asks_for_one_seed_or_for_many() {
        let seeds = |one, many| {
            let plan = plan([one, many, None, Some("1")]);
            plan.map(|plan| (plan.seeds, plan.repeats))
        };
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
    fn the_environment_asks_for_a_time_and_for_threads() {
        let of = |time, jobs| plan([None, None, time, jobs]);
        let minute = of(Some("60s"), Some("3")).unwrap();
        assert_eq!(minute.time, Some(Duration::from_secs(60)));
        assert_eq!((minute.seeds, minute.jobs), (5..u64::MAX, 3));
        let both = plan([None, Some("9"), Some("1m"), None]).unwrap();
        assert_eq!((both.seeds, both.time.unwrap().as_secs()), (5..14, 60));
        assert_eq!(of(None, Some("64")).unwrap().jobs, 5, "one for each seed");
        assert_eq!(of(None, Some("0")).unwrap().jobs, 1);
        assert_eq!(of(None, None).unwrap().jobs, 2, "the simulation's own");
        let refused = of(Some("60"), None).unwrap_err();
        assert!(refused.contains("ROCKETMQ_SIM_TIME"), "{refused}");
        let refused = of(None, Some("all")).unwrap_err();
        assert!(refused.contains("no number of threads"), "{refused}");
    }

    #[test]
    fn the_first_seed_and_every_twentieth_are_played_twice() {
        let plan = SeedPlan::of(&(3..100), None, Environment::default()).unwrap();
        let twice: Vec<u64> = (3..100)
            .filter(|seed| plan.is_played_twice(*seed))
            .collect();
        assert_eq!(twice, [3, 23, 43, 63, 83]);
    }
}
