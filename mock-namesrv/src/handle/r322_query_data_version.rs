//! 322: a broker asks whether its topics are known as they are, and shows that it lives.

use rmq_remoting::body;
use rmq_remoting::request::{QueryDataVersion, QueryDataVersionResponse};
use rmq_remoting::service::Response;
use rmq_remoting::topic::DataVersion;

use super::{Ask, Fault, success};

pub(super) fn handle(ask: &mut Ask<'_>) -> Result<Response, Fault> {
    let header: QueryDataVersion<'_> = ask.request.header()?;
    let asked: DataVersion = body::from_json(&ask.request.body)?;
    let (cluster, address) = (header.cluster_name.into(), header.broker_addr.into());
    let known = ask.tables.version(&cluster, &address);
    ask.tables.heartbeat(&cluster, &address, ask.now);
    let answer = success().header(QueryDataVersionResponse {
        changed: known != Some(asked),
    });
    Ok(match known {
        Some(version) => answer.body(body::to_json(&version)),
        None => answer,
    })
}
