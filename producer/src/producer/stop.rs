//! The end of a producer: bounded, in order, and harmless if asked for twice.

use std::sync::Arc;

use rmq_remoting::observe::Name;
use tokio::time::{Duration, Instant, timeout_at};

use crate::client::Client;
use crate::client::heartbeat;
use crate::event::Event;
use crate::send::state::ProducerCore;

/// Stops a producer, and with it a client that a producer made for itself and that no other one shares.
pub(crate) async fn stop(core: &Arc<ProducerCore>, client: &Client) {
    let deadline = Instant::now() + Duration::from_millis(core.policy.periods.stop);
    if core.life.close() {
        let group = Name::clone(&core.identity.group);
        core.client.emit(Event::Stopping { group });
    }
    // Sends end by themselves; one whose future nobody polls is not waited for.
    let _ = timeout_at(deadline, core.life.idle()).await;
    core.async_sends.close();
    let group = &core.identity.group;
    let (registered, is_last) = {
        let mut groups = core.client.groups.lock();
        (groups.remove(group), groups.is_empty())
    };
    let ends_client = core.client.is_of_producers && is_last;
    if registered {
        heartbeat::unregister(&core.client, group, ends_client, deadline).await;
    }
    if ends_client {
        let _ = timeout_at(deadline, client.stop()).await;
    }
    if !core.life.stopped() {
        let group = Name::clone(group);
        core.client.emit(Event::Stopped { group });
    }
}
