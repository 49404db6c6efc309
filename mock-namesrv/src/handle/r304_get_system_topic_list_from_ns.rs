//! 304: a tool asks for the names that stand for clusters and brokers, and for one broker's address.

use rmq_remoting::body;
use rmq_remoting::observe::Name;
use rmq_remoting::service::Response;
use serde::Serialize;

use super::{Ask, Fault, must_fit, success};

/// The body of the answer: the names of the topics, and the address of a broker.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct SystemTopics<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    broker_addr: Option<&'a Name>,
    topic_list: Vec<&'a Name>,
}

pub(super) fn handle(ask: &mut Ask<'_>) -> Result<Response, Fault> {
    let clusters = ask.tables.clusters().iter();
    let mut groups = ask.tables.groups().values();
    let list = SystemTopics {
        broker_addr: groups.find_map(|group| group.broker_addrs.values().next()),
        topic_list: clusters
            .flat_map(|(name, brokers)| brokers.iter().chain([name]))
            .collect(),
    };
    must_fit(list.topic_list.iter().map(|name| name.len() + 3))?;
    Ok(success().body(body::to_json(&list)))
}
