//! One broker process: its port, its disk, and the tasks that keep it registered.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use rmq_host::{Host, SharedHost, Task};
use rmq_remoting::client::{ClientSettings, Patience, RemotingClient};
use rmq_remoting::command::Language;
use rmq_remoting::frame::Speaker;
use rmq_remoting::observe::{Name, Observer, Silent};
use rmq_remoting::server::{Server, ServerSettings};
use rmq_remoting::service::Unsupported;
use rmq_remoting::topic::{TopicConfig, perm};
use rmq_remoting::unique_id::UniqueIds;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::config::Config;
use crate::control::Control;
use crate::disk::Disk;
use crate::event::Event;
use crate::registrar::{Registrar, Registration};
use crate::service::Front;
use crate::state::Shared;
use crate::topic::Topics;

/// A running broker. Dropping it is a kill: nobody is told. [`Broker::stop`] is graceful.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// use rmq_mock_broker::Broker;
/// use rmq_mock_namesrv::NameServer;
///
/// let name_server = NameServer::on_loopback().await?;
/// let broker = Broker::on_loopback("broker-a", name_server.local_addr()).await?;
/// println!("it listens at {}, and the name server knows it", broker.local_addr());
/// broker.stop().await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Broker {
    server: Server,
    vip: Option<Server>,
    shared: Arc<Shared>,
    registering: Vec<Task>,
}

impl Broker {
    /// Starts a broker on `disk`: listens, then registers with its name servers. Returns as soon as
    /// it listens; [`Broker::registered`] waits for the rest.
    ///
    /// # Errors
    ///
    /// The address is in use or cannot be listened at. A name server that cannot be reached is no
    /// error; the broker keeps trying.
    pub async fn start(
        host: SharedHost,
        config: Config,
        disk: Arc<Disk>,
        control: Arc<dyn Control>,
        observer: Arc<dyn Observer<Event>>,
    ) -> io::Result<Self> {
        prepare(&disk, &config, host.unix_millis());
        let shared = Arc::new(share(&host, config, disk, control, observer));
        let config = &shared.config;
        let settings = ServerSettings {
            idle: config.idle,
            first_bytes: config.profile.first_bytes(),
            ..ServerSettings::new(shared.speaker)
        };
        let listen = |at, pulls| {
            let front = Arc::new(Front {
                shared: Arc::clone(&shared),
                pulls,
            });
            Server::start(Arc::clone(&host), at, settings.clone(), front)
        };
        let server = listen(config.listen, true).await?;
        let vip = match config.vip {
            Some(at) => Some(listen(at, false).await?),
            None => None,
        };
        for server in std::iter::once(&server).chain(&vip) {
            shared.emit(Event::Listening {
                at: server.local_addr(),
            });
        }
        shared
            .registrar
            .serve_at(advertised(config, server.local_addr(), host.as_ref()));
        let keep = |index| {
            let registrar = Arc::clone(&shared.registrar);
            host.spawn("register", Box::pin(registrar.keep_registered(index)))
        };
        let registering = (0..config.name_servers.len()).map(keep).collect();
        Ok(Self {
            server,
            vip,
            shared,
            registering,
        })
    }

    /// The address it listens at, with the real port.
    pub fn local_addr(&self) -> SocketAddr {
        self.server.local_addr()
    }

    /// The address of its second listener, if it has one.
    pub fn vip_addr(&self) -> Option<SocketAddr> {
        self.vip.as_ref().map(Server::local_addr)
    }

    /// Its disk, for whoever reads the ledger or starts another broker on it. It outlives the broker.
    pub fn disk(&self) -> &Arc<Disk> {
        &self.shared.disk
    }

    /// Waits until the first registration with each name server has ended, with success or not.
    pub async fn registered(&self) {
        self.shared.registrar.first_registrations().await;
    }

    /// For whoever changes the topics on its disk while it runs.
    pub fn registration(&self) -> Registration {
        Registration(Arc::clone(&self.shared.registrar))
    }

    /// Leaves the name servers and closes, in the order of the profile: 5.x leaves first, 4.9 closes
    /// first, so that its route outlives its port.
    pub async fn stop(self) {
        let Self {
            server,
            vip,
            shared,
            registering,
        } = self;
        let server = (server, vip);
        drop(registering);
        if shared.config.profile.unregisters_first() {
            shared.registrar.unregister().await;
            drop(server);
        } else {
            drop(server);
            shared.registrar.unregister().await;
        }
        shared.registrar.close().await;
    }
}

/// What the parts of the process share.
fn share(
    host: &SharedHost,
    config: Config,
    disk: Arc<Disk>,
    control: Arc<dyn Control>,
    observer: Arc<dyn Observer<Event>>,
) -> Shared {
    let config = Arc::new(config);
    let speaker = Speaker {
        form: config.form,
        language: Language::Java,
        version: config.profile.version(),
    };
    // As in RocketMQ, a registration that is not answered in its time costs its connection.
    let unanswered = Patience {
        requests: 1,
        silence: config.register_timeout,
    };
    let settings = ClientSettings {
        patience: Some(unanswered),
        ..ClientSettings::new(speaker)
    };
    let client = RemotingClient::new(
        Arc::clone(host),
        settings,
        Arc::new(Silent),
        Arc::new(Unsupported),
    );
    let registrar = Registrar::new(
        client,
        Arc::clone(&config),
        Arc::clone(&disk),
        Arc::clone(&observer),
    );
    let identity = host.identity();
    Shared {
        config,
        speaker,
        disk,
        control,
        observer,
        registrar: Arc::new(registrar),
        unique_ids: UniqueIds::new(identity.address, identity.process, 0),
        counts: Mutex::default(),
        started_ms: host.unix_millis(),
        started: Instant::now(),
        arrivals: Notify::new(),
        host: Arc::clone(host),
    }
}

/// Puts the topics on the disk that the broker has from its start. A disk with data keeps its own.
fn prepare(disk: &Disk, config: &Config, now_ms: i64) {
    let mut contents = disk.contents();
    let topics = contents.topics.get_or_insert_with(|| {
        Topics::of_a_new_broker(&config.name, &config.cluster, config.auto_create, now_ms)
    });
    for (topic, queues) in &config.topics {
        if topics.get(topic).is_none() {
            let config = TopicConfig::new(Name::clone(topic), *queues, perm::READ | perm::WRITE);
            topics.put(config, now_ms);
        }
    }
}

/// The address that clients are told: a listener on every interface has none of its own.
fn advertised(config: &Config, local: SocketAddr, host: &dyn Host) -> SocketAddr {
    let own = if local.ip().is_unspecified() {
        host.identity().address
    } else {
        local.ip()
    };
    config
        .advertise
        .unwrap_or_else(|| SocketAddr::new(own, local.port()))
}
