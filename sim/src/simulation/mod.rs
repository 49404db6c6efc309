//! The laboratory as a library: your own publishing code, unchanged, in a simulated cluster over a
//! thousand seeds.
//!
//! # A first simulation
//!
//! A [`Cluster`] says which servers there are. [`Simulation::check`] runs your code in it, once for each
//! seed. What your code gets is a [`Sim`]: producers, virtual time, and what the brokers have stored.
//!
//! ```
//! use rmq_producer::Message;
//! use rmq_sim::simulation::{Cluster, Simulation};
//!
//! Simulation::new(Cluster::new().brokers(3).topic("orders", 4)).seeds(0..10).check(async |sim| {
//!     let producer = sim.producer("orders-app").start().await?;
//!     producer.send(Message::new("orders", "created")).await?;
//!     producer.stop().await;
//!     sim.ledger().assert_each_key_stored();
//!     Ok(())
//! });
//! ```
//!
//! A check fails if your code returns an error or panics, or if any invariant of the laboratory is
//! violated.
//!
//! # Something goes wrong
//!
//! A fault is described by a function such as [`crash`] or [`drop_replies`], with its start and its end.
//! What your code waits for, it waits for in virtual time, so a minute costs milliseconds.
//!
//! ```
//! use std::time::Duration;
//! use rmq_producer::Message;
//! use rmq_sim::simulation::{Cluster, Simulation, crash, drop_replies};
//!
//! Simulation::new(Cluster::new().brokers(3).topic("orders", 4))
//!     .latency(2, 3)
//!     .fault(crash("broker-a").after_stored(5).down_for_secs(20))
//!     .fault(drop_replies("broker-b").per_mille(50).between_secs(10..30))
//!     .seeds(0..20)
//!     .check(async |sim| {
//!         let producer = sim.producer("orders-app").start().await?;
//!         for n in 0..40 {
//!             producer.send(Message::new("orders", format!("order {n}"))).await?;
//!             sim.sleep(Duration::from_secs(1)).await;
//!         }
//!         producer.stop().await;
//!         sim.ledger().assert_each_key_stored();
//!         Ok(())
//!     });
//! ```
//!
//! A check whose fault struck in no seed fails as well: it has not tested what it seems to.
//!
//! Where the moment is one of your own code, the check starts the fault itself: [`Sim::crash`],
//! [`Sim::partition`], [`Sim::answer`], and [`Sim::inject`] for every other kind, each until its guard is
//! dropped. And [`Simulation::faults`] lets each seed draw faults that nobody thought of.
//!
//! # A seed that fails
//!
//! This program makes one attempt and forgets a message whose send failed. In most seeds no message is
//! lost, and that is why a test with one seed would not find it.
//!
//! ```should_panic
//! # use rmq_producer::Message;
//! # use rmq_sim::simulation::{Cluster, Simulation, drop_requests};
//! Simulation::new(Cluster::new().topic("orders", 4))
//!     .fault(drop_requests("broker-a").per_mille(20))
//!     .seeds(0..200)
//!     .check(async |sim| {
//!         let producer = sim.producer("orders-app").retries(0).start().await?;
//!         for n in 0..10 {
//!             let _forgotten = producer.send(Message::new("orders", format!("order {n}"))).await;
//!         }
//!         producer.stop().await;
//!         sim.ledger().assert_each_key_stored();
//!         Ok(())
//!     });
//! ```
//!
//! The failure's text says which seed, what was found, and ends with the line that repeats it: the
//! environment variable [`SEED_VARIABLE`] makes every simulation run that seed only, and print its trace.
//! A program does the same with [`Simulation::run`], which returns the [`Run`]: its verdict, its trace,
//! and what the brokers have stored.
//!
//! ```
//! # use rmq_producer::Message;
//! # use rmq_sim::simulation::{Cluster, Simulation, drop_requests};
//! use rmq_sim::trace::short;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let simulation = Simulation::new(Cluster::new().topic("orders", 4))
//!     .fault(drop_requests("broker-a").per_mille(20));
//! let mut found = None;
//! for seed in 0..200 {
//!     let run = simulation.clone().run(seed, async |sim| {
//! #         let producer = sim.producer("orders-app").retries(0).start().await?;
//! #         for n in 0..10 {
//! #             let _forgotten = producer.send(Message::new("orders", format!("order {n}"))).await;
//! #         }
//! #         producer.stop().await;
//!         // … as above …
//!         match sim.ledger().missing().first() {
//!             Some(lost) => Err(format!("{lost} is stored nowhere").into()),
//!             None => Ok(()),
//!         }
//!     })?;
//!     if !run.verdict.is_pass() {
//!         found = Some((seed, run));
//!         break;
//!     }
//! }
//! let (seed, run) = found.ok_or("nothing was lost in two hundred seeds")?;
//! assert_eq!(run.verdict.findings[0].by, "check");
//! let trace = short::render(&run.trace);
//! assert!(trace.starts_with(&format!("main  seed {seed}")), "{trace}");
//! # Ok(())
//! # }
//! ```
//!
//! In the trace one line is one event: the producer's column says what it decided, the servers' columns
//! show what arrived and what was stored. [`trace::short`](crate::trace::short) explains the signs.
//!
//! # A program that is more than a producer
//!
//! [`Sim::node`] adds a process of its own, on a machine of its own: it listens, dials, has a [`Disk`] and
//! producers, and is crashed, frozen, cut off and restarted by the same faults as a broker. Code that was
//! written for Tokio gets there by one changed line, `use dst_engine::net` for `use tokio::net`. The test
//! `outbox` of this project takes a service on `axum` in, with under thirty lines.
//!
//! # The same as a file
//!
//! A situation that is worth keeping, and that no code of yours takes part in, is a file: a
//! [`Scenario`]. It has the same faults in the same words, it is played by `rocketmq-sim run` and by
//! [`run::run`], and it can say which figures a person expects.
//!
//! ```
//! use std::sync::Arc;
//! use rmq_sim::fault::EngineKind;
//! use rmq_sim::run;
//! use rmq_sim::scenario::Scenario;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let text = r#"
//!     ## One attempt for each send, and a broker that loses one request in fifty.
//!     format  = 2
//!     seconds = 60
//!
//!     [cluster]
//!     brokers = ["broker-a"]
//!     topics  = { orders = 4 }
//!
//!     [producer.orders-app]
//!     retries = 0
//!
//!     [[workload]]
//!     producer = "orders-app"
//!     topic    = "orders"
//!     sends    = 50
//!
//!     [[fault]]
//!     do        = "drop-request"
//!     on        = "broker-a"
//!     per-mille = 20
//! "#;
//! let no_policies = |_: &str| Err(std::io::ErrorKind::NotFound.into());
//! let scenario = Arc::new(Scenario::parse("forgetful.toml", text, &no_policies)?);
//! let run = run::run(&scenario, 7, EngineKind::Event)?;
//! assert_eq!(run.summary.ok + run.summary.failed, 50);
//!
//! // What is written is read again as the same scenario.
//! let written = scenario.to_toml_under("Found on a Tuesday.");
//! assert_eq!(Scenario::parse("forgetful.toml", &written, &no_policies)?, *scenario);
//! # Ok(())
//! # }
//! ```

use std::error::Error;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use rmq_remoting::observe::Name;
use rmq_remoting::profile::Profile;

use crate::fault::{EngineKind, Fault};
use crate::run::{self, Nodes, Run, RunConfig, RunningCluster};
use crate::scenario::{ClusterPlan, Expect, NetworkPlan, Order, Scenario};
use crate::trace::{NodeId, TraceEnd};
use crate::verdict;

mod check;
mod checker;
mod clock;
mod consume;
mod disk;
mod fault;
mod generated;
mod inject;
mod ledger;
mod node;
mod plan;
mod replay;
mod sim;

use check::Check;
pub use check::{CheckFailure, Checked, ShrunkFaults};
use checker::Judges;
pub use checker::{EventChecker, FinishedRun, Heard, OwnChecker, Report, checker, event_checker};
pub use clock::VirtualTime;
pub use consume::{Consumed, Consumer};
pub use disk::Disk;
pub use fault::{
    AtServer, FaultBuilder, Lasts, OfLink, OfNode, OfRequests, StrikesOnce, TakesAway, answer,
    answer_then_close, bandwidth, bare_id_route, black_hole, clock_jump, close_after, close_before,
    corrupt, crash, delay_replies, delay_requests, drop_replies, drop_requests, empty_answer,
    empty_route, freeze, garbage, half_frame, half_frame_close, half_open, hold, latency, loss,
    name_server_list, null_route, ordered_route, partial_route, partition, partition_one_way,
    permuted_route, power_loss, read_only, refuse, reply_twice, reset, reset_after, reset_at_byte,
    reset_before, resize, slice, slow, stale_route, static_route, stop, stop_reading,
    store_then_answer, swallow_dials, text_number_route, tls_alert, unknown_opaque,
};
pub use generated::{Generated, generated};
pub use inject::InjectedFault;
pub use ledger::ClusterLedger;
pub use node::SimNode;
use plan::SeedPlan;
pub use plan::{JOBS_VARIABLE, SEED_VARIABLE, SEEDS_VARIABLE, TIME_VARIABLE};
pub use sim::{Sim, SimProducer};

/// The error with which a check fails.
pub type CheckError = Box<dyn Error + Send + Sync>;

/// The longest a run may be, in virtual seconds.
const MAX_SECONDS: u64 = 3_600;

/// The longest that a failure is made smaller, unless a simulation says otherwise.
const SHRINKING: Duration = Duration::from_secs(10);

/// The servers of a simulation.
///
/// ```
/// use rmq_remoting::profile::Profile;
/// use rmq_sim::simulation::{Cluster, Simulation};
///
/// let cluster = Cluster::new().name_servers(2).brokers(2).topic("orders", 8).profile(Profile::V4_9_7);
/// Simulation::new(cluster).seeds(0..3).check(async |sim| {
///     assert_eq!(sim.name_servers().split(';').count(), 2);
///     Ok(())
/// });
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct Cluster {
    plan: ClusterPlan,
}

impl Cluster {
    /// One name server and one broker.
    pub fn new() -> Self {
        let plan = ClusterPlan {
            name_servers: 1,
            brokers: names(1),
            profile: Profile::default(),
            topics: Vec::new(),
            only_on: Vec::new(),
            without_master: Vec::new(),
        };
        Self { plan }
    }

    /// The release whose behaviour the servers show; 5.3.3 unless said.
    pub fn profile(mut self, profile: Profile) -> Self {
        self.plan.profile = profile;
        self
    }

    /// So many brokers: `broker-a` to `broker-z`, then `broker-27` and so on.
    pub fn brokers(mut self, count: u8) -> Self {
        self.plan.brokers = names(count);
        self
    }

    /// So many name servers: `ns-1`, `ns-2` …
    pub fn name_servers(mut self, count: u32) -> Self {
        self.plan.name_servers = count;
        self
    }

    /// A topic that exists from the start, with so many queues on each broker. Other topics are
    /// created by the first send to them.
    pub fn topic(mut self, name: &str, queues: i32) -> Self {
        self.plan.topics.push((Name::from(name), queues));
        self
    }
}

impl Default for Cluster {
    fn default() -> Self {
        Self::new()
    }
}

fn names(count: u8) -> Vec<Name> {
    let letters = (b'a'..=b'z').map(|letter| format!("broker-{}", char::from(letter)));
    let numbers = (27..=u32::from(u8::MAX)).map(|number| format!("broker-{number}"));
    let names = letters.chain(numbers).take(usize::from(count));
    names.map(Name::from).collect()
}

/// A test over many seeds. See the module's documentation.
#[derive(Debug, Clone)]
#[must_use = "a simulation runs when its `check` is called"]
pub struct Simulation {
    scenario: Scenario,
    seeds: Range<u64>,
    jobs: Option<usize>,
    shrinking: Duration,
    generated: Option<Generated>,
    judges: Judges,
}

impl Simulation {
    /// A healthy cluster on a network with a latency of 1 ms, and seeds 0 to 99.
    pub fn new(cluster: Cluster) -> Self {
        let scenario = Scenario {
            name: test_name(),
            seconds: MAX_SECONDS,
            cluster: cluster.plan,
            network: NetworkPlan {
                ready_order: Order::Drawn,
                ..NetworkPlan::default()
            },
            producers: Vec::new(),
            workloads: Vec::new(),
            faults: Vec::new(),
            liveness_ms: None,
            expect: Expect::default(),
        };
        Self {
            scenario,
            seeds: 0..100,
            jobs: None,
            shrinking: SHRINKING,
            generated: None,
            judges: Judges::default(),
        }
    }

    /// Another network: so many milliseconds one way, and up to `jitter_ms` more.
    pub fn latency(mut self, ms: u64, jitter_ms: u64) -> Self {
        self.scenario.network.latency_ms = ms.max(1);
        self.scenario.network.jitter_ms = jitter_ms;
        self
    }

    /// Adds a fault that the cluster suffers in each run.
    pub fn fault(mut self, fault: impl Into<Fault>) -> Self {
        let mut fault = fault.into();
        let name_servers = self.scenario.cluster.name_server_names();
        fault::complete(&mut fault, |node| {
            name_servers.iter().any(|it| **it == *node)
        });
        self.scenario.faults.push(fault);
        self
    }

    /// The seeds that are run, one after the other.
    pub fn seeds(mut self, seeds: Range<u64>) -> Self {
        self.seeds = seeds;
        self
    }

    /// Every fault added so far may strike in none of the seeds, as if each said
    /// [`may_miss`](FaultBuilder::may_miss).
    pub fn faults_may_miss(mut self) -> Self {
        for fault in &mut self.scenario.faults {
            fault.may_miss = true;
        }
        self
    }

    /// How many seeds are played side by side, each on a thread of its own; as many as there are processors
    /// unless set, or unless [`JOBS_VARIABLE`] says so. The outcome is the same. With 1 all seeds are played on
    /// the thread that called, one after the other.
    pub fn jobs(mut self, jobs: usize) -> Self {
        self.jobs = Some(jobs);
        self
    }

    /// How long a failure's faults are made fewer and milder, at most; 10 seconds of real time unless set,
    /// and nothing is made smaller with zero. A test that compares the text of a failure sets it so long that
    /// it is never reached.
    pub fn shrinking(mut self, at_most: Duration) -> Self {
        self.shrinking = at_most;
        self
    }

    /// Runs your code once for each seed, on all processors, and fails at the first seed that fails, which is
    /// the same one on any number of them. In each run your code starts when every broker has registered, or
    /// after one second if a fault keeps one from it.
    ///
    /// Seeds share what your closure captures: count in an atomic or behind a lock, not in a `Cell`.
    ///
    /// What it has done is printed as one line ([`Checked`]), which the test harness shows if it is asked to.
    /// A failure is told whole ([`CheckFailure`]), its traces are written below `target/rocketmq-sim`, and its
    /// seed is kept in a file beside the test, `orders.failing-seeds` for `orders.rs`, to be tried first from
    /// then on.
    ///
    /// # Panics
    ///
    /// If a seed fails; the text says why and how to repeat it. If a fault cannot be as it was
    /// described, and, unless they [may miss](Self::faults_may_miss), if one struck in no seed.
    #[expect(
        clippy::panic,
        reason = "a failing check fails the test that called it"
    )]
    #[track_caller]
    pub fn check(self, check: impl AsyncFn(Sim) -> Result<(), CheckError> + Sync) {
        let plan = match SeedPlan::of_environment(&self.seeds, self.jobs) {
            Ok(plan) => plan,
            Err(flaw) => panic!("{flaw}"),
        };
        check::or_panic(&Check {
            simulation: &self,
            play: &|scenario, knobs| run_one((scenario, &self.judges), knobs, &check),
            plan,
        });
    }

    /// As [`check`](Self::check), for a program that goes on after a failure, or that expects one: nothing is
    /// printed, written or kept.
    ///
    /// # Errors
    ///
    /// What makes [`check`](Self::check) panic.
    pub fn try_check(
        self,
        check: impl AsyncFn(Sim) -> Result<(), CheckError> + Sync,
    ) -> Result<Checked, CheckFailure> {
        let plan =
            SeedPlan::of_environment(&self.seeds, self.jobs).map_err(CheckFailure::of_text)?;
        let check = Check {
            simulation: &self,
            play: &|scenario, knobs| run_one((scenario, &self.judges), knobs, &check),
            plan,
        };
        check.carry_out(&[])
    }

    /// Runs your code with one seed and returns the run, for a closer look or a snapshot.
    ///
    /// # Errors
    ///
    /// A node could not start, or a fault makes no sense.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use rmq_producer::Message;
    /// use rmq_sim::simulation::{Cluster, Simulation};
    ///
    /// let run = Simulation::new(Cluster::new()).run(7, async |sim| {
    ///     let producer = sim.producer("orders-app").start().await?;
    ///     producer.send(Message::new("orders", "created")).await?;
    ///     producer.stop().await;
    ///     Ok(())
    /// })?;
    /// assert!(run.verdict.is_pass(), "{}", run.verdict);
    /// let (broker, entry) = &run.ledger[0];
    /// assert_eq!((&**broker, &*entry.body), ("broker-a", &b"created"[..]));
    /// # Ok(())
    /// # }
    /// ```
    pub fn run(
        self,
        seed: u64,
        check: impl AsyncFn(Sim) -> Result<(), CheckError>,
    ) -> Result<Run, run::RunError> {
        self.makes_sense().map_err(run::RunError::Broken)?;
        let scenario = Arc::new(self.scenario_of(seed));
        let knobs = RunConfig::draw(&scenario, seed, EngineKind::Event);
        run_one((&scenario, &self.judges), knobs, &check)
    }

    /// What is wrong with what was asked for, with a remedy.
    fn makes_sense(&self) -> Result<(), String> {
        plan::check(&self.scenario)?;
        self.judges.check()?;
        match &self.generated {
            Some(generated) => generated.check(&self.scenario),
            None => Ok(()),
        }
    }
}

fn run_one(
    (scenario, judges): (&Arc<Scenario>, &Judges),
    knobs: RunConfig,
    check: &impl AsyncFn(Sim) -> Result<(), CheckError>,
) -> Result<Run, run::RunError> {
    run::check(scenario, EngineKind::Event, Nodes::MoreWillCome)?;
    let outcome = run::carry_out(scenario, knobs, async |cluster: RunningCluster| {
        cluster.until_up().await;
        check(Sim { cluster }).await
    })?;
    let mut run = run::checked(scenario, knobs, outcome.played);
    if let TraceEnd::Panicked {
        node: NodeId::OUTSIDE,
        task,
        message,
    } = &run.trace.end
        && &**task == "main"
    {
        // The main task of the run is the check itself, which needs no checker to say so.
        let said = |finding: &verdict::Finding| finding.text.contains(&**message);
        run.verdict.findings.retain(|finding| !said(finding));
        run.verdict.add("check", message.clone());
    }
    judges.judge(&mut run);
    if let Some(Err(error)) = outcome.value {
        run.verdict.add("check", verdict::with_causes(&*error));
    }
    Ok(run)
}

/// The name of the test that runs: Rust's test harness calls the thread by it.
fn test_name() -> String {
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("simulation");
    name.rsplit("::").next().unwrap_or(name).to_owned()
}

/// Compares the short trace of a run with the snapshot kept beside the test (`insta`).
///
/// `assert_trace_snapshot!(run)` or `assert_trace_snapshot!("name", run)`, where `run` is a
/// [`Run`](crate::run::Run).
#[macro_export]
macro_rules! assert_trace_snapshot {
    ($run:expr) => {
        $crate::insta::assert_snapshot!($crate::trace::short::render(&$run.trace))
    };
    ($name:expr, $run:expr) => {
        $crate::insta::assert_snapshot!($name, $crate::trace::short::render(&$run.trace))
    };
}
