//! Messages with one key go to one queue, whoever sends them and whichever name server was asked.
//!
//! A key keeps its messages in order only if its queue depends on nothing but the set of the topic's
//! queues: not on the order in which a name server lists the brokers, not on the producer, not on
//! time. That is so if it is the queue that every client takes, whatever its language: that of the key's hash,
//! as Java computes it, among the queues in the order of their names. Checked by where brokers read the
//! messages; the caller says which key each has, the producer which route it chose from.

use std::collections::BTreeMap;

use rmq_producer::event::QueueRef;

use super::{CheckReport, CheckedRun, Checker, Invariant, Source, side};

pub(super) const INVARIANT: Invariant = Invariant {
    id: "INV-21",
    title: "Key stability",
    source: Source::Both,
    rate_per_mille: 50,
    checker: Checker::Run(check),
    sides: &[side(
        "takes … to …, its hash says …",
        &[
            "one queue for one key, whoever sends",
            "another key has another queue",
            "another queue once the topic has other queues",
            "a key whose hash is negative",
        ],
    )],
    #[cfg(test)]
    examples: tests::EXAMPLES,
};

fn check(run: &CheckedRun<'_>, report: &mut CheckReport) {
    let works = run.history.work.iter();
    let keys: BTreeMap<&str, &str> = works
        .filter_map(|work| Some((&**work.keys, &***work.by.as_ref()?)))
        .collect();
    for send in &run.history.sends {
        let Some(route) = send.selected_from.filter(|_| !keys.is_empty()) else {
            continue;
        };
        for request in &send.requests {
            let request = &run.history.requests[*request];
            let named = request.seen.keys.as_deref();
            let Some(key) = named.and_then(|keys_of| keys.get(keys_of)) else {
                continue;
            };
            report.exercised();
            let (broker, queue) = (run.name(request.broker), request.seen.queue);
            let due = of_key(run, route, key);
            if (&*due.broker, due.queue) != (broker, queue) {
                let who = run.name(send.node);
                let text = format!(
                    "{who} s{} takes {key} to {broker}/{queue}, its hash says {}/{}",
                    send.number, due.broker, due.queue
                );
                report.wrong(request.received, text);
            }
        }
    }
}

/// The queue of a key: Java's `Math.abs(key.hashCode() % queues.size())`.
fn of_key<'t>(run: &CheckedRun<'t>, route: usize, key: &str) -> &'t QueueRef {
    let mut queues: Vec<&QueueRef> = run.history.snapshots[route].queues.all().iter().collect();
    queues.sort_unstable();
    let hash = key.encode_utf16().fold(0_i32, |hash, unit| {
        hash.wrapping_mul(31).wrapping_add(i32::from(unit))
    });
    let place = i64::from(hash) % queues.len().max(1) as i64;
    let place = usize::try_from(place.unsigned_abs()).unwrap_or(0);
    queues[place]
}

#[cfg(test)]
mod tests {
    use rmq_producer::event::{Event, LookupReason, Mode};

    use crate::invariant::scene::{Example, Scene, accepts, queue, rejects};
    use crate::trace::WorkEvent;

    pub(super) const EXAMPLES: &[Example] = &[
        accepts("one queue for one key, whoever sends", || {
            let scene = keyed(Scene::new(), 1, "k", "c/3", 1);
            keyed(scene.second_producer(), 1, "k", "c/3", 1)
        }),
        accepts("another key has another queue", || {
            keyed(keyed(Scene::new(), 1, "k", "c/3", 1), 2, "l", "a/0", 1)
        }),
        accepts("another queue once the topic has other queues", || {
            let scene = keyed(Scene::new(), 1, "k", "c/3", 1);
            let scene = scene.lookup(2, LookupReason::Poll);
            keyed(scene.found(2, 2, &["a/0", "b/0"]), 2, "k", "b/0", 2)
        }),
        rejects("the other producer takes it elsewhere", || {
            let scene = keyed(Scene::new(), 1, "k", "c/3", 1).second_producer();
            keyed_wrong(scene, 1, "k", "a/1", 1)
        }),
        rejects("a key goes to another queue than its hash says", || {
            keyed_wrong(Scene::new(), 1, "k", "a/0", 1)
        }),
        accepts("a key whose hash is negative", || {
            keyed(Scene::new(), 1, "abcdefg", "c/0", 1)
        }),
        rejects("the brokers come in another order", || {
            let scene = Scene::new().lookup(2, LookupReason::Poll);
            let scene = scene.found(2, 2, &["a/0", "a/1", "b/0", "b/1"]);
            let scene = keyed(scene, 1, "k", "b/1", 2);
            let scene = scene.lookup(3, LookupReason::Poll);
            let scene = scene.found(3, 3, &["b/0", "b/1", "a/0", "a/1"]);
            keyed_wrong(scene, 2, "k", "a/1", 3)
        }),
    ];

    /// A broker reads a send whose queue was chosen by a key, from a route.
    fn keyed(scene: Scene, send: u64, key: &str, to: &str, snapshot: u64) -> Scene {
        let name = format!("{:?}-{send}", scene.who);
        let scene = scene
            .work(WorkEvent::Called {
                keys: name.as_str().into(),
                topic: "orders".into(),
                mode: Mode::Sync,
                by: Some(key.into()),
                body_crc: 0,
                body_len: 0,
                timeout_ms: None,
                application_crc: 0,
                own_id: None,
                queue_of: None,
                group: None,
            })
            .call(send)
            .say(Event::Selected {
                send: send.into(),
                snapshot: snapshot.into(),
                to: queue(to),
            })
            .attempt(send, 1, to);
        scene.seen_with(send, 1, |seen| seen.keys = Some(name.as_str().into()))
    }

    fn keyed_wrong(scene: Scene, send: u64, key: &str, to: &str, snapshot: u64) -> Scene {
        keyed(scene, send, key, to, snapshot).wrong()
    }
}
