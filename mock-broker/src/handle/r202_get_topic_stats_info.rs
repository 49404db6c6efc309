//! 202: how far a topic's queues have come. The answer is no legal JSON: objects are its keys.

use std::fmt::Write;

use rmq_remoting::code::response;
use rmq_remoting::frame::MAX_FRAME;
use rmq_remoting::observe::Name;

use super::{Fault, Handled, Job, success};
use crate::admit::Refusal;
use crate::ledger::Ledger;
use crate::topic::queue_bound;

/// An entry without its names, with numbers of one digit.
const SHORTEST: usize = 92;

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
    let names = Names {
        broker: &quoted(&job.shared.config.name),
        topic: &topic,
    };
    let body = job
        .shared
        .disk
        .with_ledger(|ledger| table(ledger, &names, queues));
    match body {
        Some(body) => Ok(success().body(body).into()),
        None => {
            let remark = format!("the statistics of {queues} queues do not fit a frame");
            Err(Refusal::new(response::SYSTEM_ERROR, remark).into())
        }
    }
}

/// What is the same in every entry.
struct Names<'a> {
    /// The broker's name, quoted and escaped as JSON.
    broker: &'a str,
    topic: &'a Name,
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The whole answer; nothing if no frame could hold it. An administrator may give a topic more
/// queues than fit any answer, so that is known before one is built.
fn table(ledger: &Ledger, names: &Names<'_>, queues: i32) -> Option<String> {
    let Names { broker, topic } = names;
    let quoted_topic = quoted(topic);
    let shortest = SHORTEST + broker.len() + quoted_topic.len();
    let count = usize::try_from(queues).unwrap_or(0);
    if count.saturating_mul(shortest) > MAX_FRAME {
        return None;
    }
    let mut text = String::from("{\"offsetTable\":{");
    for queue in 0..queues {
        let end = ledger.next_offset(topic, queue);
        let last = usize::try_from(end - 1).ok();
        let last = last.and_then(|last| ledger.of_queue(topic, queue, last).next());
        let separator = if queue == 0 { "" } else { "," };
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "{separator}{{\"brokerName\":{broker},\"queueId\":{queue},\"topic\":{quoted_topic}}}:\
             {{\"lastUpdateTimestamp\":{},\"maxOffset\":{end},\"minOffset\":0}}",
            last.map_or(0, |entry| entry.at_ms),
        );
    }
    text.push_str("},\"topicPutTps\":0.0}");
    (text.len() <= MAX_FRAME).then_some(text)
}
