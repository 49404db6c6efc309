//! 35: a client says that it leaves. Nothing is kept of clients, so there is nothing to forget.

use rmq_remoting::header::{EncodeHeader, FieldWriter};
use rmq_remoting::request::UnregisterClient;

use super::{Fault, Handled, Job, success};

/// A header without fields, which is not the same as none.
struct Empty;

impl EncodeHeader for Empty {
    fn write(&self, fields: &mut dyn FieldWriter) {
        fields.open();
    }
}

pub(super) fn handle(job: &Job<'_>) -> Result<Handled, Fault> {
    let _: UnregisterClient<'_> = job.request.header()?;
    Ok(success().header(Empty).into())
}
