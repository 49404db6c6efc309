//! 205: an administrator takes a broker's topics out of writing, here only.

use rmq_remoting::request::{WipeWritePerm, WipeWritePermResponse};
use rmq_remoting::service::Response;

use super::{Ask, Fault, success};

pub(super) fn handle(ask: &mut Ask<'_>) -> Result<Response, Fault> {
    let header: WipeWritePerm<'_> = ask.request.header()?;
    let (count, changes) = ask.tables.wipe_write_perm(header.broker_name);
    ask.changes = changes;
    let wipe_topic_count = i32::try_from(count).unwrap_or(i32::MAX);
    Ok(success().header(WipeWritePermResponse { wipe_topic_count }))
}
