//! The module in the shape of `tokio::net`: whose code it is, names, and what a crash or a freeze does to
//! tasks that Tokio polls.
#![expect(clippy::disallowed_methods, reason = "this is about tokio::spawn")]

use std::io::ErrorKind;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

use super::*;
use crate::net::{TcpListener, TcpStream, lookup_host};
use crate::{ReadyOrder, RunEnd, task};

/// Sends back what it gets, each connection in a task of Tokio's own.
async fn echo_by_tokio() -> io::Result<()> {
    let listener = TcpListener::bind(("localhost", 7)).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(async move {
            let (mut from, mut to) = stream.into_split();
            tokio::io::copy(&mut from, &mut to).await
        });
    }
}

/// An engine with that server, called "echo", on machine 1.
fn with_echo(config: EngineConfig) -> (Engine, NodeId) {
    let mut engine = Engine::with_config(config);
    let echo = engine.process("echo", ip(1), |_host| async {
        echo_by_tokio().await.unwrap();
    });
    (engine, echo)
}

async fn say(stream: &mut TcpStream, text: &[u8]) -> io::Result<()> {
    stream.write_all(text).await?;
    let mut heard = vec![0; text.len()];
    stream.read_exact(&mut heard).await?;
    assert_eq!(heard, text);
    Ok(())
}

fn assert_finished(engine: Engine) {
    assert_eq!(engine.run().unwrap().end, RunEnd::Finished);
}

#[test]
fn a_client_talks_to_a_server_by_its_name() {
    let (mut engine, _) = with_echo(EngineConfig::default());
    engine.client("client", ip(2), |host| async move {
        let mut stream = TcpStream::connect("echo:7").await.unwrap();
        stream.set_nodelay(true).unwrap();
        assert_eq!(stream.peer_addr().unwrap(), at(1, 7));
        assert_eq!(stream.local_addr().unwrap().ip(), ip(2));
        say(&mut stream, b"hello").await.unwrap();
        // A host knows the same names.
        let connection = host.connect("echo:7").await.unwrap();
        assert_eq!(connection.peer, at(1, 7));
    });
    assert_finished(engine);
}

#[test]
fn every_way_to_write_an_address_leads_to_it() {
    let (mut engine, _) = with_echo(EngineConfig::default());
    engine.client("client", ip(2), |_host| async {
        let nobody = at(9, 9);
        for stream in [
            TcpStream::connect(at(1, 7)).await,
            TcpStream::connect("10.0.0.1:7").await,
            TcpStream::connect(String::from("echo:7")).await,
            TcpStream::connect(("echo", 7)).await,
            TcpStream::connect((ip(1), 7)).await,
            // The next one of a list is dialled when one refuses.
            TcpStream::connect(&[at(1, 8), at(1, 7)][..]).await,
        ] {
            assert_eq!(stream.unwrap().peer_addr().unwrap(), at(1, 7));
        }
        let mut found = lookup_host(("echo", 1)).await.unwrap();
        assert_eq!(found.next(), Some(at(1, 1)));
        let kind = |error: io::Error| error.kind();
        let unknown = TcpStream::connect("nobody:7").await.map_err(kind);
        assert_eq!(unknown.err(), Some(ErrorKind::NotFound));
        let no_port = TcpStream::connect("echo").await.map_err(kind);
        assert_eq!(no_port.err(), Some(ErrorKind::InvalidInput));
        let refused = TcpStream::connect("echo:8").await.map_err(kind);
        assert_eq!(refused.err(), Some(ErrorKind::ConnectionRefused));
        let elsewhere = TcpListener::bind(nobody).await.map_err(kind);
        assert_eq!(elsewhere.err(), Some(ErrorKind::AddrNotAvailable));
    });
    assert_finished(engine);
}

#[test]
fn code_of_no_node_is_told_so() {
    let told = |error: io::Error| {
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        error.to_string()
    };
    let report = run(async |sim| {
        let _pair = pair(sim);
        let from_main = TcpStream::connect("b:1").await.map(drop);
        let spawned = tokio::spawn(async { TcpListener::bind("0.0.0.0:1").await.map(drop) });
        [from_main, spawned.await.unwrap()]
    });
    for outcome in report.value.unwrap() {
        let text = told(outcome.unwrap_err());
        assert!(text.contains("belongs to no node"), "{text}");
        assert!(text.contains("task::spawn"), "{text}");
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let outside = runtime.unwrap().block_on(TcpStream::connect("b:1"));
    let text = told(outside.unwrap_err());
    assert!(text.contains("no simulation runs"), "{text}");
}

#[test]
fn a_task_of_tokio_belongs_to_the_node_whose_socket_it_used() {
    let (mut engine, _) = with_echo(EngineConfig::default());
    engine.client("client", ip(2), |_host| async {
        let mut first = TcpStream::connect("echo:7").await.unwrap();
        let task = tokio::spawn(async move {
            let early = TcpStream::connect("echo:7").await;
            say(&mut first, b"mine").await.unwrap();
            let second = TcpStream::connect("echo:7").await.unwrap();
            (early.is_err(), second.local_addr().unwrap().ip())
        });
        assert_eq!(task.await.unwrap(), (true, ip(2)));
    });
    assert_finished(engine);
}

#[test]
fn a_task_that_is_spawned_here_dies_with_its_process() {
    let ticks = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&ticks);
    let mut engine = Engine::new(7);
    let ticker = engine.process("ticker", ip(1), move |_host| {
        let counted = Arc::clone(&counted);
        async move {
            let aborted = task::spawn(std::future::pending::<()>());
            aborted.abort();
            assert_eq!(aborted.await, Err(task::JoinError));
            task::spawn(async move {
                loop {
                    sleep(100).await;
                    *counted.lock() += 1;
                }
            });
        }
    });
    engine.client("client", ip(2), |_host| sleep(2_000));
    engine.at(1_050, move |sim| sim.apply(Change::Crash(ticker)));
    assert_finished(engine);
    assert_eq!(*ticks.lock(), 10);
}

#[test]
fn connections_that_tokio_polls_end_with_their_process() {
    let (mut engine, echo) = with_echo(EngineConfig::default());
    engine.client("client", ip(2), |_host| async {
        let mut stream = TcpStream::connect("echo:7").await.unwrap();
        say(&mut stream, b"there").await.unwrap();
        sleep(1_000).await;
        assert!(say(&mut stream, b"gone").await.is_err());
        let mut again = TcpStream::connect("echo:7").await.unwrap();
        say(&mut again, b"back").await.unwrap();
    });
    engine.at(500, move |sim| sim.apply(Change::Crash(echo)));
    engine.at(600, move |sim| sim.restart(echo));
    assert_finished(engine);
}

#[test]
fn a_killed_process_is_told_nothing_and_says_nothing_also_in_tasks_of_tokio() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sees = Arc::clone(&seen);
    let (mut engine, _) = with_echo(EngineConfig::default());
    let victim = engine.process("victim", ip(2), move |_host| {
        let sees = Arc::clone(&sees);
        async move {
            let mut stream = TcpStream::connect("echo:7").await.unwrap();
            tokio::spawn(async move {
                loop {
                    let said = say(&mut stream, b"alive").await;
                    sees.lock().push(said.is_ok());
                    sleep(100).await;
                }
            });
            std::future::pending::<()>().await;
        }
    });
    engine.client("client", ip(3), |_host| sleep(5_000));
    engine.at(1_000, move |sim| sim.apply(Change::Crash(victim)));
    assert_finished(engine);
    let seen = seen.lock();
    assert!(
        (9..=10).contains(&seen.len()) && seen.iter().all(|ok| *ok),
        "{seen:?}"
    );
}

#[test]
fn connections_that_tokio_polls_stand_still_with_their_process() {
    let (mut engine, echo) = with_echo(EngineConfig::default());
    engine.client("client", ip(2), |_host| async {
        let mut stream = TcpStream::connect("echo:7").await.unwrap();
        say(&mut stream, b"there").await.unwrap();
        sleep(1_000).await;
        let asked = Instant::now();
        say(&mut stream, b"asleep").await.unwrap();
        assert!(asked.elapsed() > ms(1_500), "{:?}", asked.elapsed());
    });
    engine.at(500, move |sim| sim.apply(Change::Freeze(echo)));
    engine.at(3_000, move |sim| sim.apply(Change::Thaw(echo)));
    assert_finished(engine);
}

#[test]
fn halves_work_apart_and_the_end_of_the_one_that_writes_is_heard() {
    let mut engine = Engine::new(7);
    engine.process("reader", ip(1), |_host| async {
        let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
        assert_eq!(listener.local_addr().unwrap().ip(), ip(1));
        drop(listener);
        let listener = TcpListener::bind("0.0.0.0:7").await.unwrap();
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut heard = Vec::new();
        stream.read_to_end(&mut heard).await.unwrap();
        stream.write_all(&heard).await.unwrap();
    });
    engine.client("client", ip(2), |_host| async {
        let stream = TcpStream::connect("reader:7").await.unwrap();
        let (from, to) = stream.into_split();
        let (mut from, mut to) = from.reunite(to).unwrap().into_split();
        let heard = task::spawn(async move {
            let mut heard = Vec::new();
            from.read_to_end(&mut heard).await.map(|_| heard)
        });
        to.write_all(b"all of it").await.unwrap();
        drop(to);
        assert_eq!(heard.await.unwrap().unwrap(), b"all of it");
    });
    assert_finished(engine);
}

#[test]
fn several_tasks_accept_at_one_port() {
    let mut engine = Engine::new(7);
    engine.process("server", ip(1), |_host| async {
        let listener = Arc::new(TcpListener::bind("0.0.0.0:7").await.unwrap());
        let accepting = (0..3).map(|_| {
            let listener = Arc::clone(&listener);
            task::spawn(async move { listener.accept().await.map(drop) })
        });
        for one in accepting.collect::<Vec<_>>() {
            one.await.unwrap().unwrap();
        }
    });
    engine.client("client", ip(2), |_host| async {
        for _ in 0..3 {
            let mut stream = TcpStream::connect("server:7").await.unwrap();
            assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
        }
    });
    assert_finished(engine);
}

/// What the engine tells of crashes and freezes among servers and clients whose tasks Tokio polls.
fn events(seed: u64) -> Vec<EngineEvent> {
    let ready_order = ReadyOrder::Seeded;
    let kept = Arc::new(Kept::default());
    let (engine, echo) = with_echo(EngineConfig {
        seed,
        ready_order,
        ..EngineConfig::default()
    });
    let mut engine = engine.events_to(Arc::clone(&kept) as _);
    for n in 2..=5 {
        engine.client(&format!("client-{n}"), ip(n), move |_host| async move {
            for _ in 0..20 {
                if let Ok(mut stream) = TcpStream::connect("echo:7").await {
                    let spoken = tokio::spawn(async move { say(&mut stream, &[7; 300]).await });
                    drop(tokio::time::timeout(ms(200), spoken).await);
                }
                sleep(u64::from(n)).await;
            }
        });
    }
    engine.at(20, move |sim| sim.apply(Change::Freeze(echo)));
    engine.at(60, move |sim| sim.apply(Change::Thaw(echo)));
    engine.at(80, move |sim| sim.apply(Change::Crash(echo)));
    engine.at(100, move |sim| sim.restart(echo));
    assert_finished(engine);
    std::mem::take(&mut *kept.0.lock())
}

#[test]
fn a_seed_repeats_its_run_with_servers_that_tokio_polls() {
    for seed in 0..5 {
        let first = events(seed);
        assert!(first.len() > 300, "{} events", first.len());
        assert_eq!(events(seed), first);
    }
    assert_ne!(events(0), events(1));
}
