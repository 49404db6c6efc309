//! The table of TCP outcomes: one test program, run on the event engine and on the Linux kernel.
//!
//! A simulator whose TCP is wrong proves wrong things about the client on top of it. So every rule
//! of the engine's network that a program can observe is a row here: a short program against the
//! host seam that notes what it sees. The row runs on both, and both must note the same.
//!
//! * `L` rows need the loop-back interface; the far end is a process of its own where it must be
//!   killed or stopped.
//! * `N` rows need a network that can be cut: three network namespaces, with `ip`, `nft` and `tc`.
//!   Where that is not permitted they are skipped, loudly, and the engine is compared with what a
//!   kernel did when the table was recorded (`kernel.txt`).
//!
//! ```text
//! cargo test -p rmq-sim --test tcp_outcomes              # the table
//! cargo test -p rmq-sim --test tcp_outcomes -- reset     # rows whose name contains "reset"
//! TCP_OUTCOMES_RECORD=1 cargo test -p rmq-sim --test tcp_outcomes   # record the kernel's outcomes
//! ```
#![expect(
    clippy::unwrap_used,
    reason = "a test program: what cannot go on ends it"
)]

mod event;
mod kernel;
mod namespace;
mod recorded;
mod rows;
mod script;
mod stage;

use std::process::ExitCode;

use recorded::Recorded;
use rows::{Place, Row};
use stage::Notes;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .as_slice()
    {
        // The far end of a row, and the near end within a namespace, are processes of their own.
        ["peer", script, at] => script::run(script, at),
        ["near", name] => namespace::run_near(name),
        // What test runners ask for.
        ["--list", ..] => println!("tcp_outcomes: test"),
        arguments => {
            let filter = arguments.iter().find(|argument| !argument.starts_with('-'));
            return table(filter.copied().unwrap_or(""));
        }
    }
    ExitCode::SUCCESS
}

/// Runs the rows whose names contain `filter`.
fn table(filter: &str) -> ExitCode {
    let mut recorded = Recorded::load();
    let network = namespace::Network::set_up();
    if let Err(why) = &network {
        println!("SKIPPED on the kernel: all N rows, compared with the record instead ({why})");
    }
    let mut wrong = 0;
    for row in rows::all().iter().filter(|row| row.name.contains(filter)) {
        let kernel = match (row.place, &network) {
            (Place::Loop, _) => Some(kernel::run(row)),
            (Place::Network, Ok(network)) => Some(network.run(row)),
            (Place::Network, Err(_)) => None,
        };
        wrong += u32::from(!compared(row, kernel, &event::run(row), &mut recorded));
    }
    recorded.save();
    println!("{wrong} rows disagree");
    ExitCode::from(u8::from(wrong > 0))
}

/// Compares one row's outcomes and prints the verdict.
fn compared(row: &Row, kernel: Option<Notes>, engine: &Notes, recorded: &mut Recorded) -> bool {
    let place = match row.place {
        Place::Loop => "L",
        Place::Network => "N",
    };
    let against = if kernel.is_some() { "kernel" } else { "record" };
    let record = recorded.outcome(row.name, kernel.as_ref());
    let expected = kernel.unwrap_or_else(|| record.clone());
    let agree = expected == *engine && record == expected;
    println!(
        "{place}  {:<60} {}",
        row.name,
        if agree { "agree" } else { "DISAGREE" }
    );
    if !agree {
        println!("     {against}: {expected:#?}\n     engine: {engine:#?}");
        if record != expected {
            println!("     the record says: {record:#?}");
        }
    }
    agree
}
