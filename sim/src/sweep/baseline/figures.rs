//! The figures of one run that a baseline keeps.

use std::collections::BTreeMap;
use std::fmt;

use rmq_producer::event::Event as ProducerEvent;
use rmq_remoting::event::Event as Transport;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::run::Run;
use crate::scenario::{PolicySource, Scenario};
use crate::trace::{NodeEvent, NodeKind, Trace, WorkEvent, WorkResult};
use crate::verdict::Class;

/// A figure of a run, as a baseline has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Figure {
    /// Sends that ended well.
    Ok,
    /// Sends that failed.
    Failed,
    /// The attempts of all sends together.
    Attempts,
    /// Copies that brokers stored, the first one of each message, too.
    Stored,
    /// Lookups of routes that the producers started.
    Lookups,
    /// Connections that the producers dialled, whether they came about or not.
    Dials,
    /// Bytes that the producers sent to servers and that arrived there.
    Bytes,
    /// The virtual milliseconds from call to outcome, added up over all sends that had an outcome.
    SendMs,
    /// The time of a send in milliseconds that 95 of a hundred sends did not exceed.
    P95Ms,
    /// The time of the longest send, in milliseconds.
    MaxMs,
}

impl Figure {
    /// Every figure, in the order of reports and of the lines of a file.
    pub(crate) const ALL: [Self; 10] = [
        Self::Ok,
        Self::Failed,
        Self::Attempts,
        Self::Stored,
        Self::Lookups,
        Self::Dials,
        Self::Bytes,
        Self::SendMs,
        Self::P95Ms,
        Self::MaxMs,
    ];

    /// What the file calls it.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::Attempts => "attempts",
            Self::Stored => "stored",
            Self::Lookups => "lookups",
            Self::Dials => "dials",
            Self::Bytes => "bytes",
            Self::SendMs => "send-ms",
            Self::P95Ms => "p95-ms",
            Self::MaxMs => "max-ms",
        }
    }

    /// What reports call it.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Ok => "sends ok",
            Self::Failed => "sends failed",
            Self::Attempts => "attempts",
            Self::Stored => "stored copies",
            Self::Lookups => "route lookups",
            Self::Dials => "dials",
            Self::Bytes => "bytes sent",
            Self::SendMs => "ms of all sends",
            Self::P95Ms => "ms of a send, 95th",
            Self::MaxMs => "ms, longest send",
        }
    }
}

/// The first eight bytes of a blake3 digest, written as 16 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ShortDigest(pub(crate) u64);

impl ShortDigest {
    /// The digest of a text.
    fn of(text: &str) -> Self {
        Self::cut(blake3::hash(text.as_bytes()).as_bytes())
    }

    fn cut(bytes: &[u8; 32]) -> Self {
        let first = bytes.iter().take(8);
        Self(first.fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    /// The digest of a scenario: of the file that says it, without its name and its comment, and of the
    /// policies that the file names. Another build that knows another default writes the same file.
    pub(crate) fn of_scenario(scenario: &Scenario) -> Self {
        let mut text = scenario.to_toml_under("");
        for plan in &scenario.producers {
            if let PolicySource::Text { text: policy, .. } = &plan.policy {
                text.push('\0');
                text.push_str(policy);
            }
        }
        Self::of(&text)
    }
}

impl fmt::Display for ShortDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for ShortDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ShortDigest({self})")
    }
}

impl Serialize for ShortDigest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ShortDigest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let digits = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = u64::from_str_radix(&text, 16).ok().filter(|_| digits);
        number.map(Self).ok_or_else(|| {
            serde::de::Error::custom(format!("\"{text}\" is no digest of 16 digits"))
        })
    }
}

/// What a baseline keeps of one seed's run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SeedFigures {
    /// The seed that was run.
    pub(crate) seed: u64,
    /// The scenario that was played.
    pub(crate) scenario: ShortDigest,
    /// The digest of the whole trace.
    pub(crate) trace: ShortDigest,
    /// What the checkers said of the run.
    pub(crate) verdict: Class,
    /// The digest of what the caller of each send was told: that it is stored or written, or the error. Not
    /// which broker took it, nor when.
    pub(crate) outcomes: ShortDigest,
    /// The figures, in the order of [`Figure::ALL`].
    pub(crate) figures: [u64; Figure::ALL.len()],
}

impl SeedFigures {
    /// What is kept of a run of this scenario.
    pub(crate) fn of(seed: u64, scenario: &Scenario, run: &Run) -> Self {
        let seen = Seen::of(&run.trace);
        let summary = &run.summary;
        let is_producer = |name: &str| {
            let node = run.trace.header.nodes.iter().find(|it| &*it.name == name);
            node.is_some_and(|node| node.kind == NodeKind::Producer)
        };
        let links = summary.links.iter().filter(|link| is_producer(&link.0));
        let figure = |figure| match figure {
            Figure::Ok => summary.ok,
            Figure::Failed => summary.failed,
            Figure::Attempts => summary.attempts,
            Figure::Stored => summary.stored + summary.copies,
            Figure::Lookups => seen.lookups,
            Figure::Dials => seen.dials,
            Figure::Bytes => links.clone().map(|(_, _, bytes)| bytes).sum(),
            Figure::SendMs => seen.times.iter().sum(),
            Figure::P95Ms => percentile_95(&seen.times),
            Figure::MaxMs => seen.times.last().copied().unwrap_or(0),
        };
        Self {
            seed,
            scenario: ShortDigest::of_scenario(scenario),
            trace: ShortDigest::cut(run.digest.bytes()),
            verdict: run.verdict.class,
            outcomes: seen.outcomes,
            figures: Figure::ALL.map(figure),
        }
    }

    /// One of its figures.
    pub(crate) fn figure(&self, figure: Figure) -> u64 {
        self.figures[figure as usize]
    }
}

/// The time that 95 of a hundred do not exceed; `times` are in order.
fn percentile_95(times: &[u64]) -> u64 {
    let rank = (times.len() * 95).div_ceil(100);
    times.get(rank.saturating_sub(1)).copied().unwrap_or(0)
}

/// What is read from a trace for it.
struct Seen {
    lookups: u64,
    dials: u64,
    /// The times of all sends that had an outcome, in order.
    times: Vec<u64>,
    outcomes: ShortDigest,
}

impl Seen {
    fn of(trace: &Trace) -> Self {
        let (mut lookups, mut dials) = (0, 0);
        // By the message's keys, which are the same in every build.
        let mut sends: BTreeMap<&str, (u64, String)> = BTreeMap::new();
        let mut times = Vec::new();
        for record in &trace.records {
            match &record.what {
                NodeEvent::Producer(ProducerEvent::Lookup { .. }) => lookups += 1,
                NodeEvent::Producer(ProducerEvent::Transport(Transport::Dial { .. })) => dials += 1,
                NodeEvent::Work(WorkEvent::Called { keys, .. }) => {
                    sends.insert(keys, (record.ms, "open".to_owned()));
                }
                NodeEvent::Work(WorkEvent::Returned { keys, result }) => {
                    if let Some((since, outcome)) = sends.get_mut(&**keys) {
                        times.push(record.ms.saturating_sub(*since));
                        *outcome = told(result);
                    }
                }
                NodeEvent::Work(WorkEvent::Dropped { keys }) => {
                    if let Some((_, outcome)) = sends.get_mut(&**keys) {
                        "dropped".clone_into(outcome);
                    }
                }
                // Nothing else is counted.
                _ => {}
            }
        }
        times.sort_unstable();
        let outcomes = sends
            .iter()
            .map(|(keys, (_, told))| [keys, " ", told, "\n"].concat());
        Self {
            lookups,
            dials,
            times,
            outcomes: ShortDigest::of(&outcomes.collect::<String>()),
        }
    }
}

/// What the caller of a send was told, without where and when.
fn told(result: &WorkResult) -> String {
    match result {
        WorkResult::Sent { .. } => "sent".to_owned(),
        WorkResult::Written => "written".to_owned(),
        // As JSON, it has the stage at which the last attempt failed, too.
        WorkResult::Failed(error) => serde_json::to_string(&error.failure)
            .unwrap_or_else(|_| error.failure.name().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::fault::EngineKind;
    use crate::run;

    const THREE: &str = "format = 2\nseconds = 5\n[cluster]\nbrokers = [\"broker-a\"]\n\
        topics = { orders = 1 }\n[producer.p1]\n\
        [[workload]]\nproducer = \"p1\"\ntopic = \"orders\"\nsends = 3\n";

    fn scenario(text: &str) -> Arc<Scenario> {
        Arc::new(Scenario::parse("three.toml", text, &|_| Ok(String::new())).unwrap())
    }

    fn of(text: &str) -> SeedFigures {
        let scenario = scenario(text);
        let run = run::run(&scenario, 7, EngineKind::Event).unwrap();
        SeedFigures::of(7, &scenario, &run)
    }

    #[test]
    fn the_keys_and_words_of_figures_are_all_different() {
        for (at, figure) in Figure::ALL.into_iter().enumerate() {
            assert_eq!(
                figure as usize, at,
                "the order of the list is that of the file"
            );
            for other in &Figure::ALL[..at] {
                assert_ne!((figure.key(), figure.words()), (other.key(), other.words()));
                assert!(figure.key() != other.key() && figure.words() != other.words());
            }
        }
    }

    #[test]
    fn a_run_without_faults_has_the_figures_that_one_can_count() {
        let calm = of(THREE);
        let figure = |figure| calm.figure(figure);
        assert_eq!((figure(Figure::Ok), figure(Figure::Failed)), (3, 0));
        assert_eq!((figure(Figure::Attempts), figure(Figure::Stored)), (3, 3));
        assert!(figure(Figure::Lookups) >= 1, "of the topic");
        assert!(figure(Figure::Dials) >= 2, "a name server and a broker");
        assert!(figure(Figure::Bytes) > 300, "{calm:?}");
        let (sum, longest) = (figure(Figure::SendMs), figure(Figure::MaxMs));
        assert!(longest <= sum && sum <= 3 * longest, "{calm:?}");
        assert_eq!(figure(Figure::P95Ms), longest, "of three sends");
        assert_eq!((calm.verdict, calm.clone()), (Class::Pass, of(THREE)));
    }

    #[test]
    fn a_send_that_fails_is_another_outcome_and_one_on_another_broker_is_none() {
        let fault = "[[fault]]\ndo = \"crash\"\non = \"broker-a\"\nat = \"1500ms\"\n";
        let (calm, crashed) = (of(THREE), of(&format!("{THREE}{fault}")));
        assert_ne!(calm.outcomes, crashed.outcomes);
        assert_ne!(calm.scenario, crashed.scenario);
        let moved = of(&THREE.replace("broker-a", "broker-b"));
        assert_eq!(calm.outcomes, moved.outcomes);
        assert_ne!(calm.trace, moved.trace);
    }

    #[test]
    fn the_digest_of_a_scenario_is_of_what_it_says_and_not_of_its_name() {
        let named = |name| Scenario::parse(name, THREE, &|_| Ok(String::new())).unwrap();
        let digest = |it: &Scenario| ShortDigest::of_scenario(it);
        assert_eq!(digest(&named("a.toml")), digest(&named("b.toml")));
        let more = scenario(&THREE.replace("sends = 3", "sends = 4"));
        assert_ne!(digest(&named("a.toml")), digest(&more));
    }

    #[test]
    fn a_policy_file_belongs_to_the_scenario() {
        let text = THREE.replace("[producer.p1]", "[producer.p1]\npolicy = \"own.toml\"");
        let with = |retries: u32| {
            let policy = format!("preset = \"strict\"\n# {retries}\n");
            let scenario = Scenario::parse("a.toml", &text, &|_| Ok(policy.clone())).unwrap();
            ShortDigest::of_scenario(&scenario)
        };
        assert_eq!(with(1), with(1));
        assert_ne!(with(1), with(2));
    }

    #[test]
    fn the_95th_of_a_hundred_times_is_the_95th() {
        let times: Vec<u64> = (1..=100).collect();
        assert_eq!(percentile_95(&times), 95);
        assert_eq!(percentile_95(&times[..20]), 19);
        assert_eq!((percentile_95(&[3]), percentile_95(&[])), (3, 0));
    }

    #[test]
    fn a_digest_is_16_digits_and_nothing_else_is_one() {
        let digest = ShortDigest(0x0123);
        let text = serde_json::to_string(&digest).unwrap();
        assert_eq!(text, "\"0000000000000123\"");
        assert_eq!(serde_json::from_str::<ShortDigest>(&text).unwrap(), digest);
        for wrong in [
            "\"123\"",
            "\"+000000000000123\"",
            "\"000000000000012g\"",
            "5",
        ] {
            assert!(
                serde_json::from_str::<ShortDigest>(wrong).is_err(),
                "{wrong}"
            );
        }
    }
}
