//! The end of a producer: bounded, in order, and harmless if asked for twice.

use std::sync::Arc;

use tokio::time::{Duration, Instant, timeout_at};

use crate::client::Client;
use crate::client::heartbeat;
use crate::event::Event;
use crate::send::state::ProducerCore;

/// Stops a producer, and the client if it is given.
pub(crate) async fn stop(core: &Arc<ProducerCore>, client: Option<&Client>) {
    let deadline = Instant::now() + Duration::from_millis(core.policy.periods.stop);
    if core.life.close() {
        core.client.emit(Event::Stopping);
    }
    // Sends end by themselves; one whose future nobody polls is not waited for.
    let _ = timeout_at(deadline, core.life.idle()).await;
    core.async_sends.close();
    let group = &core.identity.group;
    let registered = core.client.groups.lock().remove(group);
    if registered {
        heartbeat::unregister(&core.client, group, client.is_some(), deadline).await;
    }
    if let Some(client) = client {
        let _ = timeout_at(deadline, client.stop()).await;
    }
    if !core.life.stopped() {
        core.client.emit(Event::Stopped);
    }
}
