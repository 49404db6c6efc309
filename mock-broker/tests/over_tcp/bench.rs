//! What the tests share: a broker, a client, and ears for both.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rmq_host::TokioHost;
use rmq_mock_broker::control::{Action, Match, Rule, RuleBook};
use rmq_mock_broker::event::Event;
use rmq_mock_broker::{Broker, Config, Disk};
use rmq_remoting::client::{CallError, ClientSettings, RemotingClient};
use rmq_remoting::command::{Command, HeaderForm, Language};
use rmq_remoting::event::Event as ClientEvent;
use rmq_remoting::frame::Speaker;
use rmq_remoting::header::WithBody;
use rmq_remoting::observe::{Name, Observer};
use rmq_remoting::request::{SendMessage, SendMessageV2};
use rmq_remoting::service::Unsupported;
use tokio::time::{Instant, sleep};

/// Longer than anything takes that is to happen.
pub(crate) const LONG: Duration = Duration::from_secs(10);

/// Long enough to see that nothing happens.
pub(crate) const SHORT: Duration = Duration::from_millis(300);

/// Keeps every event.
#[derive(Debug)]
pub(crate) struct Ears<E>(Mutex<Vec<E>>);

impl<E> Default for Ears<E> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<E: std::fmt::Debug + Send + Sync + 'static> Observer<E> for Ears<E> {
    fn on(&self, event: E) {
        self.0.lock().push(event);
    }
}

impl<E: Clone> Ears<E> {
    pub(crate) fn heard(&self) -> Vec<E> {
        self.0.lock().clone()
    }
}

/// Waits until something is so; fails the test if it does not become so.
pub(crate) async fn until(what: &str, mut so: impl FnMut() -> bool) {
    let end = Instant::now() + LONG;
    while !so() {
        assert!(Instant::now() < end, "never happened: {what}");
        sleep(Duration::from_millis(5)).await;
    }
}

pub(crate) fn any_port() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

pub(crate) fn speaker() -> Speaker {
    Speaker {
        form: HeaderForm::Json,
        language: Language::Java,
        version: 479,
    }
}

/// A broker with rules that can be added, and a client that talks to it.
pub(crate) struct Bench {
    pub(crate) broker: Broker,
    pub(crate) disk: Arc<Disk>,
    pub(crate) rules: Arc<RuleBook>,
    pub(crate) events: Arc<Ears<Event>>,
    pub(crate) client: RemotingClient,
    pub(crate) client_events: Arc<Ears<ClientEvent>>,
    pub(crate) at: Name,
}

/// A broker of its own on a free port, without name servers unless said.
pub(crate) fn config() -> Config {
    Config::new("broker-a", any_port())
}

pub(crate) async fn bench(config: Config) -> Bench {
    bench_on(config, Arc::new(Disk::new())).await
}

pub(crate) async fn bench_on(config: Config, disk: Arc<Disk>) -> Bench {
    let host = Arc::new(TokioHost::new());
    let (rules, events) = (Arc::new(RuleBook::new()), Arc::new(Ears::default()));
    let broker = Broker::start(
        Arc::clone(&host) as _,
        config,
        Arc::clone(&disk),
        Arc::clone(&rules) as _,
        Arc::clone(&events) as _,
    );
    let broker = broker.await.unwrap();
    let client_events = Arc::new(Ears::default());
    let client = RemotingClient::new(
        host,
        ClientSettings::new(speaker()),
        Arc::clone(&client_events) as _,
        Arc::new(Unsupported),
    );
    let at = broker.local_addr().to_string().into();
    Bench {
        broker,
        disk,
        rules,
        events,
        client,
        client_events,
        at,
    }
}

/// The header of an ordinary send.
pub(crate) fn header<'a>(topic: &'a str, properties: &'a str) -> SendMessage<'a> {
    SendMessage {
        producer_group: Some("group"),
        topic,
        default_topic: Some("TBW102"),
        default_topic_queue_nums: Some(4),
        queue_id: 0,
        sys_flag: 0,
        born_timestamp: 1_700_000_000_000,
        flag: 0,
        properties: Some(properties),
        reconsume_times: Some(0),
        unit_mode: false,
        max_reconsume_times: None,
        batch: false,
        broker_name: Some("broker-a"),
    }
}

impl Bench {
    /// From now on every send is treated so.
    pub(crate) fn on_sends(&self, then: Action) {
        let sends = Match {
            code: Some(310),
            ..Match::default()
        };
        self.rules.add(Rule::new("rule", sends, then));
    }

    /// Sends the message with this key to `TopicTest`.
    pub(crate) async fn send(&self, key: &str, within: Duration) -> Result<Command, CallError> {
        let properties = format!("UNIQ_KEY\u{1}{key}\u{2}");
        self.send_as(header("TopicTest", &properties), within).await
    }

    pub(crate) async fn send_as(
        &self,
        header: SendMessage<'_>,
        within: Duration,
    ) -> Result<Command, CallError> {
        let request = WithBody {
            header: SendMessageV2(header),
            body: b"hello",
        };
        self.client
            .call(&self.at, &request, Instant::now() + within)
            .await
    }

    /// Keys in the ledger, and whether each was answered.
    pub(crate) fn ledger(&self) -> Vec<(String, bool)> {
        let entries = self.disk.ledger();
        entries
            .iter()
            .map(|entry| (entry.key.to_string(), entry.answered))
            .collect()
    }

    /// How many answers matched no request.
    pub(crate) fn late(&self) -> usize {
        let events = self.client_events.heard();
        events
            .iter()
            .filter(|event| matches!(event, ClientEvent::Late { .. }))
            .count()
    }
}
