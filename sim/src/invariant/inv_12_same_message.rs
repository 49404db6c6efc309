//! Every attempt carries the same message, and it is the caller's.
//!
//! Checked from what brokers read: over all requests with one unique key, topic, body, flags and
//! properties are equal; only target and times differ. An uncompressed body is the one the caller
//! gave.

use super::{CheckReport, CheckedRun, Checker, Invariant, Source};
use crate::trace::history::{RequestHistory, SendHistory};

/// The bit of sysFlag that says that the body is compressed.
const COMPRESSED: i32 = 1;

pub(super) const INVARIANT: Invariant = Invariant {
    id: "INV-12",
    title: "Same message",
    source: Source::Evidence,
    rate_per_mille: 100,
    checker: Checker::Run(check),
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
    if *seen.topic != **send.topic {
        let (topic, other) = (send.topic, &seen.topic);
        let text = format!("{who} s{number}: sent to {topic}, arrives for {other}");
        report.wrong(request.received, text);
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
    use crate::invariant::scene::{Example, Scene, accepts, rejects};

    pub(super) const EXAMPLES: &[Example] = &[
        accepts("two attempts carry the same", || second().seen(1, 2)),
        rejects("the body is packed twice", || {
            second().seen_with(1, 2, |seen| seen.body_len += 20).wrong()
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

    fn second() -> Scene {
        let scene = Scene::new()
            .at(0)
            .call(1)
            .attempt(1, 1, "a/0")
            .refused(1, 1, 2);
        scene.attempt(1, 2, "b/0").at(8)
    }
}
