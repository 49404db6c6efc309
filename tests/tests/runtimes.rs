//! Runtimes that come and go under a producer on real TCP: every callback is called exactly once, and
//! a producer works from whichever runtime it is used, or says at once that its own is gone.
//!
//! Time is real, so none is asserted: what would wait for ever here would hang.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use rmq_host::{SharedHost, TokioHost};
use rmq_mock_broker::control::NoControl;
use rmq_mock_broker::{Broker, Config, Disk};
use rmq_mock_namesrv::NameServer;
use rmq_producer::event::{Event, Failure};
use rmq_producer::{Message, Producer};
use rmq_remoting::observe::{Name, Observer, Silent};
use tokio::runtime::{Builder, Runtime};

fn runtime() -> Runtime {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(2).enable_all().build().unwrap()
}

fn any_port() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

/// A name server and a broker on a runtime of their own, which lives as long as they.
struct Servers {
    address: Name,
    _runtime: Runtime,
    _servers: (NameServer, Broker),
}

impl Servers {
    /// The broker tells its clients to come to `advertise`, if it is given.
    fn start(advertise: Option<SocketAddr>) -> Self {
        let runtime = runtime();
        let (address, servers) = runtime.block_on(async {
            let host: SharedHost = Arc::new(TokioHost::new());
            let config = rmq_mock_namesrv::Config::new(any_port());
            let control = Arc::new(NoControl);
            let name_server =
                NameServer::start(Arc::clone(&host), config, control, Arc::new(Silent));
            let name_server = name_server.await.unwrap();
            let address: Name = name_server.local_addr().to_string().into();
            let mut config = Config::new("broker-a", any_port());
            config.name_servers = vec![Name::clone(&address)];
            config.topics = vec![("orders".into(), 4)];
            config.advertise = advertise;
            let disk = Arc::new(Disk::new());
            let broker = Broker::start(host, config, disk, Arc::new(NoControl), Arc::new(Silent));
            let broker = broker.await.unwrap();
            broker.registered().await;
            (address, (name_server, broker))
        });
        Self {
            address,
            _runtime: runtime,
            _servers: servers,
        }
    }

    async fn producer(&self) -> Producer {
        let builder = Producer::builder("runtimes").name_servers(&*self.address);
        builder.start().await.unwrap()
    }
}

/// How often each of so many callbacks was called, and with which failures.
#[derive(Default)]
struct Calls {
    of_send: Mutex<Vec<usize>>,
    failures: Mutex<Vec<Failure>>,
}

impl Calls {
    fn start(producer: &Producer, sends: usize) -> Arc<Self> {
        let calls = Arc::new(Self::default());
        calls.of_send.lock().resize(sends, 0);
        for send in 0..sends {
            let told = Arc::clone(&calls);
            producer.send_with_callback(Message::new("orders", "hello"), move |outcome| {
                told.of_send.lock()[send] += 1;
                told.failures
                    .lock()
                    .extend(outcome.err().map(|it| it.failure()));
            });
        }
        calls
    }

    #[track_caller]
    fn assert_each_once(&self, sends: usize) {
        assert_eq!(*self.of_send.lock(), vec![1; sends]);
    }
}

#[test]
fn each_of_2000_callbacks_is_called_once_when_the_runtime_is_dropped_in_mid_send() {
    // It accepts connections, for the kernel does, and never answers.
    let silent = TcpListener::bind(any_port()).unwrap();
    let servers = Servers::start(Some(silent.local_addr().unwrap()));
    let own = runtime();
    let (producer, calls) = own.block_on(async {
        let producer = servers.producer().await;
        let calls = Calls::start(&producer, 2000);
        while producer.gauges().open_sends < 2000 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        (producer, calls)
    });
    drop(own);
    calls.assert_each_once(2000);
    assert_eq!(*calls.failures.lock(), vec![Failure::Closed; 2000]);
    assert_eq!(producer.gauges().open_sends, 0);
}

#[test]
fn each_callback_is_called_once_when_the_producer_is_dropped_in_mid_send() {
    let silent = TcpListener::bind(any_port()).unwrap();
    let servers = Servers::start(Some(silent.local_addr().unwrap()));
    let own = runtime();
    let calls = own.block_on(async {
        let producer = servers.producer().await;
        Calls::start(&producer, 200)
    });
    own.block_on(async {
        while calls.of_send.lock().contains(&0) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    drop(own);
    calls.assert_each_once(200);
    assert_eq!(*calls.failures.lock(), vec![Failure::Closed; 200]);
}

#[test]
fn a_producer_that_was_started_on_one_runtime_sends_from_another() {
    let servers = Servers::start(None);
    let (own, other) = (runtime(), runtime());
    let producer = own.block_on(servers.producer());
    let sent = other.block_on(async {
        let first = producer.send(Message::new("orders", "hello")).await;
        let (told, outcome) = tokio::sync::oneshot::channel();
        producer.send_with_callback(Message::new("orders", "hello"), move |outcome| {
            // The test ends with the receiver.
            let _ = told.send(outcome);
        });
        (first, outcome.await.unwrap())
    });
    assert!(sent.0.is_ok() && sent.1.is_ok(), "{sent:?}");
    // What it keeps lives on its own runtime, not on the one that sent first.
    drop(other);
    own.block_on(producer.send(Message::new("orders", "hello")))
        .unwrap();
    own.block_on(producer.stop());
}

#[test]
fn a_producer_whose_runtime_is_gone_says_so_from_another() {
    let servers = Servers::start(None);
    let (own, other) = (runtime(), runtime());
    let producer = own.block_on(servers.producer());
    own.block_on(producer.send(Message::new("orders", "hello")))
        .unwrap();
    drop(own);
    let calls = other.block_on(async {
        let error = producer
            .send(Message::new("orders", "hello"))
            .await
            .unwrap_err();
        assert_eq!(error.failure(), Failure::NotRunning, "{error}");
        Calls::start(&producer, 10)
    });
    calls.assert_each_once(10);
    assert_eq!(*calls.failures.lock(), vec![Failure::NotRunning; 10]);
}

/// Panics at every event of a send.
#[derive(Debug, Default)]
struct Panics(AtomicUsize);

impl Observer<Event> for Panics {
    fn on(&self, event: Event) {
        if let Event::Call { .. } | Event::Attempt { .. } | Event::Done { .. } = event {
            self.0.fetch_add(1, Ordering::Relaxed);
            std::panic::resume_unwind(Box::new("an observer's mistake"));
        }
    }
}

#[test]
fn an_observer_that_panics_costs_no_send_and_no_callback() {
    let servers = Servers::start(None);
    let own = runtime();
    let panics = Arc::new(Panics::default());
    let (producer, calls) = own.block_on(async {
        let builder = Producer::builder("runtimes").name_servers(&*servers.address);
        let observer: Arc<dyn Observer<Event>> = Arc::clone(&panics) as _;
        let producer = builder.observer(observer).start().await.unwrap();
        producer
            .send(Message::new("orders", "hello"))
            .await
            .unwrap();
        producer
            .send_oneway(Message::new("orders", "hello"))
            .await
            .unwrap();
        let calls = Calls::start(&producer, 20);
        while calls.of_send.lock().contains(&0) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        producer.stop().await;
        (producer, calls)
    });
    calls.assert_each_once(20);
    assert!(calls.failures.lock().is_empty());
    assert_eq!(producer.gauges().open_sends, 0);
    assert!(
        panics.0.load(Ordering::Relaxed) > 0,
        "the observer was never asked"
    );
}
