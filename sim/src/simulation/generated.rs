//! Faults that nobody wrote: drawn for each seed, as a sweep draws them.
//!
//! A person writes the faults they think of. The others are what a seed draws, from the whole catalogue, over
//! the cluster of the check.

use std::time::Duration;

use rmq_remoting::observe::Name;

use super::Simulation;
use super::fault::millis;
use crate::fault::{Fault, catalogue};
use crate::generate::{self, OfCheck};
use crate::scenario::Scenario;

/// The most faults that a seed draws.
const MOST: usize = 8;

/// No generated fault starts later, unless a check says so.
const WITHIN: Duration = Duration::from_secs(60);

/// So far may a name be from another one that was meant.
const NEAR: usize = 3;

/// Faults that each seed of a check draws for itself: up to eight, of any kind that `cargo sim sweep` draws.
/// [`Simulation::faults`] takes them.
#[derive(Debug, Clone)]
#[must_use = "give it to Simulation::faults"]
pub struct Generated {
    only: Vec<String>,
    except: Vec<String>,
    most: usize,
    nodes: Vec<Name>,
    programs: Vec<Name>,
    within: Duration,
    loses_data: bool,
}

/// Faults of every kind, up to eight in a seed, over the servers of the cluster and the links between them.
///
/// ```
/// use rmq_producer::Message;
/// use rmq_sim::simulation::{Cluster, Simulation, generated};
///
/// Simulation::new(Cluster::new().brokers(3).name_servers(2).topic("orders", 4))
///     .faults(generated().except(["read-only"]).nodes(["app"]).at_most(3))
///     .seeds(0..50)
///     .check(async |sim| {
///         let producer = sim.producer("app").start().await?;
///         for n in 0..20 {
///             // What the laboratory's invariants say of it is the test.
///             let _ = producer.send(Message::new("orders", format!("order {n}"))).await;
///         }
///         producer.stop().await;
///         Ok(())
///     });
/// ```
pub fn generated() -> Generated {
    Generated {
        only: Vec::new(),
        except: Vec::new(),
        most: MOST,
        nodes: Vec::new(),
        programs: Vec::new(),
        within: WITHIN,
        loses_data: false,
    }
}

impl Generated {
    /// Only faults of these kinds, by the names that scenario files and `cargo sim faults` have for them:
    /// `"crash"`, `"drop-reply"`.
    pub fn only(mut self, kinds: impl IntoIterator<Item: Into<String>>) -> Self {
        self.only.extend(kinds.into_iter().map(Into::into));
        self
    }

    /// No faults of these kinds.
    pub fn except(mut self, kinds: impl IntoIterator<Item: Into<String>>) -> Self {
        self.except.extend(kinds.into_iter().map(Into::into));
        self
    }

    /// At most so many faults in a seed; 8 unless set. Some seeds have none.
    pub fn at_most(mut self, faults: usize) -> Self {
        self.most = faults;
        self
    }

    /// The check's own machines that faults may be on as well: producers by their groups, machines of
    /// [`Sim::host`](super::Sim::host). Their links to servers and to each other are cut and slowed, they stand still, their clocks jump.
    pub fn nodes(mut self, names: impl IntoIterator<Item: Into<Name>>) -> Self {
        self.nodes.extend(names.into_iter().map(Into::into));
        self
    }

    /// Nodes of [`Sim::node`](super::Sim::node), which also crash, lose their power and refuse dials.
    pub fn programs(mut self, names: impl IntoIterator<Item: Into<Name>>) -> Self {
        let names: Vec<Name> = names.into_iter().map(Into::into).collect();
        self.nodes.extend(names.iter().cloned());
        self.programs.extend(names);
        self
    }

    /// No fault that comes at a time starts later than so long after the start of the run; 60 s unless set.
    pub fn within(mut self, long: Duration) -> Self {
        self.within = long;
        self
    }

    /// Servers and nodes may come back without their data, so that what was stored is lost. Without this they
    /// keep it.
    pub fn may_lose_data(mut self) -> Self {
        self.loses_data = true;
        self
    }

    /// The faults of a seed, beside those that the check has anyway.
    pub(super) fn faults(&self, scenario: &Scenario, seed: u64) -> Vec<Fault> {
        let of_check = OfCheck {
            cluster: &scenario.cluster,
            network: scenario.network,
            kinds: self.kinds(scenario),
            most: self.most,
            nodes: &self.nodes,
            programs: &self.programs,
            within_ms: millis(self.within),
            loses_data: self.loses_data,
        };
        of_check.faults(seed, &scenario.faults)
    }

    /// The kinds that may be drawn.
    fn kinds(&self, scenario: &Scenario) -> Vec<&'static str> {
        let all = generate::kinds_of_check(&scenario.cluster).map(|kind| kind.name);
        let is_named = |names: &[String], kind: &str| names.iter().any(|it| it == kind);
        let all = all.filter(|kind| self.only.is_empty() || is_named(&self.only, kind));
        all.filter(|kind| !is_named(&self.except, kind)).collect()
    }

    /// What is wrong with it, with a remedy.
    pub(super) fn check(&self, scenario: &Scenario) -> Result<(), String> {
        for name in self.only.iter().chain(&self.except) {
            if catalogue::find(name).is_none() {
                return Err(format!(
                    "there is no kind of fault called \"{name}\"\n  remedy: {}",
                    meant(name)
                ));
            }
        }
        let drawn: Vec<_> = generate::kinds_of_check(&scenario.cluster).collect();
        let is_drawn = |name: &String| drawn.iter().any(|kind| kind.name == name);
        if let Some(name) = self.only.iter().find(|name| !is_drawn(name)) {
            return Err(format!(
                "faults of the kind \"{name}\" are not drawn for such a check\n  \
                 remedy: write one with Simulation::fault"
            ));
        }
        if self.most == 0 || self.kinds(scenario).is_empty() {
            return Err(
                "no fault can be drawn\n  remedy: allow a kind, and at least one fault".to_owned(),
            );
        }
        Ok(())
    }
}

impl Simulation {
    /// Lets each seed draw faults of its own, beside those of [`fault`](Self::fault): the same seed the same
    /// ones. They may miss.
    pub fn faults(mut self, generated: Generated) -> Self {
        self.generated = Some(generated);
        self
    }

    /// The faults that a seed begins with: those that were written, then those that it draws.
    ///
    /// ```
    /// use rmq_sim::simulation::{Cluster, Simulation, crash, generated};
    ///
    /// let simulation = Simulation::new(Cluster::new().brokers(2))
    ///     .fault(crash("broker-a").at_secs(3))
    ///     .faults(generated().only(["drop-reply", "freeze"]));
    /// let plan = simulation.plan_of(7);
    /// assert_eq!(plan[0].kind.name(), "crash");
    /// assert!(plan[1..].iter().all(|it| ["drop-reply", "freeze"].contains(&it.kind.name())));
    /// assert_eq!(simulation.plan_of(7), plan);
    /// ```
    pub fn plan_of(&self, seed: u64) -> Vec<Fault> {
        let mut faults = self.scenario.faults.clone();
        if let Some(generated) = &self.generated {
            faults.extend(generated.faults(&self.scenario, seed));
        }
        faults
    }

    /// What a seed plays.
    pub(super) fn scenario_of(&self, seed: u64) -> Scenario {
        Scenario {
            faults: self.plan_of(seed),
            ..self.scenario.clone()
        }
    }
}

/// The names that are nearest to one that nothing has, as a remedy.
fn meant(name: &str) -> String {
    let all = catalogue::all().map(|kind| (distance(name, kind.name), kind.name));
    let mut near: Vec<_> = all
        .filter(|(far, kind)| *far <= NEAR || kind.contains(name) && !name.is_empty())
        .collect();
    near.sort_unstable();
    let near: Vec<String> = near
        .iter()
        .take(3)
        .map(|(_, kind)| format!("\"{kind}\""))
        .collect();
    match near.is_empty() {
        true => "`cargo sim faults` lists them".to_owned(),
        false => format!("write {}", near.join(" or ")),
    }
}

/// So many letters have to be added, removed or replaced to make one word of another one (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.chars().count()).collect();
    for (line, letter) in (1..).zip(one.chars()) {
        let mut diagonal = std::mem::replace(&mut row[0], line);
        for (column, with) in (1..).zip(other.chars()) {
            let replaced = diagonal + usize::from(letter != with);
            diagonal = row[column];
            row[column] = replaced.min(diagonal + 1).min(row[column - 1] + 1);
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::fault::EngineKind;
    use crate::run::{self, Nodes};
    use crate::simulation::{Cluster, crash, freeze};

    fn simulation(generated: Generated) -> Simulation {
        Simulation::new(Cluster::new().brokers(3).name_servers(2).topic("orders", 4))
            .faults(generated)
    }

    #[test]
    fn a_seed_draws_faults_that_make_sense_and_every_kind_comes() {
        let mut count: BTreeMap<&str, u32> = BTreeMap::new();
        let bare = Simulation::new(Cluster::new()).faults(generated());
        let rich = simulation(
            generated()
                .nodes(["app"])
                .programs(["shop"])
                .may_lose_data(),
        );
        for seed in 0..2_000 {
            for simulation in [&bare, &rich] {
                let scenario = simulation.scenario_of(seed);
                let refused = run::check(&scenario, EngineKind::Event, Nodes::MoreWillCome);
                assert_eq!(refused, Ok(()), "seed {seed}");
                assert!(
                    scenario.faults.len() <= MOST && scenario.faults.iter().all(|it| it.may_miss)
                );
                assert_eq!(simulation.plan_of(seed), scenario.faults);
            }
            for fault in rich.plan_of(seed) {
                *count.entry(fault.kind.name()).or_default() += 1;
            }
        }
        let between_own = (0..200).flat_map(|seed| rich.plan_of(seed));
        let is_between_own =
            |fault: &Fault| fault.place.names().map(|it| &**it).eq(["app", "shop"]);
        assert!(between_own.into_iter().any(|fault| is_between_own(&fault)));
        for kind in generate::kinds_of_check(&rich.scenario.cluster) {
            let of = count.get(kind.name).copied().unwrap_or(0);
            assert!(of >= 20, "{}: {of} in 2000 seeds", kind.name);
        }
    }

    #[test]
    fn what_is_drawn_keeps_to_what_the_check_allows_and_undoes_no_fault_of_its_own() {
        let only = simulation(
            generated()
                .only(["crash", "freeze", "drop-reply"])
                .except(["freeze"])
                .at_most(2),
        );
        let only = only.fault(crash("broker-a"));
        let mut drawn = 0;
        for seed in 0..500 {
            let plan = only.plan_of(seed);
            assert!(plan.len() <= 3);
            for fault in &plan[1..] {
                drawn += 1;
                assert!(
                    ["crash", "drop-reply"].contains(&fault.kind.name()),
                    "{fault}"
                );
                let clashes = fault.kind.name() == "crash" && fault.place == plan[0].place;
                assert!(!clashes, "seed {seed}: {fault}");
            }
        }
        assert!(drawn > 300, "{drawn}");
    }

    #[test]
    fn data_is_lost_only_where_a_check_says_so() {
        let losses = |generated: Generated| {
            let simulation = simulation(generated.only(["crash", "power-loss"]));
            let plans = (0..200).flat_map(|seed| simulation.plan_of(seed));
            let lost = plans.filter_map(|mut fault| Some(!fault.kind.restart_mut()?.keep_data));
            lost.filter(|it| *it).count()
        };
        assert_eq!(losses(generated()), 0);
        assert!(losses(generated().may_lose_data()) > 20);
    }

    #[test]
    fn a_plan_without_generated_faults_is_what_was_written() {
        let simulation = Simulation::new(Cluster::new()).fault(freeze("broker-a"));
        assert_eq!(simulation.plan_of(1), simulation.scenario.faults);
    }

    #[test]
    fn a_misspelt_kind_is_refused_with_the_nearest_names() {
        let refused = |generated: Generated| {
            let simulation = simulation(generated.clone());
            generated.check(&simulation.scenario).unwrap_err()
        };
        let text = refused(generated().only(["drop-replies"]));
        assert!(text.contains("write \"drop-reply\""), "{text}");
        let text = refused(generated().except(["crsh"]));
        assert!(text.contains("write \"crash\""), "{text}");
        let text = refused(generated().only(["nonsense-of-any-kind"]));
        assert!(text.contains("`cargo sim faults` lists them"), "{text}");
        for nothing in [
            generated().at_most(0),
            generated().only(["crash"]).except(["crash"]),
        ] {
            assert!(refused(nothing).contains("no fault can be drawn"));
        }
        let text = refused(generated().only(["name-server-list"]));
        assert!(text.contains("are not drawn"), "{text}");
        let fine = simulation(generated().only(["crash"]));
        assert_eq!(generated().only(["crash"]).check(&fine.scenario), Ok(()));
    }

    #[test]
    fn the_distance_of_words_counts_letters() {
        assert_eq!(distance("crash", "crash"), 0);
        assert_eq!(distance("crsh", "crash"), 1);
        assert_eq!(distance("", "loss"), 4);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
