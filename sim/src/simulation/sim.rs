//! What a check gets its hands on: producers, machines, time.

use std::fmt;
use std::time::Duration;

use rmq_host::SharedHost;
use rmq_producer::{Client, Policy, Producer, ProducerBuilder, StartError};
use rmq_remoting::observe::Name;

use super::ledger::ClusterLedger;
use crate::run::RunningCluster;

/// The simulated cluster that a check runs in.
///
/// ```
/// use std::time::Duration;
/// use rmq_sim::simulation::{Cluster, Simulation};
///
/// Simulation::new(Cluster::new()).seeds(0..3).check(async |sim| {
///     sim.until_secs(10).await;
///     sim.sleep(Duration::from_millis(500)).await;
///     assert_eq!(sim.now(), Duration::from_millis(10_500));
///     Ok(())
/// });
/// ```
#[derive(Debug, Clone)]
pub struct Sim {
    pub(super) cluster: RunningCluster,
}

impl Sim {
    /// A producer on a machine of its own, called as the producer's group. Start it as in
    /// production: `sim.producer("orders-app").start().await?`.
    pub fn producer(&self, name: &str) -> SimProducer {
        SimProducer {
            cluster: self.cluster.clone(),
            name: Name::from(name),
            policy: Policy::strict(),
            retries: None,
            configure: None,
            process: None,
        }
    }

    /// The machine called `name`, for the parts of a program that open connections or start tasks.
    /// A producer and its program share one if they use one name.
    ///
    /// ```
    /// use rmq_sim::simulation::{Cluster, Simulation};
    /// use tokio::io::AsyncReadExt;
    ///
    /// // The program has a port of its own beside its producer.
    /// Simulation::new(Cluster::new()).seeds(0..3).check(async |sim| {
    ///     let (app, visitor) = (sim.host("orders-app"), sim.host("visitor"));
    ///     let mut listener = app.listen(([0, 0, 0, 0], 8080).into()).await?;
    ///     let at = format!("{}:8080", app.identity().address);
    ///     let mut connection = visitor.connect(&at).await?;
    ///     drop(listener.accept().await?);
    ///     assert_eq!(connection.stream.read(&mut [0; 8]).await?, 0, "closed");
    ///     Ok(())
    /// });
    /// ```
    pub fn host(&self, name: &str) -> SharedHost {
        self.cluster.machine(name)
    }

    /// The seed of this run, for what a program draws by itself: the same seed, the same draw.
    pub fn seed(&self) -> u64 {
        self.cluster.seed()
    }

    /// The name servers' addresses, as a producer's `name_servers` takes them.
    pub fn name_servers(&self) -> String {
        self.cluster.name_servers()
    }

    /// The virtual time since the start of the run, in whole milliseconds. It is the time that the
    /// trace shows; [`VirtualTime`](super::VirtualTime) writes it into the lines of `tracing`.
    pub fn now(&self) -> Duration {
        Duration::from_millis(self.cluster.now_ms())
    }

    /// Waits until so many virtual seconds after the start of the run.
    pub async fn until_secs(&self, seconds: u64) {
        self.cluster.until(seconds * 1_000).await;
    }

    /// Waits; the same as [`tokio::time::sleep`], which works too.
    pub async fn sleep(&self, long: Duration) {
        tokio::time::sleep(long).await;
    }

    /// What the brokers have stored by now.
    pub fn ledger(&self) -> ClusterLedger {
        ClusterLedger {
            entries: self.cluster.stored(),
            sends: self.cluster.sends(),
        }
    }
}

/// What a check sets at a producer's builder.
type Configure = Box<dyn FnOnce(ProducerBuilder) -> ProducerBuilder + Send>;

/// A producer that is being described.
#[must_use = "a producer does nothing before it is started"]
pub struct SimProducer {
    cluster: RunningCluster,
    name: Name,
    policy: Policy,
    retries: Option<u32>,
    configure: Option<Configure>,
    /// The process of a node that it is part of; none: it has a machine of its own.
    process: Option<SharedHost>,
}

impl fmt::Debug for SimProducer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimProducer")
            .field("name", &self.name)
            .field("policy", &self.policy)
            .field("retries", &self.retries)
            .finish_non_exhaustive()
    }
}

impl SimProducer {
    /// A producer of a node's process.
    pub(super) fn of_process(cluster: &RunningCluster, group: &str, process: SharedHost) -> Self {
        let cluster = cluster.clone();
        Self {
            process: Some(process),
            ..Sim { cluster }.producer(group)
        }
    }

    /// What it does when; [`Policy::strict`] unless set.
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// The whole time of a send: over lookup, dial and all attempts.
    pub fn send_timeout(mut self, timeout: Duration) -> Self {
        self.policy.send_timeout = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        self
    }

    /// How often a failed attempt is repeated, as [`Policy::with_retries`] has it.
    pub fn retries(mut self, retries: u32) -> Self {
        self.retries = Some(retries);
        self
    }

    /// Sets what else a producer has, at its own builder: limits, hooks, the start of its rotation.
    /// Policy, timeout and retries are set here, for the checkers read them.
    ///
    /// ```
    /// # use rmq_sim::simulation::{Cluster, Simulation};
    /// # Simulation::new(Cluster::new().brokers(1).topic("orders", 4)).seeds(0..1).check(async |sim| {
    /// let producer = sim.producer("orders-app").with(|builder| builder.max_open_sends(100));
    /// # producer.start().await?.stop().await;
    /// # Ok(())
    /// # });
    /// ```
    pub fn with(
        mut self,
        configure: impl FnOnce(ProducerBuilder) -> ProducerBuilder + Send + 'static,
    ) -> Self {
        self.configure = Some(Box::new(configure));
        self
    }

    /// Starts it.
    ///
    /// # Errors
    ///
    /// As [`ProducerBuilder::start`](rmq_producer::ProducerBuilder::start).
    pub async fn start(mut self) -> Result<Producer, StartError> {
        if let Some(retries) = self.retries {
            self.policy = self.policy.with_retries(retries);
        }
        let machine = match self.process.take() {
            Some(process) => process,
            None => self.cluster.machine(&self.name),
        };
        // A description of its own, which a client that the check shares may take the place of.
        let client = Client::builder()
            .host(machine)
            .name_servers(self.cluster.name_servers());
        let builder = Producer::builder(Name::clone(&self.name))
            .own_client(client)
            .policy(self.policy);
        let builder = match self.configure {
            Some(configure) => configure(builder),
            None => builder,
        };
        builder.start().await
    }
}
