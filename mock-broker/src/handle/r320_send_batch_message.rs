//! 320: usually several messages. Not the code but a field of the header decides that.

use super::{Fault, Handled, Job, send};

pub(super) fn handle(job: &Job<'_>) -> Result<Handled, Fault> {
    send::send(job)
}
