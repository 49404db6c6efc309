//! What send hooks hear: of each attempt that began that it ended, once.

use std::collections::BTreeMap;

use crate::invariant::{CheckReport, CheckedRun};
use crate::trace::history::{SendHistory, Timestamp};

/// What a hook has heard of one attempt.
#[derive(Debug, Default)]
struct Heard {
    began: Option<Timestamp>,
    ended: Option<Timestamp>,
}

/// Checks what the hooks of a run heard, if any program has one that watches.
pub(super) fn check(run: &CheckedRun<'_>, report: &mut CheckReport) {
    let mut heard: BTreeMap<(usize, u32), Heard> = BTreeMap::new();
    if run.history.hooked.is_empty() {
        return;
    }
    let sends = run.history.sends.iter().enumerate();
    let keys: BTreeMap<_, usize> = sends
        .filter_map(|(index, send)| Some((send.built?.unique_key, index)))
        .collect();
    for hooked in &run.history.hooked {
        report.exercised();
        let Some(index) = keys.get(hooked.unique_key) else {
            continue;
        };
        let attempt = heard.entry((*index, hooked.attempt)).or_default();
        let (of, word) = match hooked.begins {
            true => (&mut attempt.began, "begins"),
            false => (&mut attempt.ended, "ended"),
        };
        if of.replace(hooked.timestamp).is_some() {
            let send = &run.history.sends[*index];
            let (who, number, k) = (run.name(send.node), send.number, hooked.attempt);
            let text = format!("a hook of {who} hears a second time that s{number} #{k} {word}");
            report.wrong(hooked.timestamp, text);
        }
    }
    for ((index, k), attempt) in heard {
        let send = &run.history.sends[index];
        let (who, number) = (run.name(send.node), send.number);
        match (attempt.began, attempt.ended) {
            (Some(began), None) if owes_the_end(run, send) => {
                let text = format!("a hook of {who} hears nothing of the end of s{number} #{k}");
                report.wrong(began, text);
            }
            (None, Some(ended)) => {
                let text =
                    format!("a hook of {who} hears that s{number} #{k} ended, which began unheard");
                report.wrong(ended, text);
            }
            _ => {}
        }
    }
}

/// Whether a send is over for good, and all of its attempts with it. One that its caller dropped owes nothing.
fn owes_the_end(run: &CheckedRun<'_>, send: &SendHistory<'_>) -> bool {
    let done = send.done.first().map(|(done, _)| *done);
    done.is_some_and(|done| {
        let until = done.ms.saturating_add(run.header().slack_ms);
        let lives = !run.truth.was_gone(send.node, 0, until);
        send.cancelled.is_none() && lives && until < run.trace.end_ms
    })
}
