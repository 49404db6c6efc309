//! How a broker makes itself known: one connection to each name server, a full registration
//! regularly, a small one for each new topic, and an unregistration at the end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use parking_lot::Mutex;
use rmq_remoting::client::{CallError, RemotingClient};
use rmq_remoting::code::response;
use rmq_remoting::command::Command;
use rmq_remoting::header::WithBody;
use rmq_remoting::observe::{Name, Observer};
use rmq_remoting::request::{RegisterBroker, UnregisterBroker};
use rmq_remoting::topic::{DataVersion, TopicConfig, perm};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::config::Config;
use crate::disk::Disk;
use crate::event::Event;
use crate::full_body::{Body, FullBody};
use crate::topic::Topics;

/// How long one name server may take to answer the unregistration.
const UNREGISTER_TIMEOUT: Duration = Duration::from_secs(3);

/// The broker's side of its name servers.
#[derive(Debug)]
pub(crate) struct Registrar {
    servers: Vec<NameServer>,
    client: RemotingClient,
    config: Arc<Config>,
    disk: Arc<Disk>,
    observer: Arc<dyn Observer<Event>>,
    /// The real one is known once the broker listens.
    address: Mutex<Arc<Address>>,
    full: Mutex<FullBody>,
    first_done: Notify,
    /// How often all of it had to be said again at once.
    renewals: AtomicU64,
    renewed: Notify,
}

/// A broker's registration, for whoever changes what it says while the broker runs.
#[derive(Debug, Clone)]
pub struct Registration(pub(crate) Arc<Registrar>);

impl Registration {
    /// Registers everything again with every name server, now.
    pub fn renew(&self) {
        self.0.renewals.fetch_add(1, Ordering::Relaxed);
        self.0.renewed.notify_waiters();
    }
}

/// The address the broker registers under, also as the texts that requests carry: a host name where
/// one is configured, since other machines may see another address behind it.
#[derive(Debug)]
struct Address {
    socket: SocketAddr,
    text: String,
    replication: String,
}

impl Address {
    fn of(socket: SocketAddr, name: Option<&str>) -> Self {
        let next = socket.port().wrapping_add(1);
        let (text, replication) = match name {
            Some(name) => (
                format!("{name}:{}", socket.port()),
                format!("{name}:{next}"),
            ),
            None => (
                socket.to_string(),
                SocketAddr::new(socket.ip(), next).to_string(),
            ),
        };
        Self {
            socket,
            text,
            replication,
        }
    }
}

/// What is known of one name server.
#[derive(Debug)]
struct NameServer {
    name: Name,
    /// Whether the last registration reached it.
    reached: AtomicBool,
    /// Whether the first registration has ended, however.
    tried: AtomicBool,
    /// The version that it was last sent one-way.
    sent: Mutex<Option<DataVersion>>,
    /// Whether its absence has been complained about.
    missed: AtomicBool,
}

impl Registrar {
    pub(crate) fn new(
        client: RemotingClient,
        config: Arc<Config>,
        disk: Arc<Disk>,
        observer: Arc<dyn Observer<Event>>,
    ) -> Self {
        let address = Address::of(config.listen, None);
        let server = |name: &Name| NameServer {
            name: Name::clone(name),
            reached: AtomicBool::new(false),
            tried: AtomicBool::new(false),
            sent: Mutex::new(None),
            missed: AtomicBool::new(false),
        };
        Self {
            servers: config.name_servers.iter().map(server).collect(),
            client,
            config,
            disk,
            observer,
            address: Mutex::new(Arc::new(address)),
            full: Mutex::default(),
            first_done: Notify::new(),
            renewals: AtomicU64::new(0),
            renewed: Notify::new(),
        }
    }

    /// Sets the address to register under, once the broker listens there.
    pub(crate) fn serve_at(&self, socket: SocketAddr) {
        let name = self.config.advertise_name.as_deref();
        *self.address.lock() = Arc::new(Address::of(socket, name));
    }

    /// The address to register under.
    pub(crate) fn socket(&self) -> SocketAddr {
        self.address.lock().socket
    }

    fn address(&self) -> Arc<Address> {
        Arc::clone(&self.address.lock())
    }

    /// Registers with one name server for as long as the broker lives.
    pub(crate) async fn keep_registered(self: Arc<Self>, index: usize) {
        let Some(server) = self.servers.get(index) else {
            return;
        };
        let mut next = Instant::now() + self.config.first_repeat_after;
        loop {
            let said = self.renewals.load(Ordering::Relaxed);
            let (body, _) = self.full_body();
            self.register(server, &body).await;
            server.tried.store(true, Ordering::Relaxed);
            self.first_done.notify_waiters();
            tokio::select! {
                biased;
                () = self.outdated(said) => {}
                () = sleep_until(next) => {
                    next = (next + self.config.register_every).max(Instant::now());
                }
            }
        }
    }

    /// Waits until there is a renewal that came after the first `said` ones.
    async fn outdated(&self, said: u64) {
        loop {
            let renewed = self.renewed.notified();
            if self.renewals.load(Ordering::Relaxed) > said {
                return;
            }
            renewed.await;
        }
    }

    /// Waits until the first registration with every name server has ended, however.
    pub(crate) async fn first_registrations(&self) {
        loop {
            let done = self.first_done.notified();
            if self
                .servers
                .iter()
                .all(|server| server.tried.load(Ordering::Relaxed))
            {
                return;
            }
            done.await;
        }
    }

    /// Makes a new or changed topic known to every name server that can be reached, in the way of
    /// the release.
    pub(crate) async fn make_known(&self, topic: &TopicConfig) {
        if self.config.profile.registers_incrementally() {
            self.announce(topic).await;
        } else {
            self.announce_all().await;
        }
    }

    /// Registers one topic, and waits for the answers: the way of 5.x.
    async fn announce(&self, topic: &TopicConfig) {
        let version = self.disk.with_topics(Topics::version);
        let body = Body::of_one(topic, version, self.permission());
        join_all(self.reached().map(|server| self.register(server, &body))).await;
    }

    /// Registers everything again, one-way: the way of 4.9. Topics that were made at once share one
    /// registration: what a name server was sent already is not sent to it again.
    async fn announce_all(&self) {
        let (body, version) = self.full_body();
        let deadline = Instant::now() + self.config.register_timeout;
        for server in self.reached() {
            if server.sent.lock().replace(version) == Some(version) {
                continue;
            }
            let address = self.address();
            let request = self.request(&address, &body);
            // Nobody waits for it, so nobody learns of its failure either.
            let _ = self
                .client
                .oneway(&server.name, &request, true, deadline)
                .await;
        }
    }

    /// Unregisters at each name server in turn.
    pub(crate) async fn unregister(&self) {
        for server in self.reached() {
            let address = self.address();
            let request = UnregisterBroker {
                broker_name: &self.config.name,
                broker_addr: &address.text,
                cluster_name: &self.config.cluster,
                broker_id: self.config.id,
            };
            let deadline = Instant::now() + UNREGISTER_TIMEOUT;
            if self
                .client
                .call(&server.name, &request, deadline)
                .await
                .is_ok()
            {
                let name_server = Name::clone(&server.name);
                self.observer.on(Event::Unregistered { name_server });
            }
        }
    }

    /// Ends the connections to the name servers.
    pub(crate) async fn close(&self) {
        self.client.stop().await;
    }

    fn reached(&self) -> impl Iterator<Item = &NameServer> {
        self.servers
            .iter()
            .filter(|server| server.reached.load(Ordering::Relaxed))
    }

    async fn register(&self, server: &NameServer, body: &Body) {
        let deadline = Instant::now() + self.config.register_timeout;
        let address = self.address();
        let request = self.request(&address, body);
        let answer = self.client.call(&server.name, &request, deadline).await;
        let accepted = answer
            .as_ref()
            .is_ok_and(|answer| answer.code == response::SUCCESS);
        server.note(&answer);
        let name_server = Name::clone(&server.name);
        self.observer.on(Event::Registered {
            name_server,
            accepted,
        });
    }

    fn request<'a>(
        &'a self,
        address: &'a Address,
        body: &'a Body,
    ) -> WithBody<'a, RegisterBroker<'a>> {
        let header = RegisterBroker {
            broker_name: &self.config.name,
            broker_addr: &address.text,
            cluster_name: &self.config.cluster,
            ha_server_addr: Some(&address.replication),
            broker_id: self.config.id,
            heartbeat_timeout_millis: None,
            enable_acting_master: self
                .config
                .profile
                .registers_incrementally()
                .then_some(false),
            compressed: false,
            body_crc32: Some(body.checksum),
            zone_name: None,
        };
        WithBody {
            header,
            body: &body.bytes,
        }
    }

    /// The body with all topics, and their version.
    fn full_body(&self) -> (Body, DataVersion) {
        let mut full = self.full.lock();
        let mask = self.permission();
        self.disk.with_topics(|topics| {
            let version = topics.version();
            (full.at(version, topics.iter(), mask).0, version)
        })
    }

    /// Which permissions of its topics the broker makes known.
    fn permission(&self) -> i32 {
        match self.disk.contents().read_only {
            true => !perm::WRITE,
            false => !0,
        }
    }
}

impl NameServer {
    /// Notes how a registration ended, and complains once about each absence.
    fn note(&self, answer: &Result<Command, CallError>) {
        let reached = match answer {
            // Connected but silent is still connected: the next topic waits for it.
            Ok(_) | Err(CallError::TimedOut { .. }) => true,
            Err(_) => false,
        };
        self.reached.store(reached, Ordering::Relaxed);
        match answer {
            Ok(answer) if answer.code == response::SUCCESS => {
                if self.missed.swap(false, Ordering::Relaxed) {
                    tracing::info!("name server {} is back", self.name);
                }
            }
            Ok(answer) => {
                let remark = answer.remark.as_deref().unwrap_or_default();
                tracing::warn!(
                    "name server {} refuses: {} {}",
                    self.name,
                    answer.code,
                    remark.escape_debug()
                );
            }
            Err(error) => {
                if !self.missed.swap(true, Ordering::Relaxed) {
                    tracing::warn!(
                        "not registered with name server {}: {error}; is it running there? \
                         The broker keeps trying",
                        self.name
                    );
                }
            }
        }
    }
}
