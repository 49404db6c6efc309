//! 10: a message under long field names.

use super::{Fault, Handled, Job, send};

pub(super) fn handle(job: &Job<'_>) -> Result<Handled, Fault> {
    send::send(job)
}
