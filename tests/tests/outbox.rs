//! A whole service in the simulation: an `axum` program that takes orders over HTTP, keeps them and
//! publishes them, and a client that retries. Whatever crashes, each order that was accepted is published
//! at least once.
//!
//! `service` and `client` are the programs, which know no simulation but for one `use` line; `glue` is all
//! that takes them into one. A thousand seeds of the outbox:
//!
//! ```text
//! ROCKETMQ_SIM_SEEDS=1000 cargo test -p rmq-tests --test outbox
//! ```

#[path = "outbox/client.rs"]
mod client;
#[path = "outbox/glue.rs"]
mod glue;
#[path = "outbox/service.rs"]
mod service;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use rmq_sim::simulation::{
    CheckError, Cluster, Sim, Simulation, crash, drop_replies, freeze, loss, partition, power_loss,
};
use service::Publishing;

const MS: Duration = Duration::from_millis(1);

/// More lines than these are no glue.
const MOST_GLUE: usize = 30;

/// A cluster and a shop to which nearly everything happens that a fault can do.
fn weather() -> Simulation {
    let cluster = Cluster::new().brokers(2).topic("orders", 4);
    Simulation::new(cluster)
        .latency(2, 5)
        .fault(crash("shop").at(MS * 3_007).down_for_secs(2))
        .fault(power_loss("shop").at(MS * 9_020).down_for_secs(3))
        .fault(crash("broker-a").after_stored(4).down_for_secs(5))
        .fault(drop_replies("broker-b").per_mille(50).between_secs(5..20))
        .fault(partition("shop", "broker-b").at_secs(14).for_secs(4))
        .fault(loss("client", "shop", 100).at_secs(2))
        .fault(freeze("shop").at_secs(20).for_secs(3))
}

/// The check: whatever the client was told is accepted, a broker has.
async fn every_accepted_order_is_published(sim: Sim, how: Publishing) -> Result<(), CheckError> {
    let accepted = client::Accepted::default();
    glue::start(&sim, how, &accepted);
    sim.until_secs(60).await;
    let published: BTreeSet<_> = sim.ledger().bodies("orders").into_iter().collect();
    let accepted = accepted.lock();
    for id in &*accepted {
        assert!(
            published.contains(id.as_bytes()),
            "{id} was accepted and never published"
        );
    }
    assert_eq!(accepted.len(), 30, "the client gets through");
    Ok(())
}

#[test]
fn an_outbox_publishes_every_accepted_order_whatever_crashes() {
    weather()
        .seeds(0..100)
        .check(async |sim| every_accepted_order_is_published(sim, Publishing::Outbox).await);
}

#[test]
fn publishing_after_the_commit_loses_an_order_and_the_failure_says_which_fault_it_takes() {
    let naive = weather()
        .seeds(0..1_000)
        .shrinking(Duration::from_secs(600))
        .try_check(async |sim| {
            every_accepted_order_is_published(sim, Publishing::AfterCommit).await
        });
    let failure = naive.unwrap_err();
    let shrunk = failure.shrunk.as_ref().map(|it| it.faults.len());
    assert_eq!(shrunk, Some(1), "{failure}");
    let told = failure.to_string();
    // The line moves when this file changes.
    let (before, rest) = told.split_once(" (").unwrap();
    let (_, after) = rest.split_once(')').unwrap();
    let told = format!("{before} (tests/outbox.rs:9:1){after}");
    insta::assert_snapshot!("the_failure_of_the_naive_variant", told);
}

#[test]
fn a_seed_repeats_the_whole_service() {
    let digest = |seed| {
        let run = weather().run(seed, async |sim| {
            every_accepted_order_is_published(sim, Publishing::Outbox).await
        });
        run.unwrap().digest
    };
    for seed in 0..5 {
        assert_eq!(digest(seed), digest(seed), "seed {seed}");
    }
    assert_ne!(digest(0), digest(1));
}

#[test]
fn the_glue_is_short() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/outbox/glue.rs");
    let text = std::fs::read_to_string(file).unwrap();
    let code = text.lines().map(str::trim);
    let lines = code.filter(|line| !line.is_empty() && !line.starts_with("//"));
    let count = lines.count();
    assert!(count < MOST_GLUE, "{count} lines of glue");
}
