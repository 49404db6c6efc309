//! The text of a check that failed: everything that a person needs without a second run.

use std::error::Error;
use std::fmt::{self, Write as _};
use std::sync::Arc;

use super::super::fault::in_rust;
use super::super::plan::SEED_VARIABLE;
use super::smallest::ShrunkFaults;
use super::tally::faults_of;
use crate::fault::{Place, Rule};
use crate::run::Run;
use crate::scenario::Scenario;
use crate::trace::short;

/// So many lines of the trace are shown.
const LINES: usize = 20;

/// A check that failed. Its text says what was found, what the faults did, which of them it takes, how that
/// looks in the trace, and how to repeat it.
///
/// ```
/// use rmq_producer::Message;
/// use rmq_sim::simulation::{Cluster, Simulation, drop_requests, freeze};
///
/// let failure = Simulation::new(Cluster::new().topic("orders", 4))
///     .fault(freeze("broker-a").at_secs(2).for_secs(1))
///     .fault(drop_requests("broker-a").per_mille(100))
///     .seeds(0..200)
///     .try_check(async |sim| {
///         let producer = sim.producer("orders-app").retries(0).start().await?;
///         for n in 0..10 {
///             let _forgotten = producer.send(Message::new("orders", format!("order {n}"))).await;
///             sim.sleep(std::time::Duration::from_millis(500)).await;
///         }
///         producer.stop().await;
///         sim.ledger().assert_each_key_stored();
///         Ok(())
///     })
///     .unwrap_err();
/// let shrunk = failure.shrunk.as_ref().expect("faults to take away");
/// assert_eq!(shrunk.faults.len(), 1, "{failure}");
/// let text = failure.to_string();
/// assert!(text.contains("rust     .fault("), "{text}");
/// assert!(text.contains("ROCKETMQ_SIM_SEED="), "{text}");
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct CheckFailure {
    /// The seed that failed. `None`: the check could not be carried out, or it tested nothing.
    pub seed: Option<u64>,
    /// The run that failed.
    pub run: Option<Box<Run>>,
    /// The fewest faults with which it fails; `None`: it has none, or no fewer will do.
    pub shrunk: Option<Box<ShrunkFaults>>,
    text: String,
    repeat: Option<String>,
}

impl CheckFailure {
    /// A check that could not be carried out, or that tested nothing.
    pub(in crate::simulation) fn of_text(text: String) -> Self {
        Self {
            seed: None,
            run: None,
            shrunk: None,
            text,
            repeat: None,
        }
    }

    /// A seed about which there is no more than a text.
    pub(super) fn of_seed(seed: u64, text: &str, test: &str) -> Self {
        Self {
            seed: Some(seed),
            repeat: Some(repeat(seed, test)),
            ..Self::of_text(format!("seed {seed}: {text}\n"))
        }
    }

    /// A seed whose run failed.
    pub(super) fn of_run(
        scenario: &Arc<Scenario>,
        seed: u64,
        run: Box<Run>,
        shrunk: Option<ShrunkFaults>,
    ) -> Self {
        let mut text = format!("seed {seed}: {}\n", run.verdict);
        for finding in run.verdict.findings.iter().skip(1) {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "  and {finding}");
        }
        effects(&mut text, scenario, &run);
        if let Some(shrunk) = &shrunk {
            smallest(&mut text, scenario, shrunk);
        }
        let (shown, what) = match &shrunk {
            Some(shrunk) => (&shrunk.run, "of the run with the shrunk faults"),
            None => (&*run, "of the run"),
        };
        let at = shown.verdict.findings.iter().find_map(|it| it.at);
        let lines = short::around(&shown.trace, at, LINES);
        let _ = writeln!(text, "trace    {what}");
        text.push_str(&lines);
        Self {
            seed: Some(seed),
            run: Some(run),
            shrunk: shrunk.map(Box::new),
            text,
            repeat: Some(repeat(seed, &scenario.name)),
        }
    }

    /// The text with further lines before the last one, which repeats the seed.
    pub(super) fn with(&self, lines: &[String]) -> String {
        let lines = lines.iter().map(|line| format!("{line}\n"));
        let text = self.text.clone() + &lines.collect::<String>();
        text + self.repeat.as_deref().unwrap_or_default()
    }
}

impl fmt::Display for CheckFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.with(&[]))
    }
}

impl Error for CheckFailure {}

/// The line that repeats a seed.
fn repeat(seed: u64, test: &str) -> String {
    format!("repeat   {SEED_VARIABLE}={seed} cargo test {test} -- --nocapture")
}

/// A line for each fault: what it is, and how often it struck.
fn effects(text: &mut String, scenario: &Scenario, run: &Run) {
    for (nth, (fault, effect)) in faults_of(scenario, run).zip(&run.effects).enumerate() {
        let title = if nth == 0 { "faults" } else { "" };
        let struck = match (effect.missed(), effect.struck) {
            (Some(missed), _) => missed.to_string(),
            (None, Some(times)) => format!("struck {times}"),
            (None, None) => "started".to_owned(),
        };
        let _ = writeln!(text, "{title:9}{fault}, {}: {struck}", fault.at);
    }
}

/// The shrunk faults in words, as Rust and as TOML.
fn smallest(text: &mut String, scenario: &Scenario, shrunk: &ShrunkFaults) {
    let ShrunkFaults {
        faults,
        runs,
        steps,
        complete,
        ..
    } = shrunk;
    let (before, after) = (scenario.faults.len(), faults.len());
    let end = if *complete { "" } else { "; its time was up" };
    let _ = writeln!(
        text,
        "shrunk   from {before} to {after} faults, {steps} steps in {runs} runs{end}"
    );
    let name_servers = scenario.cluster.name_server_names();
    for (nth, fault) in faults.iter().enumerate() {
        let at_broker = matches!(&fault.place, Place::Node(node) if !name_servers.contains(node));
        let title = if nth == 0 { "rust" } else { "" };
        let _ = match in_rust(fault, Rule::default_codes(at_broker)) {
            Some(source) => writeln!(text, "{title:9}.fault({source})"),
            None => writeln!(text, "{title:9}// in a file only: {fault}, {}", fault.at),
        };
    }
    let alone = Scenario {
        faults: faults.clone(),
        ..scenario.clone()
    };
    let toml = alone.faults_in_toml();
    let lines = toml.lines().filter(|line| !line.is_empty());
    for (nth, line) in lines.enumerate() {
        let title = if nth == 0 { "toml" } else { "" };
        let _ = writeln!(text, "{title:9}{line}");
    }
}
