//! What name servers said to a lookup of a topic and to the one of the default topic behind it.

use rmq_producer::event::LookupEnd;
use rmq_remoting::observe::Name;

use crate::invariant::{CheckReport, CheckedRun};
use crate::trace::history::{Asked, LookupHistory, Timestamp};
use crate::truth::Condition;

/// Checks a lookup of the default topic, and that of the topic before it.
pub(super) fn check(
    run: &CheckedRun<'_>,
    (own, default): (&LookupHistory<'_>, &LookupHistory<'_>),
    report: &mut CheckReport,
) {
    let (who, topic) = (run.name(own.node), own.topic);
    if let Some(knows) = answer(run, own, default.started) {
        let server = run.name(knows.server);
        let text = format!("{who} asks for the default topic, although {server} knows {topic}");
        report.wrong(default.started, text);
    }
    let Some((ended, LookupEnd::Changed | LookupEnd::Unchanged)) = default.ended else {
        return;
    };
    let route = run.history.in_force(own.node, topic, run.after(ended.ms));
    let Some((told, route)) = answer(run, default, ended).zip(route) else {
        return;
    };
    let read = told.answered.map_or(told.timestamp, |(at, _)| at);
    report.exercised();
    let has = |broker: &Name, at: Timestamp| {
        let route = run.history.route_at(told.server, default.topic, at);
        let named = route.iter().any(|(it, queues)| it == broker && *queues > 0);
        let master = run.history.master_at(told.server, broker, at);
        master.filter(|_| named)
    };
    for (broker, address) in run.history.snapshots[route].addresses {
        let (before, now) = (has(broker, told.timestamp), has(broker, read));
        if let Some(at) = now.filter(|at| before == now && *at != address) {
            let default = default.topic;
            let text = format!("{who} keeps {broker} at {address}, and {default} has it at {at}");
            report.wrong(ended, text);
        }
    }
}

/// The last answer of success, as the name server gives it, that a lookup had read by then from a healthy one.
fn answer<'r>(
    run: &'r CheckedRun<'_>,
    lookup: &LookupHistory<'_>,
    until: Timestamp,
) -> Option<&'r Asked<'r>> {
    let mut asked = run.history.asked.iter().rev();
    asked.find(|it| {
        let answered = it.answered.is_some_and(|(_, code)| code == 0) && it.ruled.is_none();
        let in_time = it.timestamp > lookup.started && it.timestamp < until;
        if !answered || !in_time || it.topic != lookup.topic {
            return false;
        }
        let connection = run.history.connection_from(it.peer);
        let connection = connection.map(|index| &run.history.connections[index]);
        let was_read = connection.is_some_and(|connection| {
            let mut answers = connection.answers.iter();
            let read = |(opaque, at, code): &(i32, Timestamp, Option<i32>)| {
                *opaque == it.opaque && *code == Some(0) && *at > it.timestamp && *at < until
            };
            connection.node == lookup.node && answers.any(read)
        });
        let (from, to) = (lookup.started.ms, until.ms);
        was_read && run.truth.worst(lookup.node, it.server, from, to) == Condition::Healthy
    })
}
