//! What a file of this folder says of its kind of fault.
//!
//! Each kind is one file with two parts. Its [`Kind`] is what holds for every fault of the kind: the
//! name and the keys in a scenario file, the situation in the real world, where it can be, and how
//! one is read or drawn. Its `Behaviour` (of a rule: `rule::Action`) is what one
//! fault does: how it starts and ends, what it counts, what it means for the ground truth, and how a
//! shrinker makes it milder. Reader, writer, generator, shrinker, runner and ground truth know no
//! kind by its name.

use std::fmt;

use dst_engine::{Change, Direction};

use super::{EngineKind, FaultKind, FaultNumber, NameServerList, Place, Restart};
use crate::backend::{Backend, Modelled};
use crate::generate::{Draw, Knobs, Target};
use crate::scenario::{FaultKeys, ScenarioError, Table};
use crate::trace::{NodeId, NodeKind};
use crate::truth::Meaning;

/// What holds for every fault of one kind.
#[derive(Debug)]
pub struct Kind {
    /// What a scenario file calls it.
    pub name: &'static str,
    /// The nodes or links that a fault of this kind can be placed on.
    pub site: Site,
    /// The keys of a scenario file that only some kinds have, beside those of every rule.
    pub keys: &'static [&'static str],
    /// Lines of a scenario file with the keys that it cannot do without.
    pub sample: &'static str,
    /// What it is in the real world.
    pub situation: &'static str,
    /// Which engines can do it, and why the others cannot.
    pub engines: Engines,
    /// Whether it strikes once, and what it struck stays so: it cannot have a duration.
    pub is_at_once: bool,
    /// What it changes: two faults that change the same thing undo each other.
    pub(crate) changes: Changes,
    /// Reads one from a scenario file.
    pub(crate) read: Read,
    /// Draws one for a generated run.
    pub(crate) draw: Drawn,
}

/// Reads a fault's parameters, from keys that are known to belong to its kind.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Read {
    /// Reads a fault that is no rule, with all its parameters.
    Fault(fn(&FaultKeys<'_>) -> Result<FaultKind, ScenarioError>),
    /// Reads what a rule does with a request.
    Rule(fn(&FaultKeys<'_>) -> Result<super::RuleAction, ScenarioError>),
}

/// Draws a fault's parameters, for a fault at such a place.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Drawn {
    /// Draws a fault that is no rule, with all its parameters.
    Fault(fn(&Draw, &Knobs, Target) -> FaultKind),
    /// What a rule does; it takes part in the draw of a kind so many times.
    Rule(usize, fn(&Draw, &Knobs, Target) -> super::RuleAction),
    /// It is not drawn, for this reason.
    Never(&'static str),
}

/// What faults of a kind change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Changes {
    /// Whether and how a process runs.
    Life,
    /// Something that only faults of this kind change.
    ItsOwn,
    /// How a server treats single requests, where two faults never undo each other.
    Requests,
}

impl Kind {
    /// Whether it is a rule of a server.
    pub fn is_rule(&self) -> bool {
        matches!(self.read, Read::Rule(_))
    }

    /// Whether a scenario file may give it this key.
    pub fn has_key(&self, key: &str) -> bool {
        self.keys.contains(&key) || self.is_rule() && super::rule::KEYS.contains(&key)
    }

    /// The engines that can do it.
    pub fn possible_on(&self) -> impl Iterator<Item = EngineKind> {
        [EngineKind::Event, EngineKind::Turmoil, EngineKind::Tcp]
            .into_iter()
            .filter(|engine| self.engines.impossible_on(*engine).is_none())
    }
}

/// Which engines can do a kind of fault. The event engine can do all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Engines {
    /// Why `turmoil` cannot do it; `None`: it can.
    pub turmoil: Option<&'static str>,
    /// Why real TCP on one machine cannot do it; `None`: it can.
    pub tcp: Option<&'static str>,
}

impl Engines {
    /// Every engine can do it.
    pub(crate) const ALL: Self = Self {
        turmoil: None,
        tcp: None,
    };
    /// Those with a network of their own.
    pub(crate) const SIMULATED: Self = Self {
        turmoil: None,
        tcp: Some("the loop-back interface of a real machine never does that"),
    };
    /// The event engine only.
    pub(crate) const EVENT: Self = Self {
        turmoil: Some("turmoil's network model has no such thing"),
        tcp: Self::SIMULATED.tcp,
    };

    /// Why an engine cannot do it; `None`: it can.
    pub fn impossible_on(self, engine: EngineKind) -> Option<&'static str> {
        match engine {
            EngineKind::Event => None,
            EngineKind::Turmoil => self.turmoil,
            EngineKind::Tcp => self.tcp,
        }
    }
}

/// What one fault does.
pub(crate) trait Behaviour: fmt::Debug {
    /// Makes the fault felt, on an engine or a server; an error if the engine does not model it.
    fn start(&self, strike: &Strike<'_>) -> Modelled;

    /// Ends it. A process that it took away is started again; what strikes once has no end.
    fn end(&self, strike: &Strike<'_>) -> Modelled {
        if let Some(how) = self.restart() {
            strike.run.restart(strike.node(), how);
        }
        Ok(())
    }

    /// What the engine counts when it strikes; none if it is the run or a server that strikes, and
    /// says so by [`Strike::has_struck`].
    fn counted(&self) -> Option<dst_engine::Strike>;

    /// What it means for whoever deals with the nodes it is on.
    fn meaning(&self) -> Meaning;

    /// Its parameters as words of a trace, each behind a blank; name and place stand before.
    fn words(&self, place: &Place, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let _ = (place, f);
        Ok(())
    }

    /// Its parameters as keys of a scenario file.
    fn write(&self, place: &Place, table: &mut Table) {
        let _ = place;
        if let Some(how) = self.restart() {
            how.write(table);
        }
    }

    /// Its figures, each milder if it is lower.
    fn figures(&mut self) -> Vec<Figure<'_>> {
        Vec::new()
    }

    /// How its node comes back, if it takes the process away.
    fn restart(&self) -> Option<Restart> {
        None
    }

    /// The same, for a shrinker.
    fn restart_mut(&mut self) -> Option<&mut Restart> {
        None
    }

    /// Whether a request that it waits for is lost with the process.
    fn loses_the_request(&self) -> bool {
        false
    }

    /// Whether it is over as soon as it has started, at such a place.
    fn is_over_at_once(&self, place: &Place) -> bool {
        let _ = place;
        false
    }

    /// Whether it changes something of a producer's client, which must be kept at hand for it.
    fn needs_the_client(&self) -> bool {
        false
    }
}

/// A figure of a fault that a shrinker lowers.
#[derive(Debug)]
pub(crate) struct Figure<'f> {
    /// What is lowered, in a word.
    pub(crate) what: &'static str,
    /// The lowest that makes sense.
    pub(crate) least: u64,
    /// The field of the fault that holds the figure.
    pub(crate) at: FigureAt<'f>,
}

/// Where a figure stands.
#[derive(Debug)]
pub(crate) enum FigureAt<'f> {
    Short(&'f mut u32),
    Long(&'f mut u64),
    /// With a sign, which stays.
    Signed(&'f mut i64),
}

impl<'f> Figure<'f> {
    /// A figure of 64 bits.
    pub(crate) fn long(what: &'static str, least: u64, at: &'f mut u64) -> Self {
        let at = FigureAt::Long(at);
        Self { what, least, at }
    }

    /// Its value, without a sign.
    pub(crate) fn get(&self) -> u64 {
        match &self.at {
            FigureAt::Short(figure) => u64::from(**figure),
            FigureAt::Long(figure) => **figure,
            FigureAt::Signed(figure) => figure.unsigned_abs(),
        }
    }

    /// Sets it to a lower value.
    #[expect(
        clippy::expect_used,
        reason = "what is lower than a figure fits where it stood"
    )]
    pub(crate) fn lower(self, to: u64) {
        match self.at {
            FigureAt::Short(figure) => *figure = u32::try_from(to).expect("a lower figure"),
            FigureAt::Long(figure) => *figure = to,
            FigureAt::Signed(figure) => {
                let to = i64::try_from(to).expect("a lower figure");
                *figure = figure.signum() * to;
            }
        }
    }
}

/// One start or end of a fault: where, and by what means.
pub(crate) struct Strike<'r> {
    /// The fault's number in the plan.
    pub(crate) fault: FaultNumber,
    /// The node or the link that the fault strikes.
    pub(crate) at: Struck,
    /// The run that the fault happens in.
    pub(crate) run: &'r dyn Running,
}

/// What a fault strikes, once its nodes are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Struck {
    /// The node of a fault that is placed on one.
    Node(NodeId),
    /// One direction between two nodes, or both.
    Link(Direction),
}

impl Strike<'_> {
    /// The node of a fault whose kind is on nodes only.
    pub(crate) fn node(&self) -> NodeId {
        match self.at {
            Struck::Node(node) => node,
            Struck::Link(_) => unreachable!("places are checked before a run: {:?}", self.at),
        }
    }

    /// The link of a fault whose kind is on links only.
    pub(crate) fn direction(&self) -> Direction {
        match self.at {
            Struck::Link(direction) => direction,
            Struck::Node(_) => unreachable!("places are checked before a run: {:?}", self.at),
        }
    }

    /// Makes the engine carry out a change.
    ///
    /// # Errors
    ///
    /// This engine does not model it.
    pub(crate) fn apply(&self, change: Change) -> Modelled {
        self.run.engine().apply(change)
    }

    /// The run or a server has done what the fault is about.
    pub(crate) fn has_struck(&self) {
        self.run.has_struck(self.fault);
    }
}

/// What faults ask of the run that goes on.
pub(crate) trait Running {
    /// The engine, or real TCP, that carries out the run.
    fn engine(&self) -> &dyn Backend;
    /// Counts a strike of a fault.
    fn has_struck(&self, fault: FaultNumber);
    /// Starts a server's process again.
    fn restart(&self, server: NodeId, how: Restart);
    /// Asks a server to shut down in order. Whether it was there to be asked.
    fn ask_to_stop(&self, server: NodeId) -> bool;
    /// Lets a name server remember what it knows now, for answers that come later.
    fn keep_routes(&self, name_server: NodeId, fault: FaultNumber);
    /// Makes the topics of a broker known without write permission, or with it.
    fn set_read_only(&self, broker: NodeId, on: bool);
    /// Gives a topic so many queues at a broker, or as many as before the fault. Whether it has it.
    fn resize(&self, broker: NodeId, fault: FaultNumber, topic: &str, queues: Option<i32>) -> bool;
    /// Changes a producer's list of name servers, or puts it back (`None`). Whether the producer could be
    /// told.
    fn change_name_servers(
        &self,
        producer: NodeId,
        fault: FaultNumber,
        change: Option<&NameServerList>,
    ) -> bool;
}

/// Where a kind of fault can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Site {
    /// On any process: a producer, a broker or a name server.
    Node,
    /// It can be on a producer only.
    Producer,
    /// A broker or a name server.
    Server,
    /// It can be on a broker only.
    Broker,
    /// It can be on a name server only.
    NameServer,
    /// One direction between two nodes.
    Link,
    /// Both directions between two nodes.
    Pair,
    /// On one direction between two nodes, or on both.
    LinkOrPair,
}

impl Site {
    /// Whether a kind of fault that can be here can be at `place`, given what each node is.
    ///
    /// # Errors
    ///
    /// It cannot; the text says what to write instead.
    pub fn allows(
        self,
        place: &Place,
        kind: impl Fn(&str) -> Option<NodeKind>,
    ) -> Result<(), &'static str> {
        if let Place::Link { from: a, to: b } | Place::Pair { a, b } = place
            && a == b
        {
            return Err("name two different nodes");
        }
        let on_node = |fits: &dyn Fn(Option<NodeKind>) -> bool| match place {
            Place::Node(node) => fits(kind(node)),
            Place::Link { .. } | Place::Pair { .. } => false,
        };
        let link = matches!(place, Place::Link { .. });
        let pair = matches!(place, Place::Pair { .. });
        let is = |wanted: NodeKind| on_node(&move |kind| kind == Some(wanted));
        let (fits, remedy) = match self {
            Self::Node => (on_node(&|_| true), "name a node, like \"broker-a\""),
            Self::Producer => (is(NodeKind::Producer), "name a producer, like \"p1\""),
            Self::Server => (
                is(NodeKind::Broker) || is(NodeKind::NameServer),
                "name a broker or a name server, like \"broker-a\"",
            ),
            Self::Broker => (is(NodeKind::Broker), "name a broker, like \"broker-a\""),
            Self::NameServer => (
                is(NodeKind::NameServer),
                "name a name server, like \"ns-1\"",
            ),
            Self::Link => (link, "name one direction, like \"p1 -> broker-a\""),
            Self::Pair => (pair, "name both ends, like \"p1 <-> broker-a\""),
            Self::LinkOrPair => (
                link || pair,
                "name two nodes, like \"p1 -> broker-a\" or \"p1 <-> broker-a\"",
            ),
        };
        if fits { Ok(()) } else { Err(remedy) }
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Node => "node",
            Self::Producer => "producer",
            Self::Server => "server",
            Self::Broker => "broker",
            Self::NameServer => "name server",
            Self::Link => "link",
            Self::Pair => "pair",
            Self::LinkOrPair => "link, pair",
        })
    }
}
