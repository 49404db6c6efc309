//! 901: a broker asks who shares its name.

use rmq_remoting::observe::Name;
use rmq_remoting::route::BrokerData;
use rmq_remoting::service::Response;

use super::{Ask, Fault, group_texts, must_fit, success};

pub(super) fn handle(ask: &mut Ask<'_>) -> Result<Response, Fault> {
    let cluster: Name = ask.request.ext.text("clusterName")?.into();
    let name: Name = ask.request.ext.text("brokerName")?.into();
    let group = ask.tables.groups().get(&name).cloned();
    let group = group.unwrap_or_else(|| BrokerData {
        broker_name: name,
        cluster,
        ..BrokerData::default()
    });
    must_fit([group_texts(&group)].into_iter())?;
    // A real server sets the code and forgets the remark.
    Ok(success()
        .remark("not set any response code")
        .body(body(&group)))
}

/// Always with bare ids, and shorter than a route's broker, so no ready writer fits.
fn body(group: &BrokerData) -> String {
    let quoted = |text: &Name| serde_json::Value::from(&**text).to_string();
    let entry = |(id, address): (&i64, &Name)| format!("{id}:{}", quoted(address));
    let addresses: Vec<String> = group.broker_addrs.iter().map(entry).collect();
    format!(
        "{{\"brokerMemberGroup\":{{\"brokerAddrs\":{{{}}},\"brokerName\":{},\"cluster\":{}}}}}",
        addresses.join(","),
        quoted(&group.broker_name),
        quoted(&group.cluster),
    )
}
