//! 101: an administrator asks for a value.

use rmq_remoting::code::response;
use rmq_remoting::request::{GetKvConfig, GetKvConfigResponse};
use rmq_remoting::service::Response;

use super::{Ask, Fault, success};

pub(super) fn handle(ask: &mut Ask<'_>) -> Result<Response, Fault> {
    let GetKvConfig { namespace, key } = ask.request.header()?;
    let value = ask
        .tables
        .kv
        .get(namespace, key)
        .map(|value| value.to_owned().into());
    let answer = if value.is_some() {
        success()
    } else {
        let remark = format!("No config item, Namespace: {namespace} Key: {key}");
        Response::refuse(response::QUERY_NOT_FOUND, remark)
    };
    Ok(answer.header(GetKvConfigResponse { value }))
}
