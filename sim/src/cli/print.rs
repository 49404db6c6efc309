//! Writes text for people.

use std::fmt::Write as _;
use std::io::{ErrorKind, Write as _};
use std::path::Path;
use std::time::Duration;

use rmq_remoting::observe::Name;

use super::CliError;
use crate::fault::{EngineKind, Fault};
use crate::run::{Run, RunConfig};
use crate::scenario::{Order, Scenario};
use crate::verdict::Class;

/// Writes to standard output. A reader that went away (`| head`) is no error.
///
/// # Errors
///
/// What was printed is not there, such as on a full disk: a command that goes on would end as if it
/// were.
pub(super) fn to_stdout(text: &str) -> Result<(), CliError> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(cause) if cause.kind() != ErrorKind::BrokenPipe => Err(CliError::Output { cause }),
        _ => Ok(()),
    }
}

/// How this program is called here: by cargo in its workspace, or as it was called now.
pub(super) fn program() -> String {
    let by_cargo = std::env::var_os("CARGO_PKG_NAME").is_some_and(|it| it == "rmq-sim");
    let called = std::env::args_os().next().filter(|_| !by_cargo);
    called.map_or("cargo sim".to_owned(), |program| {
        quoted(Path::new(&program))
    })
}

/// A path as a shell reads it: in quotes where it needs them.
pub(super) fn quoted(path: &Path) -> String {
    let text = path.to_string_lossy();
    // Only a NUL cannot be quoted, and no path has one.
    shlex::try_quote(&text).map_or_else(|_| text.to_string(), Into::into)
}

/// Writes to standard error.
pub(super) fn to_stderr(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

/// What was drawn for this seed, and what is fixed.
pub(super) fn knobs(scenario: &Scenario, knobs: RunConfig) -> String {
    let network = &scenario.network;
    let order = match (network.ready_order, knobs.ready_order) {
        (Order::Drawn, Order::Fifo) => "fifo (drawn)",
        (Order::Drawn, _) => "seeded (drawn)",
        (_, Order::Fifo) => "fifo",
        _ => "seeded",
    };
    let mut text = match (knobs.engine, network.jitter_ms) {
        (EngineKind::Tcp, _) => {
            "knobs    the network is this machine's: [network] is not applied on the engine tcp"
                .to_owned()
        }
        (_, 0) => format!(
            "knobs    latency {} ms, ready order {order}",
            network.latency_ms
        ),
        (_, jitter) => format!(
            "knobs    latency {} to {} ms, ready order {order}",
            network.latency_ms,
            network.latency_ms + jitter
        ),
    };
    for (number, fault) in (1..).zip(&scenario.faults) {
        let _ = write!(text, "\nfault {number}  {fault}, {}", fault.at);
    }
    text.push('\n');
    text
}

/// The figures of a run, in a few lines.
pub(super) fn summary(run: &Run, faults: &[Fault]) -> String {
    let figures = &run.summary;
    let mut text = format!(
        "sends    {}: {} ok, {} failed; at most {} attempts and {} ms a send; {} hedged\n",
        figures.sends,
        figures.ok,
        figures.failed,
        figures.max_attempts,
        figures.max_send_ms,
        figures.hedged,
    );
    let _ = write!(
        text,
        "stored   {} messages and {} further copies;",
        figures.stored, figures.copies
    );
    for (broker, sends) in &figures.share {
        let _ = write!(text, " {broker} answered {sends},");
    }
    text.pop();
    text.push('\n');
    text.push_str(&links(run));
    text.push_str(&effects(run, faults));
    text
}

/// How often each fault struck, and each one that did not, by name.
fn effects(run: &Run, faults: &[Fault]) -> String {
    let mut text = String::new();
    let struck = run
        .effects
        .iter()
        .filter(|effect| effect.missed().is_none());
    let struck: Vec<String> = struck
        .filter_map(|effect| Some(format!("fault {} {}", effect.fault, effect.struck?)))
        .collect();
    for (line, chunk) in struck.chunks(6).enumerate() {
        text.push_str(if line == 0 { "struck   " } else { "         " });
        text.push_str(&chunk.join("  "));
        text.push('\n');
    }
    for (effect, fault) in run.effects.iter().zip(faults) {
        if let Some(missed) = effect.missed()
            && !fault.may_miss
        {
            let _ = writeln!(text, "missed   fault {} {missed}: {fault}", effect.fault);
        }
    }
    text
}

/// Bytes per link: one entry for each pair, there and back.
fn links(run: &Run) -> String {
    let links = &run.summary.links;
    let bytes = |from: &Name, to: &Name| {
        let link = links.iter().find(|(a, b, _)| a == from && b == to);
        link.map_or(0, |(.., bytes)| *bytes)
    };
    let mut pairs: Vec<(&Name, &Name, u64, u64)> = Vec::new();
    for (from, to, there) in links {
        if !pairs.iter().any(|(a, b, ..)| *a == to && *b == from) {
            pairs.push((from, to, *there, bytes(to, from)));
        }
    }
    let mut text = String::new();
    for (line, chunk) in pairs.chunks(3).enumerate() {
        text.push_str(if line == 0 { "bytes    " } else { "         " });
        let chunk: Vec<String> = chunk
            .iter()
            .map(|(from, to, there, back)| format!("{from} {there} -> {back} <- {to}"))
            .collect();
        text.push_str(&chunk.join("   "));
        text.push('\n');
    }
    text
}

/// The verdict in one line, and every finding after the first in a line of its own.
pub(super) fn verdict(run: &Run, wall: Duration) -> String {
    let figures = &run.summary;
    let mut text = format!(
        "time     {} virtual, {} of wall time\n\
         verdict  {}   {} ok  {} failed  {} attempts   digest {}\n",
        seconds(Duration::from_millis(figures.virtual_ms)),
        seconds(wall),
        run.verdict,
        figures.ok,
        figures.failed,
        figures.attempts,
        run.digest.short(),
    );
    if run.verdict.class != Class::Pass {
        for finding in run.verdict.findings.iter().skip(1) {
            let _ = writeln!(text, "         {finding}");
        }
    }
    text
}

/// A share for people: `4.2%`.
pub(super) fn percent(part: u64, whole: u64) -> String {
    // The figures may be those of a file that says anything.
    let per_mille = u128::from(part) * 1_000 / u128::from(whole.max(1));
    format!("{}.{}%", per_mille / 10, per_mille % 10)
}

/// A duration for people: `60.0 s`, `3.2 ms`.
pub(super) fn seconds(duration: Duration) -> String {
    let micros = duration.as_micros();
    if micros >= 1_000_000 {
        format!("{}.{} s", micros / 1_000_000, micros / 100_000 % 10)
    } else {
        format!("{}.{} ms", micros / 1_000, micros / 100 % 10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_any_two_figures_is_a_percentage() {
        assert_eq!(percent(1, 3), "33.3%");
        assert_eq!(percent(u64::MAX, u64::MAX), "100.0%");
        assert_eq!(percent(0, 0), "0.0%");
    }
}
