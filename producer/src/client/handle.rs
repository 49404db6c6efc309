//! The handle of a client, and its background work.
//!
//! The work starts with the first producer and ends with the last handle. Its tasks know the shared
//! state, never the handle, so they keep nothing alive.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use parking_lot::Mutex;
use rmq_host::{BoxFuture, Task, TaskEnd};
use rmq_remoting::event::CloseCause;
use rmq_remoting::observe::Name;
use tokio::time::Duration;

use super::state::ClientCore;
use super::{find, heartbeat, name_servers};
use crate::addresses::NameServerAddresses;
use crate::error::StartError;
use crate::event::Event;
use crate::policy::Policy;

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

impl Client {
    /// A client whose background work has not started.
    pub(super) fn new(core: ClientCore) -> Self {
        Self {
            handle: Arc::new(Handle {
                core: Arc::new(core),
                background: Mutex::default(),
            }),
        }
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
    /// ```
    /// # use rmq_producer::{Message, Producer};
    /// # use rmq_mock_broker::Broker;
    /// # use rmq_mock_namesrv::NameServer;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let name_server = NameServer::on_loopback().await?;
    /// # let address = name_server.local_addr().to_string();
    /// # let broker = Broker::builder("broker-a").name_server(&address).topic("orders", 4).start().await?;
    /// # let producer = Producer::builder("order-service").name_servers(&address).start().await?;
    /// let client = producer.client();
    /// assert_eq!(client.update_name_servers(["10.0.0.1:9876", address.as_str()])?, true);
    /// assert!(client.update_name_servers("nonsense").is_err(), "the list in force stays");
    /// assert_eq!(client.name_servers().len(), 2);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The list is empty or malformed; the one in force stays.
    pub fn update_name_servers(
        &self,
        servers: impl Into<NameServerAddresses>,
    ) -> Result<bool, StartError> {
        let servers = name_servers::read(servers.into().as_str())?;
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
            let end = End(Arc::clone(core));
            let work = async move {
                supervise(&end.0).await;
            };
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
    ("route-poll", |core| Box::pin(find::poll(core))),
    ("heartbeat", |core| Box::pin(heartbeat::run(core))),
];

/// Tells that the background work is over: it was stopped, or the runtime under it was shut down. Routes
/// would grow old and connections would not be dialled any more.
struct End(Arc<ClientCore>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.ended.store(true, Ordering::Relaxed);
    }
}

async fn supervise(core: &Arc<ClientCore>) {
    let mut running = FuturesUnordered::new();
    for (name, work) in WORK {
        running.push(watch(core, name, work));
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
