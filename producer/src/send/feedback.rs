//! What the end of an attempt teaches: the routes and the health table.
//!
//! A send tells what it learnt at once, so that the next one need not learn it again. Which end
//! teaches what is decided in [`decide`](crate::decide); this carries it to whom it concerns.

use rmq_remoting::observe::Name;

use crate::client::routes;
use crate::decide::retry::Ended;
use crate::decide::{health, route};
use crate::event::Event;
use crate::send::{Send, millis};

/// Asks for the topic's route if an attempt ended in a way that an old route may have caused.
pub(crate) fn refresh(send: &Send, ended: Ended) {
    if route::refreshes(&send.core.policy, ended) {
        routes::refresh(&send.core.client, send.call.message.topic());
    }
}

/// Notes in the health table what the end of an attempt teaches about its broker.
pub(crate) fn note_health(send: &Send, broker: &Name, ended: Ended, took: u64) {
    let core = &send.core;
    let counts = health::counts(&core.policy, send.call.mode, send.pinned.is_some());
    let isolation = counts.then(|| health::isolation(&core.policy, ended, took));
    let Some(isolation) = isolation.flatten() else {
        return;
    };
    let now = millis(core.client.started.elapsed());
    let noted = core.health.lock().note(broker, isolation, now);
    if let Some(for_ms) = noted {
        send.emit(Event::Health {
            broker: Name::clone(broker),
            for_ms,
            reason: ended.stage,
        });
    }
}
