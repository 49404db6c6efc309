//! 351: a topic's configuration.

use rmq_remoting::body;
use rmq_remoting::code::response;

use super::{Fault, Handled, Job, success};
use crate::admit::Refusal;

pub(super) fn handle(job: &Job<'_>) -> Result<Handled, Fault> {
    let topic = job.request.ext.text("topic")?;
    let body = job
        .shared
        .disk
        .with_topics(|topics| topics.get(topic).map(body::to_json));
    match body {
        Some(body) => Ok(success().body(body).into()),
        None => {
            let remark = format!("No topic in this broker. topic: {topic}");
            Err(Refusal::new(response::TOPIC_NOT_EXIST, remark).into())
        }
    }
}
