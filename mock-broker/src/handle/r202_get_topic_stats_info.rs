//! 202: how far a topic's queues have come. The answer is no legal JSON: objects are its keys.

use std::fmt::Write;

use rmq_remoting::code::response;
use rmq_remoting::observe::Name;

use super::{Fault, Handled, Job, success};
use crate::admit::Refusal;
use crate::ledger::Ledger;
use crate::topic::queue_bound;

pub(super) fn handle(job: &Job<'_>) -> Result<Handled, Fault> {
    let topic = Name::from(job.request.ext.text("topic")?);
    let queues = job
        .shared
        .disk
        .with_topics(|topics| topics.get(&topic).map(queue_bound));
    let Some(queues) = queues else {
        let remark = format!("topic[{topic}] not exist");
        return Err(Refusal::new(response::TOPIC_NOT_EXIST, remark).into());
    };
    let broker = &job.shared.config.name;
    let body = job
        .shared
        .disk
        .with_ledger(|ledger| table(ledger, broker, &topic, queues));
    Ok(success().body(body).into())
}

fn table(ledger: &Ledger, broker: &str, topic: &Name, queues: i32) -> String {
    let mut text = String::from("{\"offsetTable\":{");
    for queue in 0..queues {
        let end = ledger.next_offset(topic, queue);
        let last = usize::try_from(end - 1).ok();
        let last = last.and_then(|last| ledger.of_queue(topic, queue, last).next());
        let separator = if queue == 0 { "" } else { "," };
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "{separator}{{\"brokerName\":\"{broker}\",\"queueId\":{queue},\"topic\":\"{topic}\"}}:\
             {{\"lastUpdateTimestamp\":{},\"maxOffset\":{end},\"minOffset\":0}}",
            last.map_or(0, |entry| entry.at_ms),
        );
    }
    text.push_str("},\"topicPutTps\":0.0}");
    text
}
