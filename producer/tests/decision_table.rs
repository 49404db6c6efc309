//! What each preset does after an attempt ended in each way: the table in the documentation is made
//! from the presets, and stays so.
//!
//! `RMQ_WRITE_TABLES=1 cargo test -p rmq-producer --test decision_table` writes it anew.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fmt::Write as _;

use rmq_producer::Policy;
use rmq_producer::decide::retry::{self, Ended, GO_AWAY, Next, Standing};
use rmq_producer::event::{Mode, Stage};
use rmq_producer::policy::{Drain, PRESETS};
use rmq_remoting::code::response_name;
use rmq_remoting::event::CloseCause;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/decide/table.md");

/// The codes that the presets name, and some that none does.
const CODES: [i32; 17] = [
    0, 10, 11, 12, 1, 2, 14, 16, 17, 204, 205, 1500, 3, 13, 26, 215, 604,
];

const WITH_TIME: Standing = Standing {
    attempts_left: 1,
    left: 100,
    newest: true,
    open: 0,
};

fn word(next: Next) -> &'static str {
    match next {
        Next::Succeed => "stored",
        Next::KeepAndRetry => "keep, try again",
        Next::Retry => "next attempt",
        Next::Wait => "wait",
        Next::Fail => "end",
        Next::ChooseAndFail => "choose, end",
    }
}

fn of_stage(policy: &Policy, mode: Mode, stage: Stage, standing: Standing) -> &'static str {
    word(retry::after(
        policy,
        mode,
        Ended { stage, code: None },
        standing,
    ))
}

fn of_loss(policy: &Policy, mode: Mode, cause: CloseCause) -> String {
    if retry::waits_on(policy, cause) {
        return "as no answer".to_owned();
    }
    of_stage(policy, mode, Stage::Lost, WITH_TIME).to_owned()
}

fn of_code(policy: &Policy, mode: Mode, code: i32) -> String {
    let stored = [0, 10, 11, 12].contains(&code);
    let stage = if stored {
        Stage::Accepted
    } else {
        Stage::Refused
    };
    let ended = Ended {
        stage,
        code: Some(code),
    };
    let next = word(retry::after(policy, mode, ended, WITH_TIME));
    if code == GO_AWAY && matches!(retry::drain(policy), Drain::Resend | Drain::ResendFirst) {
        return format!("resend, then {next}");
    }
    next.to_owned()
}

fn row(table: &mut String, name: &str, cell: impl Fn(&Policy, Mode) -> String) {
    let _ = write!(table, "| {name} |");
    for preset in PRESETS {
        let policy = Policy::preset(preset).unwrap();
        let cells = [Mode::Sync, Mode::Async].map(|mode| cell(&policy, mode));
        let cell = if cells[0] == cells[1] {
            cells[0].clone()
        } else {
            format!("sync: {}; async: {}", cells[0], cells[1])
        };
        let _ = write!(table, " {cell} |");
    }
    table.push('\n');
}

fn table() -> String {
    let mut table = format!("| after an attempt that | {} |\n", PRESETS.join(" | "));
    table.push_str("|---|---|---|---|---|\n");
    let late = Standing {
        left: 0,
        ..WITH_TIME
    };
    let stages = [
        ("has no address", Stage::Address, WITH_TIME),
        ("was forbidden by a hook", Stage::Vetoed, WITH_TIME),
        ("has no connection", Stage::Dial, WITH_TIME),
        ("was not written", Stage::Write, WITH_TIME),
        ("had no answer, with time left", Stage::Silent, WITH_TIME),
        ("had no answer, without", Stage::Silent, late),
        (
            "had an answer that nobody understands",
            Stage::Decode,
            WITH_TIME,
        ),
    ];
    for (name, stage, standing) in stages {
        row(&mut table, name, |policy, mode| {
            of_stage(policy, mode, stage, standing).to_owned()
        });
    }
    for (name, cause) in [
        ("was closed on by its peer", CloseCause::PeerClosed),
        ("was reset", CloseCause::Broken),
    ] {
        row(&mut table, name, |policy, mode| {
            of_loss(policy, mode, cause)
        });
    }
    for code in CODES {
        let name = response_name(code).unwrap_or("");
        row(&mut table, &format!("got {code} {name}"), |policy, mode| {
            of_code(policy, mode, code)
        });
    }
    table
}

#[test]
fn the_table_in_the_documentation_is_what_the_presets_say() {
    let table = table();
    if std::env::var_os("RMQ_WRITE_TABLES").is_some() {
        std::fs::write(FILE, &table).unwrap();
    }
    let written = std::fs::read_to_string(FILE).unwrap_or_default();
    assert_eq!(written, table, "RMQ_WRITE_TABLES=1 writes it anew");
}
