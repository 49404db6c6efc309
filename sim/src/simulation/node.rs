//! A node that a check adds: a process with a program of its own.

use std::fmt;
use std::sync::Arc;

use rmq_host::SharedHost;

use super::sim::{Sim, SimProducer};
use super::{CheckError, Disk};
use crate::run::{ProcessParts, RunningCluster};

/// A process of a node, as its program sees it. [`Sim::node`] starts one.
///
/// ```
/// use std::time::Duration;
/// use rmq_producer::Message;
/// use rmq_sim::simulation::{Cluster, Simulation, power_loss};
///
/// Simulation::new(Cluster::new().topic("orders", 4))
///     .fault(power_loss("shop").at(Duration::from_millis(2_500)).down_for_secs(3))
///     .seeds(0..5)
///     .check(async |sim| {
///         // It goes on where it was, by what it has synced to its disk.
///         sim.node("shop", async |node| {
///             let producer = node.producer("shop").start().await?;
///             let next = node.disk().get("next").map_or(0, |next| next[0]);
///             for number in next..5 {
///                 producer.send(Message::new("orders", vec![number])).await?;
///                 node.disk().put("next", vec![number + 1]);
///                 node.disk().sync().await;
///                 tokio::time::sleep(Duration::from_secs(1)).await;
///             }
///             Ok(())
///         });
///         sim.until_secs(20).await;
///         assert_eq!(sim.ledger().bodies("orders").len(), 5);
///         Ok(())
///     });
/// ```
#[derive(Clone)]
pub struct SimNode {
    cluster: RunningCluster,
    name: String,
    host: SharedHost,
    disk: Disk,
}

impl SimNode {
    fn new(parts: ProcessParts) -> Self {
        Self {
            cluster: RunningCluster {
                controller: parts.controller,
            },
            name: parts.name.to_string(),
            host: parts.host,
            disk: parts.disk,
        }
    }

    /// The name of the node. Others reach it by that: `shop:8080`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The machine under this process: connections, ports, tasks, clock and random numbers. Code that was
    /// written for Tokio needs no host, and finds its node by itself: [`dst_engine::net`].
    pub fn host(&self) -> SharedHost {
        Arc::clone(&self.host)
    }

    /// The node's disk, which outlives the process.
    pub fn disk(&self) -> &Disk {
        &self.disk
    }

    /// A producer of this process, which dies with it.
    pub fn producer(&self, group: &str) -> SimProducer {
        SimProducer::of_process(&self.cluster, group, Arc::clone(&self.host))
    }

    /// The name servers' addresses, as a producer's `name_servers` takes them.
    pub fn name_servers(&self) -> String {
        self.cluster.name_servers()
    }
}

impl fmt::Debug for SimNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SimNode({})", self.name)
    }
}

impl Sim {
    /// Adds a node that runs a program: a process of its own, on a machine of its own. Faults strike it as
    /// they strike a broker: `crash("shop")`, `power_loss("shop")`, `freeze("shop")`,
    /// `partition("shop", "broker-a")`.
    ///
    /// When the node is started again after a crash, the program is called anew, with a new host and the
    /// same disk. A program that returns ends its process, with all tasks that it has started.
    /// One that returns an error fails the check, as a panic does.
    ///
    /// ```
    /// use std::time::Duration;
    /// use dst_engine::net::{TcpListener, TcpStream};
    /// use rmq_sim::simulation::{Cluster, Simulation, crash};
    /// use tokio::io::{AsyncReadExt, AsyncWriteExt};
    ///
    /// // A service that counts its visitors on disk. A crash in between loses none.
    /// Simulation::new(Cluster::new())
    ///     .fault(crash("shop").at_secs(10).down_for_secs(5))
    ///     .seeds(0..5)
    ///     .check(async |sim| {
    ///         sim.node("shop", async |node| {
    ///             let listener = TcpListener::bind("0.0.0.0:80").await?;
    ///             loop {
    ///                 let (mut visitor, _) = listener.accept().await?;
    ///                 let before = node.disk().get("visitors").map_or(0, |count| count[0]);
    ///                 node.disk().put("visitors", vec![before + 1]);
    ///                 visitor.write_all(&[before + 1]).await?;
    ///             }
    ///         });
    ///         sim.node("visitor", async |_node| {
    ///             for (second, expected) in [(5, 1), (20, 2)] {
    ///                 tokio::time::sleep(Duration::from_secs(second)).await;
    ///                 let mut shop = TcpStream::connect("shop:80").await?;
    ///                 assert_eq!(shop.read_u8().await?, expected);
    ///             }
    ///             Ok(())
    ///         });
    ///         sim.until_secs(40).await;
    ///         Ok(())
    ///     });
    /// ```
    ///
    /// # Panics
    ///
    /// A node of the cluster or of the check has this name.
    #[track_caller]
    pub fn node<F>(&self, name: &str, program: impl Fn(SimNode) -> F + Send + Sync + 'static)
    where
        F: Future<Output = Result<(), CheckError>> + Send + 'static,
    {
        let program = move |parts| -> rmq_host::BoxFuture<'static, _> {
            Box::pin(program(SimNode::new(parts)))
        };
        let is_new = self.cluster.start_node(name, Arc::new(program));
        assert!(
            is_new,
            "there is a node called \"{name}\" already: choose another name"
        );
    }
}
