//! 219: an administrator asks for all values of a namespace.

use rmq_remoting::body;
use rmq_remoting::code::response;
use rmq_remoting::request::GetKvList;
use rmq_remoting::service::Response;

use super::{Ask, Fault, must_fit, pairs, success};

pub(super) fn handle(ask: &mut Ask<'_>) -> Result<Response, Fault> {
    let GetKvList { namespace } = ask.request.header()?;
    Ok(match ask.tables.kv.list(namespace) {
        Some(table) => {
            must_fit(pairs(table))?;
            success().body(body::to_json(&table))
        }
        None => {
            let remark = format!("No config item, Namespace: {namespace}");
            Response::refuse(response::QUERY_NOT_FOUND, remark)
        }
    })
}
