//! Faults that a check starts itself, at the place in its code where they matter.
//!
//! A plan says before a run what goes wrong, and when. But what a test is about is often a moment in its own
//! code: the outage begins after the third order, and is over when the queue is empty. Such a fault
//! is started by the check, and held by a guard.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::Location;

use rmq_remoting::observe::Name;

use super::fault::{self, answer, crash, partition};
use super::sim::Sim;
use crate::fault::Fault;
use crate::run::{Effect, Missed, RunningCluster};

/// A fault that a check has started. It ends when this is dropped, unless it [`keep`](Self::keep)s on.
///
/// ```
/// use rmq_producer::Message;
/// use rmq_sim::simulation::{Cluster, Simulation};
///
/// Simulation::new(Cluster::new().brokers(2).topic("orders", 4)).seeds(0..5).check(async |sim| {
///     let producer = sim.producer("app").start().await?;
///     producer.send(Message::new("orders", "1")).await?;
///     {
///         let _down = sim.crash("broker-a");
///         producer.send(Message::new("orders", "2")).await?;
///     }
///     // The broker is started again from here on.
///     let cut = sim.partition("app", "broker-b");
///     producer.send(Message::new("orders", "3")).await?;
///     cut.heal();
///     sim.ledger().assert_each_key_stored();
///     Ok(())
/// });
/// ```
#[must_use = "a fault ends when its guard is dropped: bind it to a name, or keep() it"]
pub struct InjectedFault {
    cluster: RunningCluster,
    fault: Fault,
    index: usize,
    kept: bool,
}

impl InjectedFault {
    /// Ends the fault now, as dropping it does: a process that was taken away is started again, bytes that were
    /// held get through. One that has not begun never will, and what strikes once stays as it is.
    pub fn heal(self) {
        drop(self);
    }

    /// Lets it last as long as it says of itself, or to the end of the run, and not until the guard is dropped.
    pub fn keep(mut self) {
        self.kept = true;
    }

    /// How often it has struck so far: requests treated by its rule, pieces of bytes stopped or made
    /// late, connections cut, dials refused, tasks ended or kept from running.
    ///
    /// ```
    /// use rmq_producer::Message;
    /// use rmq_remoting::code::response;
    /// use rmq_sim::simulation::{Cluster, Simulation, answer};
    ///
    /// Simulation::new(Cluster::new().topic("orders", 4)).seeds(0..5).check(async |sim| {
    ///     let producer = sim.producer("app").start().await?;
    ///     let busy = sim.inject(answer("broker-a", response::SYSTEM_BUSY).times(1));
    ///     let _ = producer.send(Message::new("orders", "created")).await;
    ///     assert_eq!(busy.struck(), 1);
    ///     Ok(())
    /// });
    /// ```
    pub fn struck(&self) -> u64 {
        self.cluster.struck(self.index)
    }
}

impl fmt::Debug for InjectedFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InjectedFault({})", self.fault)
    }
}

impl Drop for InjectedFault {
    fn drop(&mut self) {
        // A panic is the verdict already, and a second one would end the whole test run.
        if !self.kept && !std::thread::panicking() {
            self.cluster.heal(self.index);
        }
    }
}

impl Sim {
    /// Starts a fault now, at this place of the check: any that [`Simulation::fault`](super::Simulation::fault)
    /// takes. It ends when its guard is dropped, or after its own length if that is over before.
    ///
    /// One that says when it starts (`at_secs`, `after_stored`, `at_request`) waits for that; what it counts,
    /// it counts from now on. It is in the trace as a fault of the plan is, its effects follow theirs in
    /// [`Run::effects`](crate::run::Run::effects), and a check fails if no fault of this line struck in any
    /// seed, unless one says [`may_miss`](super::FaultBuilder::may_miss).
    ///
    /// ```
    /// use std::time::Duration;
    /// use rmq_producer::Message;
    /// use rmq_sim::simulation::{Cluster, Simulation, drop_replies, latency};
    ///
    /// const MS: Duration = Duration::from_millis(1);
    ///
    /// Simulation::new(Cluster::new().brokers(2).topic("orders", 4)).seeds(0..5).check(async |sim| {
    ///     let producer = sim.producer("app").start().await?;
    ///     let slow = sim.inject(latency("app", "broker-a", 40 * MS, 20 * MS));
    ///     // It ends by itself.
    ///     sim.inject(drop_replies("broker-b").per_mille(500).for_secs(5)).keep();
    ///     for n in 0..10 {
    ///         producer.send(Message::new("orders", format!("order {n}"))).await?;
    ///     }
    ///     assert!(slow.struck() > 0);
    ///     Ok(())
    /// });
    /// ```
    ///
    /// # Panics
    ///
    /// The fault names a node that is not there by now, or makes no sense; the text has a remedy.
    #[track_caller]
    #[expect(
        clippy::panic,
        reason = "a fault that makes no sense fails the test that wrote it"
    )]
    pub fn inject(&self, fault: impl Into<Fault>) -> InjectedFault {
        let mut fault = fault.into();
        fault::complete(&mut fault, |node| self.cluster.is_name_server(node));
        match self.cluster.inject(fault.clone(), Location::caller()) {
            Ok(index) => InjectedFault {
                cluster: self.cluster.clone(),
                fault,
                index,
                kept: false,
            },
            Err(flaw) => panic!("{flaw}"),
        }
    }

    /// Kills the process of a server or node now. It is started again, with its data, when the guard is dropped.
    ///
    /// # Panics
    ///
    /// There is no such server or node.
    #[track_caller]
    pub fn crash(&self, node: &str) -> InjectedFault {
        self.inject(crash(node))
    }

    /// Starts a server or node again that faults, planned or injected, have taken away: it ends them.
    ///
    /// ```
    /// use rmq_producer::Message;
    /// use rmq_sim::simulation::{Cluster, Simulation, stop};
    ///
    /// Simulation::new(Cluster::new().topic("orders", 4)).seeds(0..5).check(async |sim| {
    ///     sim.inject(stop("broker-a")).keep();
    ///     let producer = sim.producer("app").start().await?;
    ///     assert!(producer.send(Message::new("orders", "1")).await.is_err());
    ///     sim.restart("broker-a");
    ///     sim.until_secs(60).await;
    ///     producer.send(Message::new("orders", "2")).await?;
    ///     Ok(())
    /// });
    /// ```
    ///
    /// # Panics
    ///
    /// No fault has taken it away.
    #[track_caller]
    pub fn restart(&self, node: &str) {
        let known = self.cluster.node_names();
        assert!(
            self.cluster.restart(node),
            "no fault has taken \"{node}\" away\n  remedy: crash it first; the nodes are: {}",
            known.join(", ")
        );
    }

    /// Cuts two nodes off from each other now, until the guard is dropped.
    ///
    /// # Panics
    ///
    /// One of the nodes is not there by now: start the producer or node first.
    #[track_caller]
    pub fn partition(&self, a: &str, b: &str) -> InjectedFault {
        self.inject(partition(a, b))
    }

    /// Lets a broker answer sends, or a name server lookups, with a response code from now on, until the guard
    /// is dropped. For a number of times: [`inject`](Self::inject)`(answer("broker-a", code).times(3))`.
    ///
    /// ```
    /// use rmq_producer::Message;
    /// use rmq_remoting::code::response;
    /// use rmq_sim::simulation::{Cluster, Simulation};
    ///
    /// Simulation::new(Cluster::new().topic("orders", 4)).seeds(0..5).check(async |sim| {
    ///     let producer = sim.producer("app").start().await?;
    ///     let busy = sim.answer("broker-a", response::SYSTEM_BUSY);
    ///     assert!(producer.send(Message::new("orders", "1")).await.is_err());
    ///     busy.heal();
    ///     producer.send(Message::new("orders", "2")).await?;
    ///     Ok(())
    /// });
    /// ```
    ///
    /// # Panics
    ///
    /// There is no such server, or the code is no refusal.
    #[track_caller]
    pub fn answer(&self, server: &str, code: i32) -> InjectedFault {
        self.inject(answer(server, code))
    }
}

/// What the faults that a check injects did in all of its seeds, by the line that injects them.
#[derive(Debug, Default)]
pub(super) struct InjectedEffects {
    lines: BTreeMap<Name, Line>,
}

/// The faults of one line of a check.
#[derive(Debug)]
struct Line {
    /// The first of them.
    fault: Fault,
    started: bool,
    struck: bool,
    may_miss: bool,
}

impl InjectedEffects {
    pub(super) fn add(&mut self, effects: &[Effect]) {
        for effect in effects {
            let Some(injected) = &effect.injected else {
                continue;
            };
            let at = Name::clone(&injected.at);
            let line = self.lines.entry(at).or_insert_with(|| Line {
                fault: injected.fault.clone(),
                started: false,
                struck: false,
                may_miss: false,
            });
            line.started |= effect.started;
            line.struck |= effect.missed().is_none();
            line.may_miss |= injected.fault.may_miss;
        }
    }

    /// A sentence for each line whose faults struck in no seed.
    pub(super) fn missed(&self, seeds: u64) -> impl Iterator<Item = String> {
        let missed = self.lines.iter();
        let missed = missed.filter(|(_, line)| !line.struck && !line.may_miss);
        missed.map(move |(at, line)| {
            let how = match line.started {
                true => Missed::NeverStruck,
                false => Missed::NeverStarted,
            };
            let fault = &line.fault;
            format!("the fault \"{fault}\", injected at {at}, {how} in any of {seeds} seeds")
        })
    }
}
