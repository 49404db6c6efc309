//! The producer: what a program holds to send messages.
//!
//! Its handle is cheap to clone and may be used from many tasks. All its background work belongs
//! to it: dropping the last handle ends what is pending as closed, [`Producer::stop`] does the
//! same in an orderly way.

use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use rmq_remoting::client::RpcHook;
use rmq_remoting::host::SharedHost;
use rmq_remoting::observe::{Name, Observer};
use tokio::time::Duration;

use crate::client::{Client, ClientBuilder, ClientCore, identity_hash};
use crate::decide::budget::Bucket;
use crate::decide::envelope::{Sender, validate_group};
use crate::decide::health::Table;
use crate::decide::{namespace, route, select};
use crate::dispatch::Dispatch;
use crate::error::{SendError, StartError};
use crate::event::Event;
use crate::hook::{ForbiddenHook, Hooks, SendHook};
use crate::message::Message;
use crate::pack::Packer;
use crate::permits::{Limits, Permits, WhenFull};
use crate::policy::Policy;
use crate::rotation::Rotations;
use crate::selector::Selector;
use crate::sent::{MessageQueue, Sent};
use crate::stop::{self, Life};
use crate::tasks::TaskSet;

/// Sends messages to the brokers of a cluster. Cloning it shares it.
pub struct Producer {
    handle: Arc<Handle>,
    rotations: Arc<Rotations>,
}

impl fmt::Debug for Producer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer")
            .field("group", &self.handle.core.sender.group)
            .finish_non_exhaustive()
    }
}

impl Clone for Producer {
    fn clone(&self) -> Self {
        let rotations = if select::shared(&self.handle.core.policy) {
            Arc::clone(&self.rotations)
        } else {
            Arc::new(self.rotations.of_another_caller())
        };
        Self {
            handle: Arc::clone(&self.handle),
            rotations,
        }
    }
}

/// Ends what is pending when the last producer is dropped.
struct Handle {
    core: Arc<ProducerCore>,
    /// Keeps the client's background work alive.
    client: Client,
    owns_client: bool,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.core.life.close();
        self.core.async_sends.close();
        self.core
            .client
            .groups
            .lock()
            .remove(&self.core.sender.group);
    }
}

/// What the sends of one producer work with.
pub(crate) struct ProducerCore {
    pub(crate) client: Arc<ClientCore>,
    pub(crate) policy: Policy,
    pub(crate) sender: Sender,
    pub(crate) bucket: Mutex<Bucket>,
    pub(crate) health: Mutex<Table>,
    pub(crate) life: Life,
    pub(crate) async_sends: Arc<TaskSet>,
    pub(crate) permits: Permits,
    pub(crate) packer: Packer,
    pub(crate) hooks: Hooks,
}

/// Sizes of a producer's tables, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gauges {
    /// Requests of its client that wait for an answer.
    pub pending: u32,
    /// Sends not completed.
    pub open_sends: u32,
    /// Topics known to its client.
    pub topics: u32,
    /// Open connections of its client.
    pub connections: u32,
    /// Open async sends, if they are limited.
    pub limited_sends: u32,
    /// The bytes they hold, if they are limited.
    pub limited_bytes: u32,
}

impl Producer {
    /// Starts the description of a producer of this group. Brokers and operators know producers
    /// by their group; all instances of one service share one.
    pub fn builder(group: impl Into<Name>) -> ProducerBuilder {
        ProducerBuilder::new(group.into())
    }

    /// Sends a message and waits until a broker has stored it, no longer than the producer's send
    /// timeout. Dropping the future cancels the send; a copy may still be stored.
    ///
    /// # Errors
    /// No broker has confirmed the message in time; the error lists every attempt.
    pub async fn send(&self, message: Message) -> Result<Sent, SendError> {
        self.dispatch(message).send().await
    }

    /// [`send`](Self::send) with another timeout than the producer's.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn send_with_timeout(
        &self,
        message: Message,
        timeout: Duration,
    ) -> Result<Sent, SendError> {
        self.dispatch(message).timeout(timeout).send().await
    }

    /// Sends a message to one queue and nowhere else: for orders that consumers must keep.
    ///
    /// # Errors
    /// As [`send`](Self::send); and if the queue is one of another topic.
    pub async fn send_to(&self, message: Message, queue: MessageQueue) -> Result<Sent, SendError> {
        self.dispatch(message).to(queue).send().await
    }

    /// Sends a message to the queue that the selector chooses and nowhere else.
    ///
    /// # Errors
    /// As [`send`](Self::send); and if no queue was chosen.
    pub async fn send_by(&self, message: Message, selector: Selector) -> Result<Sent, SendError> {
        self.dispatch(message).by(selector).send().await
    }

    /// Sends a message in the background and calls back, exactly once. The callback runs in the
    /// send's own task; if it takes long or panics, no other send notices.
    pub fn send_async<F>(&self, message: Message, callback: F)
    where
        F: FnOnce(Result<Sent, SendError>) + Send + 'static,
    {
        self.dispatch(message).send_async(callback);
    }

    /// Describes a send that differs from the plain ones: with its own timeout or target, in any
    /// mode.
    pub fn dispatch(&self, message: Message) -> Dispatch<'_> {
        Dispatch::new(self, message)
    }

    /// Waits until the limits of async sends leave room for one more; at once without limits. Who
    /// awaits it before each [`send_async`](Self::send_async) is slowed down to what brokers take.
    pub async fn room(&self) {
        self.handle.core.permits.room().await;
    }

    /// Gives a message to a broker's connection without waiting for an answer: it may be lost
    /// without a word.
    ///
    /// # Errors
    /// There was no route or no connection in time.
    pub async fn send_oneway(&self, message: Message) -> Result<(), SendError> {
        self.dispatch(message).send_oneway().await
    }

    /// Ends the producer: pending sends end as closed, brokers are told, tasks have ended when it
    /// returns. Takes no longer than the policy's `periods.stop` and may be called twice. A client
    /// that the producer made for itself is stopped too.
    pub async fn stop(&self) {
        let client = self.handle.owns_client.then_some(&self.handle.client);
        stop::stop(&self.handle.core, client).await;
    }

    /// The sizes of its tables now.
    #[must_use]
    pub fn gauges(&self) -> Gauges {
        let core = &self.handle.core;
        let transport = core.client.remoting.gauges();
        let count = |size: usize| u32::try_from(size).unwrap_or(u32::MAX);
        let (limited_sends, limited_bytes) = core.permits.out();
        Gauges {
            limited_sends,
            limited_bytes,
            pending: count(transport.pending),
            open_sends: count(core.life.open_sends()),
            topics: count(core.client.routes.len()),
            connections: count(transport.connections),
        }
    }

    /// Emits the sizes of its tables as an event.
    pub fn report_gauges(&self) {
        let Gauges {
            pending,
            open_sends,
            topics,
            connections,
            ..
        } = self.gauges();
        self.handle.core.client.emit(Event::Gauges {
            pending,
            open_sends,
            topics,
            connections,
        });
    }

    /// What it does when.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.handle.core.policy
    }

    /// The client it sends through, to be shared with other producers.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.handle.client
    }

    pub(crate) fn core(&self) -> &Arc<ProducerCore> {
        &self.handle.core
    }

    pub(crate) fn rotations(&self) -> &Arc<Rotations> {
        &self.rotations
    }
}

/// Describes a producer.
#[derive(Debug)]
#[must_use]
pub struct ProducerBuilder {
    group: Name,
    client: Option<Client>,
    own: ClientBuilder,
    policy: Option<Policy>,
    send_timeout: Option<Duration>,
    retries: Option<u32>,
    rotation_start: Option<i32>,
    limits: Limits,
    hooks: Hooks,
    namespace: Option<Name>,
    vip_channel: Option<bool>,
}

impl ProducerBuilder {
    fn new(group: Name) -> Self {
        Self {
            own: Client::builder().instance(&*group),
            group,
            client: None,
            policy: None,
            send_timeout: None,
            retries: None,
            rotation_start: None,
            limits: Limits::default(),
            hooks: Hooks::default(),
            namespace: None,
            vip_channel: None,
        }
    }

    /// Shares this client. Name servers, host, observer and RPC hooks are the client's then.
    pub fn client(mut self, client: Client) -> Self {
        self.client = Some(client);
        self
    }

    /// The name servers, as `host:port` separated by `;`.
    pub fn name_servers(mut self, servers: impl Into<String>) -> Self {
        self.own = self.own.name_servers(servers);
        self
    }

    /// The machine it runs on; the real one unless set.
    pub fn host(mut self, host: SharedHost) -> Self {
        self.own = self.own.host(host);
        self
    }

    /// Who gets the events; `tracing` unless set.
    pub fn observer(mut self, observer: Arc<dyn Observer<Event>>) -> Self {
        self.own = self.own.observer(observer);
        self
    }

    /// Asks this name server of the list first, instead of a drawn one.
    pub fn first_name_server(mut self, index: usize) -> Self {
        self.own = self.own.first_name_server(index);
        self
    }

    /// Sets the part of its ids that is drawn otherwise: see [`ClientBuilder::id_constant`].
    pub fn id_constant(mut self, constant: u32) -> Self {
        self.own = self.own.id_constant(constant);
        self
    }

    /// The id of the first request. Tests start near the edge.
    pub fn first_opaque(mut self, opaque: i32) -> Self {
        self.own = self.own.first_opaque(opaque);
        self
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

    /// How often a failed attempt is repeated, in every mode in which the policy repeats any. 2
    /// unless set.
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
    /// compression. No limit unless set. A larger body cannot be sent async at all.
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
    pub fn namespace(mut self, namespace: impl Into<Name>) -> Self {
        self.namespace = Some(namespace.into()).filter(|namespace: &Name| !namespace.is_empty());
        self
    }

    /// The namespace of the second kind: see [`ClientBuilder::namespace_v2`].
    pub fn namespace_v2(mut self, namespace: impl Into<String>) -> Self {
        self.own = self.own.namespace_v2(namespace);
        self
    }

    /// Sends to the brokers' second port, two below the one that routes name. Brokers serve it with
    /// other threads, so that sends do not wait behind consumers' requests. Off unless set.
    pub fn vip_channel(mut self, on: bool) -> Self {
        self.vip_channel = Some(on);
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
    pub fn rpc_hook(mut self, hook: Arc<dyn RpcHook>) -> Self {
        self.own = self.own.rpc_hook(hook);
        self
    }

    /// Starts the producer. No server is contacted before the first send, so it succeeds while
    /// all of them are down.
    ///
    /// # Errors
    /// The group, the policy or the list of name servers is not acceptable.
    pub async fn start(self) -> Result<Producer, StartError> {
        let known = self.client.as_ref().map(|client| client.policy().clone());
        let mut policy = self.policy.or(known).unwrap_or_default();
        if let Some(timeout) = self.send_timeout {
            policy.send_timeout = u64::try_from(timeout.as_millis())
                .unwrap_or(u64::MAX)
                .max(1);
        }
        if let Some(retries) = self.retries {
            policy.attempts = policy.attempts.with_retries(retries);
        }
        if let Some(on) = self.vip_channel {
            policy.vip.enabled = on;
        }
        policy
            .check()
            .map_err(|error| StartError::Policy(error.to_string()))?;
        validate_group(&policy, &self.group).map_err(StartError::Group)?;
        let owns_client = self.client.is_none();
        let client = match self.client {
            Some(client) => client,
            None => self.own.policy(policy.clone()).build()?,
        };
        let core = Arc::clone(client.core());
        let namespace = self.namespace.or_else(|| core.hosted_namespace());
        let group = match &namespace {
            Some(namespace) => namespace::wrap(namespace, &self.group).into(),
            None => self.group,
        };
        validate_group(&policy, &group).map_err(StartError::Group)?;
        if !core.groups.lock().insert(Name::clone(&group)) {
            return Err(StartError::GroupTaken(group));
        }
        client.start();
        let sender = Sender {
            namespace,
            group: Name::clone(&group),
            default_topic: route::default_topic(&policy).into(),
            default_queues: route::default_queues(&policy, i32::MAX),
        };
        let seed = identity_hash(&group);
        let rotations = Rotations::new(Arc::clone(&core.host), seed, self.rotation_start);
        core.emit(Event::Started { group });
        let core = ProducerCore {
            bucket: Mutex::new(Bucket::full(&policy)),
            health: Mutex::default(),
            life: Life::default(),
            async_sends: Arc::default(),
            permits: Permits::new(self.limits),
            packer: Packer::default(),
            hooks: self.hooks,
            client: core,
            policy,
            sender,
        };
        Ok(Producer {
            handle: Arc::new(Handle {
                core: Arc::new(core),
                client,
                owns_client,
            }),
            rotations: Arc::new(rotations),
        })
    }
}
