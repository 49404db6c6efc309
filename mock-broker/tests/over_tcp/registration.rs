//! How a broker makes itself known, against a name server that only listens.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::bench::{LONG, any_port, bench, config, header, speaker, until};
use parking_lot::Mutex;
use rmq_host::TokioHost;
use rmq_mock_broker::event::Event;
use rmq_mock_broker::{Config, Profile};
use rmq_remoting::code::request;
use rmq_remoting::command::Command;
use rmq_remoting::request::{RegisterBroker, RegisterBrokerBody};
use rmq_remoting::server::{Server, ServerSettings};
use rmq_remoting::service::{Answer, Peer, Reply, Response, Service};
use tokio::time::{sleep, timeout};

/// What a name server heard: the code, and how many topics a registration had.
type Heard = (i32, usize);

/// A name server that notes what it hears.
#[derive(Debug, Default)]
struct Ear {
    heard: Mutex<Vec<Heard>>,
    peers: Mutex<Vec<SocketAddr>>,
    /// Whether registrations with one topic get no answer.
    deaf_to_one: bool,
}

impl Service for Ear {
    fn serve(&self, peer: &Peer, request: Command) -> Reply {
        let topics = if request.code == request::REGISTER_BROKER {
            let header: RegisterBroker<'_> = request.header().unwrap();
            assert_eq!(
                header.body_crc32,
                Some(rmq_remoting::body::checksum(&request.body))
            );
            let body = RegisterBrokerBody::decode(&request.body, false).unwrap();
            body.topic_config_serialize_wrapper.topic_config_table.len()
        } else {
            0
        };
        self.heard.lock().push((request.code, topics));
        self.peers.lock().push(peer.address());
        if self.deaf_to_one && topics == 1 {
            return Reply::Now(Answer::Nothing);
        }
        Response::new(0).into()
    }
}

impl Ear {
    fn heard(&self) -> Vec<Heard> {
        self.heard.lock().clone()
    }
}

async fn listen(ear: &Arc<Ear>) -> Server {
    let host = Arc::new(TokioHost::new());
    let settings = ServerSettings::new(speaker());
    Server::start(host, any_port(), settings, Arc::clone(ear) as _)
        .await
        .unwrap()
}

fn known_to(server: &Server) -> Config {
    Config {
        name_servers: vec![server.local_addr().to_string().into()],
        ..config()
    }
}

const FIRST: Heard = (request::REGISTER_BROKER, 13);
const ONE: Heard = (request::REGISTER_BROKER, 1);
const UNREGISTER: Heard = (request::UNREGISTER_BROKER, 0);

#[tokio::test]
async fn the_first_registration_carries_the_system_topics() {
    let ear = Arc::new(Ear::default());
    let server = listen(&ear).await;
    let bench = bench(known_to(&server)).await;
    bench.broker.registered().await;
    assert_eq!(ear.heard(), [FIRST]);
    let accepted = |event: &Event| matches!(event, Event::Registered { accepted: true, .. });
    assert!(bench.events.heard().iter().any(accepted));
}

#[tokio::test]
async fn it_registers_again_and_again_over_one_connection() {
    let ear = Arc::new(Ear::default());
    let server = listen(&ear).await;
    let often = Duration::from_millis(30);
    let config = Config {
        first_repeat_after: often,
        register_every: often,
        ..known_to(&server)
    };
    let _bench = bench(config).await;
    until("three registrations", || ear.heard().len() >= 3).await;
    let peers = ear.peers.lock().clone();
    assert!(peers.iter().all(|peer| *peer == peers[0]), "{peers:?}");
}

#[tokio::test]
async fn a_new_topic_is_registered_alone_before_its_first_send_is_answered() {
    let ear = Arc::new(Ear::default());
    let server = listen(&ear).await;
    let bench = bench(known_to(&server)).await;
    bench.broker.registered().await;
    assert_eq!(
        bench.send_as(header("made", ""), LONG).await.unwrap().code,
        0
    );
    assert_eq!(ear.heard(), [FIRST, ONE]);
    assert_eq!(
        bench.send_as(header("made", ""), LONG).await.unwrap().code,
        0
    );
    assert_eq!(ear.heard(), [FIRST, ONE]);
}

#[tokio::test]
async fn a_name_server_that_is_connected_and_silent_holds_up_the_first_send_of_a_new_topic() {
    let ear = Arc::new(Ear {
        deaf_to_one: true,
        ..Ear::default()
    });
    let server = listen(&ear).await;
    let limit = Duration::from_millis(300);
    let bench = bench(Config {
        register_timeout: limit,
        ..known_to(&server)
    })
    .await;
    bench.broker.registered().await;
    let early = timeout(limit / 2, bench.send_as(header("made", ""), LONG)).await;
    assert!(
        early.is_err(),
        "answered before the name server's time was up"
    );
    assert_eq!(bench.disk.ledger().len(), 0);
    until("stored when the time is up", || {
        bench.disk.ledger().len() == 1
    })
    .await;
}

#[tokio::test]
async fn an_unreachable_name_server_holds_up_nothing_and_is_tried_again() {
    let ear = Arc::new(Ear::default());
    let server = listen(&ear).await;
    let config = Config {
        first_repeat_after: Duration::from_millis(100),
        ..known_to(&server)
    };
    let at = server.local_addr();
    drop(server);
    let bench = bench(config).await;
    bench.broker.registered().await;
    let refused = |event: &Event| {
        matches!(
            event,
            Event::Registered {
                accepted: false,
                ..
            }
        )
    };
    assert!(bench.events.heard().iter().any(refused));
    assert_eq!(
        bench.send_as(header("made", ""), LONG).await.unwrap().code,
        0
    );
    let host = Arc::new(TokioHost::new());
    let settings = ServerSettings::new(speaker());
    let _server = Server::start(host, at, settings, Arc::clone(&ear) as _)
        .await
        .unwrap();
    until("registered at last", || {
        ear.heard() == [(request::REGISTER_BROKER, 14)]
    })
    .await;
}

#[tokio::test]
async fn version_5_leaves_its_name_servers_before_it_closes() {
    let ear = Arc::new(Ear::default());
    let server = listen(&ear).await;
    let bench = bench(known_to(&server)).await;
    bench.broker.registered().await;
    bench.send("K", LONG).await.unwrap();
    let at = bench.broker.local_addr();
    bench.broker.stop().await;
    assert_eq!(ear.heard().last(), Some(&UNREGISTER));
    assert!(
        tokio::net::TcpStream::connect(at).await.is_err(),
        "the port is closed"
    );
}

#[tokio::test]
async fn version_4_9_closes_before_it_leaves_and_registers_everything_for_a_new_topic() {
    let ear = Arc::new(Ear::default());
    let server = listen(&ear).await;
    let bench = bench(Config {
        profile: Profile::V4_9_7,
        ..known_to(&server)
    })
    .await;
    bench.broker.registered().await;
    bench.send_as(header("made", ""), LONG).await.unwrap();
    until("registered again", || {
        ear.heard() == [FIRST, (request::REGISTER_BROKER, 14)]
    })
    .await;
    bench.broker.stop().await;
    assert_eq!(ear.heard().last(), Some(&UNREGISTER));
}

#[tokio::test]
async fn a_dropped_broker_unregisters_nowhere() {
    let ear = Arc::new(Ear::default());
    let server = listen(&ear).await;
    let bench = bench(known_to(&server)).await;
    bench.broker.registered().await;
    let at = bench.broker.local_addr();
    drop(bench.broker);
    sleep(Duration::from_millis(100)).await;
    assert_eq!(ear.heard(), [FIRST]);
    assert!(
        tokio::net::TcpStream::connect(at).await.is_err(),
        "the port is closed"
    );
}
