//! The catalogue of faults: every kind once, with all that depends on its kind alone.
//!
//! The scenario file's reader asks it which keys a fault may have and where it may be, `cargo sim
//! faults` prints it, the generator draws from it, and the table in the documentation of
//! [`fault`](crate::fault) is its copy (a test compares them). Which engines can do a fault is asked
//! of the fault itself.

use std::fmt;

use crate::fault::{Engine, FaultKind, OddRoute, Place, Restart, Rule, RuleAction};
use crate::trace::NodeKind;

/// One kind of fault.
#[derive(Debug, Clone)]
pub struct Row {
    /// A fault of the kind: its name and its engines follow from it.
    pub example: FaultKind,
    /// Where it can be.
    pub site: Site,
    /// The keys of a scenario file that only some kinds have.
    pub parameters: &'static [&'static str],
    /// What it is in the real world.
    pub situation: &'static str,
}

/// Where a kind of fault can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Site {
    /// Any process.
    Node,
    /// A producer.
    Producer,
    /// A broker or a name server.
    Server,
    /// A broker.
    Broker,
    /// A name server.
    NameServer,
    /// One direction between two nodes.
    Link,
    /// Both directions between two nodes.
    Pair,
    /// One direction or both.
    LinkOrPair,
}

impl Site {
    /// Whether a kind of fault that can be here can be at `place`, given what each node is. `Err`:
    /// what to write instead.
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

impl Row {
    /// The engines that can do it.
    pub fn engines(&self) -> impl Iterator<Item = Engine> {
        [Engine::Event, Engine::Turmoil, Engine::Tcp]
            .into_iter()
            .filter(|engine| self.example.impossible_on(*engine).is_none())
    }

    /// Whether it is a rule of a server.
    pub fn is_rule(&self) -> bool {
        matches!(self.example, FaultKind::Rule(_))
    }
}

impl FaultKind {
    /// Where a fault of this kind can be.
    #[expect(
        clippy::expect_used,
        reason = "the catalogue has every kind: a test compares them"
    )]
    pub fn site(&self) -> Site {
        let row = row(self.name()).expect("a kind of fault is in the catalogue");
        row.site
    }
}

/// The row of a kind, by the name it has in a scenario file.
pub fn row(name: &str) -> Option<Row> {
    all().into_iter().find(|row| row.example.name() == name)
}

/// Every kind of fault: of processes, by operators, of links, and rules of servers.
pub fn all() -> Vec<Row> {
    let mut rows = processes();
    rows.extend(operations());
    rows.extend(links());
    rows.extend(requests());
    rows.extend(answers());
    rows.extend(routes());
    rows
}

/// The catalogue as a table in Markdown; the keys that every rule has are left out.
pub fn markdown() -> String {
    let titles = ["`do`", "on", "keys", "in the real world", "engines"].map(str::to_owned);
    let mut lines = vec![titles];
    for row in all() {
        let engines: Vec<String> = row.engines().map(|engine| engine.to_string()).collect();
        let own = row.parameters.iter();
        let own = own.filter(|key| !(row.is_rule() && OF_EVERY_RULE.contains(key)));
        let keys: Vec<String> = own.map(|key| format!("`{key}`")).collect();
        lines.push([
            format!("`{}`", row.example.name()),
            match row.is_rule() {
                true => format!("{}, a rule", row.site),
                false => row.site.to_string(),
            },
            keys.join(", "),
            row.situation.to_owned(),
            match engines.len() {
                3 => "all".to_owned(),
                _ => engines.join(", "),
            },
        ]);
    }
    lines.insert(1, ["---"; 5].map(str::to_owned));
    let widths: [usize; 5] = std::array::from_fn(|column| {
        let cells = lines.iter().map(|line| line[column].chars().count());
        cells.max().unwrap_or(0)
    });
    let line = |cells: &[String; 5]| {
        let cells = cells.iter().zip(widths);
        let cells: Vec<String> = cells
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        format!("| {} |\n", cells.join(" | "))
    };
    lines.iter().map(line).collect()
}

const fn row_of(
    example: FaultKind,
    site: Site,
    parameters: &'static [&'static str],
    situation: &'static str,
) -> Row {
    Row {
        example,
        site,
        parameters,
        situation,
    }
}

fn processes() -> Vec<Row> {
    use Site::{Node, Server};
    const BACK: &[&str] = &["data", "address"];
    let back = Restart::default();
    vec![
        row_of(
            FaultKind::Crash(back),
            Server,
            BACK,
            "the process is killed, its kernel closes the sockets; started again after `for`",
        ),
        row_of(
            FaultKind::Stop(back),
            Server,
            BACK,
            "an orderly shutdown: the process says goodbye first",
        ),
        row_of(
            FaultKind::PowerLoss(back),
            Server,
            BACK,
            "the machine is gone without a word; after `for` it boots again",
        ),
        row_of(
            FaultKind::Freeze,
            Node,
            &[],
            "a long garbage collection or SIGSTOP: the kernel lives, the process does nothing",
        ),
        row_of(
            FaultKind::Slow { ms_per_step: 1 },
            Node,
            &["step"],
            "a starved CPU: one step per so many milliseconds",
        ),
        row_of(
            FaultKind::ClockJump { ms: 1 },
            Node,
            &["by"],
            "NTP or an operator sets the wall clock; timers do not notice",
        ),
        row_of(
            FaultKind::Refuse,
            Server,
            &[],
            "a firewall or a full machine answers dials with a reset",
        ),
        row_of(
            FaultKind::SwallowDials,
            Server,
            &[],
            "a firewall drops dials: they hang; open connections work",
        ),
        row_of(
            FaultKind::StopReading,
            Server,
            &[],
            "a stuck reader: its window fills, and the peer's writes block",
        ),
    ]
}

/// What operators do while producers run.
fn operations() -> Vec<Row> {
    use Site::Broker;
    vec![
        row_of(
            FaultKind::NameServerList { without: "".into() },
            Site::Producer,
            &["without"],
            "an operator takes a name server out of service and tells the clients first",
        ),
        row_of(
            FaultKind::ReadOnly,
            Broker,
            &[],
            "an operator takes the broker out of writing; producers hear it from their routes",
        ),
        row_of(
            FaultKind::Resize {
                topic: "topic-1".into(),
                queues: 1,
            },
            Broker,
            &["topic", "queues"],
            "an operator gives a topic fewer or more queues at one broker",
        ),
    ]
}

fn links() -> Vec<Row> {
    use Site::{Link, LinkOrPair, Pair};
    let latency = FaultKind::Latency {
        ms: 1,
        jitter_ms: 0,
    };
    vec![
        row_of(
            FaultKind::Partition,
            LinkOrPair,
            &[],
            "a switch drops packets, one way or both; they are sent again when it heals",
        ),
        row_of(
            FaultKind::Hold,
            LinkOrPair,
            &[],
            "a paused virtual machine or tunnel: all that was on the way arrives at its end",
        ),
        row_of(
            FaultKind::BlackHole,
            Pair,
            &[],
            "a dead middlebox: open connections swallow all bytes, new ones work",
        ),
        row_of(
            FaultKind::HalfOpen,
            Link,
            &[],
            "a middlebox forgets: the receivers lose open connections, the senders learn it late",
        ),
        row_of(
            FaultKind::Reset { byte: 0 },
            LinkOrPair,
            &["byte"],
            "a middlebox resets: on a pair all connections now, on a link one, at a byte",
        ),
        row_of(
            FaultKind::Loss { per_mille: 1 },
            LinkOrPair,
            &["per-mille"],
            "a bad cable: retransmissions, seen as delay",
        ),
        row_of(latency, LinkOrPair, &["latency"], "a long way round"),
        row_of(
            FaultKind::Bandwidth { bytes_per_ms: 1 },
            LinkOrPair,
            &["bytes-per-ms"],
            "a thin or crowded line",
        ),
        row_of(
            FaultKind::Slice { bytes: 1 },
            LinkOrPair,
            &["bytes"],
            "tiny segments and full buffers: each read and write moves a few bytes",
        ),
        row_of(
            FaultKind::Corrupt { byte: 0 },
            Link,
            &["byte"],
            "a byte flips on the way",
        ),
    ]
}

fn rule(
    then: RuleAction,
    site: Site,
    parameters: &'static [&'static str],
    situation: &'static str,
) -> Row {
    let rule = Rule {
        codes: Vec::new(),
        topic: None,
        queue: None,
        per_mille: None,
        times: None,
        then,
    };
    row_of(FaultKind::Rule(rule), site, parameters, situation)
}

/// The keys of every rule.
const OF_EVERY_RULE: [&str; 5] = ["request", "topic", "queue", "per-mille", "times"];

/// The keys of a rule: its own, then those of every rule.
macro_rules! rule_keys {
    ($($own:literal),*) => {
        &[$($own,)* "request", "topic", "queue", "per-mille", "times"]
    };
}

/// What happens to a request.
fn requests() -> Vec<Row> {
    use Site::{Broker, Server};
    let answer = RuleAction::Answer {
        code: 1,
        remark: None,
    };
    vec![
        rule(
            answer,
            Server,
            rule_keys!("code", "remark"),
            "the server refuses with a response code; 1500 tells that it drains",
        ),
        rule(
            RuleAction::StoreThenAnswer { code: 10 },
            Broker,
            rule_keys!("code"),
            "stored, but not flushed or not replicated in time",
        ),
        rule(
            RuleAction::Delay {
                ms: 1,
                jitter_ms: 0,
            },
            Server,
            rule_keys!("by", "jitter"),
            "the server does its work and answers late, maybe past the deadline",
        ),
        rule(
            RuleAction::DelayRequest { ms: 1 },
            Broker,
            rule_keys!("by"),
            "a long queue in front of the store",
        ),
        rule(
            RuleAction::DropRequest,
            Server,
            rule_keys!(),
            "the server loses a request it has read",
        ),
        rule(
            RuleAction::DropReply,
            Server,
            rule_keys!(),
            "the server does its work and its answer is lost",
        ),
        rule(
            RuleAction::CloseBefore,
            Server,
            rule_keys!(),
            "the server closes the connection before its work",
        ),
        rule(
            RuleAction::CloseAfter,
            Server,
            rule_keys!(),
            "the server closes the connection between its work and its answer",
        ),
        rule(
            RuleAction::ResetBefore,
            Server,
            rule_keys!(),
            "the server dies with the request, before its work",
        ),
        rule(
            RuleAction::ResetAfter,
            Server,
            rule_keys!(),
            "the server dies with the request, after its work",
        ),
    ]
}

/// What happens to an answer.
fn answers() -> Vec<Row> {
    use Site::Server;
    vec![
        rule(
            RuleAction::ReplyTwice,
            Server,
            rule_keys!(),
            "a broken proxy repeats the answer",
        ),
        rule(
            RuleAction::UnknownOpaque,
            Server,
            rule_keys!(),
            "a broken proxy: the answer names a request that nobody made",
        ),
        rule(
            RuleAction::HalfFrame,
            Server,
            rule_keys!(),
            "a stalled path: half an answer, and the rest never comes",
        ),
        rule(
            RuleAction::HalfFrameClose,
            Server,
            rule_keys!(),
            "the server dies while it writes the answer",
        ),
        rule(
            RuleAction::Garbage,
            Server,
            rule_keys!(),
            "a wrong peer, a broken proxy: bytes that are no frame",
        ),
    ]
}

/// Rules about the routes that a name server tells.
fn routes() -> Vec<Row> {
    use Site::NameServer;
    let partial = RuleAction::PartialRoute { broker: "".into() };
    vec![
        rule(
            RuleAction::StaleRoute,
            NameServer,
            rule_keys!(),
            "a name server that has fallen behind: it answers as at the start of the fault",
        ),
        rule(
            partial,
            NameServer,
            rule_keys!("broker"),
            "a name server that one broker cannot reach: it leaves it out",
        ),
        rule(
            RuleAction::PermutedRoute,
            NameServer,
            rule_keys!(),
            "a name server whose table has another order at each answer",
        ),
        rule(
            RuleAction::OddRoute(OddRoute::BareIds),
            NameServer,
            rule_keys!(),
            "an old name server, and groups that wait for an election: ids without quotes, and -1",
        ),
        rule(
            RuleAction::OddRoute(OddRoute::TextNumbers),
            NameServer,
            rule_keys!(),
            "a name server of somebody else's: it writes numbers as text",
        ),
        rule(
            RuleAction::OddRoute(OddRoute::Nulls),
            NameServer,
            rule_keys!(),
            "a name server of a later release: nulls and members that nobody knows",
        ),
        rule(
            RuleAction::OddRoute(OddRoute::Empty),
            NameServer,
            rule_keys!(),
            "a bad name server: it says success and has no broker",
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documentation_of_the_faults_has_this_table() {
        let source = include_str!("fault/mod.rs");
        let table = source.lines().filter_map(|line| line.strip_prefix("//! |"));
        let table: String = table.map(|rest| format!("|{rest}\n")).collect();
        let now = markdown();
        assert_eq!(table, now, "put this into fault/mod.rs:\n{now}");
    }

    #[test]
    fn a_rule_has_the_keys_of_every_rule() {
        for row in all().iter().filter(|row| row.is_rule()) {
            let of_all = OF_EVERY_RULE.iter().all(|key| row.parameters.contains(key));
            assert!(of_all, "{}", row.example.name());
        }
    }

    #[test]
    fn every_kind_has_a_name_of_its_own_and_an_engine() {
        let mut names = std::collections::BTreeSet::new();
        for row in all() {
            assert!(names.insert(row.example.name()), "{}", row.example.name());
            assert!(row.engines().any(|engine| engine == Engine::Event));
        }
    }
}
