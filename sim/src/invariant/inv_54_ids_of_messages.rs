//! No two messages of a run have one unique key.
//!
//! Also those of several producers with equal address and process number: the key is what retries,
//! audits and consumers recognise a message by.

use std::collections::BTreeMap;

use rmq_remoting::observe::Name;

use super::{Case, Invariant, Judge, Judged, Source};
use crate::trace::story::SendStory;

pub(super) const INVARIANT: Invariant = Invariant {
    id: "INV-54",
    title: "Ids of messages",
    source: Source::Testimony,
    rate_per_mille: 900,
    judge: Judge::Run(judge),
    #[cfg(test)]
    examples: tests::EXAMPLES,
};

fn judge(case: &Case<'_>, judged: &mut Judged) {
    let mut keys: BTreeMap<&Name, &SendStory<'_>> = BTreeMap::new();
    for send in &case.story.sends {
        let Some(built) = send.built else { continue };
        judged.case();
        if let Some(first) = keys.insert(built.key, send) {
            let (who, number) = (case.name(send.node), send.number);
            let (other, its) = (case.name(first.node), first.number);
            let text = format!("{who} s{number} has the unique key of {other} s{its}");
            judged.wrong(built.moment, text);
        }
    }
}

#[cfg(test)]
mod tests {
    use rmq_producer::event::Event;

    use crate::invariant::scene::{Example, Scene, accepts, key, rejects};
    use crate::trace::{NodeId, What};

    pub(super) const EXAMPLES: &[Example] = &[
        accepts("two sends have two keys", || {
            Scene::new().at(0).call(1).call(2)
        }),
        accepts("two producers have keys of their own", || {
            Scene::new().call(1).second_producer().call(1)
        }),
        rejects("a second send has the first one's key", || {
            same_key(Scene::new().at(0).call(1).call(2)).wrong()
        }),
        rejects("a second producer makes the first one's key", || {
            same_key(Scene::new().call(1).second_producer().call(1)).wrong()
        }),
    ];

    fn same_key(scene: Scene) -> Scene {
        scene.change(|what| {
            if let What::Producer(Event::Built { key: it, .. }) = what {
                *it = key(NodeId(0), 1);
            }
        })
    }
}
