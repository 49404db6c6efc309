//! The catalogue of faults, as a table that a program can read.
//!
//! The same faults stand in the documentation of [`fault`](crate::fault); here each row also says
//! which parameters it has. Which engines can do it is asked of the fault itself.

use crate::fault::{Engine, FaultKind, Restart, Rule, RuleAction};

/// One kind of fault.
#[derive(Debug, Clone)]
pub struct Row {
    /// A fault of the kind: its name and its engines follow from it.
    pub example: FaultKind,
    /// Where it can be.
    pub place: &'static str,
    /// The keys of a scenario file that only some kinds have.
    pub parameters: &'static str,
    /// What it is in the real world.
    pub situation: &'static str,
}

impl Row {
    /// The engines that can do it.
    pub fn engines(&self) -> impl Iterator<Item = Engine> {
        [Engine::Event, Engine::Turmoil, Engine::Tcp]
            .into_iter()
            .filter(|engine| self.example.impossible_on(*engine).is_none())
    }
}

/// Every kind of fault, in the order of the documentation.
#[expect(clippy::too_many_lines, reason = "one table, a row for each fault")]
pub fn all() -> Vec<Row> {
    const RULE: &str = "request, topic, queue, per-mille, times";
    let restart = Restart::default();
    let row = |example, place, parameters, situation| Row {
        example,
        place,
        parameters,
        situation,
    };
    let rule = |then, parameters, situation| {
        let rule = Rule {
            codes: Vec::new(),
            topic: None,
            queue: None,
            per_mille: None,
            times: None,
            then,
        };
        row(FaultKind::Rule(rule), "server", parameters, situation)
    };
    let slow = FaultKind::Slow { ms_per_step: 1 };
    let loss = FaultKind::Loss { per_mille: 1 };
    let latency = FaultKind::Latency {
        ms: 1,
        jitter_ms: 0,
    };
    let answer = RuleAction::Answer {
        code: 1,
        remark: None,
    };
    vec![
        row(
            FaultKind::Crash(restart),
            "server",
            "data, address",
            "the process is killed; its kernel closes the sockets",
        ),
        row(
            FaultKind::Stop(restart),
            "server",
            "data, address",
            "an orderly shutdown: the process says goodbye first",
        ),
        row(
            FaultKind::PowerLoss(restart),
            "server",
            "data, address",
            "the machine is gone without a word",
        ),
        row(
            FaultKind::Freeze,
            "node",
            "",
            "a long garbage collection or SIGSTOP: the kernel lives on",
        ),
        row(
            slow,
            "node",
            "step",
            "a starved CPU: one step per so many milliseconds",
        ),
        row(
            FaultKind::Refuse,
            "server",
            "",
            "a firewall or a full machine answers dials with a reset",
        ),
        row(
            FaultKind::Partition,
            "link, pair",
            "",
            "a switch drops packets, one way or both",
        ),
        row(
            FaultKind::BlackHole,
            "pair",
            "",
            "a dead middlebox: open connections swallow all bytes",
        ),
        row(
            loss,
            "link, pair",
            "per-mille",
            "a bad cable: retransmissions, seen as delay",
        ),
        row(latency, "link, pair", "latency", "a long way round"),
        row(
            FaultKind::Corrupt { byte: 0 },
            "link",
            "byte",
            "a byte flips on the way",
        ),
        rule(
            answer,
            "code, remark, and those of delay but by",
            "the server refuses with a response code",
        ),
        rule(
            RuleAction::Delay { ms: 1 },
            "by, request, topic, queue, per-mille, times",
            "the server answers late",
        ),
        rule(
            RuleAction::DropRequest,
            RULE,
            "the server loses a request it has read",
        ),
        rule(
            RuleAction::DropReply,
            RULE,
            "the server does its work and its answer is lost",
        ),
        rule(
            RuleAction::CloseBefore,
            RULE,
            "the server dies with the request, before its work",
        ),
        rule(
            RuleAction::CloseAfter,
            RULE,
            "the server dies with the request, after its work",
        ),
    ]
}
