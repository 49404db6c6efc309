//! 35: a client says that it leaves. All that is known of it is when it would be given up; until its
//! next heartbeat nobody waits for one.

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
    job.peer.expire_at(None);
    Ok(success().header(Empty).into())
}
