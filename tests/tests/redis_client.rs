//! Another project's client in the simulation: the published crate `redis`, unchanged, and a small server of its
//! kind, while the server crashes and loses its power, and the network between them is cut and loses bytes.
//!
//! `shop` is the program and `server` what it talks to; both know no simulation but for their `use` lines. No
//! RocketMQ takes part: the cluster is there, and nobody asks it.

#[path = "redis_client/server.rs"]
mod server;
#[path = "redis_client/shop.rs"]
mod shop;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rmq_sim::simulation::{
    CheckError, Cluster, Disk, Sim, Simulation, crash, generated, loss, partition, power_loss,
};
use shop::Counting;

const MS: Duration = Duration::from_millis(1);
const TICKETS: u64 = 30;

impl server::Store for Disk {
    fn get(&self, key: &str) -> Option<Vec<u8>> {
        Disk::get(self, key).map(|value| value.to_vec())
    }
    fn put(&self, key: String, value: Vec<u8>) {
        Disk::put(self, key, value);
    }
    fn count(&self, prefix: &str) -> usize {
        self.scan(prefix).len()
    }
    async fn sync(&self) {
        Disk::sync(self).await;
    }
}

/// What happens to Redis and to the network between it and the shop.
fn weather() -> Simulation {
    Simulation::new(Cluster::new())
        .latency(2, 5)
        .fault(crash("redis").at(MS * 2_005).down_for_secs(2))
        .fault(partition("shop", "redis").at_secs(6).for_secs(5))
        .fault(power_loss("redis").at(MS * 13_021).down_for_secs(1))
        .fault(loss("redis", "shop", 100).at_secs(15))
}

/// The check: Redis has counted each ticket that was sold, and none twice.
async fn each_ticket_is_counted_once(sim: Sim, counting: Counting) -> Result<(), CheckError> {
    let counted: Arc<AtomicU64> = Arc::default();
    sim.node("redis", async |node| {
        Ok(server::serve(node.disk().clone()).await?)
    });
    let count = Arc::clone(&counted);
    sim.node("shop", move |_node| {
        let count = Arc::clone(&count);
        async move {
            count.store(shop::sell(TICKETS, counting).await, Ordering::Relaxed);
            Ok(())
        }
    });
    for _minute in 0..10 {
        sim.sleep(Duration::from_secs(60)).await;
        match counted.load(Ordering::Relaxed) {
            0 => {}
            TICKETS => return Ok(()),
            wrong => return Err(format!("{TICKETS} tickets are counted as {wrong}").into()),
        }
    }
    Err("the shop does not get through".into())
}

#[test]
fn a_set_counts_each_ticket_once_whatever_happens_to_redis() {
    weather()
        .seeds(0..100)
        .check(async |sim| each_ticket_is_counted_once(sim, Counting::Members).await);
}

#[test]
fn a_number_counts_a_ticket_twice_whose_answer_is_lost() {
    let naive = weather()
        .seeds(0..1_000)
        .try_check(async |sim| each_ticket_is_counted_once(sim, Counting::Number).await);
    let text = naive.unwrap_err().to_string();
    assert!(text.contains("30 tickets are counted as 31"), "{text}");
}

#[test]
fn a_set_counts_each_ticket_once_under_faults_that_nobody_wrote() {
    let faults = generated().programs(["redis"]).nodes(["shop"]).only([
        "crash",
        "power-loss",
        "freeze",
        "partition",
        "loss",
        "latency",
        "reset",
        "half-open",
        "refuse",
    ]);
    Simulation::new(Cluster::new())
        .faults(faults)
        .seeds(0..200)
        .check(async |sim| each_ticket_is_counted_once(sim, Counting::Members).await);
}

#[test]
fn a_seed_repeats_the_published_client() {
    let digest = |seed| {
        let run = weather().run(seed, async |sim| {
            each_ticket_is_counted_once(sim, Counting::Members).await
        });
        run.unwrap().digest
    };
    for seed in 0..3 {
        assert_eq!(digest(seed), digest(seed), "seed {seed}");
    }
}
