//! A cluster on the loopback interface that does what a test's script says.
//!
//! The laboratory proves the producer against full mocks in virtual time. These few servers let
//! the crate's own tests see it work over real TCP, without depending on the laboratory.

#![expect(clippy::unwrap_used, reason = "a test whose servers fail has failed")]

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rmq_host::BoxFuture;
use rmq_host::TokioHost;
use rmq_producer::event::Event;
use rmq_producer::{Producer, ProducerBuilder};
use rmq_remoting::code::{request, response};
use rmq_remoting::command::{Command, HeaderForm, Language};
use rmq_remoting::frame::Speaker;
use rmq_remoting::observe::{Name, Observer};
use rmq_remoting::request::{GetRouteInfoByTopic, SendMessageResponse, SendMessageV2};
use rmq_remoting::route::{BrokerData, QueueData, RouteForm, TopicRouteData};
use rmq_remoting::server::{Server, ServerSettings};
use rmq_remoting::service::{Answer, Peer, Reply, Response, Service};

const SPEAKER: Speaker = Speaker {
    form: HeaderForm::Json,
    language: Language::Java,
    version: 479,
};

/// Remembers every event of a producer, in order.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    events: Mutex<Vec<Event>>,
}

impl Observer<Event> for Recorder {
    fn on(&self, event: Event) {
        self.events.lock().push(event);
    }
}

impl Recorder {
    pub(crate) fn count(&self, wanted: impl Fn(&Event) -> bool) -> usize {
        self.events
            .lock()
            .iter()
            .filter(|event| wanted(event))
            .count()
    }
}

/// A send as a broker saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) topic: String,
    pub(crate) queue: i32,
    pub(crate) broker: String,
    pub(crate) default_topic: String,
    pub(crate) properties: String,
    pub(crate) oneway: bool,
}

/// What a broker does with each send.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Script {
    Store,
    StoreAfter(Duration),
    Refuse(i32),
    /// Announces its shutdown on the connection that the next send comes over, and stores what
    /// comes over others.
    Drain,
    Silent,
    Close,
    /// Code 0 without the fields that say where the message is.
    Unreadable,
    /// Code 0, with a place where no message is.
    StoreAt(i32, i64),
    /// Refuses with these words, as the check of credentials does.
    Deny(i32, &'static str),
}

#[derive(Debug)]
struct Node {
    script: Mutex<Script>,
    seen: Mutex<Vec<Seen>>,
    /// Every request that arrived.
    asked: Mutex<Vec<Command>>,
    routes: Mutex<BTreeMap<String, TopicRouteData>>,
    /// What every question for a route is answered with, instead.
    says: Mutex<Option<String>>,
    route_delay: Mutex<Option<Duration>>,
    /// The peer of the connection that drains.
    drains: Mutex<Option<SocketAddr>>,
}

impl Service for Node {
    fn serve(&self, peer: &Peer, request: Command) -> Reply {
        self.asked.lock().push(request.clone());
        match request.code {
            request::SEND_MESSAGE_V2 => self.send(peer, &request),
            request::GET_ROUTEINFO_BY_TOPIC => self.route(&request),
            _ => Response::new(response::SUCCESS).into(),
        }
    }
}

fn later(delay: Duration, response: Response) -> Reply {
    let answer: BoxFuture<'static, Answer> = Box::pin(async move {
        tokio::time::sleep(delay).await;
        response.into()
    });
    Reply::Later(answer)
}

impl Node {
    fn send(&self, peer: &Peer, request: &Command) -> Reply {
        let SendMessageV2(header) = request.header().unwrap();
        let offset = i64::try_from(self.seen.lock().len()).unwrap();
        let stored = Response::new(response::SUCCESS).header(SendMessageResponse {
            msg_id: "OFFSET-ID".into(),
            queue_id: header.queue_id,
            queue_offset: offset,
            ..SendMessageResponse::default()
        });
        self.seen.lock().push(Seen {
            topic: header.topic.to_owned(),
            queue: header.queue_id,
            broker: header.broker_name.unwrap_or_default().to_owned(),
            default_topic: header.default_topic.unwrap_or_default().to_owned(),
            properties: header.properties.unwrap_or_default().to_owned(),
            oneway: request.is_oneway(),
        });
        let script = *self.script.lock();
        match script {
            Script::Drain
                if *self.drains.lock().get_or_insert(peer.address()) == peer.address() =>
            {
                Response::refuse(response::GO_AWAY, "as the test wants").into()
            }
            Script::Store | Script::Drain => stored.into(),
            Script::StoreAfter(delay) => later(delay, stored),
            Script::Refuse(code) => Response::refuse(code, "as the test wants").into(),
            Script::Silent => Reply::Now(Answer::Nothing),
            Script::Close => Reply::Now(Answer::Close),
            Script::Unreadable => Response::new(response::SUCCESS).into(),
            Script::StoreAt(queue_id, queue_offset) => Response::new(response::SUCCESS)
                .header(SendMessageResponse {
                    queue_id,
                    queue_offset,
                    ..SendMessageResponse::default()
                })
                .into(),
            Script::Deny(code, remark) => Response::refuse(code, remark).into(),
        }
    }

    fn route(&self, request: &Command) -> Reply {
        let header: GetRouteInfoByTopic<'_> = request.header().unwrap();
        if let Some(body) = self.says.lock().clone() {
            return Response::new(response::SUCCESS).body(body).into();
        }
        let response = match self.routes.lock().get(header.topic) {
            Some(route) => Response::new(response::SUCCESS).body(route.encode(RouteForm::Standard)),
            None => Response::refuse(response::TOPIC_NOT_EXIST, "No topic route info"),
        };
        match *self.route_delay.lock() {
            Some(delay) => later(delay, response),
            None => response.into(),
        }
    }
}

/// A server of the test.
pub(crate) struct Running {
    node: Arc<Node>,
    server: Option<Server>,
    pub(crate) address: String,
}

impl Running {
    async fn start() -> Self {
        Self::start_at(0).await.unwrap()
    }

    /// None if the port is taken.
    async fn start_at(port: u16) -> Option<Self> {
        let node = Arc::new(Node {
            script: Mutex::new(Script::Store),
            seen: Mutex::default(),
            asked: Mutex::default(),
            routes: Mutex::default(),
            says: Mutex::default(),
            route_delay: Mutex::default(),
            drains: Mutex::default(),
        });
        let host = Arc::new(TokioHost::new());
        let at = (Ipv4Addr::LOCALHOST, port).into();
        let settings = ServerSettings::new(SPEAKER);
        let service = Arc::clone(&node) as Arc<dyn Service>;
        let server = Server::start(host, at, settings, service).await.ok()?;
        Some(Self {
            address: server.local_addr().to_string(),
            server: Some(server),
            node,
        })
    }

    pub(crate) fn does(&self, script: Script) {
        *self.node.script.lock() = script;
    }

    pub(crate) fn kill(&mut self) {
        self.server = None;
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.node.seen.lock().clone()
    }

    pub(crate) fn requests(&self, code: i32) -> usize {
        self.asked(code).len()
    }

    /// The requests of a code, in the order in which they arrived.
    pub(crate) fn asked(&self, code: i32) -> Vec<Command> {
        let asked = self.node.asked.lock();
        let of_code = asked.iter().filter(|request| request.code == code);
        of_code.cloned().collect()
    }

    pub(crate) fn answers_routes_after(&self, delay: Duration) {
        *self.node.route_delay.lock() = Some(delay);
    }

    pub(crate) fn knows(&self, topic: &str, route: TopicRouteData) {
        self.node.routes.lock().insert(topic.to_owned(), route);
    }

    /// Answers every question for a route with this body.
    pub(crate) fn says(&self, body: &str) {
        *self.node.says.lock() = Some(body.to_owned());
    }

    pub(crate) fn forgets(&self, topic: &str) {
        self.node.routes.lock().remove(topic);
    }
}

/// One name server, and brokers `broker-a`, `broker-b`, … that it knows.
pub(crate) struct Cluster {
    pub(crate) name_server: Running,
    pub(crate) brokers: Vec<Running>,
    pub(crate) events: Arc<Recorder>,
}

impl Cluster {
    /// A cluster in which `topic` has `queues` queues on each broker.
    pub(crate) async fn start(brokers: usize, topic: &str, queues: i32) -> Self {
        let mut running = Vec::new();
        for _ in 0..brokers {
            running.push(Running::start().await);
        }
        let cluster = Self {
            name_server: Running::start().await,
            brokers: running,
            events: Arc::default(),
        };
        cluster.publish(&cluster.name_server, topic, queues);
        cluster
    }

    /// Makes a name server know a topic.
    pub(crate) fn publish(&self, name_server: &Running, topic: &str, queues: i32) {
        let mut route = TopicRouteData::default();
        for (name, broker) in ["broker-a", "broker-b", "broker-c"]
            .iter()
            .zip(&self.brokers)
        {
            let name = Name::from(*name);
            route.queue_datas.push(QueueData {
                broker_name: Arc::clone(&name),
                read_queue_nums: queues,
                write_queue_nums: queues,
                perm: 6,
                topic_sys_flag: 0,
            });
            route.broker_datas.push(BrokerData {
                broker_addrs: [(0, broker.address.as_str().into())].into(),
                broker_name: name,
                ..BrokerData::default()
            });
        }
        name_server.knows(topic, route);
    }

    /// A cluster of one broker, and the broker's second port. Another program may have the port
    /// that is two below a free one: then another broker is tried.
    pub(crate) async fn with_second_port(topic: &str) -> (Self, Running) {
        loop {
            let cluster = Self::start(1, topic, 1).await;
            let (_, port) = cluster.brokers[0].address.rsplit_once(':').unwrap();
            let second = port.parse::<u16>().unwrap() - 2;
            if let Some(second) = Running::start_at(second).await {
                return (cluster, second);
            }
        }
    }

    /// A second name server that knows nothing.
    pub(crate) async fn another_name_server() -> Running {
        Running::start().await
    }

    pub(crate) fn producer(&self) -> ProducerBuilder {
        Producer::builder("test-group")
            .name_servers(self.name_server.address.as_str())
            .observer(Arc::clone(&self.events) as Arc<dyn Observer<Event>>)
            .rotation_start(0)
    }
}
