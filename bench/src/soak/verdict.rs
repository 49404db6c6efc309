//! What was promised, and whether it held.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::book::{Figures, Number, Outcome};
use crate::cluster::Stored;
use crate::process::Process;

/// Memory that may be added between the first tenth of the run and its end, in KiB, whatever was
/// sent: allocators keep what they once had.
const SLACK_KIB: u64 = 16 * 1024;
/// And for each send: the soak's own book of them.
const BOOK_BYTES: u64 = 512;
/// Broken promises that are printed one by one.
const SHOWN: usize = 10;

/// The head of the table of figures.
pub(crate) fn head() -> String {
    format!(
        "{:>8} {:>8} {:>8} {:>7} {:>7} {:>9} {:>5} {:>10} {:>8} {:>6} {:>6}",
        "time",
        "sends",
        "ok",
        "failed",
        "oneway",
        "callbacks",
        "open",
        "longest ms",
        "rss MiB",
        "fds",
        "tasks"
    )
}

/// One line of it.
pub(crate) fn line(at: Duration, figures: &Figures, process: &Process) -> String {
    format!(
        "{:>6.1} s {:>8} {:>8} {:>7} {:>7} {:>9} {:>5} {:>10} {:>8.1} {:>6} {:>6}",
        at.as_secs_f64(),
        figures.sends,
        figures.ok,
        figures.failed,
        figures.oneway,
        figures.callbacks,
        figures.open,
        figures.longest,
        process.resident as f64 / 1024.0,
        process.descriptors,
        process.tasks,
    )
}

/// What this process needed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Leaks {
    /// Before the producer was started.
    pub(crate) before: Process,
    /// After a tenth of the run.
    pub(crate) warm: Process,
    /// After the producer was stopped.
    pub(crate) after: Process,
    pub(crate) stopped_in_time: bool,
}

/// All that is checked.
#[derive(Debug)]
pub(crate) struct Evidence {
    /// What the producer said.
    pub(crate) outcomes: BTreeMap<Number, Outcome>,
    /// What the brokers stored.
    pub(crate) stored: Stored,
    pub(crate) leaks: Leaks,
}

/// A promise of the producer that does not hold for a send or for the process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Broken {
    /// It was acknowledged, and is not where its answer says.
    Lost(Number),
    /// More copies than attempts.
    Copies(Number, usize, u32),
    /// It never ended, or more than once.
    Ends(Number, u32),
    /// It ended so many milliseconds after its deadline and the grace.
    Late(Number, u64),
    /// A broker has stored what nobody sent.
    Unknown(Number),
    /// Memory, descriptors, tasks: what it was, what it is, what it may be.
    Leak(&'static str, u64, u64, u64),
    /// The producer did not stop in time.
    Stop,
}

/// Everything that was promised and did not hold.
pub(crate) fn check(evidence: &Evidence) -> Vec<Broken> {
    let mut broken = Vec::new();
    for (number, outcome) in &evidence.outcomes {
        let copies = evidence.stored.get(number).map_or(&[][..], Vec::as_slice);
        let place = outcome.stored.as_ref();
        if place.is_some_and(|place| !copies.contains(place)) {
            broken.push(Broken::Lost(*number));
        }
        if copies.len() > outcome.attempts as usize {
            broken.push(Broken::Copies(*number, copies.len(), outcome.attempts));
        }
        if outcome.ends != 1 {
            broken.push(Broken::Ends(*number, outcome.ends));
        }
        broken.extend(outcome.late.map(|late| Broken::Late(*number, late)));
    }
    let unknown = evidence.stored.keys();
    let unknown = unknown.filter(|number| !evidence.outcomes.contains_key(number));
    broken.extend(unknown.map(|number| Broken::Unknown(*number)));
    broken.extend(leaks(&evidence.leaks, evidence.outcomes.len() as u64));
    broken
}

fn leaks(leaks: &Leaks, sends: u64) -> Vec<Broken> {
    let Leaks {
        before,
        warm,
        after,
        stopped_in_time,
    } = leaks;
    let memory = warm.resident + SLACK_KIB + sends * BOOK_BYTES / 1024;
    let figures = [
        ("KiB of memory", warm.resident, after.resident, memory),
        (
            "descriptors",
            before.descriptors,
            after.descriptors,
            before.descriptors,
        ),
        ("tasks", before.tasks, after.tasks, before.tasks),
    ];
    let beyond = figures.into_iter().filter(|(_, _, now, most)| now > most);
    let mut broken: Vec<Broken> = beyond
        .map(|(what, then, now, most)| Broken::Leak(what, then, now, most))
        .collect();
    broken.extend((!stopped_in_time).then_some(Broken::Stop));
    broken
}

/// Prints the verdict; whether all held.
pub(crate) fn print(evidence: &Evidence, took: Duration, seed: u64) -> bool {
    let broken = check(evidence);
    let copies: usize = evidence.stored.values().map(Vec::len).sum();
    let acknowledged = evidence.outcomes.values().filter(|it| it.stored.is_some());
    println!(
        "stored   {copies} copies of {} messages; {} acknowledged",
        evidence.stored.len(),
        acknowledged.count()
    );
    let Leaks {
        before,
        warm,
        after,
        ..
    } = &evidence.leaks;
    println!(
        "process  memory {} -> {} KiB, descriptors {} -> {}, tasks {} -> {}",
        warm.resident,
        after.resident,
        before.descriptors,
        after.descriptors,
        before.tasks,
        after.tasks
    );
    for one in broken.iter().take(SHOWN) {
        println!("broken   {one:?}");
    }
    let verdict = if broken.is_empty() {
        "pass: nothing lost, doubled, late or leaked".to_owned()
    } else {
        format!("{} promises broken", broken.len())
    };
    println!(
        "verdict  {verdict} after {:.0} s; seed {seed}",
        took.as_secs_f64()
    );
    broken.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::book::StoredAt;

    fn place(offset: i64) -> StoredAt {
        StoredAt {
            broker: "broker-a".to_owned(),
            queue: 0,
            offset,
        }
    }

    fn process(resident: u64, descriptors: u64, tasks: u64) -> Process {
        Process {
            resident,
            descriptors,
            tasks,
        }
    }

    /// One send that was acknowledged and is stored.
    fn sound() -> Evidence {
        let outcome = Outcome {
            ends: 1,
            stored: Some(place(7)),
            attempts: 2,
            late: None,
        };
        let same = process(1_000, 10, 3);
        Evidence {
            outcomes: BTreeMap::from([(1, outcome)]),
            stored: Stored::from([(1, vec![place(7)])]),
            leaks: Leaks {
                before: same,
                warm: same,
                after: same,
                stopped_in_time: true,
            },
        }
    }

    fn found(change: impl FnOnce(&mut Evidence)) -> Vec<Broken> {
        let mut evidence = sound();
        change(&mut evidence);
        check(&evidence)
    }

    #[test]
    fn a_sound_run_passes_and_a_copy_for_each_attempt_is_explained() {
        assert_eq!(found(|_| {}), []);
        let copy = |it: &mut Evidence| it.stored.entry(1).or_default().push(place(8));
        assert_eq!(found(copy), []);
    }

    #[test]
    fn an_acknowledged_message_that_is_elsewhere_or_nowhere_is_lost() {
        let nowhere = |it: &mut Evidence| it.stored.clear();
        assert_eq!(found(nowhere), [Broken::Lost(1)]);
        let elsewhere = |it: &mut Evidence| {
            it.stored.insert(1, vec![place(8)]);
        };
        assert_eq!(found(elsewhere), [Broken::Lost(1)]);
    }

    #[test]
    fn more_copies_than_attempts_and_copies_of_nothing_are_told() {
        let doubled = |it: &mut Evidence| {
            it.stored.insert(1, vec![place(7), place(8), place(9)]);
        };
        assert_eq!(found(doubled), [Broken::Copies(1, 3, 2)]);
        let unknown = |it: &mut Evidence| {
            it.stored.insert(2, vec![place(8)]);
        };
        assert_eq!(found(unknown), [Broken::Unknown(2)]);
    }

    #[test]
    fn an_end_that_is_missing_doubled_or_late_is_told() {
        for ends in [0, 2] {
            let change = |it: &mut Evidence| it.outcomes.get_mut(&1).unwrap().ends = ends;
            assert_eq!(found(change), [Broken::Ends(1, ends)]);
        }
        let late = |it: &mut Evidence| it.outcomes.get_mut(&1).unwrap().late = Some(5);
        assert_eq!(found(late), [Broken::Late(1, 5)]);
    }

    #[test]
    fn what_does_not_come_back_after_the_stop_leaks() {
        let after = |after| found(move |it| it.leaks.after = after);
        assert_eq!(
            after(process(1_000, 11, 3)),
            [Broken::Leak("descriptors", 10, 11, 10)]
        );
        assert_eq!(
            after(process(1_000, 10, 4)),
            [Broken::Leak("tasks", 3, 4, 3)]
        );
        let most = 1_000 + SLACK_KIB;
        assert_eq!(after(process(most, 10, 3)), []);
        let memory = Broken::Leak("KiB of memory", 1_000, most + 1, most);
        assert_eq!(after(process(most + 1, 10, 3)), [memory]);
        assert_eq!(found(|it| it.leaks.stopped_in_time = false), [Broken::Stop]);
    }
}
