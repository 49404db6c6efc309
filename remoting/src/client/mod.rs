//! A remoting client: one connection per address, and requests multiplexed over it.
//!
//! A request goes this way: [`RemotingClient::request`] finds the address's connection or starts
//! one, whose task dials; it enters the request into the connection's pending table under a fresh
//! opaque and encodes it into the connection's write buffer; the task writes it, reads the answer and
//! completes the entry, which wakes the [`PendingReply`].
//!
//! * All first requests to an address share one dial. A caller that gives up does not end it.
//! * One absolute deadline covers a call's dial, its wait for room in the write buffer and its answer.
//! * When a connection ends, every request waiting on it fails at once.
//! * Connections share nothing: a peer that hangs delays no request to another one. No lock is
//!   held across a wait.
//! * There is no reconnecting in the background: the next request to an address dials anew.

mod backoff;
mod call;
mod connection;
mod connection_handle;
mod error;
mod hook;
mod pending;
mod registry;
mod reply;
mod silence;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use rmq_host::SharedHost;
use tokio::time::{Instant, timeout_at};

pub use self::backoff::Backoff;
pub use self::error::{CallError, CallStage};
pub use self::hook::{ExtraFields, HookError, RpcHook};
pub use self::reply::PendingReply;
pub use self::silence::Patience;

use self::call::{Call, Writing};
use self::connection_handle::{ConnectionHandle, FailedDial, SlotRole, Standing};
use self::hook::Hooked;
use self::pending::Refusal;
use self::registry::{Core, Environment};
use crate::command::{Command, FLAG_ONEWAY};
use crate::event::{CloseCause, ConnectionNumber, Event};
use crate::frame::Speaker;
use crate::header::Request;
use crate::observe::{Name, Observer};
use crate::service::Service;

/// How a client treats its connections.
///
/// ```
/// use std::time::Duration;
/// use rmq_remoting::client::{Backoff, ClientSettings};
/// use rmq_remoting::command::{HeaderForm, Language};
/// use rmq_remoting::frame::Speaker;
///
/// let speaker = Speaker { form: HeaderForm::Json, language: Language::Rust, version: 479 };
/// let redial = Backoff { first: Duration::from_millis(100), most: Duration::from_secs(5) };
/// let settings = ClientSettings { redial: Some(redial), ..ClientSettings::new(speaker) };
/// assert_eq!(settings.dial_timeout, Duration::from_secs(3));
/// ```
#[derive(Debug, Clone)]
pub struct ClientSettings {
    /// What it says of itself in each request.
    pub speaker: Speaker,
    /// How long a dial may take, whoever waits for it. RocketMQ: 3 s.
    pub dial_timeout: Duration,
    /// A connection on which nothing is read or written for so long is closed. RocketMQ: 120 s.
    pub idle: Duration,
    /// How much silence is taken for the peer's end: the next request gets a fresh connection, and
    /// those that wait on the old one fail at once. None unless set, as in RocketMQ.
    pub patience: Option<Patience>,
    /// How dials of an address are spaced that come to nothing. They are not unless set, as in
    /// RocketMQ.
    pub redial: Option<Backoff>,
    /// While more bytes than this wait on a connection, further requests on it wait for room.
    /// 16 MiB unless set.
    pub max_buffered: usize,
    /// The first request's opaque; they count up and wrap to the negative. Tests start near the
    /// edge.
    pub first_opaque: i32,
    /// Who sees each request before it is written, in this order.
    pub hooks: Vec<Arc<dyn RpcHook>>,
}

impl ClientSettings {
    /// RocketMQ's limits for a client that introduces itself so.
    pub fn new(speaker: Speaker) -> Self {
        Self {
            speaker,
            dial_timeout: Duration::from_secs(3),
            idle: Duration::from_secs(120),
            patience: None,
            redial: None,
            max_buffered: 16 * 1024 * 1024,
            first_opaque: 0,
            hooks: Vec::new(),
        }
    }
}

/// Which connection to an address takes a request.
///
/// A box between two machines (a firewall, an address translation, a load balancer) may forget a
/// connection without telling either end: it swallows what is written, while a new connection works
/// at once. Who suspects that asks for a connection that was heard since.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Over {
    /// The address's connection, unless it is doubted.
    #[default]
    First,
    /// One that was heard by a whole frame, or opened, at this instant or later. If the address's
    /// connection was not, a second one is dialled beside it, which takes its place as soon as it is
    /// heard itself.
    HeardSince(Instant),
    /// This one, as long as it takes requests; then the address's connection.
    Connection(ConnectionNumber),
}

impl Over {
    fn since(self) -> Option<Instant> {
        match self {
            Self::First | Self::Connection(_) => None,
            Self::HeardSince(since) => Some(since),
        }
    }
}

/// What a client holds at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ClientGauges {
    /// Requests in the tables: their answer is waited for, or was not picked up yet.
    pub pending: usize,
    /// How many connections are open.
    pub connections: usize,
}

/// A one-way request in a connection's buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Handed {
    /// The number of the connection that this is about.
    pub connection: ConnectionNumber,
    /// The request's id on it.
    pub opaque: i32,
}

/// A client, shared by cloning it. Dropping the last clone drops its connections without a word;
/// [`stop`](Self::stop) unregisters.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::sync::Arc;
/// use std::time::Duration;
/// use rmq_host::TokioHost;
/// use rmq_remoting::client::{CallError, ClientSettings, RemotingClient};
/// use rmq_remoting::command::{HeaderForm, Language};
/// use rmq_remoting::frame::Speaker;
/// use rmq_remoting::observe::Silent;
/// use rmq_remoting::request::GetBrokerClusterInfo;
/// use rmq_remoting::service::Unsupported;
/// use tokio::time::Instant;
///
/// let speaker = Speaker { form: HeaderForm::Json, language: Language::Rust, version: 479 };
/// let client = RemotingClient::new(
///     Arc::new(TokioHost::new()),
///     ClientSettings::new(speaker),
///     Arc::new(Silent),
///     Arc::new(Unsupported),
/// );
/// let deadline = Instant::now() + Duration::from_secs(1);
/// // Nobody listens at port 1, so there is no connection to give the request to.
/// let answer = client.call(&"127.0.0.1:1".into(), &GetBrokerClusterInfo {}, deadline).await;
/// assert!(matches!(answer, Err(CallError::Dial { .. })));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct RemotingClient {
    core: Arc<Core>,
}

impl fmt::Debug for RemotingClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let registry = self.core.environment.registry.lock();
        f.debug_list().entries(registry.slots.keys()).finish()
    }
}

impl RemotingClient {
    /// A client without connections. `inbound` answers what servers ask;
    /// [`Unsupported`](crate::service::Unsupported) if nothing is expected.
    pub fn new(
        host: SharedHost,
        settings: ClientSettings,
        observer: Arc<dyn Observer<Event>>,
        inbound: Arc<dyn Service>,
    ) -> Self {
        let environment = Environment {
            host,
            opaque: Arc::new(AtomicI32::new(settings.first_opaque)),
            settings,
            observer,
            inbound,
            registry: Mutex::default(),
        };
        Self {
            core: Arc::new(Core {
                environment: Arc::new(environment),
            }),
        }
    }

    /// Gives a request to the connection to `to` (`"host:port"`), which is dialled if needed. The
    /// returned value awaits the answer, until the same deadline.
    ///
    /// # Errors
    ///
    /// There is no connection in time, the request cannot be encoded, or it finds no room in the
    /// connection's buffer in time.
    pub async fn request(
        &self,
        to: &Name,
        request: &dyn Request,
        deadline: Instant,
    ) -> Result<PendingReply, CallError> {
        self.request_over(Over::First, to, request, deadline).await
    }

    async fn request_over(
        &self,
        over: Over,
        to: &Name,
        request: &dyn Request,
        deadline: Instant,
    ) -> Result<PendingReply, CallError> {
        let began = Instant::now();
        let call = Call {
            to,
            began,
            deadline,
        };
        let mut handle = self.connected(&call, over).await?;
        let hooked = self.hooked(&call, request)?;
        let request = hooked.as_ref().map_or(request, |hooked| hooked);
        let opaque = match self.enter(&handle, &call) {
            Ok(opaque) => opaque,
            // It ended before the request was given to it. Nothing was sent, so another one may send it.
            Err(_) => {
                handle = self.connected(&call, over).await?;
                self.enter(&handle, &call)
                    .map_err(|cause| call.dial(FailedDial::ended(cause)))?
            }
        };
        let reply = PendingReply::new(Arc::clone(&handle), opaque, began, deadline);
        self.writing(&handle, &call, request, opaque, 0)
            .done()
            .await?;
        Ok(reply)
    }

    /// Sees to it that there is a connection to `to`, which is dialled if needed.
    ///
    /// # Errors
    ///
    /// There is none in time.
    pub async fn connect(&self, to: &Name, deadline: Instant) -> Result<(), CallError> {
        let call = Call {
            to,
            began: Instant::now(),
            deadline,
        };
        self.connected(&call, Over::First).await.map(|_| ())
    }

    /// A request that was given to this connection at `given` has had its time without an answer.
    /// Unless a frame came since then, the connection takes no further request until one comes: the
    /// next one goes over a second connection. Requests that wait go on waiting.
    pub fn doubt(&self, to: &Name, connection: ConnectionNumber, given: Instant) {
        let registry = self.core.environment.registry.lock();
        let mut handles = registry.handles_to(to);
        if let Some(handle) = handles.find(|handle| handle.number == connection) {
            handle.pending(|pending| pending.doubt(given));
        }
    }

    /// Whether dialling an address came to nothing the last time.
    pub fn is_in_vain(&self, to: &Name) -> bool {
        self.core.environment.registry.lock().is_in_vain(to)
    }

    /// When the connection to an address was opened, if there is one.
    pub fn open_since(&self, to: &Name) -> Option<Instant> {
        let registry = self.core.environment.registry.lock();
        registry.slots.get(to)?.handle.open_since()
    }

    /// The peer at `to` announced its shutdown on this connection: the next request dials anew.
    /// The old connection stays until the peer closes it, for the answers that are still to come.
    /// Tells whether it was the current one.
    pub fn drain(&self, to: &Name, connection: ConnectionNumber) -> bool {
        let mut registry = self.core.environment.registry.lock();
        let registry = &mut *registry;
        for table in [&mut registry.slots, &mut registry.trials] {
            let number = table.get(to).map(|slot| slot.handle.number);
            if number == Some(connection) {
                registry.drained.extend(table.remove(to));
                return true;
            }
        }
        false
    }

    /// Closes the connections that drain, each as soon as no answer can come any more. Without it they stay
    /// until their peers close them.
    pub fn close_drained(&self) {
        let environment = &self.core.environment;
        let handles: Vec<Arc<ConnectionHandle>> = {
            let registry = environment.registry.lock();
            let drained = registry.drained.iter();
            drained.map(|slot| Arc::clone(&slot.handle)).collect()
        };
        for handle in handles {
            // From now on it ends with its last answer.
            handle.put(SlotRole::Drained);
            if handle.pending(|pending| pending.waiting()) == 0 {
                environment.close(&handle, CloseCause::Drained);
            }
        }
    }

    /// Closes the second connections that have proven nothing while the first ones were heard again.
    pub fn close_unneeded_seconds(&self) {
        let environment = &self.core.environment;
        let unneeded: Vec<Arc<ConnectionHandle>> = {
            let registry = environment.registry.lock();
            let trials = registry.trials.iter().filter(|(to, _)| {
                let first = registry.slots.get(*to);
                first.is_some_and(|first| first.handle.trusted(None))
            });
            trials.map(|(_, slot)| Arc::clone(&slot.handle)).collect()
        };
        environment.close_unused(unneeded, CloseCause::Replaced);
    }

    /// Makes a request and awaits the answer.
    ///
    /// # Errors
    ///
    /// There is no answer before the deadline. An answer that refuses is no error here.
    pub async fn call(
        &self,
        to: &Name,
        request: &dyn Request,
        deadline: Instant,
    ) -> Result<Command, CallError> {
        let over = Over::First;
        self.exchange(over, to, request, deadline, |_, _| {}).await
    }

    /// As [`call`](Self::call), over the connection that the caller wants; and tells when the request
    /// has been given to its connection, and under which id.
    ///
    /// # Errors
    ///
    /// As [`call`](Self::call).
    pub async fn exchange(
        &self,
        over: Over,
        to: &Name,
        request: &dyn Request,
        deadline: Instant,
        given: impl FnOnce(ConnectionNumber, i32),
    ) -> Result<Command, CallError> {
        let pending = self.request_over(over, to, request, deadline).await?;
        given(pending.connection(), pending.opaque());
        let answer = pending.await?;
        hook::after(&self.core.environment.settings.hooks, to, request, &answer);
        Ok(answer)
    }

    /// Makes a request whose answer nobody waits for. Returns once it is in the connection's
    /// buffer, with what names it there. With `says_so` the request asks for no answer; without,
    /// an answer that comes is late.
    ///
    /// # Errors
    ///
    /// As [`request`](Self::request).
    pub async fn oneway(
        &self,
        to: &Name,
        request: &dyn Request,
        says_so: bool,
        deadline: Instant,
    ) -> Result<Handed, CallError> {
        let call = Call {
            to,
            began: Instant::now(),
            deadline,
        };
        let handle = self.connected(&call, Over::First).await?;
        let hooked = self.hooked(&call, request)?;
        let request = hooked.as_ref().map_or(request, |hooked| hooked);
        let opaque = self.core.environment.opaque.fetch_add(1, Ordering::Relaxed);
        let flag = if says_so { FLAG_ONEWAY } else { 0 };
        self.writing(&handle, &call, request, opaque, flag)
            .done()
            .await?;
        Ok(Handed {
            connection: handle.number,
            opaque,
        })
    }

    fn writing<'a>(
        &self,
        handle: &'a ConnectionHandle,
        call: &'a Call<'a>,
        request: &'a dyn Request,
        opaque: i32,
        flag: i32,
    ) -> Writing<'a> {
        Writing {
            handle,
            call,
            speaker: self.core.environment.settings.speaker,
            request,
            opaque,
            flag,
        }
    }

    /// Closes the connection to an address, if there is one. Its waiting requests fail at once.
    pub fn close(&self, to: &Name, cause: CloseCause) {
        let environment = &self.core.environment;
        let handles: Vec<Arc<ConnectionHandle>> = {
            let registry = environment.registry.lock();
            registry.handles_to(to).map(Arc::clone).collect()
        };
        for handle in handles {
            environment.close(&handle, cause);
        }
    }

    /// Closes the connections to addresses that nobody needs any more. One that a request waits
    /// on, or that is being opened for one, stays.
    pub fn retire(&self, needed: impl Fn(&Name) -> bool) {
        let environment = &self.core.environment;
        let handles: Vec<Arc<ConnectionHandle>> = {
            let mut registry = environment.registry.lock();
            registry.forget_in_vain(&needed);
            let placed = registry.slots.values().chain(registry.trials.values());
            let gone = placed.filter(|slot| !needed(&slot.handle.to));
            gone.map(|slot| Arc::clone(&slot.handle)).collect()
        };
        environment.close_unused(handles, CloseCause::Offline);
    }

    /// What the client holds at this moment.
    pub fn gauges(&self) -> ClientGauges {
        let registry = self.core.environment.registry.lock();
        ClientGauges {
            pending: registry
                .handles()
                .map(|handle| handle.pending(|pending| pending.held()))
                .sum(),
            connections: registry
                .handles()
                .filter(|handle| matches!(handle.dial_result(), Some(Ok(()))))
                .count(),
        }
    }

    /// Closes every connection and waits until their tasks have ended. Later requests fail.
    pub async fn stop(&self) {
        let environment = &self.core.environment;
        let handles: Vec<Arc<ConnectionHandle>> = {
            let mut registry = environment.registry.lock();
            registry.stopped = true;
            registry.handles().map(Arc::clone).collect()
        };
        for handle in handles {
            environment.close(&handle, CloseCause::Stopped);
        }
        let tasks = std::mem::take(&mut environment.registry.lock().ended);
        for task in tasks {
            task.await;
        }
    }

    /// The open connection to the call's address that the caller wants; dials if there is none.
    async fn connected(
        &self,
        call: &Call<'_>,
        over: Over,
    ) -> Result<Arc<ConnectionHandle>, CallError> {
        if call.deadline <= call.began {
            return Err(call.timed_out());
        }
        let environment = &self.core.environment;
        if let Over::Connection(number) = over {
            let registry = environment.registry.lock();
            let mut handles = registry.handles_to(call.to);
            if let Some(handle) = handles.find(|it| it.number == number && !it.is_over()) {
                return Ok(Arc::clone(handle));
            }
        }
        let handle = loop {
            let handle = environment.handle(call.to).ok_or_else(|| call.stopped())?;
            match handle.standing(environment.settings.patience, call.began) {
                Standing::Open if handle.trusted(over.since()) => return Ok(handle),
                Standing::Open => {
                    let second = environment.second(call.to, over.since());
                    break second.ok_or_else(|| call.stopped())?;
                }
                Standing::Silent => environment.close(&handle, CloseCause::DeadPeer),
                Standing::Other => break handle,
            }
        };
        match timeout_at(call.deadline, handle.dialled()).await {
            // A request without any time left could only do harm: executed, and reported failed.
            Ok(Ok(())) if Instant::now() < call.deadline => Ok(handle),
            Ok(Ok(())) => Err(call.timed_out()),
            Ok(Err(_)) if environment.registry.lock().stopped => Err(call.stopped()),
            Ok(Err(failed)) => Err(call.dial(failed)),
            Err(_) => Err(call.dial(FailedDial::timed_out())),
        }
    }

    /// The request as the hooks want it; nothing if there are none.
    fn hooked<'a>(
        &self,
        call: &Call<'_>,
        request: &'a dyn Request,
    ) -> Result<Option<Hooked<'a>>, CallError> {
        let hooks = &self.core.environment.settings.hooks;
        if hooks.is_empty() {
            return Ok(None);
        }
        let hooked = hook::before(hooks, call.to, request).map_err(|source| CallError::Hook {
            to: Arc::clone(call.to),
            source,
        })?;
        Ok(Some(hooked))
    }

    /// Enters a request into the table, under an opaque that no open request has. The error is what ended the
    /// connection, if it is over.
    fn enter(&self, handle: &ConnectionHandle, call: &Call<'_>) -> Result<i32, CloseCause> {
        loop {
            let opaque = self.core.environment.opaque.fetch_add(1, Ordering::Relaxed);
            let entered =
                handle.pending(|pending| pending.enter(opaque, call.began, call.deadline));
            match entered {
                Ok(()) => return Ok(opaque),
                Err(Refusal::Taken) => {}
                Err(Refusal::Ended(cause)) => return Err(cause),
            }
        }
    }
}
