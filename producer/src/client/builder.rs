//! How a client is described and made.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64};

use parking_lot::Mutex;
use rmq_host::SharedHost;
use rmq_host::TokioHost;
use rmq_remoting::client::{ClientSettings, RemotingClient, RpcHook};
use rmq_remoting::command::{HeaderForm, Language};
use rmq_remoting::frame::Speaker;
use rmq_remoting::observe::{Name, Observer, Silent};
use rmq_remoting::service::Unsupported;
use rmq_remoting::unique_id::UniqueIds;
use tokio::time::{Duration, Instant};

use super::handle::Client;
use super::name_servers::{self, NameServerList};
use super::openings::Openings;
use super::routes::Routes;
use super::state::{ClientCore, Tap, identity_hash};
use crate::addresses::NameServerAddresses;
use crate::decide::{encoding, name_server, peer};
use crate::error::StartError;
use crate::event::Event;
use crate::hook::NamespaceHook;
use crate::observe::{Both, ClientInstrument, Instrumentation, Shielded};
use crate::policy::{Header, Policy};

/// RocketMQ 5.3.3. Servers answer with plain JSON to versions from 4.9.4 on.
const VERSION: i32 = 479;

impl Client {
    /// Starts the description of a client.
    ///
    /// ```
    /// # use rmq_producer::{Client, Message, Producer};
    /// # use rmq_mock_broker::Broker;
    /// # use rmq_mock_namesrv::NameServer;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let name_server = NameServer::on_loopback().await?;
    /// # let address = name_server.local_addr().to_string();
    /// # let broker = Broker::builder("broker-a").name_server(&address).topic("orders", 4).start().await?;
    /// let client = Client::builder().name_servers(&address).build()?;
    /// let orders = Producer::builder("orders").client(client.clone()).start().await?;
    /// let bills = Producer::builder("bills").client(client).start().await?;
    /// orders.send(Message::new("orders", "hello")).await?;
    /// bills.send(Message::new("bills", "hello")).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }
}

/// Describes a client before it starts: its name servers, its policy, its host.
#[derive(Debug, Default)]
#[must_use]
pub struct ClientBuilder {
    host: Option<SharedHost>,
    name_servers: NameServerAddresses,
    observer: Option<Arc<dyn Observer<Event>>>,
    policy: Option<Policy>,
    instance: String,
    first_name_server: Option<usize>,
    id_constant: Option<u32>,
    first_opaque: i32,
    first_message: u16,
    namespace_v2: String,
    rpc_hooks: Vec<Arc<dyn RpcHook>>,
    is_of_producers: bool,
}

impl ClientBuilder {
    /// The machine it runs on; the real one unless set.
    pub fn host(mut self, host: SharedHost) -> Self {
        self.host = Some(host);
        self
    }

    /// The name servers: a list of `host:port`, or a text with `;` between them. Unless set, the
    /// environment variable `NAMESRV_ADDR` says them, as it does for the Java client.
    pub fn name_servers(mut self, servers: impl Into<NameServerAddresses>) -> Self {
        self.name_servers = servers.into();
        self
    }

    /// Who gets the events as values, for metrics and tests; nobody unless set. The log does not depend on
    /// it. A panic of it is reported through `tracing` and reaches nothing else.
    pub fn observer(mut self, observer: Arc<dyn Observer<Event>>) -> Self {
        self.observer = Some(observer);
        self
    }

    /// What it does when; [`Policy::strict`] unless set.
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = Some(policy);
        self
    }

    /// Tells two clients of one process apart, in their ids and in those of their messages. A
    /// program that makes two clients by hand gives them different ones.
    pub fn instance(mut self, instance: impl Into<String>) -> Self {
        self.instance = instance.into();
        self
    }

    /// The instance of a client that a producer of this group makes for itself.
    pub(crate) fn instance_unless_set(self, group: &str) -> Self {
        if self.instance.is_empty() {
            return self.instance(group);
        }
        self
    }

    /// The client ends with the last producer that shares it.
    pub(crate) fn of_producers(mut self) -> Self {
        self.is_of_producers = true;
        self
    }

    /// Asks this name server of the list first, instead of a drawn one.
    pub fn first_name_server(mut self, index: usize) -> Self {
        self.first_name_server = Some(index);
        self
    }

    /// The part of client and message ids that tells processes with one address and one process
    /// number apart, instead of a drawn one. Two such processes must not have the same.
    pub fn id_constant(mut self, constant: u32) -> Self {
        self.id_constant = Some(constant);
        self
    }

    /// The namespace of the second kind (RocketMQ 5): names stay as they are, and every request says
    /// in the fields `nsd` and `ns` to which namespace it belongs. Name servers and brokers ignore
    /// it; proxies in front of them may not. None unless set.
    pub fn namespace_v2(mut self, namespace: impl Into<String>) -> Self {
        self.namespace_v2 = namespace.into();
        self
    }

    /// Adds a hook that sees every request of the client before it is written, and every answer.
    pub fn rpc_hook(mut self, hook: Arc<dyn RpcHook>) -> Self {
        self.rpc_hooks.push(hook);
        self
    }

    /// The id of the first request. Tests start near the edge.
    pub fn first_opaque(mut self, opaque: i32) -> Self {
        self.first_opaque = opaque;
        self
    }

    /// The counter in the first message's unique key. Tests start near the edge.
    pub fn first_message(mut self, counter: u16) -> Self {
        self.first_message = counter;
        self
    }

    /// Makes the client. Nothing is contacted before a producer starts and sends.
    ///
    /// # Errors
    /// The list of name servers is empty or malformed, or the policy makes no sense.
    pub fn build(self) -> Result<Client, StartError> {
        let policy = self.policy.unwrap_or_default();
        policy.check()?;
        let servers = name_servers::read(given(self.name_servers).as_str())?;
        let mut host = self.host.unwrap_or_else(|| Arc::new(TokioHost::new()));
        let instrument = Instrumentation::of(&host);
        if let Some(instrument) = &instrument {
            host = instrument.host();
        }
        let observer = observers(self.observer, instrument.clone());
        let openings = Arc::new(Openings::default());
        let mut settings = ClientSettings::new(speaker(&policy));
        settings.dial_timeout = Duration::from_millis(policy.dial_timeout);
        settings.idle = Duration::from_millis(policy.periods.idle);
        settings.patience = peer::patience(&policy);
        settings.redial = peer::redial(&policy);
        settings.first_opaque = self.first_opaque;
        let namespace_v2 = Some(Name::from(self.namespace_v2.as_str()));
        let namespace_v2 = namespace_v2.filter(|namespace| !namespace.is_empty());
        if namespace_v2.is_some() {
            settings
                .hooks
                .push(Arc::new(NamespaceHook(self.namespace_v2)));
        }
        settings.hooks.extend(self.rpc_hooks);
        let tap = Tap {
            observer: Arc::clone(&observer),
            openings: Arc::clone(&openings),
        };
        let remoting = RemotingClient::new(
            Arc::clone(&host),
            settings,
            Arc::new(tap),
            Arc::new(Unsupported),
        );
        let position = identity_hash(&self.instance);
        let first = self.first_name_server.unwrap_or_else(|| {
            name_server::first(host.draw("client.name-server", position), servers.len())
        });
        let identity = host.identity();
        let constant = self
            .id_constant
            .unwrap_or_else(|| host.draw("client.constant", position) as u32);
        let core = ClientCore {
            id: format!("{}@{}#{constant:08x}", identity.address, identity.process).into(),
            ids: UniqueIds::new(identity.address, identity.process, constant),
            name_servers: NameServerList::new(servers, first),
            remoting,
            policy,
            routes: Routes::default(),
            lookups: Arc::default(),
            openings,
            is_of_producers: self.is_of_producers,
            namespace_v2,
            instrument,
            groups: Mutex::default(),
            started: Instant::now(),
            ended: AtomicBool::new(false),
            observer,
            messages: AtomicU16::new(self.first_message),
            sends: AtomicU64::new(0),
            lookup_numbers: AtomicU64::new(0),
            snapshots: AtomicU64::new(0),
            name_server_changes: AtomicU64::new(0),
            host,
        };
        Ok(Client::new(core))
    }
}

/// Who gets the events: the machine's instrument, if it has one, and the program's observer, whose panics
/// reach nobody else.
fn observers(
    own: Option<Arc<dyn Observer<Event>>>,
    instrument: Option<Arc<dyn ClientInstrument>>,
) -> Arc<dyn Observer<Event>> {
    let own = own.map(|own| Arc::new(Shielded(own)) as Arc<dyn Observer<Event>>);
    match (own, instrument) {
        (Some(own), Some(instrument)) => Arc::new(Both(instrument, own)),
        (Some(own), None) => own,
        (None, Some(instrument)) => instrument,
        (None, None) => Arc::new(Silent),
    }
}

/// What the client says of itself in each request.
fn speaker(policy: &Policy) -> Speaker {
    Speaker {
        form: match encoding::wire(policy).header {
            Header::Json => HeaderForm::Json,
            Header::Binary => HeaderForm::Rocketmq,
        },
        language: Language::Rust,
        version: VERSION,
    }
}

/// The environment variable that names the name servers of programs that do not.
const NAMESRV_ADDR: &str = "NAMESRV_ADDR";

/// The name servers a program gave, or those of its environment.
fn given(servers: NameServerAddresses) -> NameServerAddresses {
    if servers.as_str().trim().is_empty() {
        return std::env::var(NAMESRV_ADDR).unwrap_or_default().into();
    }
    servers
}
