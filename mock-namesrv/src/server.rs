//! One name-server process: its port, its tables, and the tasks that look after them.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use rmq_host::{SharedHost, Task};
use rmq_mock_server::count::RequestCounts;
use rmq_mock_server::rules::{Exit, Handling, Steps};
use rmq_remoting::code::{request, response};
use rmq_remoting::command::{Command, Language};
use rmq_remoting::frame::Speaker;
use rmq_remoting::observe::{Name, Observer};
use rmq_remoting::server::{Server, ServerSettings};
use rmq_remoting::service::{Answer, Peer, Reply, Response, Service};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use crate::config::Config;
use crate::control::{Action, Control, RouteAlteration, Ruled, Seen};
use crate::event::{Event, RemovalCause, RequestNumber};
use crate::handle::{self, Ask, Leaving, Said};
use crate::tables::{Changes, Channel, Tables};
use rmq_remoting::profile::Profile;

/// So many brokers that said they leave may wait to be removed, as in a real server's queue.
const MAX_LEAVING: usize = 3_000;

/// A running name server. Dropping it is a kill.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// use rmq_mock_namesrv::NameServer;
///
/// let name_server = NameServer::on_loopback().await?;
/// println!("rocketmq.namesrv.addr={}", name_server.local_addr());
/// name_server.stop().await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct NameServer {
    server: Server,
    memory: Memory,
    _tasks: [Task; 2],
}

impl NameServer {
    /// Starts a name server with empty tables.
    ///
    /// # Errors
    ///
    /// The address is in use or cannot be listened at.
    pub async fn start(
        host: SharedHost,
        config: Config,
        control: Arc<dyn Control<RouteAlteration>>,
        observer: Arc<dyn Observer<Event>>,
    ) -> io::Result<Self> {
        let speaker = Speaker {
            form: config.form,
            language: Language::Java,
            version: config.profile.version(),
        };
        let state = Arc::new(State {
            tables: Mutex::new(Tables::new(config.profile, config.broker_timeout)),
            said: Mutex::default(),
            profile: config.profile,
            control,
            observer: Arc::clone(&observer),
            counts: Mutex::default(),
            peers: Mutex::default(),
            leaving: Mutex::default(),
            left: Notify::new(),
            kept: Mutex::default(),
            speaker,
        });
        let settings = ServerSettings {
            idle: config.idle,
            first_bytes: config.profile.first_bytes(),
            ..ServerSettings::new(speaker)
        };
        let memory = Memory(Arc::downgrade(&state));
        let front = Arc::new(Front(Arc::clone(&state)));
        let server = Server::start(Arc::clone(&host), config.listen, settings, front).await?;
        observer.on(Event::Listening {
            at: server.local_addr(),
        });
        let scan = scan(Arc::clone(&state), config.scan_every);
        let tasks = [
            host.spawn("scan", Box::pin(scan)),
            host.spawn("unregister", Box::pin(unregister(state))),
        ];
        Ok(Self {
            server,
            memory,
            _tasks: tasks,
        })
    }

    /// The address it listens at, with the real port.
    pub fn local_addr(&self) -> SocketAddr {
        self.server.local_addr()
    }

    /// A handle that can keep what it knows now, for stale answers later.
    pub fn memory(&self) -> Memory {
        self.memory.clone()
    }

    /// Closes the port and every connection. A name server tells nobody that it stops.
    #[expect(
        clippy::unused_async,
        reason = "as the broker's; a gentler stop would wait"
    )]
    pub async fn stop(self) {
        drop(self);
    }
}

/// Keeps what a name server knows, as a value that later changes do not reach. It outlives the
/// name server and does nothing then.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::sync::Arc;
/// use rmq_mock_namesrv::NameServer;
/// use rmq_mock_namesrv::control::{Action, Match, RouteAlteration, Rule, RuleBook};
/// # use rmq_mock_broker::Broker;
/// # use rmq_producer::{Message, Producer};
///
/// let rules = Arc::new(RuleBook::new());
/// let name_server = NameServer::builder().rules(rules.clone()).start().await?;
/// # let at = name_server.local_addr();
/// let a = Broker::on_loopback("broker-a", at).await?;
/// name_server.memory().keep(1);
/// let b = Broker::on_loopback("broker-b", at).await?;
///
/// // From now on routes are told as they were before the second broker came.
/// let stale = Action::Alter { how: RouteAlteration::Stale { kept: 1 } };
/// rules.add(Rule::new("stale", Match { code: Some(105), ..Match::default() }, stale));
/// # let producer = Producer::builder("orders-app").name_servers(at.to_string()).start().await?;
/// # for _ in 0..4 {
/// #     producer.send(Message::new("orders", "created")).await?;
/// # }
/// # producer.stop().await;
/// assert_eq!(b.disk().ledger().len(), 0, "no producer has heard of it");
/// # drop((a, name_server));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Memory(Weak<State>);

impl Memory {
    /// Keeps the tables as they are now, under a number, for
    /// [`RouteAlteration::Stale`]. What was kept under it before is forgotten.
    pub fn keep(&self, number: u32) {
        if let Some(state) = self.0.upgrade() {
            let now = state.tables.lock().clone();
            state.kept.lock().insert(number, now);
        }
    }
}

/// What the service and the tasks share.
#[derive(Debug)]
struct State {
    tables: Mutex<Tables>,
    said: Mutex<Said>,
    profile: Profile,
    control: Arc<dyn Control<RouteAlteration>>,
    observer: Arc<dyn Observer<Event>>,
    counts: Mutex<RequestCounts>,
    /// The open connections, to close that of a broker that went silent.
    peers: Mutex<BTreeMap<Channel, Peer>>,
    /// Brokers that said they leave and are still in the tables.
    leaving: Mutex<VecDeque<Leaving>>,
    left: Notify,
    /// Tables of earlier, by the number they were kept under.
    kept: Mutex<BTreeMap<u32, Tables>>,
    speaker: Speaker,
}

/// An answer, and what else the request led to.
struct Handled {
    response: Response,
    changes: Changes,
    leaving: Option<Leaving>,
}

fn asks_for_a_route(command: &Command) -> bool {
    command.code == request::GET_ROUTEINFO_BY_TOPIC
}

/// The service behind the port.
#[derive(Debug)]
struct Front(Arc<State>);

impl Service for Front {
    fn serve(&self, peer: &Peer, request: Command) -> Reply {
        let state = &self.0;
        let (number, nth) = state.counts.lock().count(request.code);
        let topic = request.ext.get("topic").map(Name::from);
        state.observer.on(Event::Received {
            request: number,
            peer: peer.address(),
            code: request.code,
            opaque: request.opaque,
            topic: topic.clone(),
        });
        let seen = Seen {
            code: request.code,
            request: &request,
            oneway: request.is_oneway(),
            peer: peer.address(),
            topic: topic.as_ref(),
            queue: None,
            unique_key: None,
            keys: None,
            nth,
            nth_of_key: 0,
        };
        let action = match state.control.decide(&seen) {
            None => Action::Normal,
            Some(Ruled { rule, action }) => {
                state.observer.on(Event::Ruled {
                    request: number,
                    rule,
                });
                action
            }
        };
        state.act(peer, request, number, action)
    }

    fn connected(&self, peer: &Peer) {
        self.0.peers.lock().insert(peer.number(), peer.clone());
        self.0.observer.on(Event::Accepted {
            peer: peer.address(),
        });
    }

    fn disconnected(&self, peer: &Peer) {
        self.0.peers.lock().remove(&peer.number());
        self.0.observer.on(Event::Disconnected {
            peer: peer.address(),
        });
        self.0.said.lock().forget(peer.number());
        let changes = self.0.tables.lock().channel_closed(peer.number());
        self.0.report(&changes);
    }
}

impl State {
    /// Does to a request what a rule says, or ordinary service.
    fn act(
        self: &Arc<Self>,
        peer: &Peer,
        request: Command,
        number: RequestNumber,
        action: Action,
    ) -> Reply {
        let mut steps = action.steps();
        let state = Arc::clone(self);
        let Some(wait) = steps.wait.take() else {
            return state.deal_with(peer, &request, number, steps);
        };
        let peer = peer.clone();
        Reply::Later(Box::pin(async move {
            sleep(wait).await;
            let reply = state.deal_with(&peer, &request, number, steps);
            reply.answer().await
        }))
    }

    /// The steps of an action behind its wait.
    fn deal_with(
        self: Arc<Self>,
        peer: &Peer,
        request: &Command,
        number: RequestNumber,
        steps: Steps<RouteAlteration>,
    ) -> Reply {
        let response = match steps.handling {
            Handling::Ordinary => self.handle(peer, request, None),
            Handling::Altered(RouteAlteration::Stale { kept }) => self.stale(peer, request, kept),
            Handling::Altered(alteration) => self.handle(peer, request, Some(&alteration)),
            Handling::Instead(response) => response,
        };
        let (opaque, exit) = (request.opaque, steps.exit);
        let Some(hold) = steps.hold else {
            return Reply::Now(self.leave(number, opaque, response, &exit));
        };
        Reply::Later(Box::pin(async move {
            sleep(hold).await;
            self.leave(number, opaque, response, &exit)
        }))
    }

    /// What goes to the connection, with its event.
    fn leave(
        &self,
        request: RequestNumber,
        opaque: i32,
        response: Response,
        exit: &Exit,
    ) -> Answer {
        let response = exit.replace(response);
        if !matches!(exit, Exit::Silence | Exit::Close | Exit::Reset) {
            self.observer.on(Event::Answered {
                request,
                code: response.code,
            });
        }
        exit.answer(response, &self.speaker, opaque)
    }

    /// A route as it was when the tables were kept under this number; anything else, and a number
    /// that nothing was kept under, as it is now.
    fn stale(&self, peer: &Peer, request: &Command, kept: u32) -> Response {
        let old = self.kept.lock().get(&kept).cloned();
        match old.filter(|_| asks_for_a_route(request)) {
            Some(mut old) => self.handle_with(&mut old, peer, request, None).response,
            None => self.handle(peer, request, None),
        }
    }

    /// Ordinary service, with a route that is altered or not.
    fn handle(
        &self,
        peer: &Peer,
        request: &Command,
        alteration: Option<&RouteAlteration>,
    ) -> Response {
        let mut tables = self.tables.lock();
        let Handled {
            response,
            changes,
            leaving,
        } = self.handle_with(&mut tables, peer, request, alteration);
        drop(tables);
        self.report(&changes);
        if let Some(leaving) = leaving {
            let mut queue = self.leaving.lock();
            if queue.len() >= MAX_LEAVING {
                return Response::new(response::SYSTEM_ERROR);
            }
            queue.push_back(leaving);
            self.left.notify_one();
        }
        response
    }

    /// Answers from these tables, and says what the request changed in them.
    fn handle_with(
        &self,
        tables: &mut Tables,
        peer: &Peer,
        request: &Command,
        alteration: Option<&RouteAlteration>,
    ) -> Handled {
        let mut ask = Ask {
            tables,
            said: &mut self.said.lock(),
            request,
            channel: peer.number(),
            now: Instant::now(),
            profile: self.profile,
            alteration,
            changes: Changes::default(),
            leaving: None,
        };
        Handled {
            response: handle::handle(&mut ask),
            changes: ask.changes,
            leaving: ask.leaving,
        }
    }

    /// Tells the observer what changed.
    fn report(&self, changes: &Changes) {
        if let Some(added) = &changes.added {
            self.observer.on(Event::BrokerAdded {
                broker: Name::clone(&added.broker),
                id: added.id,
                address: Name::clone(&added.address),
            });
        }
        for removed in &changes.removed {
            self.observer.on(Event::BrokerRemoved {
                broker: Name::clone(&removed.broker),
                address: Name::clone(&removed.address),
                cause: removed.cause,
            });
        }
        for topic in &changes.topics {
            let write_queues = self.tables.lock().write_queues(topic);
            self.observer.on(Event::RouteChanged {
                topic: Name::clone(topic),
                write_queues,
            });
        }
    }
}

/// Removes brokers that have been silent for too long, at once and then regularly.
async fn scan(state: Arc<State>, every: Duration) {
    loop {
        let expired = state.tables.lock().scan(Instant::now());
        state.report(&expired.changes);
        for channel in expired.channels {
            let peer = state.peers.lock().get(&channel).cloned();
            if let Some(peer) = peer {
                peer.close();
            }
        }
        sleep(every).await;
    }
}

/// Removes brokers that said they leave, a moment after they were answered.
async fn unregister(state: Arc<State>) {
    loop {
        state.left.notified().await;
        loop {
            let next = state.leaving.lock().pop_front();
            let Some(Leaving {
                cluster,
                broker,
                address,
            }) = next
            else {
                break;
            };
            let cause = RemovalCause::Unregistered;
            let changes = state
                .tables
                .lock()
                .unregister(&cluster, &broker, &address, cause);
            state.report(&changes);
        }
    }
}
