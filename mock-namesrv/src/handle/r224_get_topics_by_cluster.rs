//! 224: a tool asks for the topics of a cluster.

use rmq_remoting::request::GetTopicsByCluster;
use rmq_remoting::service::Response;

use super::r206_get_all_topic_list_from_nameserver::topic_list;
use super::{Ask, Fault};

pub(super) fn handle(ask: &mut Ask<'_>) -> Result<Response, Fault> {
    let header: GetTopicsByCluster<'_> = ask.request.header()?;
    topic_list(ask.tables.topics_of_cluster(header.cluster))
}
