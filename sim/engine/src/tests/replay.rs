//! One seed gives one run.

use std::sync::Arc;

use super::*;
use crate::{NetworkConfig, ReadyOrder};

/// Three clients, two servers, jitter, loss, a crash and a freeze; everything the engine told.
fn events(seed: u64) -> Vec<EngineEvent> {
    let network = NetworkConfig {
        latency_ms: 2,
        jitter_ms: 7,
        ..NetworkConfig::default()
    };
    let ready_order = ReadyOrder::Seeded;
    let config = EngineConfig {
        seed,
        ready_order,
        network,
        ..EngineConfig::default()
    };
    let kept = Arc::new(Kept::default());
    let report = run_seen(&config, &kept, async |sim| {
        let servers = [sim.node("s1", ip(1)), sim.node("s2", ip(2))];
        let mut tasks: Vec<_> = servers.iter().map(|s| echo(&sim.boot(*s), 9000)).collect();
        for n in 3..6 {
            let node = sim.node(&format!("c{n}"), ip(n));
            sim.apply(Change::Loss {
                on: Direction::One(node, servers[0]),
                per_mille: 100,
            });
            let host = sim.boot(node);
            let own = Arc::clone(&host);
            tasks.push(host.spawn("client", Box::pin(client(own, n))));
        }
        sim.at(300, move || sim.apply(Change::Crash(servers[0])));
        sim.at(400, move || sim.apply(Change::Freeze(servers[1])));
        sim.at(700, move || sim.apply(Change::Thaw(servers[1])));
        sleep(2_000).await;
    });
    assert_eq!(report.value, Some(()));
    std::mem::take(&mut *kept.0.lock())
}

async fn client(host: SharedHost, n: u8) {
    for round in 0..40_u8 {
        let to = if round % 2 == 0 {
            "10.0.0.1:9000"
        } else {
            "10.0.0.2:9000"
        };
        if let Ok(mut connection) = host.connect(to).await {
            let _ = write(&mut connection, &[n; 100]).await;
            let wait = tokio::time::timeout(ms(90), read_exactly(&mut connection, 100));
            let _ = wait.await;
        }
        sleep(u64::from(n)).await;
    }
}

#[test]
fn two_runs_of_one_seed_tell_the_same_events() {
    for seed in 0..20 {
        let first = events(seed);
        assert!(first.len() > 100);
        assert_eq!(first, events(seed), "seed {seed}");
    }
    assert_ne!(events(1), events(2));
}

#[test]
fn a_run_after_ten_other_seeds_on_the_same_thread_tells_the_same_events() {
    let first = events(77);
    for seed in 0..10 {
        events(seed);
    }
    assert_eq!(first, events(77));
}

#[test]
fn a_run_on_another_thread_tells_the_same_events() {
    let first = events(5);
    let other = std::thread::scope(|scope| scope.spawn(|| events(5)).join().unwrap());
    assert_eq!(first, other);
}
