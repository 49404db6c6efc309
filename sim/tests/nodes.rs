//! Nodes of a check: processes with a program, struck by the faults that strike a broker.
#![expect(clippy::panic, reason = "these are tests")]

use std::sync::Arc;
use std::time::Duration;

use dst_engine::net::{TcpListener, TcpStream};
use parking_lot::Mutex;
use rmq_producer::Message;
use rmq_sim::fault::Fault;
use rmq_sim::run::Run;
use rmq_sim::simulation::{
    CheckError, Cluster, Sim, SimNode, Simulation, crash, freeze, loss, partition, power_loss,
    refuse, stop,
};
use rmq_sim::trace::{NodeEvent, WorkEvent, short};
use rmq_sim::verdict::Class;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::sleep;

const SECOND: Duration = Duration::from_secs(1);

fn simulation(faults: impl IntoIterator<Item = Fault>) -> Simulation {
    let cluster = Cluster::new().brokers(2).topic("orders", 4);
    faults
        .into_iter()
        .fold(Simulation::new(cluster), Simulation::fault)
}

/// A service that publishes a number each second from where it stopped; what is next is on its disk.
async fn publisher(node: SimNode) -> Result<(), CheckError> {
    let producer = node.producer("publishers").start().await?;
    let next = node.disk().get("next").map_or(0, |next| next[0]);
    for number in next..40 {
        let message = Message::new("orders", vec![number]);
        while producer.send(message.clone()).await.is_err() {
            sleep(SECOND).await;
        }
        node.disk().put("next", vec![number + 1]);
        node.disk().sync().await;
        sleep(SECOND).await;
    }
    producer.stop().await;
    Ok(())
}

/// Runs the publisher, and demands that every number is stored.
async fn publishes(sim: Sim) -> Result<(), CheckError> {
    sim.node("shop", publisher);
    sim.until_secs(150).await;
    let stored: std::collections::BTreeSet<u8> = sim
        .ledger()
        .bodies("orders")
        .iter()
        .map(|body| body[0])
        .collect();
    assert_eq!(stored.len(), 40, "{stored:?}");
    Ok(())
}

#[test]
fn a_program_publishes_whatever_happens_to_its_node() {
    let faults: [Fault; 6] = [
        crash("shop")
            .at(Duration::from_millis(4_500))
            .down_for_secs(3)
            .into(),
        power_loss("shop")
            .at(Duration::from_millis(12_001))
            .down_for_secs(3)
            .into(),
        crash("shop")
            .at(Duration::from_millis(20_002))
            .down_for_secs(1)
            .new_address()
            .into(),
        freeze("shop").at_secs(25).for_secs(7).into(),
        partition("shop", "broker-a").at_secs(35).for_secs(8).into(),
        crash("broker-b").at_secs(40).down_for_secs(6).into(),
    ];
    simulation(faults)
        .latency(2, 5)
        .seeds(0..30)
        .check(publishes);
}

#[test]
fn a_crash_in_every_millisecond_of_a_send_accuses_nobody() {
    for ms in 2_990..3_020 {
        simulation([crash("shop")
            .at(Duration::from_millis(ms))
            .down_for_secs(2)
            .into()])
        .seeds(0..2)
        .check(publishes);
        simulation([power_loss("shop")
            .at(Duration::from_millis(ms))
            .down_for_secs(2)
            .into()])
        .seeds(0..2)
        .check(publishes);
    }
}

fn play(faults: impl IntoIterator<Item = Fault>, seed: u64) -> Run {
    let run = simulation(faults).latency(2, 5).run(seed, publishes);
    run.unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn a_seed_repeats_its_run_with_nodes_and_disks() {
    let faults = || -> [Fault; 3] {
        [
            crash("shop")
                .at(Duration::from_millis(4_500))
                .down_for_secs(3)
                .into(),
            power_loss("shop")
                .at(Duration::from_millis(12_001))
                .down_for_secs(3)
                .into(),
            loss("shop", "broker-a", 200).at_secs(1).into(),
        ]
    };
    let first = play(faults(), 5);
    assert!(first.verdict.is_pass(), "{}", first.verdict);
    let _other = play(faults(), 6);
    assert_eq!(play(faults(), 5).digest, first.digest);
}

#[test]
fn the_trace_tells_when_the_process_is_gone() {
    let run = play(
        [crash("shop")
            .at(Duration::from_millis(4_500))
            .down_for_secs(3)
            .into()],
        1,
    );
    // The client of the second process has a node of its own, and goes with it.
    let shop = run.trace.header.node("shop");
    let ended = run.trace.records.iter().filter(|record| {
        let is_end = matches!(record.what, NodeEvent::Work(WorkEvent::ProcessEnded));
        is_end && Some(record.node) == shop
    });
    let times: Vec<u64> = ended.map(|record| record.ms).collect();
    assert_eq!(
        (times.len(), times[0]),
        (2, 4_500),
        "the crash, and the program's end"
    );
    let text = short::render(&run.trace);
    assert!(
        text.contains("shop") && text.contains("the process is gone"),
        "{text}"
    );
}

#[test]
fn a_node_is_called_by_its_name_and_serves_others() {
    simulation([crash("echo")
        .at_secs(5)
        .down_for_secs(5)
        .new_address()
        .into()])
    .seeds(0..10)
    .check(async |sim| {
        sim.node("echo", async |_node| {
            let listener = TcpListener::bind("0.0.0.0:7").await?;
            loop {
                let (mut stream, _) = listener.accept().await?;
                dst_engine::task::spawn(async move {
                    let (mut from, mut to) = stream.split();
                    tokio::io::copy(&mut from, &mut to).await
                });
            }
        });
        let heard = Arc::new(Mutex::new(0));
        let hears = Arc::clone(&heard);
        sim.node("client", move |_node| {
            let hears = Arc::clone(&hears);
            async move {
                for second in [1, 14] {
                    sleep(SECOND * second).await;
                    let mut stream = TcpStream::connect("echo:7").await?;
                    stream.write_all(b"hello").await?;
                    let mut back = [0; 5];
                    stream.read_exact(&mut back).await?;
                    *hears.lock() += 1;
                }
                Ok(())
            }
        });
        sim.until_secs(20).await;
        assert_eq!(*heard.lock(), 2);
        Ok(())
    });
}

#[test]
fn a_program_that_ends_with_an_error_fails_the_check_and_is_named() {
    let run = simulation([]).run(1, async |sim| {
        sim.node("shop", async |_node| {
            sleep(SECOND).await;
            Err("out of stock".into())
        });
        sim.until_secs(100).await;
        Ok(())
    });
    let run = run.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(run.verdict.class, Class::Violation);
    assert_eq!(
        run.verdict.findings[0].text,
        "the program of shop ended with an error: out of stock"
    );
    assert!(run.trace.end_ms < 5_000, "the run ends there");
}

#[test]
fn a_program_that_returns_ends_its_process_with_all_tasks() {
    simulation([]).seeds(0..3).check(async |sim| {
        let ticks = Arc::new(Mutex::new(0));
        let counts = Arc::clone(&ticks);
        sim.node("ticker", move |_node| {
            let counts = Arc::clone(&counts);
            async move {
                dst_engine::task::spawn(async move {
                    loop {
                        sleep(SECOND).await;
                        *counts.lock() += 1;
                    }
                });
                sleep(SECOND * 5 + SECOND / 2).await;
                Ok(())
            }
        });
        sim.until_secs(30).await;
        assert_eq!(*ticks.lock(), 5);
        Ok(())
    });
}

#[test]
fn what_was_written_survives_a_crash_and_only_what_was_synced_a_power_loss() {
    let kept = |fault: Fault| {
        let found = Arc::new(Mutex::new(Vec::new()));
        let finds = Arc::clone(&found);
        let run = simulation([fault]).run(3, async |sim| {
            let finds = Arc::clone(&finds);
            sim.node("shop", move |node| {
                let finds = Arc::clone(&finds);
                async move {
                    if node.disk().get("synced").is_none() {
                        node.disk().put("synced", "1");
                        node.disk().sync().await;
                        node.disk().put("written", "1");
                    } else {
                        let keys = node.disk().scan("").into_iter().map(|(key, _)| key);
                        *finds.lock() = keys.collect();
                    }
                    std::future::pending().await
                }
            });
            sim.until_secs(10).await;
            Ok(())
        });
        assert!(run.is_ok_and(|run| run.verdict.is_pass()));
        let found = found.lock();
        found.clone()
    };
    assert_eq!(
        kept(crash("shop").at_secs(3).down_for_secs(2).into()),
        ["synced", "written"]
    );
    assert_eq!(
        kept(power_loss("shop").at_secs(3).down_for_secs(2).into()),
        ["synced"]
    );
}

#[test]
fn faults_that_a_node_cannot_have_are_refused_with_a_remedy() {
    let stopped = simulation([stop("shop").at_secs(3).into()]).run(1, publishes);
    let text = stopped
        .err()
        .map(|error| error.to_string())
        .unwrap_or_default();
    assert!(text.contains("there is no such server"), "{text}");
    // A machine that the check uses from outside has no program to start again.
    let outside = simulation([crash("app").at_secs(3).down_for_secs(1).into()]);
    let outside = outside.run(1, async |sim| {
        let _host = sim.host("app");
        sim.until_secs(10).await;
        Ok(())
    });
    let text = outside
        .err()
        .map(|error| error.to_string())
        .unwrap_or_default();
    assert!(text.contains("Sim::node"), "{text}");
}

#[test]
fn a_port_of_a_node_is_refused_while_a_fault_says_so() {
    simulation([refuse("shop").at_secs(3).for_secs(3).into()])
        .seeds(0..3)
        .check(async |sim| {
            sim.node("shop", async |_node| {
                let listener = TcpListener::bind("0.0.0.0:80").await?;
                loop {
                    drop(listener.accept().await?);
                }
            });
            let visitor = sim.host("visitor");
            let mut outcomes = Vec::new();
            for second in [2, 4, 8] {
                sim.until_secs(second).await;
                outcomes.push(visitor.connect("shop:80").await.is_ok());
            }
            assert_eq!(outcomes, [true, false, true]);
            Ok(())
        });
}

#[test]
#[should_panic(expected = "there is a node called \"broker-a\" already")]
fn a_name_is_given_once() {
    simulation([]).seeds(0..1).check(async |sim| {
        sim.node("broker-a", publisher);
        Ok(())
    });
}
