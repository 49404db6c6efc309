//! Example traces.

use super::*;
use crate::fault::FaultKind;
use crate::invariant::scene::{Example, Scene, TIMEOUT, accepts, queue, rejects};
use crate::trace::record::HedgingFacts;
use crate::trace::{NodeEvent, TraceHeader};
use rmq_producer::event::{Event, LookupReason};

pub(super) const EXAMPLES: &[Example] = &[
    accepts("a retry follows at once", || {
        lost().attempt(1, 2, "b/0").succeeds(1, 2)
    }),
    accepts("all brokers refuse", || {
        let scene = refused_twice(Scene::new().at(0).call(1));
        let scene = scene.attempt(1, 3, "c/0").refused(1, 3, 2);
        let freeze = || FaultKind::Freeze;
        let scene = scene
            .fault(1, freeze(), "broker-a")
            .fault(2, freeze(), "broker-b");
        scene
            .fault(3, freeze(), "broker-c")
            .failed(1, Failure::Attempts(Stage::Refused))
    }),
    accepts("a refusal that is final ends the send", || {
        let scene = Scene::new()
            .at(0)
            .fault(1, FaultKind::Freeze, "broker-a")
            .call(1);
        let scene = scene.attempt(1, 1, "a/0").refused(1, 1, 13);
        scene.failed(1, Failure::Attempts(Stage::Refused))
    }),
    accepts(
        "a retry at the broker that refused has its part of the time",
        || {
            let scene = refused_by_the_only_one().at(1_000);
            let scene = scene.attempt_by(1, 2, queue("a/1"), 2);
            scene.request(1, 2, 1).succeeds(1, 2)
        },
    ),
    accepts(
        "a retry at one that refused waits, as all have failed",
        || {
            let scene = Scene::new().at(0).found(1, 2, &["a/0", "b/0"]).call(1);
            let scene = scene.attempt_by(1, 1, queue("a/0"), 2).at(5);
            let scene = scene.ended(1, 1, Stage::Dial, None);
            let scene = scene.attempt_by(1, 2, queue("b/0"), 2).at(10);
            let scene = scene.ended(1, 2, Stage::Lost, None);
            scene.at(2_000).attempt(1, 3, "a/0").succeeds(1, 3)
        },
    ),
    accepts("another broker is told of while a retry waits", || {
        let scene = refused_by_the_only_one().at(100);
        let scene = scene.lookup(9, LookupReason::FailedAttempt);
        let scene = scene.found(9, 3, &["a/0", "a/1", "b/0"]).at(105);
        let scene = scene.attempt_by(1, 2, queue("b/0"), 3);
        scene.request(1, 2, 2).succeeds(1, 2)
    }),
    rejects("another broker is told of, and the retry waits on", || {
        let scene = refused_by_the_only_one().at(100);
        let scene = scene.lookup(9, LookupReason::FailedAttempt);
        let scene = scene.found(9, 3, &["a/0", "a/1", "b/0"]).at(900);
        scene.attempt_by(1, 2, queue("b/0"), 3).wrong()
    }),
    rejects("a retry at one that was lost once waits", || {
        let scene = Scene::new().at(0).found(1, 2, &["a/0", "b/0"]).call(1);
        let scene = scene.attempt_by(1, 1, queue("a/0"), 2).at(5);
        let scene = scene.ended(1, 1, Stage::Lost, None);
        let scene = scene.attempt_by(1, 2, queue("b/0"), 2).at(10);
        let scene = scene.ended(1, 2, Stage::Lost, None);
        scene.at(2_000).attempt_marked(1, 3, "a/0")
    }),
    accepts(
        "the healthy broker is told of when attempts are gone",
        || {
            let scene = Scene::new().at(0).fault(1, FaultKind::Freeze, "broker-a");
            let scene = scene.fault(2, FaultKind::Freeze, "broker-b");
            let scene = scene.at(100).found(1, 2, &["b/0", "b/1"]).call(1);
            let scene = scene.attempt_by(1, 1, queue("b/0"), 2).refused(1, 1, 2);
            let scene = scene.attempt_by(1, 2, queue("b/1"), 2).refused(1, 2, 2);
            let scene = scene.at(110).lookup(9, LookupReason::FailedAttempt);
            let scene = scene.found(9, 3, &["a/0", "b/0", "c/0"]);
            let scene = scene.attempt_by(1, 3, queue("a/0"), 3).refused(1, 3, 2);
            scene.failed(1, Failure::Attempts(Stage::Refused))
        },
    ),
    rejects("a retry waits for longer than its part of the time", || {
        refused_by_the_only_one()
            .at(1_500)
            .attempt_marked(1, 2, "a/1")
    }),
    rejects(
        "a retry at the only broker follows a refusal at once",
        || {
            let scene = refused_by_the_only_one().at(10);
            scene.attempt_by(1, 2, queue("a/1"), 2).wrong()
        },
    ),
    rejects("a retry waits although there is another broker", || {
        let scene = Scene::new().at(0).call(1).attempt(1, 1, "a/0").at(5);
        let scene = scene.ended(1, 1, Stage::Dial, None);
        scene.at(1_000).attempt_marked(1, 2, "b/0")
    }),
    rejects("the retry never starts", || {
        let scene = Scene::new().at(0).call(1).attempt(1, 1, "a/0").at(5);
        let scene = scene.ended(1, 1, Stage::Lost, None).wrong();
        scene.failed(1, Failure::Attempts(Stage::Lost))
    }),
    rejects("the retry starts late", || {
        lost().at(500).attempt_marked(1, 2, "b/0")
    }),
    rejects("the hedging attempt never starts", || {
        let scene = Scene::new().at(0).call(1).attempt(1, 1, "a/0").at(1000);
        scene
            .hedged(1, 1)
            .wrong()
            .at(3000)
            .failed(1, Failure::Deadline)
    }),
    accepts("the last token goes while the timeout runs", || {
        let scene = Scene::new()
            .facts(one_token)
            .fault(1, FaultKind::Freeze, "broker-a");
        let scene = scene.at(10_000).call(9).attempt(9, 1, "a/0");
        let scene = scene.at(10_100).call(1).attempt(1, 1, "a/1").at(11_000);
        let scene = scene.hedged(9, 1);
        let scene = scene.attempt(9, 2, "b/0").succeeds(9, 2);
        scene.at(13_100).failed(1, Failure::Deadline)
    }),
    accepts("an attempt has no token to be hedged with", || {
        let scene = Scene::new().facts(one_token).at(0).call(9);
        let scene = scene.attempt(9, 1, "b/0").hedged(9, 1);
        hangs(scene.attempt(9, 2, "c/0").succeeds(9, 2))
    }),
    accepts("an attempt is hedged once there is a token", || {
        waits_for_a_token(1_105).succeeds(1, 2).succeeds(9, 2)
    }),
    rejects("an attempt is not hedged although there is a token", || {
        waits_for_a_token(1_300).succeeds(1, 2).succeeds(9, 2)
    }),
    rejects(
        "an attempt takes all the time although there are tokens",
        || hangs(Scene::new()).wrong(),
    ),
    rejects(
        "the send fails although one broker was healthy all the time",
        || {
            let scene = Scene::new().at(0).fault(1, FaultKind::Freeze, "broker-a");
            let scene = refused_twice(scene.fault(2, FaultKind::Freeze, "broker-b").call(1));
            let scene = scene.attempt(1, 3, "a/1").refused(1, 3, 2);
            scene.failed(1, Failure::Attempts(Stage::Refused)).wrong()
        },
    ),
];

fn refused_by_the_only_one() -> Scene {
    let scene = Scene::new().at(0).found(1, 2, &["a/0", "a/1"]).call(1);
    let scene = scene.attempt_by(1, 1, queue("a/0"), 2).at(5);
    scene.ended(1, 1, Stage::Dial, None)
}

fn lost() -> Scene {
    Scene::new()
        .at(0)
        .call(1)
        .attempt(1, 1, "a/0")
        .at(5)
        .ended(1, 1, Stage::Lost, None)
}

fn one_token(header: &mut TraceHeader) {
    for policy in &mut header.policies {
        policy.hedging = policy.hedging.map(|it| HedgingFacts { tokens: 1, ..it });
    }
}

/// A silent attempt of a producer whose only token another send has taken at 1000 ms.
fn waits_for_a_token(until: u64) -> Scene {
    let scene = Scene::new().facts(one_token).at(0);
    let scene = scene
        .call(9)
        .attempt(9, 1, "a/0")
        .call(1)
        .attempt(1, 1, "b/0");
    let scene = scene.at(1_000).hedged(9, 1).attempt(9, 2, "c/0").at(1_005);
    let scene = (20..30).fold(scene, Scene::call);
    scene
        .at(until)
        .hedged(1, 1)
        .wrong()
        .attempt(1, 2, "c/1")
        .at(until + 2)
}

/// The only ill broker of three eats the whole time of a send.
fn hangs(scene: Scene) -> Scene {
    let scene = scene
        .at(10_000)
        .fault(1, FaultKind::Freeze, "broker-a")
        .call(1);
    let scene = scene.attempt_by(1, 1, queue("a/0"), 1).change(|what| {
        if let NodeEvent::Producer(Event::Attempt { timeout_ms, .. }) = what {
            *timeout_ms = TIMEOUT;
        }
    });
    scene.at(10_000 + TIMEOUT).failed(1, Failure::Deadline)
}

fn refused_twice(scene: Scene) -> Scene {
    let scene = scene.attempt(1, 1, "a/0").refused(1, 1, 2);
    scene.attempt(1, 2, "b/0").refused(1, 2, 2)
}
