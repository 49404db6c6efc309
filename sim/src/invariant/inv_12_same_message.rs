//! Every attempt carries the same message, and it is the caller's.
//!
//! Checked from what brokers read: over all requests with one unique key, topic, body, flags and
//! properties are equal; only target and times differ. An uncompressed body is the one the caller
//! gave, and one that is as long as the policy says is compressed. The request of a one-way send wants no
//! answer, any other one does. And each names the namespace that its client has, if that is a field of requests.

use std::collections::BTreeMap;

use rmq_producer::event::Mode;
use rmq_remoting::observe::Name;

use super::{CheckReport, CheckedRun, Checker, Invariant, Source, side};
use crate::fault::{FaultEvent, FaultKind};
use crate::trace::history::{RequestHistory, SendHistory, WorkHistory};
use crate::trace::{NodeEvent, NodeId, NodeKind};

/// The bit of sysFlag that says that the body is compressed.
const COMPRESSED: i32 = 1;

pub(super) const INVARIANT: Invariant = Invariant {
    id: "INV-12",
    title: "Same message",
    source: Source::Evidence,
    rate_per_mille: 100,
    checker: Checker::Run(check),
    sides: &[
        side(
            "a later attempt has another …",
            &["two attempts carry the same"],
        ),
        side(
            "says that it was born … ms after it was built",
            &["messages are born when they are built"],
        ),
        side(
            "its request wants … answer",
            &["two attempts carry the same"],
        ),
        side(
            "an attempt has another unique key",
            &["two attempts carry the same"],
        ),
        side(
            "the body is not the caller's",
            &["two attempts carry the same"],
        ),
        side("a body of … bytes is …", &["two attempts carry the same"]),
        side("sent to …, arrives for …", &["two attempts carry the same"]),
        side(
            "arrives with another … than its caller's",
            &["the message has the body that its caller gave"],
        ),
        side(
            "its request names …, and not …",
            &["a request names the namespace of its producer"],
        ),
    ],
    #[cfg(test)]
    examples: tests::EXAMPLES,
};

fn check(run: &CheckedRun<'_>, report: &mut CheckReport) {
    for send in &run.history.sends {
        let mut requests = send
            .requests
            .iter()
            .map(|index| &run.history.requests[*index]);
        let Some(first) = requests.next() else {
            continue;
        };
        as_built(run, send, first, report);
        for request in requests {
            report.exercised();
            if let Some(differs) = difference(first, request) {
                let (who, number) = (run.name(send.node), send.number);
                let text = format!("{who} s{number}: a later attempt has another {differs}");
                report.wrong(request.received, text);
            }
        }
    }
    by_caller(run, report);
    for producer in run.header().of_kind(NodeKind::Producer) {
        born_when_built(run, producer, report);
    }
    for request in &run.history.requests {
        let Some(send) = request.send.map(|send| &run.history.sends[send]) else {
            continue;
        };
        in_its_namespace(run, send, request, report);
        let one_way = send.mode == Mode::Oneway;
        let says_so = run
            .policy_of(send.producer())
            .is_some_and(|it| it.oneway_flag);
        if says_so && one_way != request.oneway {
            let (who, number) = (run.name(send.node), send.number);
            let wants = if request.oneway { "no" } else { "an" };
            let text = format!("{who} s{number}: its request wants {wants} answer");
            report.wrong(request.received, text);
        }
    }
    // An attempt whose message has another key is not among its send's requests.
    for request in &run.history.requests {
        if let Some((send, _)) = request.attempt
            && request.send != Some(send)
        {
            let send = &run.history.sends[send];
            let (who, number) = (run.name(send.node), send.number);
            let text = format!("{who} s{number}: an attempt has another unique key");
            report.wrong(request.received, text);
        }
    }
}

fn as_built(
    run: &CheckedRun<'_>,
    send: &SendHistory<'_>,
    request: &RequestHistory<'_>,
    report: &mut CheckReport,
) {
    let Some(built) = send.built else { return };
    let (who, number) = (run.name(send.node), send.number);
    let seen = request.seen;
    let plain = seen.sys_flag & COMPRESSED == 0;
    if plain && (seen.body_crc, seen.body_len) != (built.body_crc, built.body_len) {
        let text = format!("{who} s{number}: the body is not the caller's");
        report.wrong(request.received, text);
    }
    let limit = run
        .policy_of(send.producer())
        .map_or(u64::MAX, |it| it.compress_over);
    let compressed = !plain;
    // What the laboratory sends is made smaller by any compression.
    let long = limit > 0 && u64::from(built.body_len) >= limit.max(LEAST_COMPRESSED);
    let short = limit == 0 || u64::from(built.body_len) < limit;
    if (compressed && short) || (plain && long) {
        let text = format!(
            "{who} s{number}: a body of {} bytes is {}",
            built.body_len,
            if compressed {
                "compressed"
            } else {
                "not compressed"
            }
        );
        report.wrong(request.received, text);
    }
    if !is_in_namespace(&seen.topic, send.topic) {
        let (topic, other) = (send.topic, &seen.topic);
        let text = format!("{who} s{number}: sent to {topic}, arrives for {other}");
        report.wrong(request.received, text);
    }
}

/// A body that is shorter may become longer by compression.
const LEAST_COMPRESSED: u64 = 200;

/// Whether a topic on the wire is the caller's, perhaps behind one namespace: `lab%orders`.
fn is_in_namespace(on_wire: &str, topic: &str) -> bool {
    let without = on_wire.split_once('%').map(|(_, topic)| topic);
    on_wire == topic || without == Some(topic)
}

/// Every request names the namespace of its client in a field, in every mode.
fn in_its_namespace(
    run: &CheckedRun<'_>,
    send: &SendHistory<'_>,
    request: &RequestHistory<'_>,
    report: &mut CheckReport,
) {
    let Some(policy) = run.policy_of(send.producer()) else {
        return;
    };
    if request.seen.namespace == policy.namespace {
        return;
    }
    let named = |it: &Option<Name>| it.as_deref().unwrap_or("no namespace").to_owned();
    let (says, has) = (named(&request.seen.namespace), named(&policy.namespace));
    let (who, number) = (run.name(send.node), send.number);
    let text = format!("{who} s{number}: its request names {says}, and not {has}");
    report.wrong(request.received, text);
}

/// The message with the caller's `KEYS` has the caller's body and topic.
fn by_caller(run: &CheckedRun<'_>, report: &mut CheckReport) {
    let works = run.history.work.iter();
    let works: BTreeMap<&str, &WorkHistory<'_>> = works.map(|work| (&**work.keys, work)).collect();
    for request in &run.history.requests {
        let keys = request.seen.keys.as_deref();
        let Some(work) = keys.and_then(|keys| works.get(keys)) else {
            continue;
        };
        let seen = request.seen;
        let plain = seen.sys_flag & COMPRESSED == 0;
        let what = if plain && seen.body_crc != work.body_crc {
            "body"
        } else if !is_in_namespace(&seen.topic, work.topic) {
            "topic"
        } else if seen.application_crc != work.application_crc {
            "flag or property"
        } else if work.own_id.is_some() && seen.unique_key.as_ref() != work.own_id {
            "unique key"
        } else {
            continue;
        };
        let text = format!(
            "{} arrives with another {what} than its caller's",
            work.keys
        );
        report.wrong(request.received, text);
    }
}

/// Messages are born when they are built, by the wall clock of their producer: whatever that says, it goes as
/// fast as any other.
fn born_when_built(run: &CheckedRun<'_>, producer: NodeId, report: &mut CheckReport) {
    let jumps = run.trace.records.iter().filter(|record| {
        let NodeEvent::Fault(FaultEvent::On { data, .. }) = &record.what else {
            return false;
        };
        matches!(data.kind, FaultKind::ClockJump(_))
    });
    if jumps.count() > 0 {
        return;
    }
    let mut first = None;
    for send in run
        .history
        .sends
        .iter()
        .filter(|send| send.node == producer)
    {
        let Some(built) = send.built else { continue };
        for index in &send.requests {
            let request = &run.history.requests[*index];
            let clock = request
                .seen
                .born_ms
                .saturating_sub_unsigned(built.timestamp.ms);
            let first = *first.get_or_insert(clock);
            if clock.abs_diff(first) > run.header().slack_ms {
                let (who, number) = (run.name(producer), send.number);
                let off = clock - first;
                let text =
                    format!("{who} s{number} says that it was born {off} ms after it was built");
                report.wrong(request.received, text);
                return;
            }
        }
    }
}

/// What differs between two requests of one message.
fn difference(first: &RequestHistory<'_>, other: &RequestHistory<'_>) -> Option<&'static str> {
    let (first, other) = (first.seen, other.seen);
    if first.topic != other.topic {
        Some("topic")
    } else if (first.body_len, first.body_crc) != (other.body_len, other.body_crc) {
        Some("body")
    } else if first.sys_flag != other.sys_flag {
        Some("system flag")
    } else if first.metadata_crc != other.metadata_crc {
        Some("flag or property")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use rmq_mock_broker::event::Event as BrokerEvent;
    use rmq_producer::event::Event;

    use super::*;
    use crate::invariant::scene::{BODY_CRC, Example, Scene, TOPIC, accepts, rejects};
    use crate::trace::{NodeEvent, WorkEvent};

    pub(super) const EXAMPLES: &[Example] = &[
        accepts("messages are born when they are built", || {
            let scene = Scene::new().at(0).whole(1, "a/0").at(5_000);
            scene.whole(2, "a/1")
        }),
        rejects("a message says that it was born at another time", || {
            let scene = Scene::new().at(0).whole(1, "a/0").at(5_000).call(2);
            let scene = scene.attempt(2, 1, "a/1").at(5_001);
            scene.seen_with(2, 1, |seen| seen.born_ms -= 5_000).wrong()
        }),
        accepts("two attempts carry the same", || second().seen(1, 2)),
        rejects("the body is packed twice", || {
            second().seen_with(1, 2, |seen| seen.body_len += 20).wrong()
        }),
        rejects("a one-way request wants an answer", || {
            let scene = Scene::new().at(0).call_in(1, Mode::Oneway);
            let scene = scene.attempt(1, 1, "a/0");
            scene.seen(1, 1).wrong()
        }),
        rejects("a request wants no answer", || {
            let scene = Scene::new().at(0).call(1).attempt(1, 1, "a/0");
            let scene = scene.seen(1, 1).change(|what| {
                if let NodeEvent::Broker(BrokerEvent::Received { oneway, .. }) = what {
                    *oneway = true;
                }
            });
            scene.wrong()
        }),
        rejects("a short body is compressed", || {
            let scene = Scene::new().at(0).call(1).attempt(1, 1, "a/0");
            scene.seen_with(1, 1, |seen| seen.sys_flag = 1).wrong()
        }),
        rejects("a long body is not compressed", || {
            let scene = Scene::new().at(0).call(1).change(|what| {
                if let NodeEvent::Producer(Event::Built { body_len, .. }) = what {
                    *body_len = 4096;
                }
            });
            let scene = scene.attempt(1, 1, "a/0");
            scene.seen_with(1, 1, |seen| seen.body_len = 4096).wrong()
        }),
        rejects("a property of the caller is lost", || {
            let scene = Scene::new().at(0).work(called(BODY_CRC)).call(1);
            let scene = scene.attempt(1, 1, "a/0");
            let scene = scene.seen_with(1, 1, |seen| {
                seen.keys = Some("s1".into());
                seen.application_crc = 5;
            });
            scene.wrong()
        }),
        rejects("the caller's unique key is not used", || {
            let called = called(BODY_CRC);
            let scene = Scene::new().at(0).work(called).change(|what| {
                if let NodeEvent::Work(WorkEvent::Called { own_id, .. }) = what {
                    *own_id = Some("MINE".into());
                }
            });
            let scene = scene.call(1).attempt(1, 1, "a/0");
            scene
                .seen_with(1, 1, |seen| seen.keys = Some("s1".into()))
                .wrong()
        }),
        rejects("the message has another body than its caller gave", || {
            let scene = Scene::new().at(0).work(called(BODY_CRC + 1)).call(1);
            let scene = scene.attempt(1, 1, "a/0");
            scene
                .seen_with(1, 1, |seen| seen.keys = Some("s1".into()))
                .wrong()
        }),
        accepts("the message has the body that its caller gave", || {
            let scene = Scene::new().at(0).work(called(BODY_CRC)).call(1);
            let scene = scene.attempt(1, 1, "a/0");
            let scene = scene.seen_with(1, 1, |seen| seen.keys = Some("s1".into()));
            scene.attempt(1, 2, "b/0").seen(1, 2)
        }),
        accepts("a request names the namespace of its producer", || {
            in_namespace().seen_with(1, 1, |seen| seen.namespace = Some("lab".into()))
        }),
        rejects("a request names no namespace", || {
            in_namespace().seen(1, 1).wrong()
        }),
        rejects("a property appears", || {
            second()
                .seen_with(1, 2, |seen| seen.metadata_crc = 8)
                .wrong()
        }),
        rejects("a flag disappears", || {
            second().seen_with(1, 2, |seen| seen.sys_flag = 1).wrong()
        }),
        rejects("a retry has a new key", || {
            second()
                .seen_with(1, 2, |seen| seen.unique_key = Some("other".into()))
                .wrong()
        }),
        rejects("the first attempt already has another body", || {
            let scene = Scene::new().at(0).call(1).attempt(1, 1, "a/0");
            scene.seen_with(1, 1, |seen| seen.body_crc += 1).wrong()
        }),
        rejects("the message arrives for another topic", || {
            let scene = Scene::new().at(0).call(1).attempt(1, 1, "a/0");
            scene
                .seen_with(1, 1, |seen| seen.topic = "TBW102".into())
                .wrong()
        }),
    ];

    /// The producer's client names a namespace in its requests.
    fn in_namespace() -> Scene {
        let scene = Scene::new().facts(|it| it.policies[0].namespace = Some("lab".into()));
        scene.at(0).call(1).attempt(1, 1, "a/0")
    }

    fn second() -> Scene {
        let scene = Scene::new()
            .at(0)
            .call(1)
            .attempt(1, 1, "a/0")
            .refused(1, 1, 2);
        scene.attempt(1, 2, "b/0").at(8)
    }

    fn called(body_crc: u32) -> WorkEvent {
        WorkEvent::Called {
            keys: "s1".into(),
            topic: TOPIC.into(),
            mode: Mode::Sync,
            by: None,
            body_crc,
            body_len: 0,
            timeout_ms: None,
            application_crc: 0,
            own_id: None,
            queue_of: None,
            group: None,
        }
    }
}
