//! Processes, tasks and connections: the same on every engine.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dst_engine::{Change, RunEnd};
use rmq_host::{SharedHost, TaskEnd};
use rmq_sim::fault::EngineKind;
use rmq_sim::trace::record::NodeId;
use tokio::io::AsyncReadExt;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

use crate::lab::{ENGINES, Lab, SOON, ask, dial, on_each, run_on};

#[test]
fn an_echo_comes_back_between_the_addresses_of_both_nodes() {
    let all = on_each(async |lab| {
        let server = lab.serve();
        let ends = lab
            .client(async |host: SharedHost, at| {
                let mut connection = dial(&host, at).await.expect("a connection");
                let answer = ask(&mut connection, b"hello").await.expect("an answer");
                assert_eq!(answer, b"hello");
                (connection.local, connection.peer, host.identity().address)
            })
            .await;
        drop(server);
        (ends, lab.at, lab.backend.link_bytes())
    });
    for (engine, ((local, peer, own), at, bytes)) in all {
        assert_eq!(peer, at, "{engine}");
        assert_eq!(local.ip(), own, "{engine}");
        let bytes: Vec<_> = bytes
            .iter()
            .map(|link| (link.from.0, link.to.0, link.bytes))
            .collect();
        assert_eq!(bytes, [(0, 1, 5), (1, 0, 5)], "{engine}");
    }
}

#[test]
fn a_dial_is_refused_where_a_machine_lives_and_nobody_listens() {
    let all = on_each(async |lab| {
        let server = lab.backend.boot(lab.server);
        let refused = lab
            .client(async |host: SharedHost, at: SocketAddr| {
                host.connect(&at.to_string()).await.map(drop)
            })
            .await;
        drop(server);
        refused.expect_err("nobody listens").kind()
    });
    assert!(
        all.iter()
            .all(|(_, kind)| *kind == io::ErrorKind::ConnectionRefused),
        "{all:?}"
    );
}

#[test]
fn a_port_in_use_is_said_with_its_address() {
    let all = on_each(async |lab| {
        let refused = lab.second_listener().await;
        (refused.kind(), refused.to_string(), lab.at)
    });
    for (engine, (kind, text, at)) in all {
        assert_eq!(kind, io::ErrorKind::AddrInUse, "{engine}");
        // The event engine's errors carry their kind alone.
        assert!(
            engine == EngineKind::Event || text.contains(&at.to_string()),
            "{engine}: {text}"
        );
    }
}

#[test]
fn a_crash_of_the_server_breaks_the_connection_and_a_reboot_accepts_again() {
    let all = on_each(async |lab| {
        let server = lab.serve();
        let (ready, connected) = oneshot::channel();
        let (told, crashed) = oneshot::channel();
        let client = lab.client(async move |host: SharedHost, at| {
            let mut first = dial(&host, at).await.expect("a connection");
            ask(&mut first, b"one").await.expect("an answer");
            ready.send(()).expect("somebody waits");
            // The crash is noticed without writing anything.
            let mut byte = [0];
            let seen = first.stream.read(&mut byte).await.unwrap_or(0);
            crashed.await.expect("the crash");
            let refused = host.connect(&at.to_string()).await.map(drop);
            let mut second = dial(&host, at).await.expect("the rebooted server");
            let again = ask(&mut second, b"two").await.expect("an answer");
            (seen, refused.is_err(), again)
        });
        let crash = async {
            connected.await.expect("a connected client");
            lab.backend
                .apply(Change::Crash(lab.server))
                .expect("every engine crashes");
            drop(server);
            told.send(()).expect("the client waits");
            sleep(Duration::from_millis(100)).await;
            assert!(!lab.backend.is_running(lab.server));
            Some(lab.serve())
        };
        let (seen, server) = tokio::join!(client, crash);
        drop(server);
        seen
    });
    for (engine, seen) in all {
        assert_eq!(seen, (0, true, b"two".to_vec()), "{engine}");
    }
}

#[test]
fn a_panic_in_a_task_ends_the_run_and_names_node_and_task() {
    for engine in ENGINES {
        let report = run_on(engine, async |backend| {
            let lab = Lab::new(backend);
            let host = lab.backend.boot(lab.server);
            let task = host.spawn("careless", Box::pin(async { panic!("out of coffee") }));
            let end = task.await;
            sleep(Duration::from_secs(5)).await;
            end
        });
        let RunEnd::Panicked { task, message } = report.end else {
            panic!("{engine}: {:?}", report.end);
        };
        let seen = (task.node, task.task);
        assert_eq!(seen, (Some(NodeId(0)), "careless"), "{engine}");
        assert!(message.starts_with("out of coffee"), "{engine}: {message}");
        assert_eq!(report.value, None::<TaskEnd>, "{engine}");
    }
}

#[test]
fn dropping_a_task_cancels_it_and_drops_what_it_holds() {
    let all = on_each(async |lab| {
        let host = lab.backend.boot(lab.server);
        let (held, released) = oneshot::channel::<()>();
        let (ran, running) = oneshot::channel();
        let task = host.spawn(
            "endless",
            Box::pin(async move {
                let _held = held;
                let _ = ran.send(());
                std::future::pending::<()>().await;
            }),
        );
        running.await.expect("the task runs");
        let before = lab.backend.gauges(lab.server).tasks;
        drop(task);
        (
            before,
            released.await.is_err(),
            lab.backend.gauges(lab.server).tasks,
        )
    });
    assert!(all.iter().all(|(_, seen)| *seen == (1, true, 0)), "{all:?}");
}

#[test]
fn a_crash_cancels_the_tasks_of_its_node_and_of_no_other() {
    let all = on_each(async |lab| {
        let (server, client) = (lab.backend.boot(lab.server), lab.backend.boot(lab.client));
        let wait = |host: &SharedHost| host.spawn("sleeper", Box::pin(sleep(SOON)));
        let (dies, lives) = (wait(&server), wait(&client));
        sleep(Duration::from_millis(5)).await;
        lab.backend
            .apply(Change::Crash(lab.server))
            .expect("every engine crashes");
        let late = server.spawn("late", Box::pin(sleep(SOON)));
        (dies.await, lives.await, late.await)
    });
    let expected = (TaskEnd::Cancelled, TaskEnd::Finished, TaskEnd::Cancelled);
    assert!(all.iter().all(|(_, ends)| *ends == expected), "{all:?}");
}

#[test]
fn draws_and_identities_are_equal_on_every_engine_and_differ_between_incarnations() {
    let all = on_each(async |lab| {
        let first = lab.backend.boot(lab.server);
        let facts = |host: &SharedHost| {
            (
                host.draw("queue", 3),
                host.draw("queue", 4),
                host.draw("server", 3),
            )
        };
        let before = (facts(&first), first.identity().process);
        let second = lab.backend.boot(lab.server);
        let other = lab.backend.boot(lab.client);
        sleep(Duration::from_millis(5)).await;
        [
            before,
            (facts(&second), second.identity().process),
            (facts(&other), other.identity().process),
        ]
    });
    for (engine, facts) in &all {
        assert_eq!(*facts, all[0].1, "{engine}");
        assert_ne!(facts[0], facts[1], "{engine}");
        assert_ne!(facts[0], facts[2], "{engine}");
    }
}

#[test]
fn a_frozen_server_answers_at_the_thaw() {
    let all = on_each(async |lab| {
        let server = lab.serve();
        let (ready, connected) = oneshot::channel();
        let client = lab.client(async move |host: SharedHost, at| {
            let mut connection = dial(&host, at).await.expect("a connection");
            ask(&mut connection, b"one").await.expect("an answer");
            ready.send(()).expect("somebody waits");
            sleep(Duration::from_millis(50)).await;
            let asked = Instant::now();
            ask(&mut connection, b"two").await.expect("an answer");
            asked.elapsed()
        });
        let freeze = async {
            connected.await.expect("a connected client");
            lab.backend
                .apply(Change::Freeze(lab.server))
                .expect("every engine freezes");
            sleep(Duration::from_millis(300)).await;
            lab.backend
                .apply(Change::Thaw(lab.server))
                .expect("every engine thaws");
        };
        let (waited, ()) = tokio::join!(client, freeze);
        drop(server);
        waited.as_millis()
    });
    assert!(
        all.iter().all(|(_, ms)| (200..1000).contains(ms)),
        "{all:?}"
    );
}

#[test]
fn planned_actions_run_at_their_time_in_the_order_of_the_plan() {
    let all = on_each(async |lab| {
        let seen = Arc::new(parking_lot::Mutex::new(Vec::new()));
        for (name, ms) in [("late", 80), ("first", 40), ("second", 40)] {
            let (seen, backend) = (Arc::clone(&seen), Arc::clone(&lab.backend));
            let action = move || seen.lock().push((name, backend.now_ms() / 40));
            lab.backend.at(ms, Box::new(action));
        }
        sleep(Duration::from_millis(100)).await;
        seen.lock().clone()
    });
    for (engine, seen) in all {
        assert_eq!(seen, [("first", 1), ("second", 1), ("late", 2)], "{engine}");
    }
}
