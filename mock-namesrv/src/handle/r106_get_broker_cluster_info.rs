//! 106: a tool asks for all brokers and clusters.

use rmq_remoting::observe::Name;
use rmq_remoting::route::ClusterInfo;
use rmq_remoting::service::Response;

use super::{Ask, Fault, group_texts, must_fit, success};

pub(super) fn handle(ask: &mut Ask<'_>) -> Result<Response, Fault> {
    must_fit(ask.tables.groups().values().map(group_texts))?;
    let clusters = ask.tables.clusters().iter();
    let info = ClusterInfo {
        broker_addr_table: ask.tables.groups().clone(),
        cluster_addr_table: clusters
            .map(|(cluster, brokers)| (Name::clone(cluster), brokers.iter().cloned().collect()))
            .collect(),
    };
    Ok(success().body(info.encode()))
}
