//! What the end of an attempt teaches: the routes and the health table.
//!
//! A send tells what it learnt at once, so that the next one need not learn it again. Which end
//! teaches what is decided in [`decide`](crate::decide); this carries it to whom it concerns.

use rmq_remoting::observe::Name;

use super::limits::millis;
use super::operation::SendOperation;
use super::state::ProducerCore;
use crate::client::find;
use crate::decide::retry::Ended;
use crate::decide::{health, route};
use crate::event::{Event, Mode, Stage};
use crate::log;

/// Asks for the topic's route if an attempt ended in a way that an old route may have caused.
pub(crate) fn refresh(send: &SendOperation, ended: Ended) {
    if route::refreshes(&send.core.policy, ended) {
        find::refresh(&send.core.client, send.call.message.topic_name());
    }
}

/// Notes in the health table what the end of an attempt teaches about its broker.
pub(crate) fn note_health(send: &SendOperation, broker: &Name, ended: Ended, took: u64) {
    let core = &send.core;
    let counts = health::counts(&core.policy, send.call.mode, send.target_queue.is_some());
    let isolation = counts.then(|| health::isolation(&core.policy, ended, took));
    let Some(isolation) = isolation.flatten() else {
        return;
    };
    let now = millis(core.client.started.elapsed());
    let (was_isolated, noted) = {
        let mut table = core.health.lock();
        let was_isolated = table.last_isolated(broker);
        (was_isolated, table.note(broker, isolation, now))
    };
    log::health(broker, was_isolated, isolation.for_ms, ended.stage);
    if let Some(for_ms) = noted {
        send.emit(Event::Health {
            broker: Name::clone(broker),
            for_ms,
            reason: ended.stage,
        });
    }
}

/// A request was written in a mode that does not wait for its answer.
pub(crate) fn dispatched(core: &ProducerCore, mode: Mode, broker: &Name) {
    if !health::counts_dispatch(&core.policy, mode) {
        return;
    }
    let accepted = Ended {
        stage: Stage::Accepted,
        code: None,
    };
    if let Some(isolation) = health::isolation(&core.policy, accepted, 0) {
        let now = millis(core.client.started.elapsed());
        core.health.lock().note(broker, isolation, now);
    }
}
