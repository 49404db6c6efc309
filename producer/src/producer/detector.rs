//! The detector: asks brokers that were not reached whether they are there again.
//!
//! While every broker is avoided, sends prefer those that can be reached. A broker that gets no
//! sends has no way to show that it is back; so it is asked where a queue ends, as Java's clients
//! ask since 5.1.4. A success shows that it can be reached; anything else changes nothing, and
//! nothing shortens the time for which a broker is avoided. Off unless the policy has it.

use std::sync::Arc;

use rmq_remoting::code::response;
use rmq_remoting::observe::Name;
use rmq_remoting::request::GetMaxOffset;
use tokio::time::{Duration, Instant, MissedTickBehavior, interval_at};

use crate::policy::Detector;
use crate::send::limits::millis;
use crate::send::state::ProducerCore;

/// Asks for ever. The task belongs to the producer.
pub(crate) async fn run(core: Arc<ProducerCore>, detector: Detector) {
    let period = Duration::from_millis(detector.period);
    let mut ticks = interval_at(Instant::now() + period, period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        ticks.tick().await;
        let now = millis(core.client.started.elapsed());
        let due = core.health.lock().due_for_probe(now, detector.interval);
        for broker in due {
            probe(&core, &broker, detector).await;
        }
    }
}

async fn probe(core: &ProducerCore, broker: &Name, detector: Detector) {
    let routes = &core.client.routes;
    let Some((topic, address)) = routes.any_topic_and_master_of(broker) else {
        core.health.lock().forget(broker);
        return;
    };
    let request = GetMaxOffset {
        topic: &topic,
        queue_id: 0,
    };
    let deadline = Instant::now() + Duration::from_millis(detector.timeout);
    let answer = core.client.call(&address, &request, deadline).await;
    if answer.is_ok_and(|answer| answer.code == response::SUCCESS) {
        core.health.lock().reached(broker);
    }
}
