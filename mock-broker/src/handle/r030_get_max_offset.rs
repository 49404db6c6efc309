//! 30: where a queue ends.

use rmq_remoting::header::{EncodeHeader, FieldWriter};
use rmq_remoting::observe::Name;

use super::{Fault, Handled, Job, success};

/// An offset as an answer.
pub(super) struct Offset(pub(super) i64);

impl EncodeHeader for Offset {
    fn write(&self, fields: &mut dyn FieldWriter) {
        fields.int("offset", self.0);
    }
}

pub(super) fn handle(job: &Job<'_>) -> Result<Handled, Fault> {
    let topic = Name::from(job.request.ext.text("topic")?);
    let queue = job.request.ext.number("queueId")?;
    let end = job
        .shared
        .disk
        .with_ledger(|ledger| ledger.next_offset(&topic, queue));
    Ok(success().header(Offset(end)).into())
}
