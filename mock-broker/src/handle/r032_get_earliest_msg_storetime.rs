//! 32: when the first message of a queue was stored, in Unix milliseconds; -1 for an empty queue.

use rmq_remoting::header::{EncodeHeader, FieldWriter};
use rmq_remoting::observe::Name;

use super::{Fault, Handled, Job, success};

struct StoreTime(i64);

impl EncodeHeader for StoreTime {
    fn write(&self, fields: &mut dyn FieldWriter) {
        fields.int("timestamp", self.0);
    }
}

pub(super) fn handle(job: &Job<'_>) -> Result<Handled, Fault> {
    let topic = Name::from(job.request.ext.text("topic")?);
    let queue = job.request.ext.number("queueId")?;
    let earliest = job.shared.disk.with_ledger(|ledger| {
        let first = ledger.of_queue(&topic, queue, 0).next();
        first.map_or(-1, |entry| entry.at_ms)
    });
    Ok(success().header(StoreTime(earliest)).into())
}
