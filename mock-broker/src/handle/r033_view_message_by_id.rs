//! 33: one message by its place in the commit log.

use bytes::BytesMut;
use rmq_remoting::code::response;

use super::{Fault, Handled, Job, success};
use crate::admit::Refusal;

pub(super) fn handle(job: &Job<'_>) -> Result<Handled, Fault> {
    let offset: i64 = job.request.ext.number("offset")?;
    let mut body = BytesMut::new();
    let found = job.shared.disk.with_ledger(|ledger| {
        let entry = ledger.at_log_offset(offset);
        entry.is_some_and(|entry| entry.record().encode(&mut body).is_ok())
    });
    if !found {
        let remark = format!("can not find message by the offset, {offset}");
        return Err(Refusal::new(response::SYSTEM_ERROR, remark).into());
    }
    Ok(success().body(body.freeze()).into())
}
