//! 327: an administrator puts a broker's topics back into writing, here only.

use rmq_remoting::request::{AddWritePerm, AddWritePermResponse};
use rmq_remoting::service::Response;

use super::{Ask, Fault, success};

pub(super) fn handle(ask: &mut Ask<'_>) -> Result<Response, Fault> {
    let header: AddWritePerm<'_> = ask.request.header()?;
    let (count, changes) = ask.tables.add_write_perm(header.broker_name);
    ask.changes = changes;
    let add_topic_count = i32::try_from(count).unwrap_or(i32::MAX);
    Ok(success().header(AddWritePermResponse { add_topic_count }))
}
