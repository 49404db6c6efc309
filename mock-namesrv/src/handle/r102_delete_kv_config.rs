//! 102: an administrator removes a value.

use rmq_remoting::request::DeleteKvConfig;
use rmq_remoting::service::Response;

use super::{Ask, Fault, success};

pub(super) fn handle(ask: &mut Ask<'_>) -> Result<Response, Fault> {
    let header: DeleteKvConfig<'_> = ask.request.header()?;
    ask.tables.kv.delete(header.namespace, header.key);
    Ok(success())
}
