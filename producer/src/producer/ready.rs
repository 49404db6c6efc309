//! Whether a topic's route is known: asked before the first send, or by a readiness probe.

use std::sync::Arc;

use rmq_remoting::observe::Name;
use tokio::time::{Duration, Instant};

use crate::client::find;
use crate::decide::encoding;
use crate::error::LookupError;
use crate::send::state::ProducerCore;
use crate::sent::MessageQueue;

/// The queues that messages for the topic may go to, looked up unless they are known.
pub(crate) async fn ready(
    core: &Arc<ProducerCore>,
    topic: Name,
) -> Result<Vec<MessageQueue>, LookupError> {
    let known_as = core.identity.wrapped(&topic);
    if let Err(invalid) = encoding::validate_topic(&core.policy, &known_as) {
        return Err(LookupError::Unusable {
            topic,
            reason: invalid.text,
            answers: Vec::new(),
        });
    }
    let until = Instant::now() + Duration::from_millis(core.policy.send_timeout);
    let found = tokio::select! {
        biased;
        found = find::find(&core.client, &known_as, Some(until)) => found,
        () = core.life.closed() => return Err(LookupError::Closed(topic)),
    };
    let snapshot = found.map_err(Arc::unwrap_or_clone)?;
    let queues = snapshot.queues.iter();
    Ok(queues
        .map(|queue| MessageQueue {
            topic: Name::clone(&topic),
            broker: Name::clone(&queue.broker),
            queue: queue.queue,
        })
        .collect())
}
