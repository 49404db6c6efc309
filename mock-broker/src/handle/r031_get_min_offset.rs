//! 31: where a queue begins. Nothing is ever deleted, so that is 0.

use super::r030_get_max_offset::Offset;
use super::{Fault, Handled, Job, success};

pub(super) fn handle(job: &Job<'_>) -> Result<Handled, Fault> {
    job.request.ext.text("topic")?;
    job.request.ext.number::<i32>("queueId")?;
    Ok(success().header(Offset(0)).into())
}
