//! The network's faults on the simulated engines, and what the others refuse.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dst_engine::{Change, Direction, RunEnd};
use rmq_host::SharedHost;
use rmq_sim::fault::EngineKind;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

use crate::lab::{
    Lab, PORT, SOON, ask, ask_twice, dial, echo_server, on_simulated, run_on, spawn_value,
};

#[test]
fn a_partition_holds_bytes_and_they_arrive_after_it() {
    let all = on_simulated(async |lab| {
        let server = lab.serve();
        let (ready, connected) = oneshot::channel();
        let client = lab.client(|host, at| ask_twice(host, at, ready));
        let link = Direction::Both(lab.client, lab.server);
        let cut = async {
            connected.await.expect("a connected client");
            lab.backend.apply(Change::Cut(link)).expect("modelled");
            sleep(Duration::from_secs(2)).await;
            lab.backend.apply(Change::Heal(link)).expect("modelled");
        };
        let (waited, ()) = tokio::join!(client, cut);
        drop(server);
        waited
    });
    // The event engine waits for the next retransmission, turmoil releases at once.
    assert!(
        all.iter().all(|(_, ms)| (1_900..6_000).contains(ms)),
        "{all:?}"
    );
}

#[test]
fn latency_is_exact_and_can_be_changed_on_one_pair() {
    let all = on_simulated(async |lab| {
        let server = lab.serve();
        let usual = lab
            .client(|host, at| ask_twice(host, at, oneshot::channel().0))
            .await;
        let link = Direction::Both(lab.client, lab.server);
        lab.backend
            .apply(Change::Latency {
                on: link,
                ms: 30,
                jitter_ms: 0,
            })
            .expect("modelled");
        let slow = lab
            .client(|host, at| ask_twice(host, at, oneshot::channel().0))
            .await;
        lab.backend
            .apply(Change::DefaultLatency(link))
            .expect("modelled");
        let usual_again = lab
            .client(|host, at| ask_twice(host, at, oneshot::channel().0))
            .await;
        drop(server);
        [usual, slow, usual_again]
    });
    assert!(all.iter().all(|(_, ms)| *ms == [2, 60, 2]), "{all:?}");
}

#[test]
fn a_dial_takes_a_round_trip_and_hangs_while_the_machine_is_gone() {
    let all = on_simulated(async |lab| {
        let server = lab.serve();
        lab.backend.boot(lab.client);
        sleep(SOON).await;
        lab.backend
            .apply(Change::PowerOff(lab.server))
            .expect("modelled");
        drop(server);
        let client = lab.client(async |host: SharedHost, at: SocketAddr| {
            let asked = Instant::now();
            let hung = host.connect(&at.to_string()).await.map(drop);
            let hung_for = asked.elapsed().as_millis();
            let asked = Instant::now();
            let prompt = host.connect(&at.to_string()).await.map(drop);
            (
                hung.is_ok() && prompt.is_ok(),
                hung_for,
                asked.elapsed().as_millis(),
            )
        });
        let back = async {
            sleep(Duration::from_millis(2_500)).await;
            Some(lab.serve())
        };
        let (seen, server) = tokio::join!(client, back);
        drop(server);
        seen
    });
    // The SYN is repeated each second at first: at 3 s it gets through.
    assert!(
        all.iter().all(|(_, seen)| *seen == (true, 3_002, 2)),
        "{all:?}"
    );
}

#[test]
fn a_node_that_moved_answers_at_its_new_address_only() {
    let all = on_simulated(async |lab| {
        let server = lab.serve();
        sleep(SOON).await;
        drop(server);
        let new = SocketAddr::new(lab.backend.address_for(9), PORT);
        let host = lab.backend.boot_at(lab.server, new.ip());
        let (moved, _) = spawn_value(&host, "server", |host| echo_server(host, new));
        let seen = lab
            .client(async move |host: SharedHost, old: SocketAddr| {
                let mut connection = dial(&host, new).await.expect("the moved server");
                let answer = ask(&mut connection, b"moved").await.expect("an answer");
                let old = old.to_string();
                let gone = tokio::time::timeout(Duration::from_secs(3), host.connect(&old)).await;
                (answer, gone.is_err())
            })
            .await;
        drop(moved);
        seen
    });
    assert!(
        all.iter()
            .all(|(_, seen)| *seen == (b"moved".to_vec(), true)),
        "{all:?}"
    );
}

#[test]
fn what_an_engine_cannot_do_is_refused_with_its_reason() {
    let refusals = |engine| {
        let report = run_on(engine, async |backend| {
            let Lab {
                backend,
                server,
                client,
                ..
            } = Lab::new(backend);
            let (one, both) = (
                Direction::One(client, server),
                Direction::Both(client, server),
            );
            [
                backend.apply(Change::Freeze(server)),
                backend.apply(Change::PowerOff(server)),
                backend.apply(Change::Cut(both)),
                backend.apply(Change::Cut(one)),
                backend.apply(Change::Latency {
                    on: both,
                    ms: 5,
                    jitter_ms: 0,
                }),
                backend.apply(Change::Latency {
                    on: one,
                    ms: 5,
                    jitter_ms: 0,
                }),
                backend.apply(Change::Loss {
                    on: both,
                    per_mille: 10,
                }),
                backend.apply(Change::Slow {
                    node: server,
                    ms_per_poll: 5,
                }),
                backend.apply(Change::Refuse(server, true)),
                backend.apply(Change::BlackHole(client, server)),
                backend.apply(Change::Corrupt {
                    from: client,
                    to: server,
                    after: 0,
                }),
            ]
        });
        report.value.expect("a finished run")
    };
    let ok = |engine| refusals(engine).map(|done| done.is_ok());
    assert_eq!(ok(EngineKind::Event), [true; 11]);
    let t = true;
    let f = false;
    assert_eq!(ok(EngineKind::Turmoil), [t, t, t, f, t, f, f, f, f, f, f]);
    assert_eq!(ok(EngineKind::Tcp), [t, f, f, f, f, f, f, f, f, f, f]);
    let reasons: Vec<_> = refusals(EngineKind::Turmoil)
        .into_iter()
        .filter_map(Result::err)
        .collect();
    assert_eq!(
        reasons[2].to_string(),
        "loss is not modelled on the engine turmoil: turmoil's TCP never sends a lost segment again"
    );
}

#[test]
fn on_turmoil_a_run_is_repeatable_and_its_clock_is_the_nodes() {
    let run_once = || {
        let report = run_on(EngineKind::Turmoil, async |backend| {
            let lab = Lab::new(backend);
            let server = lab.serve();
            let backend = Arc::clone(&lab.backend);
            let seen = lab
                .client(async move |host: SharedHost, at: SocketAddr| {
                    let start = (Instant::now(), backend.now_ms());
                    let mut connection = dial(&host, at).await.expect("a connection");
                    let mut seen = Vec::new();
                    for _ in 0..20 {
                        ask(&mut connection, b"hello").await.expect("an answer");
                        sleep(Duration::from_millis(7)).await;
                        let timers = u64::try_from(start.0.elapsed().as_millis());
                        seen.push((timers, backend.now_ms() - start.1));
                    }
                    assert!(
                        seen.iter().all(|(timers, clock)| *timers == Ok(*clock)),
                        "{seen:?}"
                    );
                    (seen, host.unix_millis())
                })
                .await;
            drop(server);
            seen
        });
        (report.value, report.stats)
    };
    assert_eq!(run_once(), run_once());
}

#[test]
fn the_horizon_names_the_tasks_that_wait() {
    for engine in [EngineKind::Event, EngineKind::Turmoil] {
        let report = run_on(engine, async |backend| {
            let lab = Lab::new(backend);
            let server = lab.serve();
            sleep(Duration::from_secs(60)).await;
            drop(server);
        });
        let RunEnd::Horizon { waiting } = report.end else {
            panic!("{engine}: {:?}", report.end);
        };
        assert!(
            waiting.iter().any(|task| task.task == "server"),
            "{engine}: {waiting:?}"
        );
    }
}
