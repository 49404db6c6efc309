//! 104: a broker leaves.

use rmq_remoting::request::UnregisterBroker;
use rmq_remoting::service::Response;

use super::{Ask, Fault, Leaving, success};
use crate::event::RemovalCause;

pub(super) fn handle(ask: &mut Ask<'_>) -> Result<Response, Fault> {
    let header: UnregisterBroker<'_> = ask.request.header()?;
    let leaving = Leaving {
        cluster: header.cluster_name.into(),
        broker: header.broker_name.into(),
        address: header.broker_addr.into(),
    };
    if ask.profile.is_5() {
        // Answered at once, applied a moment later.
        ask.leaving = Some(leaving);
    } else {
        let Leaving {
            cluster,
            broker,
            address,
        } = &leaving;
        let cause = RemovalCause::Unregistered;
        ask.changes = ask.tables.unregister(cluster, broker, address, cause);
    }
    Ok(success())
}
