//! A scenario: everything that a run depends on but its seed.
//!
//! One plain value, made from a file, by the simulation library or
//! by a generator. It says which nodes there are, how the network behaves, what is sent, what goes
//! wrong, and what a person expects to happen. No knob is drawn at random and no fault is on by
//! default: an empty scenario is a healthy cluster on a network with a latency of 1 ms.

use std::error::Error;
use std::path::Path;

use rmq_producer::Policy;
use rmq_remoting::observe::Name;
use rmq_remoting::profile::Profile;
use serde::Serialize;

use crate::fault::{Fault, TARGET};
use crate::trace::NodeKind;

mod check;
mod error;
mod file;
mod format_1;
mod read;
mod value;
mod write;

pub(crate) use check::FaultKeys;
pub use error::ScenarioError;
pub(crate) use value::Ms;
pub(crate) use write::Table;

impl Scenario {
    /// Reads a scenario file. A policy it names is looked for beside it.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or is no scenario; the error says where, what, and the remedy.
    pub fn load(path: &Path) -> Result<Self, ScenarioError> {
        let text =
            std::fs::read_to_string(path).map_err(|error| error::unreadable(path, &error))?;
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        Self::parse(&path.display().to_string(), &text, &|policy| {
            std::fs::read_to_string(folder.join(policy))
        })
    }

    /// Reads a scenario from the text of `file`; `load` gives the text of a policy file it names.
    ///
    /// # Errors
    ///
    /// The text is no scenario, or a policy file cannot be loaded; the error says where, what, and the
    /// remedy, of all that is wrong at once. A text that is no TOML has the one error of its reader.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::io::ErrorKind;
    /// use rmq_sim::scenario::Scenario;
    ///
    /// let no_policies = |_: &str| Err(ErrorKind::NotFound.into());
    /// let text = "format = 2\nseconds = 10\n[cluster]\nbrokers = [\"broker-a\"]\n";
    /// let scenario = Scenario::parse("quiet.toml", text, &no_policies)?;
    /// assert_eq!((scenario.seconds, &*scenario.cluster.brokers[0]), (10, "broker-a"));
    ///
    /// let mistake = format!("{text}[[fault]]\ndo = \"crash\"\non = \"broker-b\"\n");
    /// let Err(refused) = Scenario::parse("quiet.toml", &mistake, &no_policies) else {
    ///     return Err("there is no such broker".into());
    /// };
    /// assert_eq!(refused.line, Some(7));
    /// assert!(refused.what.contains("broker-b"), "{refused}");
    /// # Ok(())
    /// # }
    /// ```
    pub fn parse(
        file: &str,
        text: &str,
        load: &dyn Fn(&str) -> std::io::Result<String>,
    ) -> Result<Self, ScenarioError> {
        read::scenario(file, text, load)
    }

    /// The `KEYS` of a send: `s21`, or `w2s21` where there are several workloads. Unique in a run.
    pub fn keys_of(&self, workload: u32, send: u64) -> Name {
        if self.workloads.len() > 1 {
            Name::from(format!("w{workload}s{send}"))
        } else {
            Name::from(format!("s{send}"))
        }
    }
}

impl Scenario {
    /// Every node with what it is: producers, name servers, brokers. A producer that shares the client of
    /// another one is no node: it lives where that one does.
    pub fn nodes(&self) -> impl Iterator<Item = (Name, NodeKind)> {
        let producers = self.producers.iter().filter(|plan| plan.client.is_none());
        let producers = producers.map(|plan| Name::clone(&plan.name));
        let name_servers = self.cluster.name_server_names().into_iter();
        let brokers = self.cluster.brokers.iter().map(Name::clone);
        let producers = producers.map(|name| (name, NodeKind::Producer));
        let name_servers = name_servers.map(|name| (name, NodeKind::NameServer));
        let brokers = brokers.map(|name| (name, NodeKind::Broker));
        producers.chain(name_servers).chain(brokers)
    }

    /// What the node called `name` is; none if there is no such node. [`TARGET`] is a broker.
    pub fn kind_of(&self, name: &str) -> Option<NodeKind> {
        if name == TARGET {
            return Some(NodeKind::Broker);
        }
        let mut nodes = self.nodes();
        nodes.find_map(|(node, kind)| (*node == *name).then_some(kind))
    }

    /// Whether several producers share the client of this one.
    pub(crate) fn is_shared(&self, plan: &ProducerPlan) -> bool {
        let mut producers = self.producers.iter();
        plan.client.is_some() || producers.any(|it| it.client.as_ref() == Some(&plan.name))
    }

    /// The namespace that the requests of a producer name: that of its client.
    pub(crate) fn namespace_of_requests(&self, plan: &ProducerPlan) -> Option<Name> {
        let client = self.producers.iter().find(|it| it.name == *plan.node())?;
        match &client.namespace {
            Some(Namespace::V2(name)) => Some(Name::from(name.as_str())),
            Some(Namespace::V1(_)) | None => None,
        }
    }

    /// Gives producers that share a client the policy of that client.
    pub(crate) fn agree(&mut self) {
        let owners = self.producers.clone();
        for plan in &mut self.producers {
            let owner = owners
                .iter()
                .find(|it| Some(&it.name) == plan.client.as_ref());
            if let Some(owner) = owner {
                plan.policy = owner.policy.clone();
                plan.changes.clone_from(&owner.changes);
            }
        }
    }

    /// The names of all nodes.
    pub fn node_names(&self) -> Vec<Name> {
        self.nodes().map(|(name, _)| name).collect()
    }
}

impl ClusterPlan {
    /// The names of the name servers: `ns-1`, `ns-2` …
    pub fn name_server_names(&self) -> Vec<Name> {
        (1..=self.name_servers)
            .map(|number| Name::from(format!("ns-{number}")))
            .collect()
    }
}

impl ClusterPlan {
    /// The topics that a broker has from the start, each with its number of queues.
    pub(crate) fn topics_of(&self, broker: &Name) -> Vec<(Name, i32)> {
        let is_here = |topic: &Name| {
            let mut only = self.only_on.iter();
            let only = only.find(|(it, _)| it == topic);
            only.is_none_or(|(_, brokers)| brokers.contains(broker))
        };
        let here = self.topics.iter().filter(|(topic, _)| is_here(topic));
        here.cloned().collect()
    }
}

impl Default for NetworkPlan {
    /// Healthy, and the same for every seed.
    fn default() -> Self {
        Self {
            latency_ms: 1,
            jitter_ms: 0,
            ready_order: Order::Fifo,
        }
    }
}

impl Expect {
    /// Every figure with its name.
    pub fn figures_mut(&mut self) -> [(&'static str, &mut Option<Bound>); 8] {
        [
            ("ok", &mut self.ok),
            ("failed", &mut self.failed),
            ("attempts", &mut self.attempts),
            ("max-attempts", &mut self.max_attempts),
            ("max-send-ms", &mut self.max_send_ms),
            ("stored", &mut self.stored),
            ("copies", &mut self.copies),
            ("hedged", &mut self.hedged),
        ]
    }
}

impl Bound {
    /// This figure and no other.
    pub fn exactly(figure: u64) -> Self {
        Self {
            min: figure,
            max: figure,
        }
    }

    /// Whether a figure is within it.
    pub fn holds(self, figure: u64) -> bool {
        (self.min..=self.max).contains(&figure)
    }
}

impl std::fmt::Display for Bound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.min, self.max) {
            (min, max) if min == max => write!(f, "{min}"),
            (0, max) => write!(f, "at most {max}"),
            (min, u64::MAX) => write!(f, "at least {min}"),
            (min, max) => write!(f, "{min} to {max}"),
        }
    }
}

/// A scenario, checked: every name in it exists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Scenario {
    /// What the run is called: the file's name without its folder.
    pub name: String,
    /// How long the run lasts, in virtual seconds. Sends that are open then end first.
    pub seconds: u64,
    /// The servers, and the topics that they have from the start.
    pub cluster: ClusterPlan,
    /// The network between all nodes.
    pub network: NetworkPlan,
    /// The producers, in the order of their names.
    pub producers: Vec<ProducerPlan>,
    /// What the producers send, and when.
    pub workloads: Vec<Workload>,
    /// What goes wrong, in plan order.
    pub faults: Vec<Fault>,
    /// After the workload all faults end and the cluster is healed; then each producer must get
    /// sends through within so many milliseconds. `None`: nothing is demanded.
    pub liveness_ms: Option<u64>,
    /// What the person who wrote the scenario expects of its figures.
    pub expect: Expect,
}

/// The servers of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClusterPlan {
    /// How many name servers: `ns-1`, `ns-2` …
    pub name_servers: u32,
    /// The names of the brokers, all of them masters.
    pub brokers: Vec<Name>,
    /// The release whose behaviour all servers show.
    pub profile: Profile,
    /// Topics that exist from the start: name and write queues on each broker.
    pub topics: Vec<(Name, i32)>,
    /// Topics that exist on a part of the brokers only: name and brokers.
    pub only_on: Vec<(Name, Vec<Name>)>,
    /// The brokers of which only a slave is there: they are in routes, and nobody can write to them.
    pub without_master: Vec<Name>,
}

/// The network of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct NetworkPlan {
    /// The latency in one direction, in milliseconds.
    pub latency_ms: u64,
    /// At most so much more, drawn by link, direction and millisecond.
    pub jitter_ms: u64,
    /// The order of tasks that are ready in one millisecond.
    pub ready_order: Order,
}

/// The order of tasks that are ready in one millisecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// What was woken first is polled first.
    Fifo,
    /// Drawn from the seed, anew in every millisecond.
    Seeded,
    /// One of the two for the whole run, drawn from the seed.
    Drawn,
}

/// A producer of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProducerPlan {
    /// The name of the producer, and of its node if it has a client of its own.
    pub name: Name,
    /// The producer whose client it shares: it lives at that one's node, by that one's policy.
    pub client: Option<Name>,
    /// The producer group that it sends for.
    pub group: String,
    /// Where its policy comes from.
    pub policy: PolicySource,
    /// Another send timeout than the policy's.
    pub timeout_ms: Option<u64>,
    /// Another number of retries than the policy's.
    pub retries: Option<u32>,
    /// The rotation of each topic starts at this queue instead of a drawn one.
    pub first_queue: Option<u32>,
    /// The first name server asked, from 0, instead of a drawn one.
    pub first_name_server: Option<u32>,
    /// The constant part of client and message ids, instead of a drawn one.
    pub id_constant: Option<u32>,
    /// The id of its first request, instead of 0: near the edge, it wraps in mid-run.
    pub first_opaque: Option<i32>,
    /// The counter in the unique key of its first message, instead of 0: near the edge, it wraps in mid-run.
    pub first_message: Option<u16>,
    /// Whether it remembers slow and failed brokers (RocketMQ's `sendLatencyFaultEnable`), instead
    /// of what its policy says.
    pub fault_tolerance: Option<bool>,
    /// It is stopped then, in milliseconds, whatever its workloads still want to send.
    pub stop_ms: Option<u64>,
    /// The program does not stop it, but drops its last handle once its workloads are done.
    pub dropped: bool,
    /// What it does otherwise than its policy, as an inline table of TOML whose keys are those of a
    /// policy file: `{ compress-over = 100 }`.
    pub changes: Option<String>,
    /// How much it may have open.
    pub limits: Limits,
    /// The namespace that its topics and its group are in.
    pub namespace: Option<Namespace>,
    /// The hooks of the program that sends.
    pub hooks: Hooks,
}

impl ProducerPlan {
    /// The node where it lives: its own, or that of the producer whose client it shares.
    pub(crate) fn node(&self) -> &Name {
        self.client.as_ref().unwrap_or(&self.name)
    }

    /// The time of a send and its attempts, where the policy's are not changed: those of the default
    /// policy are known.
    pub(crate) fn timeout_and_attempts(&self) -> (u64, u64) {
        let attempts = u64::from(self.retries.unwrap_or(2)) + 1;
        (self.timeout_ms.unwrap_or(3_000), attempts)
    }
}

/// How much a producer may have open at a time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Limits {
    /// So many sends; none: as many as the builder's default.
    pub sends: Option<u32>,
    /// So many bytes of bodies; none: as many as the builder's default.
    pub bytes: Option<u32>,
    /// Whether a send beyond that is refused at once. Otherwise it waits, within its time.
    pub refuses: bool,
}

/// The namespace of a producer, in one of RocketMQ's two forms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Namespace {
    /// A prefix of every topic and group: `ns%orders`.
    V1(String),
    /// A field of every request.
    V2(String),
}

/// What the hooks of a program do that sends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hooks {
    /// There are none.
    None,
    /// A message hook and a send hook panic at each call, which must change nothing.
    Panic,
    /// A hook forbids every attempt at this broker.
    Forbid(Name),
    /// A send hook tells what it hears of attempts: that each begins, and that it ends.
    Watch,
}

/// Where a policy comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PolicySource {
    /// A preset: one of [`PRESETS`](rmq_producer::policy::PRESETS).
    Preset(&'static str),
    /// The text of a policy file.
    Text {
        /// The name of the file, as the scenario has it.
        file: String,
        /// The text of the file.
        text: String,
    },
}

impl PolicySource {
    /// The policy with these differences, an inline table of TOML.
    pub(crate) fn with_changes(&self, changes: Option<&str>) -> Result<Policy, Box<dyn Error>> {
        let Some(changes) = changes else {
            return Ok(match self {
                Self::Preset(name) => Policy::preset(name)?,
                Self::Text { text, .. } => Policy::from_toml(text)?,
            });
        };
        let mut whole = match self {
            Self::Preset(name) => {
                let preset = toml::Value::from(*name);
                toml::Table::from_iter([("preset".to_owned(), preset)])
            }
            Self::Text { text, .. } => text.parse()?,
        };
        let written: toml::Table = format!("changes = {changes}").parse()?;
        if let Some(toml::Value::Table(changes)) = written.get("changes") {
            merge(&mut whole, changes);
        }
        Ok(Policy::from_toml(&whole.to_string())?)
    }
}

/// Puts the values of one table over those of another, table by table.
fn merge(whole: &mut toml::Table, changes: &toml::Table) {
    for (key, value) in changes {
        match (whole.get_mut(key), value) {
            (Some(toml::Value::Table(under)), toml::Value::Table(over)) => merge(under, over),
            _ => {
                whole.insert(key.clone(), value.clone());
            }
        }
    }
}

/// How a message is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SendMode {
    /// The caller waits for the outcome.
    Sync,
    /// A callback gets the outcome.
    Async,
    /// Nobody is told of an outcome.
    Oneway,
}

/// What a callback does beside noting the outcome. That it is slow cannot be simulated: a function
/// that does not wait takes no virtual time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Callback {
    /// The callback takes note of the outcome, and no more.
    Plain,
    /// The callback panics, which must reach no other send.
    Panics,
    /// It makes another async send, once.
    SendsAgain,
}

/// A row of sends by one producer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Workload {
    /// The name of the producer that sends.
    pub producer: Name,
    /// The topic that is sent to.
    pub topic: Name,
    /// Whether it waits, is called back, or wants no answer.
    pub mode: SendMode,
    /// How many messages are sent.
    pub sends: u64,
    /// From one send to the next, in milliseconds. A sync send that takes longer delays the next.
    pub every_ms: u64,
    /// When the first send is made.
    pub start_ms: u64,
    /// The size of each body, in bytes.
    pub body_bytes: usize,
    /// Which queue a send goes to.
    pub target: Target,
    /// So many tasks share the sends: one that waits for its outcome holds up no other.
    pub callers: u32,
    /// The caller of a sync or one-way send drops it after so many milliseconds.
    pub drop_after_ms: Option<u64>,
    /// What the callback of an async send does.
    pub callback: Callback,
    /// The time of each send, in milliseconds, instead of the producer's.
    pub timeout_ms: Option<u64>,
    /// The tag of each message.
    pub tag: Option<String>,
    /// The level of the delay with which brokers deliver each message.
    pub delay_level: Option<u32>,
    /// The flag of each message, whose meaning is the application's.
    pub flag: i32,
    /// The value of a property called `lab`.
    pub property: Option<String>,
    /// Whether the broker confirms a message only when it is stored as configured.
    pub waits_stored: bool,
    /// Whether the caller gives each message a unique key of its own.
    pub own_ids: bool,
}

/// Which queue the sends of a workload go to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// The producer chooses the queue.
    Any,
    /// One queue of a broker.
    Queue {
        /// The name of the broker that has the queue.
        broker: Name,
        /// The id of the queue at that broker.
        queue: i32,
        /// The topic that the queue is of, if that is another one than its messages'.
        topic: Option<Name>,
    },
    /// The sends take so many keys in turn, and the hash of its key chooses a send's queue.
    Keys(u32),
    /// A selector of the laboratory's draws a queue.
    Random,
    /// A selector of the program chooses the last queue of the list.
    Last,
    /// A selector of the program chooses no queue, which ends the send as invalid.
    Nothing,
}

impl Target {
    /// The topic of the queue that the caller chooses, if that is another one than the message's.
    pub(crate) fn other_topic(&self) -> Option<&Name> {
        match self {
            Self::Queue { topic, .. } => topic.as_ref(),
            _ => None,
        }
    }

    /// The key of a send, if keys choose the queue.
    pub fn key_of(&self, send: u64) -> Option<Name> {
        match self {
            Self::Keys(keys) => Some(key_of(*keys, send)),
            Self::Any | Self::Queue { .. } | Self::Random | Self::Last | Self::Nothing => None,
        }
    }
}

/// The key of a send, of sends that take so many keys in turn.
pub fn key_of(keys: u32, send: u64) -> Name {
    let key = send % u64::from(keys.max(1));
    // The hashes of the one sort are positive numbers, those of the other are negative.
    let sort = if key.is_multiple_of(2) {
        "key"
    } else {
        "customer"
    };
    Name::from(format!("{sort}-{key}"))
}

/// What a person expects of the scenario. `None`: anything goes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Expect {
    /// How many sends may end well.
    pub ok: Option<Bound>,
    /// How many sends may fail.
    pub failed: Option<Bound>,
    /// How many attempts all sends may make together.
    pub attempts: Option<Bound>,
    /// The most attempts of one send.
    pub max_attempts: Option<Bound>,
    /// The longest send, in milliseconds.
    pub max_send_ms: Option<Bound>,
    /// Stored copies beyond the first of each message.
    pub copies: Option<Bound>,
    /// Messages stored, each counted once.
    pub stored: Option<Bound>,
    /// How many attempts may be hedged.
    pub hedged: Option<Bound>,
}

/// A figure, or a range of figures.
///
/// ```
/// use rmq_sim::scenario::Bound;
///
/// let bound = Bound { min: 0, max: 3 };
/// assert!(bound.holds(3) && !bound.holds(4));
/// assert_eq!(bound.to_string(), "at most 3");
/// assert_eq!(Bound::exactly(58).to_string(), "58");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Bound {
    /// The figure must be this or more.
    pub min: u64,
    /// The figure must be this or less.
    pub max: u64,
}
