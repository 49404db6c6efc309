//! The laboratory as a library, as a program of a stranger uses it.

#![expect(clippy::disallowed_methods, reason = "strangers use tokio::spawn")]

use std::io;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rmq_producer::Message;
use rmq_sim::fault::Fault;
use rmq_sim::simulation::{Cluster, Simulation, VirtualTime, answer, crash, freeze};
use rmq_sim::verdict::Class;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

fn healthy() -> Simulation {
    Simulation::new(Cluster::new().brokers(2).topic("orders", 4))
}

/// A healthy cluster's first send: a dial and a lookup, a dial and a send, 2 ms each.
const FIRST_SEND: Duration = Duration::from_millis(8);

#[test]
fn the_first_send_of_a_healthy_run_takes_four_round_trips_whichever_task_makes_it() {
    healthy().seeds(0..20).check(async |sim| {
        let mut took = Vec::new();
        for (number, name) in ["checker", "spawned", "hosted"].into_iter().enumerate() {
            let producer = sim.producer(name).start().await?;
            let sends = producer.clone();
            let send = async move {
                tokio::time::sleep(Duration::from_millis(19_713)).await;
                let began = Instant::now();
                let sent = sends.send(Message::new("orders", "x")).await;
                sent.map(|_| began.elapsed())
            };
            took.push(match number {
                0 => send.await?,
                1 => tokio::spawn(send).await??,
                _ => {
                    let (say, heard) = oneshot::channel();
                    let host = sim.host(name);
                    let sending = async move { drop(say.send(send.await)) };
                    let _task = host.spawn("sending", Box::pin(sending));
                    heard.await??
                }
            });
            producer.stop().await;
        }
        assert_eq!(took, [FIRST_SEND; 3]);
        Ok(())
    });
}

#[test]
fn an_actor_in_a_task_of_its_own_has_true_times_and_a_seed_repeats_it() {
    let play = |seed| {
        let run = healthy().run(seed, async |sim| {
            let producer = sim.producer("app").start().await?;
            let (orders, mut inbox) = mpsc::channel::<(u32, oneshot::Sender<Duration>)>(4);
            let actor = tokio::spawn(async move {
                while let Some((order, took)) = inbox.recv().await {
                    let began = Instant::now();
                    let sent = producer.send(Message::new("orders", format!("{order}")));
                    if sent.await.is_ok() {
                        let _ = took.send(began.elapsed());
                    }
                }
                producer.stop().await;
            });
            for order in 0..8 {
                tokio::time::sleep(Duration::from_millis(u64::from(order) * 777)).await;
                let (say, heard) = oneshot::channel();
                orders.send((order, say)).await?;
                assert!(heard.await? <= FIRST_SEND);
            }
            drop(orders);
            actor.await?;
            Ok(())
        });
        let run = run.expect("a run");
        assert!(run.verdict.is_pass(), "seed {seed}: {}", run.verdict);
        run.digest
    };
    for seed in 0..6 {
        assert_eq!(play(seed), play(seed), "seed {seed}");
    }
}

#[test]
fn a_panic_in_a_task_that_the_program_spawned_is_the_verdict() {
    let run = healthy().run(7, async |sim| {
        tokio::spawn(async {
            tokio::time::sleep(Duration::from_secs(2)).await;
            panic!("the actor fell over");
        });
        let producer = sim.producer("app").start().await?;
        tokio::time::sleep(Duration::from_secs(10)).await;
        producer.stop().await;
        Ok(())
    });
    let verdict = run.expect("a run").verdict;
    assert_eq!(verdict.class, Class::Panic);
    let text = verdict.to_string();
    assert!(text.contains("the actor fell over"), "{text}");
    assert!(text.contains("library.rs:"), "{text}");
    assert!(text.contains("tokio::spawn"), "{text}");
}

/// Keeps what a subscriber writes.
#[derive(Debug, Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_line_of_tracing_has_virtual_time_and_node_and_moves_no_digest() {
    let play = || {
        let run = healthy().run(3, async |sim| {
            let producer = sim.producer("app").start().await?;
            sim.until_secs(12).await;
            producer.send(Message::new("orders", "x")).await?;
            let (say, heard) = oneshot::channel();
            let log = async move {
                tokio::time::sleep(Duration::from_millis(345)).await;
                tracing::warn!("from a node");
                let _ = say.send(());
            };
            let _task = sim.host("app").spawn("log", Box::pin(log));
            heard.await?;
            assert_eq!(sim.now(), Duration::from_millis(12_353));
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(1_000)).await;
                assert_eq!(sim.now(), Duration::from_millis(13_353));
                tracing::warn!("from elsewhere");
            })
            .await?;
            producer.stop().await;
            Ok(())
        });
        let run = run.expect("a run");
        assert!(run.verdict.is_pass(), "{}", run.verdict);
        run.digest
    };
    let silent = play();
    let lines = Lines::default();
    let kept = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_timer(VirtualTime)
        .with_ansi(false)
        .with_writer(move || kept.clone())
        .finish();
    let loud = tracing::subscriber::with_default(subscriber, || {
        tracing::warn!("before the run");
        play()
    });
    assert_eq!(loud, silent);
    let text = String::from_utf8(lines.0.lock().clone()).expect("text");
    let line = |what: &str| text.lines().find(|line| line.contains(what)).unwrap_or("");
    let node = line("from a node");
    assert!(node.starts_with("12.353s"), "{node}");
    assert!(node.contains(r#"task{node="app" name="log"}"#), "{node}");
    let elsewhere = line("from elsewhere");
    assert!(elsewhere.starts_with("13.353s"), "{elsewhere}");
    assert!(!elsewhere.contains("node="), "{elsewhere}");
    assert!(
        line("before the run").starts_with("- "),
        "{}",
        line("before the run")
    );
}

/// One send in a cluster with this fault.
fn one_send(fault: impl Into<Fault>) -> Simulation {
    healthy().fault(fault).seeds(0..3)
}

fn sends_once(simulation: Simulation) {
    simulation.check(async |sim| {
        let producer = sim.producer("app").start().await?;
        producer.send(Message::new("orders", "x")).await?;
        producer.stop().await;
        Ok(())
    });
}

#[test]
#[should_panic(expected = "never started in any of 3 seeds")]
fn a_check_whose_fault_never_starts_fails() {
    sends_once(one_send(crash("broker-a").after_stored(5_000)));
}

#[test]
#[should_panic(expected = "never struck in any of 3 seeds")]
fn a_check_whose_fault_never_strikes_fails() {
    // Nothing runs on a broker while it is down already.
    let down = crash("broker-a").at_secs(0);
    sends_once(one_send(down).fault(freeze("broker-a").at(Duration::from_millis(1))));
}

#[test]
fn a_check_may_allow_its_faults_to_miss() {
    sends_once(one_send(crash("broker-a").after_stored(5_000)).faults_may_miss());
}

#[test]
fn an_answer_that_stores_nothing_is_refused_in_code_too() {
    for code in [0, 10, 11, 12] {
        let error = one_send(answer("broker-a", code)).run(1, async |_| Ok(()));
        let text = error.expect_err("refused").to_string();
        assert!(text.contains("store-then-answer"), "{text}");
    }
    assert!(
        one_send(answer("broker-a", 2))
            .run(1, async |_| Ok(()))
            .is_ok()
    );
}
