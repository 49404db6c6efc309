//! 904: a broker shows that it lives. It never comes back by that.

use rmq_remoting::request::BrokerHeartbeat;
use rmq_remoting::service::Response;

use super::{Ask, Fault, success};

pub(super) fn handle(ask: &mut Ask<'_>) -> Result<Response, Fault> {
    let header: BrokerHeartbeat<'_> = ask.request.header()?;
    let (cluster, address) = (header.cluster_name.into(), header.broker_addr.into());
    ask.tables.heartbeat(&cluster, &address, ask.now);
    Ok(success())
}
