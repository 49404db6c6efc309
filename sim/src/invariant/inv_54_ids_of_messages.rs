//! No two messages of a run have one unique key.
//!
//! Also those of several producers with equal address and process number: the key is what retries,
//! audits and consumers recognise a message by. A program may give a message the key of an earlier one, to
//! send it again; the producer then keeps to it.

use std::collections::BTreeMap;

use rmq_remoting::observe::Name;

use super::{CheckReport, CheckedRun, Checker, Invariant, Source, side};
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
    ],
    #[cfg(test)]
    examples: tests::EXAMPLES,
};

fn check(run: &CheckedRun<'_>, report: &mut CheckReport) {
    let mut keys: BTreeMap<&Name, &SendHistory<'_>> = BTreeMap::new();
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
        }
    }
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

    fn same_key(scene: Scene) -> Scene {
        scene.change(|what| {
            if let NodeEvent::Producer(Event::Built { unique_key: it, .. }) = what {
                *it = key(NodeId(0), 1);
            }
        })
    }
}
