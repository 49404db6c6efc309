//! Fewer faults, and weaker ones.

use rmq_remoting::observe::Name;

use super::Shrinker;
use crate::fault::{Fault, FaultKind, Figure, Place, Position, Restart, Rule, Site};
use crate::scenario::Scenario;

/// Takes faults away: in halves, in quarters, and so on to single ones.
pub(super) fn remove(shrinker: &mut Shrinker<'_>) {
    let mut size = shrinker.best.faults.len();
    while size > 0 {
        let mut from = 0;
        while from < shrinker.best.faults.len() {
            let to = shrinker.best.faults.len().min(from + size);
            let step = match to - from {
                1 => format!("without the fault {}", shrinker.best.faults[from]),
                count => format!("without {count} faults"),
            };
            let kept = shrinker.attempt(&step, |scenario| {
                scenario.faults.drain(from..to);
            });
            if !kept {
                from = to;
            }
        }
        size = if size == 1 { 0 } else { size.div_ceil(2) };
    }
}

/// How much earlier or later a fault is tried alone, in milliseconds.
const MOVES: [i64; 25] = [
    0, -1, 1, -2, 2, -5, 5, -10, 10, -20, 20, -35, 35, -50, 50, -75, 75, -100, 100, -200, 200,
    -500, 500, -1_000, 1_000,
];

/// Tries each fault alone, a little earlier or later than it was: without the others everything happens at
/// another time, and what it took two faults to meet, one may meet there.
pub(super) fn alone(shrinker: &mut Shrinker<'_>) {
    let faults = shrinker.best.faults.clone();
    for fault in faults.iter().filter(|_| faults.len() > 1) {
        let Position::Time { ms } = fault.at else {
            continue;
        };
        for by in MOVES {
            let Some(ms) = ms.checked_add_signed(by) else {
                continue;
            };
            let at = Position::Time { ms };
            let moved = Fault {
                at,
                ..fault.clone()
            };
            let step = format!("alone: {moved}, {}", moved.at);
            if shrinker.attempt(&step, |scenario| scenario.faults = vec![moved]) {
                return;
            }
        }
    }
}

/// Makes each fault shorter, rarer and less special.
pub(super) fn weaken(shrinker: &mut Shrinker<'_>) {
    for index in 0..shrinker.best.faults.len() {
        plainer(shrinker, index);
        shorter(shrinker, index);
        milder(shrinker, index);
        earlier(shrinker, index);
    }
}

/// A change of the fault at `index`; a fault that it does not concern stays as it is.
fn at(index: usize, change: impl Fn(&mut Fault)) -> impl Fn(&mut Scenario) {
    move |scenario| change(&mut scenario.faults[index])
}

/// Whether a fault of the kind can be on one direction only.
fn can_be_one_way(fault: &Fault) -> bool {
    fault.kind.kind().site == Site::LinkOrPair
}

fn restart(fault: &mut Fault) -> Option<&mut Restart> {
    fault.kind.restart_mut()
}

fn rule(fault: &mut Fault) -> Option<&mut Rule> {
    match &mut fault.kind {
        FaultKind::Rule(rule) => Some(rule),
        _ => None,
    }
}

/// Makes one fault plainer.
type Change = fn(&mut Fault);

/// Words that can be left out, and the plainer of two words.
fn plainer(shrinker: &mut Shrinker<'_>, index: usize) {
    let changes: [(&str, Change); 8] = [
        ("restart with the data", |fault| {
            restart(fault)
                .into_iter()
                .for_each(|it| it.keep_data = true);
        }),
        ("restart on the same address", |fault| {
            restart(fault)
                .into_iter()
                .for_each(|it| it.new_address = false);
        }),
        ("one direction", |fault| {
            if let (Place::Pair { a, b }, true) = (&fault.place, can_be_one_way(fault)) {
                fault.place = Place::Link {
                    from: Name::clone(a),
                    to: Name::clone(b),
                };
            }
        }),
        ("the other direction", |fault| {
            if let (Place::Pair { a, b }, true) = (&fault.place, can_be_one_way(fault)) {
                fault.place = Place::Link {
                    from: Name::clone(b),
                    to: Name::clone(a),
                };
            }
        }),
        ("no remark", |fault| {
            let rule = rule(fault).into_iter();
            rule.for_each(|rule| rule.then.make_plainer());
        }),
        ("any topic", |fault| {
            rule(fault).into_iter().for_each(|rule| rule.topic = None);
        }),
        ("any queue", |fault| {
            rule(fault).into_iter().for_each(|rule| rule.queue = None);
        }),
        ("always instead of by chance", |fault| {
            rule(fault)
                .into_iter()
                .for_each(|rule| rule.per_mille = None);
        }),
    ];
    for (what, change) in changes {
        let step = format!("fault {}: {what}", index + 1);
        shrinker.attempt(&step, at(index, change));
    }
    for to in [1, 2] {
        let step = format!("fault {}: used {to} times", index + 1);
        let change = at(index, |fault| {
            if let Some(rule) = rule(fault)
                && rule.times.is_none_or(|times| times > to)
            {
                rule.times = Some(to);
            }
        });
        shrinker.attempt(&step, change);
    }
}

/// A shorter duration, in whole seconds while it is long.
fn shorter(shrinker: &mut Shrinker<'_>, index: usize) {
    let name = |what: &str| format!("fault {}: {what}", index + 1);
    let get = |scenario: &Scenario| scenario.faults[index].for_ms;
    if get(&shrinker.best).is_none() && !shrinker.best.faults[index].kind.is_at_once() {
        for seconds in [1, 10] {
            let change = at(index, |fault| fault.for_ms = Some(seconds * 1_000));
            if shrinker.attempt(&name(&format!("for {seconds} s")), change) {
                break;
            }
        }
    }
    let seconds = |scenario: &Scenario| get(scenario).map(|ms| ms.div_ceil(1_000));
    let set = |scale: u64| {
        move |scenario: &mut Scenario, figure: u64| {
            at(index, |fault| fault.for_ms = Some(figure * scale))(scenario);
        }
    };
    shrinker.lower(&name("seconds"), 1, seconds, set(1_000));
    let tenths = |scenario: &Scenario| get(scenario).filter(|ms| *ms <= 1_000).map(|ms| ms / 100);
    shrinker.lower(&name("tenths of a second"), 1, tenths, set(100));
}

/// The figures of its kind.
fn milder(shrinker: &mut Shrinker<'_>, index: usize) {
    let mut fault = shrinker.best.faults[index].clone();
    let figures = fault.kind.figures();
    let figures: Vec<_> = figures.iter().map(|it| (it.what, it.least)).collect();
    for (nth, (what, least)) in figures.into_iter().enumerate() {
        let get = |scenario: &Scenario| {
            let mut fault = scenario.faults[index].clone();
            let figures = fault.kind.figures();
            figures.get(nth).map(Figure::get)
        };
        let set = |scenario: &mut Scenario, to: u64| {
            let Some(figure) = scenario.faults[index].kind.figures().into_iter().nth(nth) else {
                unreachable!("a figure is lowered that the fault does not have: {what}")
            };
            figure.lower(to);
        };
        shrinker.lower(&format!("fault {}: {what}", index + 1), least, get, set);
    }
}

/// A position that a reader sees at once: whole seconds, and the first of what is counted.
fn earlier(shrinker: &mut Shrinker<'_>, index: usize) {
    let name = |what: &str| format!("fault {}: {what}", index + 1);
    let seconds = |scenario: &Scenario| match scenario.faults[index].at {
        Position::Time { ms } => Some(ms.div_ceil(1_000)),
        Position::Received { .. } | Position::Stored { .. } | Position::Send { .. } => None,
    };
    let set = |scenario: &mut Scenario, to: u64| {
        at(index, |fault| fault.at = Position::Time { ms: to * 1_000 })(scenario);
    };
    shrinker.lower(&name("at second"), 0, seconds, set);
    for unit in [1_000, 100, 10] {
        rounder(shrinker, index, unit);
    }
    let counted = |scenario: &Scenario| match scenario.faults[index].at {
        Position::Received { n, .. } | Position::Stored { n } => Some(n),
        Position::Send { send, .. } => Some(send),
        Position::Time { .. } => None,
    };
    let set = |scenario: &mut Scenario, to: u64| {
        at(index, |fault| match &mut fault.at {
            Position::Received { n, .. } | Position::Stored { n } => *n = to,
            // The last one that it is about stays.
            Position::Send { send, sends, .. } => (*send, *sends) = (to, *send + *sends - to),
            Position::Time { .. } => unreachable!("a time is no number"),
        })(scenario);
    };
    shrinker.lower(&name("at number"), 1, counted, set);
    let figure = |scenario: &mut Scenario, change: &dyn Fn(&mut u64, &mut u64)| match &mut scenario
        .faults[index]
        .at
    {
        Position::Send {
            sends, after_ms, ..
        } => change(sends, after_ms),
        Position::Time { .. } | Position::Received { .. } | Position::Stored { .. } => {}
    };
    let of_send = |scenario: &Scenario| match scenario.faults[index].at {
        Position::Send {
            sends, after_ms, ..
        } => Some((sends, after_ms)),
        Position::Time { .. } | Position::Received { .. } | Position::Stored { .. } => None,
    };
    shrinker.lower(
        &name("sends it is about"),
        1,
        |scenario| of_send(scenario).map(|(sends, _)| sends),
        |scenario, to| figure(scenario, &|sends, _| *sends = to),
    );
    shrinker.lower(
        &name("milliseconds after the attempt"),
        0,
        |scenario| of_send(scenario).map(|(_, after_ms)| after_ms),
        |scenario, to| figure(scenario, &|_, after_ms| *after_ms = to),
    );
}

/// The time of a fault as a multiple of `unit` milliseconds, the one before or the one after.
fn rounder(shrinker: &mut Shrinker<'_>, index: usize, unit: u64) {
    let Position::Time { ms } = shrinker.best.faults[index].at else {
        return;
    };
    if ms.is_multiple_of(unit) {
        return;
    }
    for to in [ms / unit * unit, ms.next_multiple_of(unit)] {
        let step = format!("fault {}: at {to} ms", index + 1);
        let change = at(index, |fault| fault.at = Position::Time { ms: to });
        if shrinker.attempt(&step, change) {
            return;
        }
    }
}
