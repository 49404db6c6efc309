//! 100: an administrator sets a value.

use rmq_remoting::request::PutKvConfig;
use rmq_remoting::service::Response;

use super::{Ask, Fault, success};

pub(super) fn handle(ask: &mut Ask<'_>) -> Result<Response, Fault> {
    let header: PutKvConfig<'_> = ask.request.header()?;
    let texts = [header.namespace, header.key, header.value];
    if !ask.tables.charge(ask.channel, texts) {
        return Err(Fault::TooMuch);
    }
    ask.tables.kv.put(
        header.namespace.into(),
        header.key.into(),
        header.value.into(),
    );
    Ok(success())
}
