//! The name server on a real port: what brokers and clients get, and what rules do to them.

#![expect(
    clippy::unwrap_used,
    reason = "a failed step fails the test, and helpers are part of the test"
)]

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rmq_host::TokioHost;
use rmq_mock_namesrv::control::{Action, Match, RouteAlteration, Rule, RuleBook};
use rmq_mock_namesrv::event::{Event, RemovalCause};
use rmq_mock_namesrv::{Config, NameServer, Profile};
use rmq_remoting::body;
use rmq_remoting::client::{CallError, ClientSettings, RemotingClient};
use rmq_remoting::command::{Command, HeaderForm, Language};
use rmq_remoting::frame::Speaker;
use rmq_remoting::header::{Request, WithBody};
use rmq_remoting::observe::{Name, Observer, Silent};
use rmq_remoting::request::r103_register_broker::TopicConfigWrapper;
use rmq_remoting::request::{
    GetBrokerClusterInfo, GetRouteInfoByTopic, RegisterBroker, RegisterBrokerBody, UnregisterBroker,
};
use rmq_remoting::route::{ClusterInfo, TopicRouteData};
use rmq_remoting::service::Unsupported;
use rmq_remoting::topic::TopicConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

/// Longer than anything takes that is to happen.
const LONG: Duration = Duration::from_secs(10);

/// Keeps every event.
#[derive(Debug, Default)]
struct Ears(Mutex<Vec<Event>>);

impl Observer<Event> for Ears {
    fn on(&self, event: Event) {
        self.0.lock().push(event);
    }
}

struct Bench {
    server: NameServer,
    rules: Arc<RuleBook>,
    events: Arc<Ears>,
    at: Name,
}

fn config() -> Config {
    Config::new(([127, 0, 0, 1], 0).into())
}

async fn bench(config: Config) -> Bench {
    let (rules, events) = (Arc::new(RuleBook::new()), Arc::new(Ears::default()));
    let host = Arc::new(TokioHost::new());
    let server = NameServer::start(
        host,
        config,
        Arc::clone(&rules) as _,
        Arc::clone(&events) as _,
    );
    let server = server.await.unwrap();
    let at = server.local_addr().to_string().into();
    Bench {
        server,
        rules,
        events,
        at,
    }
}

/// A client on a connection of its own.
fn client() -> RemotingClient {
    let speaker = Speaker {
        form: HeaderForm::Json,
        language: Language::Java,
        version: 479,
    };
    RemotingClient::new(
        Arc::new(TokioHost::new()),
        ClientSettings::new(speaker),
        Arc::new(Silent),
        Arc::new(Unsupported),
    )
}

impl Bench {
    async fn call(
        &self,
        client: &RemotingClient,
        request: &dyn Request,
        within: Duration,
    ) -> Result<Command, CallError> {
        client
            .call(&self.at, request, Instant::now() + within)
            .await
    }

    /// `broker-a` registers with two topics.
    async fn register(&self, client: &RemotingClient, timeout: Option<i64>) {
        let registered = self.registration(client, timeout).await;
        assert_eq!(registered.unwrap().code, 0);
    }

    async fn registration(
        &self,
        client: &RemotingClient,
        timeout: Option<i64>,
    ) -> Result<Command, CallError> {
        let topics = ["T1", "T2"].map(|t| (t.into(), TopicConfig::new(t.into(), 4, 6)));
        let body = RegisterBrokerBody {
            topic_config_serialize_wrapper: TopicConfigWrapper {
                topic_config_table: topics.into(),
                ..TopicConfigWrapper::default()
            },
            ..RegisterBrokerBody::default()
        };
        let body = body.encode();
        let header = RegisterBroker {
            broker_name: "broker-a",
            broker_addr: "10.0.0.1:10911",
            cluster_name: "c",
            ha_server_addr: Some("10.0.0.1:10912"),
            broker_id: 0,
            heartbeat_timeout_millis: timeout,
            enable_acting_master: Some(false),
            compressed: false,
            body_crc32: Some(body::checksum(&body)),
            zone_name: None,
        };
        let request = WithBody {
            header,
            body: &body,
        };
        self.call(client, &request, LONG).await
    }

    async fn route(&self, client: &RemotingClient, within: Duration) -> Result<Command, CallError> {
        let request = GetRouteInfoByTopic {
            topic: "T1",
            accept_standard_json_only: None,
        };
        self.call(client, &request, within).await
    }

    async fn until_route_is(&self, client: &RemotingClient, code: i32) {
        let end = Instant::now() + LONG;
        while self.route(client, LONG).await.unwrap().code != code {
            assert!(Instant::now() < end, "the route never became {code}");
            sleep(Duration::from_millis(5)).await;
        }
    }

    fn removed(&self) -> Vec<RemovalCause> {
        let events = self.events.0.lock();
        let cause = |event: &Event| match event {
            Event::BrokerRemoved { cause, .. } => Some(*cause),
            _ => None,
        };
        events.iter().filter_map(cause).collect()
    }

    fn on_routes(&self, then: Action) {
        let routes = Match {
            code: Some(105),
            ..Match::default()
        };
        self.rules.add(Rule::new("rule", routes, then));
    }
}

fn unregister() -> UnregisterBroker<'static> {
    UnregisterBroker {
        broker_name: "broker-a",
        broker_addr: "10.0.0.1:10911",
        cluster_name: "c",
        broker_id: 0,
    }
}

#[tokio::test]
async fn a_registered_broker_is_in_route_and_cluster_until_it_leaves() {
    for profile in [Profile::V5_3_3, Profile::V4_9_7] {
        let bench = bench(config().profile(profile)).await;
        let (broker, client) = (client(), client());
        assert_eq!(bench.route(&client, LONG).await.unwrap().code, 17);
        bench.register(&broker, None).await;
        let route = bench.route(&client, LONG).await.unwrap();
        let route = TopicRouteData::decode(&route.body).unwrap();
        assert_eq!(&**route.broker_datas[0].master().unwrap(), "10.0.0.1:10911");
        let info = bench
            .call(&client, &GetBrokerClusterInfo, LONG)
            .await
            .unwrap();
        let info = ClusterInfo::decode(&info.body).unwrap();
        assert_eq!(info.cluster_addr_table["c"], ["broker-a".into()]);
        assert_eq!(
            bench.call(&broker, &unregister(), LONG).await.unwrap().code,
            0
        );
        bench.until_route_is(&client, 17).await;
        assert_eq!(bench.removed(), [RemovalCause::Unregistered]);
    }
}

#[tokio::test]
async fn a_broker_goes_with_its_connection() {
    let bench = bench(config()).await;
    let (broker, client) = (client(), client());
    bench.register(&broker, None).await;
    broker.stop().await;
    bench.until_route_is(&client, 17).await;
    assert_eq!(bench.removed(), [RemovalCause::ConnectionClosed]);
}

#[tokio::test]
async fn a_silent_broker_goes_after_its_limit_and_its_connection_is_closed() {
    let bench = bench(Config {
        scan_every: Duration::from_millis(20),
        ..config()
    })
    .await;
    let (broker, client) = (client(), client());
    bench.register(&broker, Some(100)).await;
    bench.until_route_is(&client, 17).await;
    assert_eq!(bench.removed(), [RemovalCause::TimedOut]);
    let end = Instant::now() + LONG;
    while broker.gauges().connections > 0 {
        assert!(
            Instant::now() < end,
            "the silent broker's connection stays open"
        );
        sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn the_events_tell_what_changed() {
    let bench = bench(config()).await;
    let broker = client();
    bench.register(&broker, None).await;
    let events = bench.events.0.lock().clone();
    let added = |event: &Event| matches!(event, Event::BrokerAdded { id: 0, .. });
    assert!(events.iter().any(added), "{events:?}");
    let queues = vec![("broker-a".into(), 4)];
    let changed = Event::RouteChanged {
        topic: "T1".into(),
        write_queues: queues,
    };
    assert!(events.contains(&changed), "{events:?}");
}

#[tokio::test]
async fn a_rule_answers_instead() {
    let bench = bench(config()).await;
    bench.on_routes(Action::Answer {
        code: 1,
        remark: Some("not ready".into()),
    });
    let answer = bench.route(&client(), LONG).await.unwrap();
    assert_eq!(
        (answer.code, answer.remark.as_deref()),
        (1, Some("not ready"))
    );
    let ruled = |event: &Event| matches!(event, Event::Ruled { rule, .. } if &**rule == "rule");
    assert!(bench.events.0.lock().iter().any(ruled));
}

#[tokio::test]
async fn a_rule_delays_the_answer_as_it_was_when_asked() {
    let bench = bench(config()).await;
    bench.on_routes(Action::DelayReply { ms: 100 });
    let (broker, client) = (client(), client());
    let began = Instant::now();
    let (route, ()) = tokio::join!(biased; bench.route(&client, LONG), async {
        sleep(Duration::from_millis(30)).await;
        bench.register(&broker, None).await;
    });
    assert_eq!(route.unwrap().code, 17);
    assert!(began.elapsed() >= Duration::from_millis(100));
}

#[tokio::test]
async fn a_rule_delays_the_request_which_is_answered_as_it_is_by_then() {
    let bench = bench(config()).await;
    bench.on_routes(Action::delay(100));
    let (broker, client) = (client(), client());
    let (route, ()) = tokio::join!(biased; bench.route(&client, LONG), async {
        sleep(Duration::from_millis(30)).await;
        bench.register(&broker, None).await;
    });
    assert_eq!(route.unwrap().code, 0);
}

#[tokio::test]
async fn a_rule_leaves_the_only_broker_out_and_there_is_no_route() {
    let bench = bench(config()).await;
    let (broker, client) = (client(), client());
    bench.register(&broker, None).await;
    let broker = "broker-a".into();
    bench.on_routes(Action::Alter {
        how: RouteAlteration::Without { broker },
    });
    assert_eq!(bench.route(&client, LONG).await.unwrap().code, 17);
}

#[tokio::test]
async fn a_stale_route_is_that_of_the_tables_that_were_kept() {
    let bench = bench(config()).await;
    bench.server.memory().keep(7);
    let (broker, client) = (client(), client());
    bench.register(&broker, None).await;
    let stale = |kept| Action::Alter {
        how: RouteAlteration::Stale { kept },
    };
    bench.on_routes(stale(8));
    let now = bench.route(&client, LONG).await.unwrap();
    assert_eq!(now.code, 0, "nothing was kept under 8");
    bench.rules.replace(RuleBook::new());
    bench.on_routes(stale(7));
    assert_eq!(bench.route(&client, LONG).await.unwrap().code, 17);
}

#[tokio::test]
async fn a_registration_whose_connection_is_closed_after_it_has_taken_place() {
    let bench = bench(config()).await;
    let when = Match {
        code: Some(103),
        ..Match::default()
    };
    let close = Rule::new("close", when, Action::CloseAfter);
    bench.rules.add(close);
    let registered = bench.registration(&client(), None).await;
    assert!(
        matches!(registered, Err(CallError::Lost { .. })),
        "{registered:?}"
    );
    let added = |event: &Event| matches!(event, Event::BrokerAdded { .. });
    assert!(bench.events.0.lock().iter().any(added));
}

#[tokio::test]
async fn a_rule_keeps_silent() {
    let bench = bench(config()).await;
    bench.on_routes(Action::DropRequest);
    let silent = bench.route(&client(), Duration::from_millis(200)).await;
    assert!(
        matches!(silent, Err(CallError::TimedOut { .. })),
        "{silent:?}"
    );
}

#[tokio::test]
async fn a_rule_closes_the_connection() {
    let bench = bench(config()).await;
    bench.on_routes(Action::CloseBefore);
    let closed = bench.route(&client(), LONG).await;
    assert!(matches!(closed, Err(CallError::Lost { .. })), "{closed:?}");
}

#[tokio::test]
async fn bad_input_closes_that_connection_and_nothing_else() {
    let bench = bench(config()).await;
    let client = client();
    bench.route(&client, LONG).await.unwrap();
    for bad in [
        &b"\xff\xff\xff\xffand so on"[..],
        b"\0\0\0\x04\0\0\0\0and so on",
        b"\0\0\0\x0a\x02\0\0\x06abcdef",
    ] {
        let mut stream = TcpStream::connect(bench.server.local_addr()).await.unwrap();
        stream.write_all(bad).await.unwrap();
        assert_eq!(stream.read(&mut [0; 16]).await.unwrap_or(0), 0, "{bad:?}");
    }
    bench.route(&client, LONG).await.unwrap();
    let accepted = |event: &&Event| matches!(event, Event::Accepted { .. });
    let count = bench.events.0.lock().iter().filter(accepted).count();
    assert_eq!(count, 4, "the client kept its connection");
}

#[tokio::test]
async fn a_port_in_use_is_an_error() {
    let bench = bench(config()).await;
    let host = Arc::new(TokioHost::new());
    let taken = Config::new(bench.server.local_addr());
    let second = NameServer::start(host, taken, Arc::new(RuleBook::new()), Arc::new(Silent)).await;
    assert_eq!(second.unwrap_err().kind(), std::io::ErrorKind::AddrInUse);
}
