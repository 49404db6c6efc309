//! Example traces: `broker-a` stands still in one of the runs.

use rmq_mock_broker::event::Event as BrokerEvent;
use rmq_mock_namesrv::event::Event as NameServerEvent;
use rmq_producer::event::{Failure, Stage};
use rmq_remoting::code::{request, response};
use rmq_remoting::event::CloseCause;

use crate::fault::FaultKind;
use crate::invariant::scene::{Example, Scene, TOPIC, accepts, queue, rejects};

pub(super) const EXAMPLES: &[Example] = &[
    accepts("the sends of the others are the same", || {
        let scene = sent(sent(struck(), 1, "b/0"), 2, "c/0");
        scene.paired(sent(sent(calm(), 1, "b/0"), 2, "b/1"))
    }),
    accepts("a send that meets the fault is taken up elsewhere", || {
        let scene = struck().named_call(1).attempt(1, 1, "a/0").hedged(1, 1);
        let scene = scene.at(1_000).attempt(1, 2, "b/0").succeeds(1, 2);
        scene.paired(sent(calm(), 1, "a/0"))
    }),
    accepts(
        "a send to another broker waits for its dial and a lookup",
        || {
            let scene = struck().named_call(1).attempt(1, 1, "b/0");
            let scene = scene.at(55).succeeds(1, 1);
            scene.paired(sent(calm(), 1, "b/0"))
        },
    ),
    accepts(
        "a connection that nobody used is closed and dialled again",
        || {
            let scene = struck().close(2, "broker-b", CloseCause::Idle);
            scene.open(12, "broker-b").paired(calm())
        },
    ),
    accepts("beats once in each period, and when it starts", || {
        (1..=4)
            .fold(struck(), |scene, _| beat(scene))
            .paired(calm())
    }),
    accepts(
        "an attempt that meets the fault has its route refreshed",
        || {
            let scene = struck().named_call(1).attempt(1, 1, "a/0");
            let scene = scene.ended(1, 1, Stage::Lost, None).at(30);
            let scene = asks(asks(scene)).attempt(1, 2, "b/0").succeeds(1, 2);
            scene.paired(sent(calm(), 1, "a/0"))
        },
    ),
    accepts(
        "the rotation brings a send to a broker that a hook forbids",
        || {
            let scene = struck().named_call(1).attempt_by(1, 1, queue("c/0"), 1);
            let scene = scene.ended(1, 1, Stage::Vetoed, None);
            let scene = scene.attempt(1, 2, "b/0").succeeds(1, 2);
            scene.paired(sent(calm(), 1, "b/0"))
        },
    ),
    accepts(
        "a hedge replaces a connection that was not heard since the silence began",
        || hedged_over_a_new_one(struck(), 1, 12).paired(sent(calm(), 1, "b/0")),
    ),
    rejects("a send to another broker fails", || {
        let scene = struck().named_call(1).attempt(1, 1, "b/0").wrong_call(1);
        let scene = scene.refused(1, 1, response::NO_PERMISSION);
        let scene = scene.failed(1, Failure::Attempts(Stage::Refused));
        scene.paired(sent(calm(), 1, "b/0"))
    }),
    rejects("a send to another broker needs a second attempt", || {
        let scene = struck().named_call(1).attempt(1, 1, "b/0").wrong_call(1);
        let scene = scene.refused(1, 1, response::SYSTEM_BUSY);
        let scene = scene.attempt(1, 2, "c/0").succeeds(1, 2);
        scene.paired(sent(calm(), 1, "b/0"))
    }),
    rejects("a send to another broker is stored twice", || {
        let scene = struck().named_call(1).attempt(1, 1, "b/0").wrong_call(1);
        let scene = scene.seen(1, 1).stored(1, 1).succeeds(1, 1);
        scene.paired(sent(calm(), 1, "b/0"))
    }),
    rejects("a send to another broker waits for the struck one", || {
        let scene = struck().named_call(1).attempt(1, 1, "b/0").wrong_call(1);
        let scene = scene.at(900).succeeds(1, 1);
        scene.paired(sent(calm(), 1, "b/0"))
    }),
    rejects("the connection to another broker is closed", || {
        let scene = struck().close(2, "broker-b", CloseCause::CallTimedOut);
        scene.wrong().paired(calm())
    }),
    rejects("a connection is replaced that no hedge goes over", || {
        let scene = hedged_over_a_new_one(struck(), 1, 12).at(2_000);
        let scene = scene.open(13, "broker-b");
        let scene = scene.close(12, "broker-b", CloseCause::Replaced).wrong();
        scene.paired(sent(calm(), 1, "b/0"))
    }),
    rejects("another broker is dialled a second time", || {
        struck().dial(12, "broker-b").wrong().paired(calm())
    }),
    rejects("another broker is told every moment", || {
        let scene = (1..=5).fold(struck(), |scene, _| beat(scene));
        scene.wrong().paired(calm())
    }),
    rejects("every route is asked for again", || {
        let scene = asks(asks(struck())).wrong();
        scene.paired(sent(calm(), 1, "b/0"))
    }),
];

/// A run without a fault, with a connection to a name server.
fn calm() -> Scene {
    Scene::new().open(9, "ns-1")
}

/// The same, and one broker stands still.
fn struck() -> Scene {
    calm().fault(1, FaultKind::Freeze, "broker-a")
}

/// A named send that succeeds at once.
fn sent(scene: Scene, send: u64, to: &str) -> Scene {
    scene
        .named_call(send)
        .attempt(send, 1, to)
        .succeeds(send, 1)
}

/// An attempt at the struck broker is silent, and its hedge goes over a connection that takes the place of
/// the first one to another broker.
fn hedged_over_a_new_one(scene: Scene, send: u64, connection: u64) -> Scene {
    let scene = scene.named_call(send).attempt(send, 1, "a/0").at(1_000);
    let scene = scene.hedged(send, 1).attempt_by(send, 2, queue("b/0"), 1);
    let scene = scene
        .open(connection, "broker-b")
        .request(send, 2, connection);
    let scene = scene.succeeds(send, 2);
    scene.close(2, "broker-b", CloseCause::Replaced)
}

/// A broker that is not struck reads a heartbeat.
fn beat(scene: Scene) -> Scene {
    let peer = scene.local(2);
    let heard = BrokerEvent::Received {
        request: 900,
        peer,
        code: request::HEART_BEAT,
        opaque: 900,
        oneway: false,
        send: None,
    };
    scene.broker("broker-b", heard)
}

/// A name server reads a route request.
fn asks(scene: Scene) -> Scene {
    let peer = scene.local(9);
    let asked = NameServerEvent::Received {
        request: 900,
        peer,
        code: request::GET_ROUTEINFO_BY_TOPIC,
        opaque: 900,
        topic: Some(TOPIC.into()),
    };
    scene.name_server("ns-1", asked)
}
