//! No two messages of a run have one unique key.
//!
//! Also those of several producers with equal address and process number: the key is what retries,
//! audits and consumers recognise a message by. A program may give a message the key of an earlier one, to
//! send it again; the producer then keeps to it. And no two messages of a client have one counter in their
//! keys, which counts 65,536 of them: of one millisecond they would have one key.

use std::collections::BTreeMap;

use rmq_remoting::observe::Name;

use super::{CheckReport, CheckedRun, Checker, Invariant, Source, side};
use crate::trace::NodeId;
use crate::trace::history::SendHistory;

pub(super) const INVARIANT: Invariant = Invariant {
    id: "INV-54",
    title: "Ids of messages",
    source: Source::ClientEvents,
    rate_per_mille: 900,
    checker: Checker::Run(check),
    sides: &[
        side(
            "has the unique key of …",
            &[
                "two sends have two keys",
                "two producers have keys of their own",
                "a program sends a message again",
            ],
        ),
        side(
            "has another unique key than …",
            &["a program sends a message again"],
        ),
        side(
            "has the counter of … in its key",
            &["the counter goes on at its beginning"],
        ),
    ],
    #[cfg(test)]
    examples: tests::EXAMPLES,
};

/// The characters of a key that a client makes; a program's own may have any.
const LENGTH: usize = 32;
/// The first of them say which client made it: address, process and constant.
const MAKER: usize = 20;
/// The last ones are the counter.
const COUNTER: usize = 28;

fn check(run: &CheckedRun<'_>, report: &mut CheckReport) {
    let mut keys: BTreeMap<&Name, &SendHistory<'_>> = BTreeMap::new();
    let mut counters: BTreeMap<(NodeId, &str, &str), &SendHistory<'_>> = BTreeMap::new();
    for send in &run.history.sends {
        let Some(built) = send.built else { continue };
        report.exercised();
        if let Some(own) = send.own_key {
            if own != built.unique_key {
                let (who, number) = (run.name(send.node), send.number);
                let text = format!("{who} s{number} has another unique key than {own}, its own");
                report.wrong(built.timestamp, text);
            }
            keys.entry(built.unique_key).or_insert(send);
            continue;
        }
        if let Some(first) = keys.insert(built.unique_key, send) {
            let (who, number) = (run.name(send.node), send.number);
            let (other, its) = (run.name(first.node), first.number);
            let text = format!("{who} s{number} has the unique key of {other} s{its}");
            report.wrong(built.timestamp, text);
        } else if let Some((maker, counter)) = parts(built.unique_key)
            && let Some(first) = counters.insert((send.node, maker, counter), send)
        {
            let (who, number, its) = (run.name(send.node), send.number, first.number);
            let text = format!("{who} s{number} has the counter of s{its} in its key");
            report.wrong(built.timestamp, text);
        }
    }
}

/// The maker and the counter in a key of the form that clients make.
fn parts(key: &str) -> Option<(&str, &str)> {
    let is_made = key.len() == LENGTH && key.bytes().all(|it| it.is_ascii_hexdigit());
    is_made.then(|| (&key[..MAKER], &key[COUNTER..]))
}

#[cfg(test)]
mod tests {
    use rmq_producer::event::{Event, SendNumber};
    use rmq_remoting::observe::Name;

    use crate::invariant::scene::{Example, Scene, accepts, key, rejects};
    use crate::trace::{NodeEvent, NodeId};

    pub(super) const EXAMPLES: &[Example] = &[
        accepts("two sends have two keys", || {
            Scene::new().at(0).call(1).call(2)
        }),
        accepts("two producers have keys of their own", || {
            Scene::new().call(1).second_producer().call(1)
        }),
        accepts("a program sends a message again", || {
            let scene = same_key(Scene::new().at(0).call(1).call(2));
            own(scene, &key(NodeId(0), 1))
        }),
        rejects("the key that a program gave is not kept", || {
            let scene = Scene::new().at(0).call(1).call(2).wrong();
            own(scene, &key(NodeId(0), 1))
        }),
        rejects("a second send has the first one's key", || {
            same_key(Scene::new().at(0).call(1).call(2)).wrong()
        }),
        accepts("the counter goes on at its beginning", || {
            keyed(keyed(Scene::new().call(1), "FFFF").call(2), "0000")
        }),
        rejects("the counter stays at its end", || {
            keyed(keyed(Scene::new().call(1), "FFFF").call(2), "FFFF").wrong()
        }),
        rejects("a second producer makes the first one's key", || {
            same_key(Scene::new().call(1).second_producer().call(1)).wrong()
        }),
    ];

    /// The second call is of a message that has this key.
    fn own(mut scene: Scene, key: &Name) -> Scene {
        for record in &mut scene.trace.records {
            if let NodeEvent::Producer(Event::Call {
                send, unique_key, ..
            }) = &mut record.what
                && *send == SendNumber::from(2)
            {
                *unique_key = Some(Name::clone(key));
            }
        }
        scene
    }

    /// The last message has a key of a client, with this counter.
    fn keyed(scene: Scene, counter: &str) -> Scene {
        let millis = scene.trace.records.len();
        scene.change(|what| {
            if let NodeEvent::Producer(Event::Built { unique_key: it, .. }) = what {
                *it = format!("0A00000100010A0B0C0D{millis:08X}{counter}").into();
            }
        })
    }

    fn same_key(scene: Scene) -> Scene {
        scene.change(|what| {
            if let NodeEvent::Producer(Event::Built { unique_key: it, .. }) = what {
                *it = key(NodeId(0), 1);
            }
        })
    }
}
