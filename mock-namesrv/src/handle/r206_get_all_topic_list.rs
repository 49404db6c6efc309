//! 206: a tool asks for the names of all topics.

use rmq_remoting::body;
use rmq_remoting::observe::Name;
use rmq_remoting::request::TopicList;
use rmq_remoting::service::Response;

use super::{Ask, Fault, success};

pub(super) fn handle(ask: &mut Ask<'_>) -> Result<Response, Fault> {
    Ok(topic_list(ask.tables.topics()))
}

/// Names of topics as an answer.
pub(super) fn topic_list<'a>(topics: impl Iterator<Item = &'a Name>) -> Response {
    success().body(body::to_json(&TopicList {
        topic_list: topics.cloned().collect(),
    }))
}
