//! 216: an administrator removes a topic, here only.

use rmq_remoting::request::DeleteTopicInNamesrv;
use rmq_remoting::service::Response;

use super::{Ask, Fault, success};

pub(super) fn handle(ask: &mut Ask<'_>) -> Result<Response, Fault> {
    let header: DeleteTopicInNamesrv<'_> = ask.request.header()?;
    ask.changes = ask.tables.delete_topic(header.topic, header.cluster_name);
    Ok(success())
}
