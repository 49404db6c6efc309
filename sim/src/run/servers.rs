//! Starts the servers of a run, and starts them again after a fault.

use std::io;
use std::sync::Arc;

use rmq_host::{BoxFuture, SharedHost};
use rmq_mock_broker::{Broker, Config as BrokerConfig, Disk};
use rmq_mock_namesrv::{Config as NameServerConfig, NameServer};
use tokio::sync::oneshot;

use super::control::Script;
use super::controller::{Process, RunController};
use super::watch::Watch;
use crate::fault::Restart;
use crate::trace::{NodeId, NodeKind};

impl RunController {
    /// Starts every server for the first time.
    pub(super) fn boot_servers(self: &Arc<Self>) {
        for (node, info) in self.layout.all() {
            if info.kind != NodeKind::Producer {
                self.boot_server(node, None);
            }
        }
    }

    /// Starts a server or a check's own node again, on the same or on an empty disk, at the same or at a new address.
    pub(super) fn boot_again(self: &Arc<Self>, node: NodeId, how: Restart) {
        if self.boot_added(node, how) {
            return;
        }
        if !how.keep_data {
            self.servers.lock().disks.remove(&node);
        }
        let moved = how.new_address.then(|| self.moved_once_more(node));
        self.boot_server(node, moved);
    }

    /// How often a node has moved to a new address, this time included.
    pub(super) fn moved_once_more(&self, node: NodeId) -> u16 {
        let mut servers = self.servers.lock();
        let moves = servers.moves.entry(node).or_default();
        *moves += 1;
        *moves
    }

    /// Asks a server to shut down in order.
    pub(super) fn ask_server_to_stop(&self, node: NodeId) -> bool {
        let mut servers = self.servers.lock();
        let stop = servers
            .processes
            .get_mut(&node)
            .and_then(|process| process.stop.take());
        drop(servers);
        // A process that has ended already needs no asking.
        stop.is_some_and(|stop| stop.send(()).is_ok())
    }

    fn boot_server(self: &Arc<Self>, node: NodeId, moved: Option<u16>) {
        let kind = self.layout.info(node).map(|info| info.kind);
        let backend = &*self.backend;
        let host = match moved {
            Some(moves) => backend.boot_at(node, self.layout.ip_of(backend, node, moves)),
            None => backend.boot(node),
        };
        let (stop, asked) = oneshot::channel();
        let life: BoxFuture<'static, io::Result<()>> = match kind {
            Some(NodeKind::NameServer) => {
                Box::pin(self.name_server(node, Arc::clone(&host), asked))
            }
            Some(NodeKind::Broker) => Box::pin(self.broker(node, Arc::clone(&host), asked)),
            Some(NodeKind::Producer) | None => {
                unreachable!("places are checked before a run: {node:?} is no server")
            }
        };
        let controller = Arc::clone(self);
        let main = host.spawn(
            "main",
            Box::pin(async move {
                if let Err(error) = life.await {
                    controller.broke(node, &error);
                }
            }),
        );
        let process = Process {
            main,
            stop: Some(stop),
            memory: None,
            registration: None,
        };
        let before = self.servers.lock().processes.insert(node, process);
        // Outside the lock: dropping a handle asks the engine to cancel its task.
        drop(before);
    }

    fn name_server(
        self: &Arc<Self>,
        node: NodeId,
        host: SharedHost,
        asked: oneshot::Receiver<()>,
    ) -> impl Future<Output = io::Result<()>> + Send + 'static {
        let config =
            NameServerConfig::new(self.listens(node)).profile(self.scenario.cluster.profile);
        let control = Arc::new(self.script(node));
        let observer = Arc::new(self.watch(node));
        let controller = Arc::clone(self);
        async move {
            let server = NameServer::start(host, config, control, observer).await?;
            if let Some(process) = controller.servers.lock().processes.get_mut(&node) {
                process.memory = Some(server.memory());
            }
            // The sender lives as long as the run; when it is gone, so is this task.
            let _ = asked.await;
            server.stop().await;
            Ok(())
        }
    }

    fn broker(
        self: &Arc<Self>,
        node: NodeId,
        host: SharedHost,
        asked: oneshot::Receiver<()>,
    ) -> impl Future<Output = io::Result<()>> + Send + 'static {
        let control = Arc::new(self.script(node));
        let observer = Arc::new(self.watch(node));
        let mut config = BrokerConfig::new(Arc::clone(&control.server), self.listens(node));
        config.name_servers.clone_from(&self.layout.name_servers);
        let cluster = &self.scenario.cluster;
        config.topics = cluster.topics_of(&config.name);
        if cluster.without_master.contains(&config.name) {
            config.id = 1;
        }
        config.profile = self.scenario.cluster.profile;
        let disk = self.disk(node);
        let controller = Arc::clone(self);
        async move {
            let broker = Broker::start(host, config, disk, control, observer).await?;
            if let Some(process) = controller.servers.lock().processes.get_mut(&node) {
                process.registration = Some(broker.registration());
            }
            let up = async {
                broker.registered().await;
                controller.is_up(node);
                std::future::pending::<()>().await;
            };
            tokio::select! {
                biased;
                _ = asked => {}
                () = up => {}
            }
            broker.stop().await;
            Ok(())
        }
    }

    pub(super) fn disk(&self, node: NodeId) -> Arc<Disk> {
        Arc::clone(self.servers.lock().disks.entry(node).or_default())
    }

    fn listens(&self, node: NodeId) -> std::net::SocketAddr {
        // One that is not there has never moved.
        let moves = self.servers.lock().moves.get(&node).copied().unwrap_or(0);
        self.layout.listen_of(&*self.backend, node, moves)
    }

    fn script(self: &Arc<Self>, node: NodeId) -> Script {
        let info = self.layout.info(node);
        Script {
            controller: Arc::clone(self),
            server: info.map_or_else(|| "".into(), |info| Arc::clone(&info.name)),
        }
    }

    pub(super) fn watch(self: &Arc<Self>, node: NodeId) -> Watch {
        Watch {
            controller: Arc::clone(self),
            node,
        }
    }

    /// Notes that a broker has registered with every name server, or found that it cannot.
    fn is_up(&self, node: NodeId) {
        self.servers.lock().up.insert(node);
        self.came_up.notify_waiters();
    }

    /// Waits until every broker has registered for the first time.
    pub(super) async fn cluster_is_up(&self) {
        let brokers = self
            .layout
            .all()
            .filter(|(_, info)| info.kind == NodeKind::Broker)
            .count();
        loop {
            let changed = self.came_up.notified();
            if self.servers.lock().up.len() >= brokers {
                return;
            }
            changed.await;
        }
    }

    /// Notes that a process could not start, with the remedy.
    fn broke(&self, node: NodeId, error: &io::Error) {
        let name = self.layout.info(node).map_or("?", |info| &*info.name);
        let at = self.listens(node);
        let remedy = match error.kind() {
            io::ErrorKind::AddrInUse => "stop the program that listens there, or run one at a time",
            io::ErrorKind::PermissionDenied => "run it as a user that may listen there",
            _ => "see that this machine has the address",
        };
        let text = format!("{name} cannot listen at {at}: {error}\n  remedy: {remedy}");
        self.trouble.broken.lock().get_or_insert(text);
        self.trouble.came.notify_one();
    }
}
