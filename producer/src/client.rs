//! What producers of one program share: connections, routes, heartbeats and the counters that must
//! not repeat.
//!
//! There is no registry behind the scenes: a program that wants two producers to share a client
//! makes one and gives clones of it to both. Its background work starts with the first producer
//! and ends with the last handle.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use parking_lot::Mutex;
use rmq_host::TokioHost;
use rmq_host::{BoxFuture, SharedHost, Task, TaskEnd};
use rmq_remoting::client::{CallError, CallStage, ClientSettings, Over, RemotingClient, RpcHook};
use rmq_remoting::command::{Command, HeaderForm, Language};
use rmq_remoting::event::{CloseCause, ConnectionNumber, Event as TransportEvent};
use rmq_remoting::frame::Speaker;
use rmq_remoting::header::Request;
use rmq_remoting::observe::{Name, Observer};
use rmq_remoting::service::Unsupported;
use rmq_remoting::unique_id::UniqueIds;
use tokio::time::{Duration, Instant, sleep_until};

use crate::beat::{self, Openings};
use crate::decide::{budget, envelope, name_server, namespace, peer, retry};
use crate::error::StartError;
use crate::event::{Event, LookupNumber, SendNumber, SnapshotNumber};
use crate::hook::NamespaceHook;
use crate::lookup::NameServerList;
use crate::observe::{Shielded, Tracing};
use crate::policy::{Header, OvertakeOver, Policy};
use crate::routes::{self, Routes};
use crate::tasks::TaskSet;

/// RocketMQ 5.3.3. Servers answer with plain JSON to versions from 4.9.4 on.
const VERSION: i32 = 479;

/// A request that was given to its connection less than this before its time was over says nothing
/// about the connection.
const LEAST_SILENCE: Duration = Duration::from_millis(100);

/// How long a background task rests before it is started again after a panic.
const AFTER_PANIC: Duration = Duration::from_secs(1);

/// A client of a RocketMQ cluster. Cloning it shares it.
#[derive(Clone)]
pub struct Client {
    handle: Arc<Handle>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("id", &self.handle.core.id)
            .finish_non_exhaustive()
    }
}

/// Owns the background work; the tasks know the core, never this.
struct Handle {
    core: Arc<ClientCore>,
    background: Mutex<Option<Task>>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.core.lookups.close();
    }
}

/// What the client's tasks and producers work with.
pub(crate) struct ClientCore {
    pub(crate) host: SharedHost,
    pub(crate) policy: Policy,
    pub(crate) remoting: RemotingClient,
    pub(crate) name_servers: NameServerList,
    pub(crate) routes: Routes,
    pub(crate) lookups: Arc<TaskSet>,
    pub(crate) openings: Arc<Openings>,
    /// The client's id, as brokers know it.
    pub(crate) id: Name,
    /// The groups of the running producers.
    pub(crate) groups: Mutex<BTreeSet<Name>>,
    pub(crate) started: Instant,
    observer: Arc<dyn Observer<Event>>,
    ids: UniqueIds,
    messages: AtomicU16,
    sends: AtomicU64,
    lookup_numbers: AtomicU64,
    snapshots: AtomicU64,
    name_server_changes: AtomicU64,
}

impl ClientCore {
    pub(crate) fn emit(&self, event: Event) {
        self.observer.on(event);
    }

    pub(crate) fn next_lookup(&self) -> LookupNumber {
        self.lookup_numbers.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(crate) fn next_snapshot(&self) -> SnapshotNumber {
        self.snapshots.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(crate) fn next_send(&self) -> SendNumber {
        self.sends.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// The namespace that the address of a name server says, in hosted clusters.
    pub(crate) fn hosted_namespace(&self) -> Option<Name> {
        let servers = self.name_servers.servers();
        let mut named = servers.iter().filter_map(|it| namespace::of_address(it));
        named.next().map(Name::from)
    }

    /// Makes a request and awaits the answer, in the way the policy has it if the connection ends.
    pub(crate) async fn call(
        &self,
        to: &Name,
        request: &dyn Request,
        deadline: Instant,
    ) -> Result<Command, CallError> {
        self.call_over(Over::First, to, request, deadline).await
    }

    /// As [`call`](Self::call), over the connection that the caller wants. One on which the request
    /// has had its time without an answer is not trusted any more.
    pub(crate) async fn call_over(
        &self,
        over: Over,
        to: &Name,
        request: &dyn Request,
        deadline: Instant,
    ) -> Result<Command, CallError> {
        let began = Instant::now();
        let mut made_on = None;
        let given = |connection, _| made_on = Some((connection, Instant::now()));
        let answer = self.remoting.exchange(over, to, request, deadline, given);
        let answer = answer.await;
        let silent = matches!(&answer, Err(error) if error.stage() == CallStage::Silent);
        if let (true, Some((connection, given))) = (silent, made_on)
            && given.elapsed() >= LEAST_SILENCE
        {
            self.doubt(to, connection, given);
        }
        self.settle(to, answer, began, deadline).await
    }

    /// A request that was given to this connection at `given` has had its time without an answer.
    pub(crate) fn doubt(&self, to: &Name, connection: ConnectionNumber, given: Instant) {
        if budget::over(&self.policy) == OvertakeOver::Heard {
            self.remoting.doubt(to, connection, given);
        }
    }

    /// What becomes of a request whose connection ended: with some clients it is not noticed
    /// before the deadline.
    pub(crate) async fn settle(
        &self,
        to: &Name,
        answer: Result<Command, CallError>,
        began: Instant,
        deadline: Instant,
    ) -> Result<Command, CallError> {
        match answer {
            Err(CallError::Lost { cause, .. }) if retry::waits_on(&self.policy, cause) => {
                sleep_until(deadline).await;
                Err(CallError::TimedOut {
                    to: Name::clone(to),
                    after: deadline.saturating_duration_since(began),
                })
            }
            answer => answer,
        }
    }

    /// A unique key for a message built at this time.
    pub(crate) fn next_key(&self, unix_millis: i64) -> Name {
        let counter = self.messages.fetch_add(1, Ordering::Relaxed);
        self.ids.make(unix_millis, counter).into()
    }
}

/// The transport's events are the producer's too; heartbeats want to know of new connections.
#[derive(Debug)]
struct Tap {
    observer: Arc<dyn Observer<Event>>,
    openings: Arc<Openings>,
}

impl Observer<TransportEvent> for Tap {
    fn on(&self, event: TransportEvent) {
        if let TransportEvent::Opened { to, connection, .. } = &event {
            self.openings.note(Name::clone(to), *connection);
        }
        self.observer.on(Event::Transport(event));
    }
}

impl Client {
    /// Starts the description of a client.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    /// The name servers it asks.
    #[must_use]
    pub fn name_servers(&self) -> Arc<[Name]> {
        self.handle.core.name_servers.servers()
    }

    /// Replaces the list of name servers while the client runs, and tells whether the new list has
    /// other servers than the old one. From now on no request goes to a server that has left the
    /// list: connections to it are closed, and a lookup that waits for it goes on with the new list
    /// within its own deadline. Routes that are known stay in force. May be called at any time from
    /// any task.
    ///
    /// # Errors
    /// The list is empty or malformed; the one in force stays.
    pub fn update_name_servers(&self, servers: &str) -> Result<bool, StartError> {
        let servers = listed(servers)?;
        let core = &self.handle.core;
        let change = core.name_server_changes.fetch_add(1, Ordering::Relaxed);
        let drawn = core.host.draw("client.name-server-change", change);
        let Some(gone) = core.name_servers.replace(Arc::clone(&servers), drawn) else {
            return Ok(false);
        };
        core.emit(Event::NameServers { servers });
        let brokers = core.routes.addresses(false);
        for server in gone.iter().filter(|server| !brokers.contains(*server)) {
            core.remoting.close(server, CloseCause::Offline);
        }
        Ok(true)
    }

    /// The policy of its routes and heartbeats, and of producers that set none.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.handle.core.policy
    }

    pub(crate) fn core(&self) -> &Arc<ClientCore> {
        &self.handle.core
    }

    /// Starts the background work, unless it runs.
    pub(crate) fn start(&self) {
        let mut background = self.handle.background.lock();
        if background.is_none() {
            let core = &self.handle.core;
            core.emit(Event::NameServers {
                servers: core.name_servers.servers(),
            });
            let work = supervise(Arc::clone(core));
            *background = Some(core.host.spawn("client", Box::pin(work)));
        }
    }

    /// Ends the background work and closes the connections. Sends through it fail from now on.
    pub async fn stop(&self) {
        let background = self.handle.background.lock().take();
        drop(background);
        self.handle.core.lookups.close();
        self.handle.core.remoting.stop().await;
    }
}

type Work = fn(Arc<ClientCore>) -> BoxFuture<'static, ()>;

/// The background tasks, each restarted if it panics.
const WORK: [(&str, Work); 2] = [
    ("route-poll", |core| Box::pin(routes::poll(core))),
    ("heartbeat", |core| Box::pin(beat::run(core))),
];

async fn supervise(core: Arc<ClientCore>) {
    let mut running = FuturesUnordered::new();
    for (name, work) in WORK {
        running.push(watch(&core, name, work));
    }
    while running.next().await.is_some() {}
}

async fn watch(core: &Arc<ClientCore>, name: &'static str, work: Work) {
    while let TaskEnd::Panicked(_) = core.host.spawn(name, work(Arc::clone(core))).await {
        core.emit(Event::TaskPanicked {
            task: name.to_owned(),
        });
        tokio::time::sleep(AFTER_PANIC).await;
    }
}

/// Describes a client.
#[derive(Debug, Default)]
#[must_use]
pub struct ClientBuilder {
    host: Option<SharedHost>,
    name_servers: String,
    observer: Option<Arc<dyn Observer<Event>>>,
    policy: Option<Policy>,
    instance: String,
    first_name_server: Option<usize>,
    id_constant: Option<u32>,
    first_opaque: i32,
    first_message: u16,
    namespace_v2: String,
    rpc_hooks: Vec<Arc<dyn RpcHook>>,
}

impl ClientBuilder {
    /// The machine it runs on; the real one unless set.
    pub fn host(mut self, host: SharedHost) -> Self {
        self.host = Some(host);
        self
    }

    /// The name servers, as `host:port` separated by `;`; an IPv6 address as `[::1]:9876` or
    /// `::1:9876`. Unless set, the environment variable
    /// `NAMESRV_ADDR` says them, as it does for the Java client.
    pub fn name_servers(mut self, servers: impl Into<String>) -> Self {
        self.name_servers = servers.into();
        self
    }

    /// Who gets the events; `tracing` unless set. A panic of it is reported through `tracing` and
    /// reaches nothing else.
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
        policy
            .check()
            .map_err(|error| StartError::Policy(error.to_string()))?;
        let servers = listed(&name_servers(self.name_servers))?;
        let host = self.host.unwrap_or_else(|| Arc::new(TokioHost::new()));
        let observer = shielded(self.observer);
        let openings = Arc::new(Openings::default());
        let mut settings = ClientSettings::new(speaker(&policy));
        settings.dial_timeout = Duration::from_millis(policy.dial_timeout);
        settings.idle = Duration::from_millis(policy.periods.idle);
        settings.patience = peer::patience(&policy);
        settings.redial = peer::redial(&policy);
        settings.first_opaque = self.first_opaque;
        if !self.namespace_v2.is_empty() {
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
            groups: Mutex::default(),
            started: Instant::now(),
            observer,
            messages: AtomicU16::new(self.first_message),
            sends: AtomicU64::new(0),
            lookup_numbers: AtomicU64::new(0),
            snapshots: AtomicU64::new(0),
            name_server_changes: AtomicU64::new(0),
            host,
        };
        Ok(Client {
            handle: Arc::new(Handle {
                core: Arc::new(core),
                background: Mutex::default(),
            }),
        })
    }
}

/// Who gets the events: the program's observer, whose panics reach nobody else, or `tracing`.
fn shielded(observer: Option<Arc<dyn Observer<Event>>>) -> Arc<dyn Observer<Event>> {
    match observer {
        Some(observer) => Arc::new(Shielded(observer)),
        None => Arc::new(Tracing),
    }
}

/// What the client says of itself in each request.
fn speaker(policy: &Policy) -> Speaker {
    Speaker {
        form: match envelope::wire(policy).header {
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
fn name_servers(given: String) -> String {
    if given.trim().is_empty() {
        return std::env::var(NAMESRV_ADDR).unwrap_or_default();
    }
    given
}

/// The servers of a list as a program writes it.
fn listed(text: &str) -> Result<Arc<[Name]>, StartError> {
    let listed = name_server::list(text).map_err(StartError::NameServer)?;
    if listed.is_empty() {
        return Err(StartError::NoNameServer);
    }
    Ok(listed.into_iter().map(Name::from).collect())
}

/// A number that stands for a name in draws (FNV-1a).
pub(crate) fn identity_hash(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
