//! 17: an administrator creates or changes a topic.

use std::sync::Arc;

use rmq_remoting::code::response;
use rmq_remoting::observe::Name;
use rmq_remoting::request::UpdateAndCreateTopic;
use rmq_remoting::topic::{SINGLE_TAG, TopicConfig};

use super::{Done, Fault, Handled, Job, success_unremarked};
use crate::admit::{self, Refusal};
use crate::attributes;
use crate::event::Event;

pub(super) fn handle(job: &Job<'_>) -> Result<Handled, Fault> {
    let header: UpdateAndCreateTopic<'_> = job.request.header()?;
    let shared = job.shared;
    let profile = shared.config.profile;
    admit::topic_name(header.topic, profile)?;
    let mut topic = TopicConfig {
        write_queue_nums: header.write_queue_nums,
        topic_filter_type: header.topic_filter_type.unwrap_or(SINGLE_TAG).into(),
        topic_sys_flag: header.topic_sys_flag.unwrap_or(0),
        order: header.order,
        ..TopicConfig::new(header.topic.into(), header.read_queue_nums, header.perm)
    };
    let mut contents = shared.disk.contents();
    let topics = contents.topics.get_or_insert_default();
    if topics.is_system(header.topic) {
        return Err(system_topic(job, header.topic).into());
    }
    let known = topics.get(header.topic);
    let new = known.is_none();
    if profile.is_5() {
        let before = known.map(|known| &known.attributes);
        let change = header.attributes.unwrap_or_default();
        topic.attributes = attributes::changed(before, change)
            .map_err(|remark| Refusal::new(response::SYSTEM_ERROR, remark))?;
    }
    let changed = topics.put(topic.clone(), shared.host.unix_millis());
    drop(contents);
    if new {
        shared.emit(Event::TopicCreated {
            topic: Name::clone(&topic.topic_name),
            write_queues: topic.write_queue_nums,
            automatic: false,
        });
    }
    if !changed {
        return Ok(success_unremarked().into());
    }
    let registrar = Arc::clone(&shared.registrar);
    Ok(Handled::Later(Box::pin(async move {
        registrar.make_known(&topic).await;
        Done::plain(success_unremarked())
    })))
}

/// A topic that belongs to the broker itself cannot be created or deleted.
pub(super) fn system_topic(job: &Job<'_>, topic: &str) -> Refusal {
    let remark = format!("The topic[{topic}] is conflict with system topic.");
    Refusal::new(job.shared.config.profile.invalid_parameter(), remark)
}
