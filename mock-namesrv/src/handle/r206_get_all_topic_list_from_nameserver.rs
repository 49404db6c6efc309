//! 206: a tool asks for the names of all topics.

use rmq_remoting::body;
use rmq_remoting::observe::Name;
use rmq_remoting::request::TopicList;
use rmq_remoting::service::Response;

use super::{Ask, Fault, must_fit, success};

pub(super) fn handle(ask: &mut Ask<'_>) -> Result<Response, Fault> {
    topic_list(ask.tables.topics())
}

/// Names of topics as an answer.
pub(super) fn topic_list<'a>(topics: impl Iterator<Item = &'a Name>) -> Result<Response, Fault> {
    let topic_list: Vec<Name> = topics.cloned().collect();
    // Each with its quotes and comma.
    must_fit(topic_list.iter().map(|topic| topic.len() + 3))?;
    Ok(success().body(body::to_json(&TopicList { topic_list })))
}
