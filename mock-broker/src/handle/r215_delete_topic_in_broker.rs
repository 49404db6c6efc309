//! 215: an administrator deletes a topic here. Name servers are not told.

use super::r017_update_and_create_topic::system_topic;
use super::{Fault, Handled, Job, success};
use crate::admit::Refusal;

pub(super) fn handle(job: &Job<'_>) -> Result<Handled, Fault> {
    let topic = job.request.ext.get("topic").unwrap_or_default();
    if topic.trim().is_empty() {
        let code = job.shared.config.profile.invalid_parameter();
        return Err(Refusal::new(code, "The specified topic is blank.").into());
    }
    let now_ms = job.shared.host.unix_millis();
    let mut contents = job.shared.disk.contents();
    let topics = contents.topics.get_or_insert_default();
    if topics.is_system(topic) {
        return Err(system_topic(job, topic).into());
    }
    topics.remove(topic, now_ms);
    contents.ledger.forget_queues(topic);
    Ok(success().into())
}
