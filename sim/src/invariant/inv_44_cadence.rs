//! Every broker of a route with a connection hears from the producer.
//!
//! While a connection to a healthy broker is open and a route of the producer names its address,
//! heartbeats arrive there no further apart than the period, whatever other brokers do. Judged by
//! what the brokers read.

use super::{Case, Invariant, Judge, Judged, Source};
use crate::trace::story::{ConnectionStory, Life, Moment};
use crate::trace::{NodeId, NodeKind};
use crate::truth::Condition;

pub(super) const INVARIANT: Invariant = Invariant {
    id: "INV-44",
    title: "Cadence",
    source: Source::Evidence,
    rate_per_mille: 500,
    judge: Judge::Run(judge),
    #[cfg(test)]
    examples: tests::EXAMPLES,
};

fn judge(case: &Case<'_>, judged: &mut Judged) {
    for connection in &case.story.connections {
        let broker = case
            .header()
            .of_kind(NodeKind::Broker)
            .find(|node| case.header().nodes[node.index()].address.as_ref() == Some(connection.to));
        if let Some(broker) = broker {
            beats(case, connection, broker, judged);
        }
    }
}

fn beats(case: &Case<'_>, connection: &ConnectionStory<'_>, broker: NodeId, judged: &mut Judged) {
    let Some((opened, local)) = connection.opened else {
        return;
    };
    let Some(policy) = case.policy(connection.node) else {
        return;
    };
    let closed = connection
        .closed
        .map(|(moment, _)| moment)
        .into_iter()
        .chain(connection.torn);
    let stops = case.story.lives.iter().filter_map(|(node, life, moment)| {
        (*node == connection.node && *life != Life::Started).then_some(*moment)
    });
    let end = closed.chain(stops).filter(|moment| *moment > opened).min();
    let end = end.unwrap_or_else(|| case.end());
    let period = policy
        .heartbeat_ms
        .saturating_add(case.header().round_trip_ms);
    let mut last = opened;
    let beats = case
        .story
        .beats
        .iter()
        .filter(|(at, peer, moment)| *at == broker && *peer == local && *moment > opened);
    for moment in beats.map(|(.., moment)| *moment).chain([end]) {
        let due = case.due(connection.node, last.ms, period);
        let healthy = case.truth.worst(connection.node, broker, last.ms, due) == Condition::Healthy;
        // A broker that left the routes is not the producer's any more.
        let needed = |until| {
            let story = &case.story;
            story.routed(connection.node, connection.to, last, until)
        };
        let owed = healthy && moment.ms >= due && needed(due);
        if owed {
            judged.case();
        }
        if owed && moment.ms > due {
            late(case, (connection.node, broker), (last, moment), judged);
        } else if moment != end {
            judged.case();
        }
        last = moment;
    }
}

fn late(
    case: &Case<'_>,
    (producer, broker): (NodeId, NodeId),
    (last, next): (Moment, Moment),
    judged: &mut Judged,
) {
    let (who, name, gap) = (case.name(producer), case.name(broker), next.ms - last.ms);
    judged.wrong(
        last,
        format!("{name} hears nothing of {who} for {gap} ms from here"),
    );
}

#[cfg(test)]
mod tests {
    use rmq_mock_broker::event::Event as BrokerEvent;
    use rmq_producer::event::LookupReason;
    use rmq_remoting::code::request;

    use crate::fault::FaultKind;
    use crate::invariant::scene::{Example, Scene, accepts, rejects};
    use crate::trace::End;

    pub(super) const EXAMPLES: &[Example] = &[
        accepts("a heartbeat each period", || {
            let scene = all(all(all(Scene::new(), 1000), 31_000), 61_000);
            scene.end(End::Finished, 90_000)
        }),
        accepts("a frozen broker hears nothing", || {
            let scene = all(Scene::new(), 1000)
                .at(20_000)
                .fault(1, FaultKind::Freeze, "broker-a");
            let scene = beat(beat(scene.at(31_000), "broker-b", 2), "broker-c", 3);
            scene.end(End::Finished, 60_000)
        }),
        accepts("a broker that left the route hears no more", || {
            let scene = all(Scene::new(), 1000).at(30_000);
            let scene = scene.lookup(2, LookupReason::Poll);
            let scene = scene.found(2, 2, &["a/0", "b/0"]).at(31_000);
            let scene = beat(beat(scene, "broker-a", 1), "broker-b", 2);
            scene.end(End::Finished, 60_000)
        }),
        rejects("a broker that came back to the route hears nothing", || {
            let scene = all(Scene::new(), 1000).at(10_000);
            let scene = scene.lookup(2, LookupReason::FailedAttempt);
            let scene = scene.found(2, 2, &["a/0", "b/0"]).at(20_000);
            let scene = scene.lookup(3, LookupReason::FailedAttempt);
            let scene = scene.found(3, 3, &["a/0", "b/0", "c/0"]);
            let scene = all(scene, 31_000).wrong().at(61_000);
            let scene = beat(beat(scene, "broker-a", 1), "broker-b", 2);
            scene.end(End::Finished, 70_000)
        }),
        rejects("one broker is forgotten", || {
            // The last heartbeat of the first round is that of broker-c.
            let scene = all(Scene::new(), 1000).wrong().at(31_000);
            let scene = all(beat(beat(scene, "broker-a", 1), "broker-b", 2), 61_000);
            scene.end(End::Finished, 70_000)
        }),
    ];

    fn all(scene: Scene, ms: u64) -> Scene {
        let scene = beat(beat(scene.at(ms), "broker-a", 1), "broker-b", 2);
        beat(scene, "broker-c", 3)
    }

    fn beat(scene: Scene, broker: &str, connection: u64) -> Scene {
        let peer = scene.local(connection);
        let (code, oneway, send) = (request::HEART_BEAT, false, None);
        let event = BrokerEvent::Received {
            request: 1,
            peer,
            code,
            opaque: 1,
            oneway,
            send,
        };
        scene.broker(broker, event)
    }
}
