//! Example traces.

use rmq_producer::event::{Event, Stage};
use rmq_remoting::event::{DialFailure, Event as TransportEvent};

use super::*;
use crate::fault::{FaultKind, Slow};
use crate::invariant::scene::{Example, Scene, accepts, queue, rejects};
use crate::trace::WorkEvent;
use crate::trace::record::PatienceFacts;

pub(super) const EXAMPLES: &[Example] = &[
    accepts("a lost connection is replaced", || {
        let scene = Scene::new()
            .at(100)
            .close(1, "broker-a", CloseCause::Broken);
        scene.open(4, "broker-a")
    }),
    accepts("two producers have a connection each", || {
        Scene::new().second_producer()
    }),
    accepts("a second connection beside a silent one", || {
        silent().open(4, "broker-a")
    }),
    accepts(
        "the attempt that dialled a connection was silent on it",
        || dialled_by_an_attempt().at(1_100).open(5, "broker-a"),
    ),
    rejects(
        "the attempt that dialled a connection has time left",
        || dialled_by_an_attempt().at(900).open(5, "broker-a").wrong(),
    ),
    rejects("a second connection beside a good one", || {
        Scene::new().at(100).open(4, "broker-a").wrong()
    }),
    rejects(
        "a second connection before the first one's time is over",
        || {
            let scene = Scene::new().at(100).call(1).attempt(1, 1, "a/0");
            scene.at(900).open(4, "broker-a").wrong()
        },
    ),
    accepts(
        "a slow producer dials some time after its decision, and an answer came meanwhile",
        || heard_at_1_150().at(1_200).open(5, "broker-a"),
    ),
    rejects(
        "a producer that is not slow dials although an answer came",
        || {
            let scene = heard_at_1_150().fault_ends(1, "p1");
            scene.at(1_200).open(5, "broker-a").wrong()
        },
    ),
    accepts(
        "a dial waits after one that came to nothing, and an answer came meanwhile",
        || heard_after_a_dial_in_vain().at(1_400).open(6, "broker-a"),
    ),
    rejects(
        "a dial long after one that came to nothing and after an answer",
        || {
            let scene = heard_after_a_dial_in_vain().at(2_000);
            scene.open(6, "broker-a").wrong()
        },
    ),
    accepts(
        "a dial waits after a connection without an answer, and another one answered meanwhile",
        || heard_after_a_connection_that_was(&[]).open(7, "broker-a"),
    ),
    rejects(
        "a dial after a connection that was heard, and another one answered meanwhile",
        || {
            let scene = heard_after_a_connection_that_was(&[5]);
            scene.open(7, "broker-a").wrong()
        },
    ),
    accepts("a lookup asks again after a tenth of a second", || {
        asked().at(200).open(5, "broker-a")
    }),
    rejects("a lookup asks again at once over a new connection", || {
        asked().at(199).open(5, "broker-a").wrong()
    }),
    accepts(
        "a second connection that nobody used is dialled again when the first one is silent",
        || {
            asks(asked().at(200).open(5, "broker-a").at(1_000), 98)
                .at(1_100)
                .open(6, "broker-a")
        },
    ),
    rejects(
        "a second connection is dialled again, and no request was silent since",
        || {
            let scene = asked().at(200).open(5, "broker-a").at(1_100);
            scene.open(6, "broker-a").wrong()
        },
    ),
    rejects("a second connection of a client that has none", || {
        let scene = silent().facts(|it| it.policies[0].second_connections = false);
        scene.open(4, "broker-a").wrong()
    }),
    rejects(
        "a connection is kept beside the one that replaced it",
        || {
            let scene = silent().open(4, "broker-a").at(1_110);
            let late = TransportEvent::Late {
                connection: 4.into(),
                opaque: 99,
            };
            let scene = scene.say(Event::Transport(late)).wrong();
            scene.at(20_000).call(2)
        },
    ),
    rejects("a closed connection is used again", || {
        let scene = Scene::new()
            .at(100)
            .close(1, "broker-a", CloseCause::Broken);
        scene.call(1).attempt(1, 1, "a/0").wrong()
    }),
    rejects(
        "a busy connection is closed because another one has replaced it",
        || {
            let scene = Scene::new().at(100).call(1).attempt(1, 1, "a/0").at(200);
            scene.close(1, "broker-a", CloseCause::Replaced).wrong()
        },
    ),
    rejects(
        "a connection is closed as idle that was used a moment ago",
        || {
            let scene = Scene::new().at(100_000).whole(1, "a/0").at(150_000);
            scene.close(1, "broker-a", CloseCause::Idle).wrong()
        },
    ),
    accepts("a connection is closed as idle", || {
        Scene::new()
            .at(120_000)
            .close(1, "broker-a", CloseCause::Idle)
    }),
    rejects(
        "a connection is closed as offline that a route names",
        || {
            Scene::new()
                .at(50_000)
                .close(1, "broker-a", CloseCause::Offline)
                .wrong()
        },
    ),
    rejects(
        "a connection is closed as dead on which nobody asked",
        || {
            patient()
                .at(50_000)
                .close(1, "broker-a", CloseCause::DeadPeer)
                .wrong()
        },
    ),
    accepts("a connection is closed as dead", || {
        let scene = (90..93).fold(patient().at(20_000), |scene, opaque| {
            scene.say(Event::Transport(TransportEvent::Written {
                connection: 1.into(),
                opaque,
            }))
        });
        scene.at(30_000).close(1, "broker-a", CloseCause::DeadPeer)
    }),
    rejects("a connection is kept that no route names", || {
        let scene = Scene::new().at(1_000).found(1, 2, &["a/0", "b/0"]);
        scene.wrong().at(90_000).call(1)
    }),
    accepts("a connection that no route names is closed", || {
        let scene = Scene::new().at(1_000).found(1, 2, &["a/0", "b/0"]);
        scene
            .at(31_000)
            .close(3, "broker-c", CloseCause::Offline)
            .at(90_000)
            .call(1)
    }),
    accepts("a first dial is made at once", || {
        let scene = without_a_connection().at(101).open(7, "broker-a");
        scene.request(1, 1, 7).succeeds(1, 1)
    }),
    accepts("a producer of a shared client says goodbye there", || {
        let scene = Scene::new().shared().at(1_000);
        let scene = scene.found(1, 2, &["a/0", "b/0"]).at(31_000);
        let scene = scene.close(3, "broker-c", CloseCause::Offline).at(40_000);
        let group = || Some("second".into());
        let scene = scene.work(WorkEvent::StopCalled { group: group() });
        let scene = scene.stopping().dial(4, "broker-c");
        let scene = scene.open_end(4, "broker-c").stopped();
        let scene = scene.work(WorkEvent::StopReturned { group: group() });
        scene.at(110_000).call(1)
    }),
    rejects("a first dial waits as if others had been in vain", || {
        let scene = without_a_connection().wrong();
        let scene = scene.at(500).open(7, "broker-a");
        scene.at(2_000).ended(1, 1, Stage::Silent, None)
    }),
    rejects("an attempt has no connection, and nobody dials one", || {
        let scene = Scene::new().at(50).close(1, "broker-a", CloseCause::Broken);
        let scene = scene
            .at(100)
            .call(1)
            .attempt_by(1, 1, queue("a/0"), 1)
            .wrong();
        scene.at(2_000).ended(1, 1, Stage::Silent, None)
    }),
    accepts(
        "a hedge goes over a connection that was heard since",
        || {
            let scene = Scene::new().at(100).call(1).attempt(1, 1, "a/0").at(500);
            let scene = scene.whole(2, "b/0").at(1_100).hedged(1, 1);
            scene.attempt(1, 2, "b/1")
        },
    ),
    rejects(
        "a hedge goes over another connection that is doubted",
        || {
            let scene = Scene::new().at(100).call(1).attempt(1, 1, "a/0").at(1_100);
            let scene = scene.hedged(1, 1).attempt_by(1, 2, queue("b/1"), 2);
            let marked = scene.trace.records.len();
            let mut scene = scene.request(1, 2, 2);
            scene.marked = Some(marked);
            scene
        },
    ),
    rejects("a hedge goes over the silent connection", || {
        let scene = Scene::new().at(100).call(1).attempt(1, 1, "a/0").at(1_100);
        let scene = scene.hedged(1, 1).attempt_by(1, 2, queue("a/1"), 1);
        let marked = scene.trace.records.len();
        let mut scene = scene.request(1, 2, 1);
        scene.marked = Some(marked);
        scene
    }),
    rejects("a dial goes on for ever", || {
        let scene = Scene::new().at(50).close(1, "broker-a", CloseCause::Broken);
        let scene = scene.at(100).dial(4, "broker-a").wrong();
        scene.at(9_000).open_end(4, "broker-a")
    }),
    accepts("dials in vain keep their distance", || {
        in_vain_at(&[100, 101, 125, 170])
    }),
    accepts(
        "an address that left the route and came back is dialled at once",
        || {
            let scene = in_vain_at(&[100, 101, 102]).found(1, 2, &["b/0", "c/0"]);
            scene
                .found(1, 3, &["a/0", "b/0", "c/0"])
                .open(7, "broker-a")
        },
    ),
    rejects("an address is dialled again and again", || {
        in_vain_at(&[100, 101, 102]).dial(7, "broker-a").wrong()
    }),
    rejects("a busy connection is closed as idle", || {
        let scene = Scene::new().at(100).call(1).attempt(1, 1, "a/0").at(200);
        scene.close(1, "broker-a", CloseCause::Idle).wrong()
    }),
];

/// An attempt opens a new connection to broker-a and is not answered on it.
fn dialled_by_an_attempt() -> Scene {
    let scene = Scene::new().at(50).close(1, "broker-a", CloseCause::Broken);
    let scene = scene.at(100).call(1).attempt_by(1, 1, queue("a/0"), 1);
    scene.at(102).open(4, "broker-a").request(1, 1, 4)
}

/// A slow producer's attempt at broker-a is answered after its timeout.
fn heard_at_1_150() -> Scene {
    let slow = FaultKind::Slow(Slow { ms_per_step: 100 });
    let scene = Scene::new().at(50).fault(1, slow, "p1");
    let scene = scene.at(100).call(1).attempt(1, 1, "a/0");
    scene.at(1_150).late(1, 1)
}

/// A second dial beside a silent connection fails, and the silent one answers.
fn heard_after_a_dial_in_vain() -> Scene {
    let scene = silent().dial(5, "broker-a").at(1_150);
    let failed = TransportEvent::DialFailed {
        connection: 5.into(),
        to: scene.address_of("broker-a"),
        cause: DialFailure::TimedOut,
    };
    scene.say(Event::Transport(failed)).at(1_200).late(1, 1)
}

/// Of two connections to broker-a the first one ends, and the second one answers after a while.
fn heard_after_a_connection_that_was(heard: &[u64]) -> Scene {
    let late = |connection: u64| TransportEvent::Late {
        connection: connection.into(),
        opaque: 99,
    };
    let written = TransportEvent::Written {
        connection: 6.into(),
        opaque: 99,
    };
    let scene = Scene::new().at(50).say(Event::Transport(late(1)));
    let scene = scene.at(100).call(1).attempt(1, 1, "a/0").at(1_100);
    let scene = heard.iter().fold(scene.open(5, "broker-a"), |scene, it| {
        scene.say(Event::Transport(late(*it)))
    });
    let scene = scene.close(5, "broker-a", CloseCause::BadFrame);
    let scene = scene.open(6, "broker-a").say(Event::Transport(written));
    let scene = scene.close(1, "broker-a", CloseCause::Broken);
    let scene = scene.at(1_215).say(Event::Transport(late(6)));
    scene.at(1_220)
}

/// A request that belongs to no attempt is written to broker-a at 100 ms.
fn asked() -> Scene {
    asks(Scene::new().at(100), 99)
}

/// A request that is no attempt's goes over the first connection.
fn asks(scene: Scene, opaque: i32) -> Scene {
    scene.say(Event::Transport(TransportEvent::Written {
        connection: 1.into(),
        opaque,
    }))
}

/// An attempt at broker-a that is not answered in its timeout.
fn silent() -> Scene {
    Scene::new().at(100).call(1).attempt(1, 1, "a/0").at(1_100)
}

/// A policy that gives dead peers up.
fn patient() -> Scene {
    Scene::new().facts(|it| {
        it.policies[0].patience = Some(PatienceFacts {
            requests: 3,
            silence_ms: 10_000,
        });
    })
}

/// broker-a is dialled at these times, each time in vain.
fn in_vain_at(times: &[u64]) -> Scene {
    let scene = Scene::new().at(50).close(1, "broker-a", CloseCause::Broken);
    let heard = TransportEvent::Late {
        connection: 1.into(),
        opaque: 99,
    };
    let scene = scene.say(Event::Transport(heard));
    (4..).zip(times).fold(scene, |scene, (number, ms)| {
        let scene = scene.at(*ms).dial(number, "broker-a");
        let failed = TransportEvent::DialFailed {
            connection: number.into(),
            to: scene.address_of("broker-a"),
            cause: DialFailure::Refused,
        };
        scene.say(Event::Transport(failed))
    })
}

/// An attempt at a broker whose connection broke a moment before.
fn without_a_connection() -> Scene {
    let scene = Scene::new().at(50).whole(9, "a/1").at(60);
    let scene = scene.close(1, "broker-a", CloseCause::Broken);
    let scene = scene.at(100).call(1);
    scene.attempt_by(1, 1, queue("a/0"), 1)
}
