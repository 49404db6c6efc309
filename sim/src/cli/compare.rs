//! `cargo sim compare`: one scenario under several policies, side by side.
//!
//! "What would the client that we run do?" is a question about one difference: the same cluster, the
//! same faults, the same seeds, another policy.

use std::fmt::Write as _;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use rmq_producer::policy::PRESETS;

use super::sweep::seeds;
use super::{CliError, print};
use crate::fault::EngineKind;
use crate::run::{self, Summary};
use crate::scenario::{PolicySource, Scenario};
use crate::verdict::Class;

/// What `compare` is given.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The scenario's file. Its producers get each policy in turn and keep their timeouts.
    scenario: PathBuf,
    /// The policies' presets; all of them unless given.
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = preset)]
    policies: Vec<&'static str>,
    /// The seeds: from the first up to, and without, the second. Their figures are added up.
    #[arg(long, value_name = "A..B", value_parser = seeds, default_value = "0..1")]
    seeds: Range<u64>,
}

fn preset(name: &str) -> Result<&'static str, String> {
    let known = PRESETS.into_iter().find(|known| *known == name);
    known.ok_or_else(|| format!("no preset; there are: {}", PRESETS.join(", ")))
}

/// Runs the command. What the scenario expects is of the policy it names, so nothing is checked.
pub(super) fn compare(args: &Args) -> Result<Class, CliError> {
    let scenario = Scenario::load(&args.scenario)?;
    let mut policies = args.policies.clone();
    if policies.is_empty() {
        policies.extend(PRESETS);
    }
    print::to_stdout(&format!(
        "{} seeds {}..{}\n\n{HEAD}",
        args.scenario.display(),
        args.seeds.start,
        args.seeds.end
    ))?;
    for policy in policies {
        let scenario = Arc::new(with_policy(&scenario, policy));
        let mut sum = Summary::default();
        for seed in args.seeds.clone() {
            let run =
                run::run(&scenario, seed, EngineKind::Event).map_err(|cause| CliError::Run {
                    file: args.scenario.display().to_string(),
                    cause,
                })?;
            add(&mut sum, &run.summary);
        }
        print::to_stdout(&row(policy, &sum))?;
    }
    Ok(Class::Pass)
}

fn with_policy(scenario: &Scenario, policy: &'static str) -> Scenario {
    let mut scenario = scenario.clone();
    for producer in &mut scenario.producers {
        producer.policy = PolicySource::Preset(policy);
    }
    scenario
}

fn add(sum: &mut Summary, run: &Summary) {
    sum.sends += run.sends;
    sum.ok += run.ok;
    sum.failed += run.failed;
    sum.attempts += run.attempts;
    sum.copies += run.copies;
    sum.hedged += run.hedged;
    sum.stored += run.stored;
    sum.max_attempts = sum.max_attempts.max(run.max_attempts);
    sum.max_send_ms = sum.max_send_ms.max(run.max_send_ms);
}

const HEAD: &str = "\
policy    |  sends | failed | failed % | attempts |    hedged | copies | longest send
----------|-------:|-------:|---------:|---------:|----------:|-------:|-------------:
";

fn row(policy: &str, sum: &Summary) -> String {
    let mut text = String::new();
    let per_mille = sum.failed * 1_000 / sum.sends.max(1);
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "{policy:<9} | {:>6} | {:>6} | {:>6}.{} | {:>8} | {:>9} | {:>6} | {:>9} ms",
        sum.sends,
        sum.failed,
        per_mille / 10,
        per_mille % 10,
        sum.attempts,
        sum.hedged,
        sum.copies,
        sum.max_send_ms,
    );
    text
}
