//! How a producer is described and started.

use std::sync::Arc;

use parking_lot::Mutex;
use rmq_host::SharedHost;
use rmq_remoting::client::RpcHook;
use rmq_remoting::observe::{Name, Observer};
use tokio::time::Duration;

use super::detector;
use super::handle::Producer;
use crate::addresses::NameServerAddresses;
use crate::client::state::{ClientCore, identity_hash};
use crate::client::{Client, ClientBuilder};
use crate::decide::budget::HedgingBudget;
use crate::decide::encoding::{ProducerIdentity, validate_group, validate_namespace};
use crate::decide::{health, namespace, route};
use crate::error::StartError;
use crate::event::Event;
use crate::hook::{ForbiddenHook, Hooks, MessageHook, SendHook};
use crate::observe::ProducerStart;
use crate::policy::Policy;
use crate::send::compressor::Compressor;
use crate::send::life::Life;
use crate::send::permits::{Limits, Permits, WhenFull};
use crate::send::rotation::Rotations;
use crate::send::state::ProducerCore;

/// The bytes that the bodies of open async sends may have together, unless set.
const OPEN_BYTES: u32 = 256 * 1024 * 1024;

impl Producer {
    /// Starts the description of a producer of this group. Brokers and operators know producers
    /// by their group; all instances of one service share one.
    pub fn builder(group: impl Into<Name>) -> ProducerBuilder {
        ProducerBuilder::new(group.into())
    }
}

/// Describes a producer before it starts: its group, its client, its policy and limits.
#[derive(Debug)]
#[must_use]
pub struct ProducerBuilder {
    group: Name,
    client: Option<Client>,
    own: ClientBuilder,
    /// The first setting of the client that was made here.
    of_client: Option<&'static str>,
    policy: Option<Policy>,
    send_timeout: Option<Duration>,
    retries: Option<u32>,
    rotation_start: Option<i32>,
    limits: Limits,
    hooks: Hooks,
    namespace: Option<Name>,
    vip_channel: bool,
}

impl ProducerBuilder {
    fn new(group: Name) -> Self {
        Self {
            own: Client::builder(),
            of_client: None,
            group,
            client: None,
            policy: None,
            send_timeout: None,
            retries: None,
            rotation_start: None,
            limits: Limits {
                bytes: Some(OPEN_BYTES),
                ..Limits::default()
            },
            hooks: Hooks::default(),
            namespace: None,
            vip_channel: false,
        }
    }

    /// Sets something of the client that this producer makes for itself.
    fn own(
        mut self,
        setting: &'static str,
        set: impl FnOnce(ClientBuilder) -> ClientBuilder,
    ) -> Self {
        self.own = set(self.own);
        self.of_client.get_or_insert(setting);
        self
    }

    /// Shares this client. Name servers, host, observer, RPC hooks and whatever else a
    /// [`ClientBuilder`] says are the client's then: a producer that sets one of them, too, does not
    /// start.
    ///
    /// ```
    /// # use rmq_producer::{Client, Producer, StartError};
    /// # async fn two() -> Result<(), StartError> {
    /// let client = Client::builder().name_servers("10.0.0.1:9876").build()?;
    /// let orders = Producer::builder("orders").client(client.clone()).start().await?;
    /// let bills = Producer::builder("bills").client(client).start().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// A client that another producer made for itself ([`Producer::client`]) can be shared as well: it
    /// ends with the last producer that uses it, whichever that is. One that was made by hand ends when
    /// the program [stops](Client::stop) or drops it.
    ///
    /// It takes the place of an [`own_client`](Self::own_client).
    pub fn client(mut self, client: Client) -> Self {
        self.client = Some(client);
        self
    }

    /// Makes a client of its own by this description, instead of one that only knows what is set here.
    /// It takes the place of a shared [`client`](Self::client). A description without an instance gets
    /// the group as its instance.
    pub fn own_client(mut self, description: ClientBuilder) -> Self {
        self.own = description;
        self.client = None;
        self
    }

    /// The name servers: a list of `host:port`, or a text with `;` between them. Unless set, the
    /// environment variable `NAMESRV_ADDR` says them, as it does for the Java client.
    pub fn name_servers(self, servers: impl Into<NameServerAddresses>) -> Self {
        self.own("name_servers", |client| client.name_servers(servers))
    }

    /// The machine it runs on; the real one unless set.
    pub fn host(self, host: SharedHost) -> Self {
        self.own("host", |client| client.host(host))
    }

    /// Who gets the events as values: see [`ClientBuilder::observer`].
    pub fn observer(self, observer: Arc<dyn Observer<Event>>) -> Self {
        self.own("observer", |client| client.observer(observer))
    }

    /// Asks this name server of the list first, instead of a drawn one.
    pub fn first_name_server(self, index: usize) -> Self {
        self.own("first_name_server", |client| {
            client.first_name_server(index)
        })
    }

    /// Sets the part of its ids that is drawn otherwise: see [`ClientBuilder::id_constant`].
    pub fn id_constant(self, constant: u32) -> Self {
        self.own("id_constant", |client| client.id_constant(constant))
    }

    /// The id of the first request. Tests start near the edge.
    pub fn first_opaque(self, opaque: i32) -> Self {
        self.own("first_opaque", |client| client.first_opaque(opaque))
    }

    /// What it does when; the client's policy unless set, and [`Policy::strict`] without a client.
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = Some(policy);
        self
    }

    /// The whole time of a send: over lookup, dial and all attempts. 3 s unless set. At least a
    /// millisecond.
    pub fn send_timeout(mut self, timeout: Duration) -> Self {
        self.send_timeout = Some(timeout);
        self
    }

    /// How often a failed attempt is repeated, as [`Policy::with_retries`] has it: a mode in which the
    /// policy makes a single attempt keeps to one. As the policy has it unless set; 2 with
    /// [`Policy::strict`].
    ///
    /// ```
    /// # use rmq_producer::{Message, Producer};
    /// # use rmq_mock_broker::Broker;
    /// # use rmq_mock_namesrv::NameServer;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let name_server = NameServer::on_loopback().await?;
    /// # let address = name_server.local_addr().to_string();
    /// # let broker = Broker::builder("broker-a").name_server(&address).topic("orders", 4).start().await?;
    /// let once = Producer::builder("once").name_servers(&address).retries(0).start().await?;
    /// # broker.stop().await;
    /// let error = once.send(Message::new("orders", "hello")).await.unwrap_err();
    /// assert!(error.attempts().len() <= 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn retries(mut self, retries: u32) -> Self {
        self.retries = Some(retries);
        self
    }

    /// Starts the rotation over each topic's queues at this queue, instead of a drawn one.
    pub fn rotation_start(mut self, queue: i32) -> Self {
        self.rotation_start = Some(queue);
        self
    }

    /// At most so many async sends are open. No limit unless set; at least 1.
    pub fn max_open_sends(mut self, sends: u32) -> Self {
        self.limits.sends = Some(sends.max(1));
        self
    }

    /// The bodies of the open async sends have at most so many bytes together, before
    /// compression. 256 MiB unless set: a program that hands over messages faster than brokers
    /// store them waits, or is refused, before it has used up its memory. A larger body than the
    /// limit cannot be sent async at all.
    ///
    /// ```
    /// # use rmq_producer::{Message, Producer, WhenFull};
    /// # use rmq_mock_broker::Broker;
    /// # use rmq_mock_namesrv::NameServer;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let name_server = NameServer::on_loopback().await?;
    /// # let address = name_server.local_addr().to_string();
    /// # let broker = Broker::builder("broker-a").name_server(&address).topic("orders", 4).start().await?;
    /// let producer = Producer::builder("bounded")
    ///     .name_servers(&address)
    ///     .max_open_bytes(16)
    ///     .when_full(WhenFull::Refuse)
    ///     .start()
    ///     .await?;
    /// let error = producer.send_async(Message::new("orders", vec![7; 17])).await.unwrap_err();
    /// assert_eq!(error.failure().name(), "back_pressure");
    /// # Ok(())
    /// # }
    /// ```
    pub fn max_open_bytes(mut self, bytes: u32) -> Self {
        self.limits.bytes = Some(bytes);
        self
    }

    /// What becomes of an async send beyond a limit; it waits unless set.
    pub fn when_full(mut self, when_full: WhenFull) -> Self {
        self.limits.when_full = when_full;
        self
    }

    /// The namespace of its group and of the topics it sends to: servers know `orders` as
    /// `NAMESPACE%orders`, the program does not notice. Unless set, it is the one that the address
    /// of a name server says (`http://MQ_INST_….host:80`), if any.
    ///
    /// ```
    /// # use rmq_producer::{Message, Producer};
    /// # use rmq_mock_broker::Broker;
    /// # use rmq_mock_namesrv::NameServer;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let name_server = NameServer::on_loopback().await?;
    /// # let address = name_server.local_addr().to_string();
    /// # let broker = Broker::builder("broker-a").name_server(&address).topic("orders", 4).start().await?;
    /// let tenant = Producer::builder("orders").name_servers(&address).namespace("tenant-1").start().await?;
    /// let sent = tenant.send(Message::new("orders", "hello")).await?;
    /// assert_eq!(&*sent.queue.topic, "orders", "the program's own name of it");
    /// assert_eq!(&*broker.disk().ledger()[0].topic, "tenant-1%orders", "the cluster's");
    /// # Ok(())
    /// # }
    /// ```
    pub fn namespace(mut self, namespace: impl Into<Name>) -> Self {
        self.namespace = Some(namespace.into()).filter(|namespace: &Name| !namespace.is_empty());
        self
    }

    /// The namespace of the second kind: see [`ClientBuilder::namespace_v2`].
    pub fn namespace_v2(self, namespace: impl Into<String>) -> Self {
        self.own("namespace_v2", |client| client.namespace_v2(namespace))
    }

    /// Sends to the brokers' second port, two below the one that routes name. Brokers serve it with
    /// other threads, so that sends do not wait behind consumers' requests. Off unless this, or the
    /// policy's `vip.enabled`, switches it on.
    pub fn vip_channel(mut self) -> Self {
        self.vip_channel = true;
        self
    }

    /// Adds a hook that sees each message before it is encoded, and may add properties to it.
    pub fn message_hook(mut self, hook: Arc<dyn MessageHook>) -> Self {
        self.hooks.message.push(hook);
        self
    }

    /// Adds a hook that may forbid single attempts.
    pub fn forbidden_hook(mut self, hook: Arc<dyn ForbiddenHook>) -> Self {
        self.hooks.forbidden.push(hook);
        self
    }

    /// Adds a hook that sees every attempt begin and end.
    pub fn send_hook(mut self, hook: Arc<dyn SendHook>) -> Self {
        self.hooks.send.push(hook);
        self
    }

    /// Adds a hook that sees every request and answer: see [`ClientBuilder::rpc_hook`].
    pub fn rpc_hook(self, hook: Arc<dyn RpcHook>) -> Self {
        self.own("rpc_hook", |client| client.rpc_hook(hook))
    }

    /// Starts the producer. No server is contacted before the first send, so it succeeds while
    /// all of them are down.
    ///
    /// # Errors
    /// The group, the namespace, the policy or the list of name servers is not acceptable; the error
    /// names the entry.
    pub async fn start(self) -> Result<Producer, StartError> {
        if let (Some(_), Some(setting)) = (&self.client, self.of_client) {
            return Err(StartError::SharedClient { setting });
        }
        let known = self.client.as_ref().map(|client| client.policy().clone());
        let mut policy = self.policy.or(known).unwrap_or_default();
        if let Some(timeout) = self.send_timeout {
            policy.send_timeout = u64::try_from(timeout.as_millis())
                .unwrap_or(u64::MAX)
                .max(1);
        }
        if let Some(retries) = self.retries {
            policy = policy.with_retries(retries);
        }
        policy.vip.enabled |= self.vip_channel;
        policy.check()?;
        validate_group(&policy, &self.group).map_err(StartError::Group)?;
        let client = match self.client {
            Some(client) => client,
            None => self
                .own
                .instance_unless_set(&self.group)
                .of_producers()
                .policy(policy.clone())
                .build()?,
        };
        let core = Arc::clone(client.core());
        let namespace = self.namespace.or_else(|| core.hosted_namespace());
        let group = wrapped_group(&policy, self.group, namespace.as_ref())?;
        if !core.groups.lock().insert(Name::clone(&group)) {
            return Err(StartError::GroupTaken(group));
        }
        tell_instrument(&core, &group, &policy, self.limits);
        client.start();
        let identity = ProducerIdentity {
            namespace,
            group: Name::clone(&group),
            default_topic: route::default_topic(&policy).into(),
            default_queues: route::default_queues(&policy, i32::MAX),
        };
        let seed = identity_hash(&group);
        let rotations = Rotations::new(Arc::clone(&core.host), seed, self.rotation_start);
        core.emit(Event::Started { group });
        let core = ProducerCore {
            hedging_budget: Mutex::new(HedgingBudget::full(&policy)),
            health: Mutex::default(),
            life: Life::default(),
            async_sends: Arc::default(),
            permits: Permits::new(self.limits),
            compressor: Compressor::default(),
            hooks: self.hooks,
            client: core,
            policy,
            identity,
        };
        let core = Arc::new(core);
        if let Some(detector) = health::detector(&core.policy) {
            let work = detector::run(Arc::clone(&core), detector);
            let host = &core.client.host;
            core.async_sends.spawn(host, "detector", Box::pin(work));
        }
        Ok(Producer::new(core, client, rotations))
    }
}

/// Tells the instrument of a client, on a machine that has instrumentation, of a producer that starts.
fn tell_instrument(client: &ClientCore, group: &Name, policy: &Policy, limits: Limits) {
    if let Some(instrument) = &client.instrument {
        instrument.starts(&ProducerStart {
            group,
            policy,
            namespace_v2: client.namespace_v2.as_ref(),
            client_outlives: !client.is_of_producers,
            most_sends: limits.sends,
            most_bytes: limits.bytes,
            refuses: limits.when_full == WhenFull::Refuse,
        });
    }
}

/// The group as servers know it.
fn wrapped_group(
    policy: &Policy,
    group: Name,
    namespace: Option<&Name>,
) -> Result<Name, StartError> {
    let group = match namespace {
        None => group,
        Some(namespace) => {
            validate_namespace(namespace).map_err(StartError::Namespace)?;
            namespace::wrap(namespace, &group).into()
        }
    };
    validate_group(policy, &group).map_err(StartError::Group)?;
    Ok(group)
}
