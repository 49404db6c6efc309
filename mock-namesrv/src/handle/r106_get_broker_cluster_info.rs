//! 106: a tool asks for all brokers and clusters.

use rmq_remoting::observe::Name;
use rmq_remoting::route::ClusterInfo;
use rmq_remoting::service::Response;

use super::{Ask, Fault, success};

pub(super) fn handle(ask: &mut Ask<'_>) -> Result<Response, Fault> {
    let clusters = ask.tables.clusters().iter();
    let info = ClusterInfo {
        broker_addr_table: ask.tables.groups().clone(),
        cluster_addr_table: clusters
            .map(|(cluster, brokers)| (Name::clone(cluster), brokers.iter().cloned().collect()))
            .collect(),
    };
    Ok(success().body(info.encode()))
}
