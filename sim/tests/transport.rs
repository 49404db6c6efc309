//! Remoting client and server on the event engine: the same code that runs in production, on
//! connections that break as a kernel's do.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use dst_engine::{Change, Engine, EngineConfig, EngineHandle, NodeId, ReadyOrder, RunEnd};
use futures_util::future::join_all;
use parking_lot::Mutex;
use rmq_remoting::client::{CallError, ClientSettings, RemotingClient};
use rmq_remoting::command::{Command, HeaderForm, Language};
use rmq_remoting::event::{CloseCause, DialFailure, Event};
use rmq_remoting::frame::Speaker;
use rmq_remoting::header::{EncodeHeader, FieldWriter, Request};
use rmq_remoting::observe::{Name, Observer};
use rmq_remoting::server::{Server, ServerSettings};
use rmq_remoting::service::{Answer, Peer, Reply, Response, Service, Unsupported};
use tokio::time::{Instant, sleep};

const SPEAKER: Speaker = Speaker {
    form: HeaderForm::Json,
    language: Language::Rust,
    version: 479,
};

/// Answered after so many milliseconds; never if the number is negative.
struct After(i64, Vec<u8>);

impl EncodeHeader for After {
    fn write(&self, fields: &mut dyn FieldWriter) {
        fields.int("after", self.0);
    }
}

impl Request for After {
    fn code(&self) -> i32 {
        900
    }

    fn body(&self) -> &[u8] {
        &self.1
    }
}

fn after(ms: i64) -> After {
    After(ms, Vec::new())
}

#[derive(Debug)]
struct Delaying;

impl Service for Delaying {
    fn serve(&self, _peer: &Peer, request: Command) -> Reply {
        let body = request.body;
        let answer = Answer::Respond(Response::new(0).body(body));
        match request.ext.number::<i64>("after").map(u64::try_from) {
            Ok(Ok(0)) => Reply::Now(answer),
            Ok(Ok(ms)) => Reply::Later(Box::pin(async move {
                sleep(Duration::from_millis(ms)).await;
                answer
            })),
            _ => Reply::Now(Answer::Nothing),
        }
    }
}

#[derive(Debug, Default)]
struct Log(Mutex<Vec<Event>>);

impl Observer<Event> for Log {
    fn on(&self, event: Event) {
        self.0.lock().push(event);
    }
}

/// A client on node 0, and servers on nodes 1 and 2.
struct Stage {
    sim: EngineHandle,
    client: RemotingClient,
    log: Arc<Log>,
    to: Name,
    other: Name,
    _servers: Vec<Server>,
}

const CLIENT: NodeId = NodeId(0);
const SERVER: NodeId = NodeId(1);

impl Stage {
    async fn set(sim: EngineHandle) -> Self {
        let ip = |n| IpAddr::V4(Ipv4Addr::new(10, 0, 0, n));
        let node = sim.node("client", ip(1));
        let host = sim.boot(node);
        let mut servers = Vec::new();
        for n in [2, 3] {
            let node = sim.node("server", ip(n));
            let at = SocketAddr::new(ip(n), 9);
            let settings = ServerSettings::new(SPEAKER);
            let server = Server::start(sim.boot(node), at, settings, Arc::new(Delaying)).await;
            servers.push(server.unwrap());
        }
        let log = Arc::new(Log::default());
        let settings = ClientSettings::new(SPEAKER);
        let observer: Arc<dyn Observer<Event>> = Arc::<Log>::clone(&log);
        let client = RemotingClient::new(host, settings, observer, Arc::new(Unsupported));
        Self {
            sim,
            client,
            log,
            to: Name::from("10.0.0.2:9"),
            other: Name::from("10.0.0.3:9"),
            _servers: servers,
        }
    }

    async fn call(&self, request: &After, ms: u64) -> Result<Command, CallError> {
        let deadline = Instant::now() + Duration::from_millis(ms);
        self.client.call(&self.to, request, deadline).await
    }

    fn closed(&self) -> Vec<(CloseCause, u32)> {
        let events = self.log.0.lock();
        let causes = events.iter().filter_map(|event| match event {
            Event::Closed { cause, pending, .. } => Some((*cause, *pending)),
            _ => None,
        });
        causes.collect()
    }
}

fn run<T>(config: &EngineConfig, main: impl AsyncFnOnce(Stage) -> T) -> T {
    let main = async move |sim: EngineHandle| main(Stage::set(sim).await).await;
    let report = Engine::with_config(config.clone()).run_with(main).unwrap();
    assert_eq!(report.end, RunEnd::Finished);
    report.value.unwrap()
}

fn both_orders(main: impl AsyncFn(Stage)) {
    for (ready_order, seed) in [(ReadyOrder::Fifo, 1), (ReadyOrder::Seeded, 2)] {
        let config = EngineConfig {
            seed,
            ready_order,
            ..EngineConfig::default()
        };
        run(&config, async |stage| main(stage).await);
    }
}

#[test]
fn a_reply_in_the_millisecond_of_its_deadline_is_in_time() {
    both_orders(async |stage| {
        stage.call(&after(0), 100).await.unwrap();
        let deadline = Instant::now() + Duration::from_millis(52);
        // Fifty of them at once, so that the answers come in several pieces.
        let requests: Vec<After> = (0..50).map(|_| After(50, vec![b'x'; 300])).collect();
        let calls = requests.iter();
        let calls = calls.map(|request| stage.client.call(&stage.to, request, deadline));
        for answer in join_all(calls).await {
            assert_eq!(answer.unwrap().body.len(), 300);
        }
        assert_eq!(Instant::now(), deadline);
        let late = stage.call(&after(50), 51).await;
        assert!(matches!(late, Err(CallError::TimedOut { .. })));
    });
}

#[test]
fn a_crash_fails_every_waiting_request_one_latency_later() {
    both_orders(async |stage| {
        stage.call(&after(0), 100).await.unwrap();
        let crash_at = stage.sim.now_ms() + 20;
        stage.sim.at(crash_at, {
            let sim = stage.sim;
            move || sim.apply(Change::Crash(SERVER))
        });
        let silent = after(-1);
        for result in join_all((0..100).map(|_| stage.call(&silent, 3_000))).await {
            assert!(matches!(result, Err(CallError::Lost { .. })));
        }
        assert_eq!(stage.sim.now_ms(), crash_at + 1);
        assert_eq!(stage.closed(), [(CloseCause::PeerClosed, 100)]);
        let refused = stage.call(&after(0), 3_000).await.unwrap_err();
        assert!(matches!(
            refused,
            CallError::Dial {
                cause: DialFailure::Refused,
                ..
            }
        ));
        assert_eq!(stage.sim.now_ms(), crash_at + 3);
    });
}

#[test]
fn a_reset_between_them_breaks_the_connection_at_once() {
    both_orders(async |stage| {
        stage.call(&after(0), 100).await.unwrap();
        let at = stage.sim.now_ms() + 5;
        let sim = stage.sim;
        sim.at(at, move || sim.apply(Change::Reset(CLIENT, SERVER)));
        let lost = stage.call(&after(-1), 3_000).await.unwrap_err();
        assert!(matches!(
            lost,
            CallError::Lost {
                cause: CloseCause::Broken,
                ..
            }
        ));
        assert_eq!(stage.sim.now_ms(), at);
        stage.call(&after(0), 100).await.unwrap();
    });
}

#[test]
fn a_frozen_server_takes_no_more_than_its_buffers_and_delays_no_other() {
    both_orders(async |stage| {
        stage.call(&after(0), 100).await.unwrap();
        stage.sim.apply(Change::Freeze(SERVER));
        let big = After(0, vec![b'x'; 4 * 1024 * 1024]);
        let stuck = join_all((0..6).map(|_| stage.call(&big, 1_000)));
        let (results, ()) = tokio::join!(stuck, async {
            let began = Instant::now();
            let deadline = began + Duration::from_millis(100);
            let small = after(0);
            stage
                .client
                .call(&stage.other, &small, deadline)
                .await
                .unwrap();
            assert_eq!(began.elapsed().as_millis(), 4, "a dial and a round trip");
        });
        let no_room = |result: &Result<_, _>| matches!(result, Err(CallError::Write { .. }));
        assert!(results.iter().any(no_room), "16 MiB wait at most");
        assert!(results.iter().all(Result::is_err));
        assert_eq!(stage.client.gauges().pending, 0);
        stage.sim.apply(Change::Thaw(SERVER));
        stage.call(&after(0), 5_000).await.unwrap();
    });
}

#[test]
fn a_dial_to_a_machine_that_is_gone_ends_with_the_deadline() {
    both_orders(async |stage| {
        stage.sim.apply(Change::PowerOff(SERVER));
        let began = Instant::now();
        let error = stage.call(&after(0), 500).await.unwrap_err();
        assert!(matches!(
            error,
            CallError::Dial {
                cause: DialFailure::TimedOut,
                ..
            }
        ));
        assert_eq!(began.elapsed().as_millis(), 500);
    });
}

#[test]
fn a_stopped_client_leaves_no_task_and_no_connection() {
    both_orders(async |stage| {
        stage.call(&after(0), 100).await.unwrap();
        stage.client.stop().await;
        sleep(Duration::from_millis(5)).await;
        let (client, server) = (stage.sim.gauges(CLIENT), stage.sim.gauges(SERVER));
        assert_eq!((client.tasks, client.connections), (0, 0));
        assert_eq!((server.tasks, server.connections), (1, 0), "it accepts");
    });
}

#[test]
fn a_crashed_client_says_nothing_more() {
    both_orders(async |stage| {
        stage.sim.at(50, {
            let sim = stage.sim;
            move || sim.apply(Change::Crash(CLIENT))
        });
        // This caller outlives the process, which a real one does not.
        let lost = stage.call(&after(-1), 3_000).await.unwrap_err();
        assert!(matches!(lost, CallError::Lost { .. }));
        assert_eq!(stage.sim.now_ms(), 50);
        let before = stage.log.0.lock().len();
        assert_eq!(before, 3, "dial, opened, written");
    });
}

#[test]
fn equal_seeds_give_equal_events() {
    let once = |seed| {
        let mut config = EngineConfig {
            seed,
            ready_order: ReadyOrder::Seeded,
            ..EngineConfig::default()
        };
        config.network.jitter_ms = 7;
        run(&config, async |stage| {
            let requests: Vec<After> = (0..40).map(|n| After(n % 7, vec![b'x'; 900])).collect();
            join_all(requests.iter().map(|request| stage.call(request, 14))).await;
            sleep(Duration::from_millis(100)).await;
            let events = stage.log.0.lock();
            format!("{events:?}")
        })
    };
    let runs: Vec<String> = (0..20).map(once).collect();
    assert!((0..20).zip(&runs).all(|(seed, run)| once(seed) == *run));
    assert!(
        runs.windows(2).any(|pair| pair[0] != pair[1]),
        "seeds differ"
    );
}
