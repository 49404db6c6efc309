//! 34: a client says which groups it serves.

use rmq_remoting::body;
use rmq_remoting::request::{HeartBeatResponse, HeartbeatData};

use super::{Fault, Handled, Job, success};

pub(super) fn handle(job: &Job<'_>) -> Result<Handled, Fault> {
    let data: HeartbeatData = body::from_json(&job.request.body)?;
    if !job.shared.config.profile.answers_heartbeat_v2() {
        return Ok(success().into());
    }
    let header = HeartBeatResponse {
        supports_v2: true,
        sub_changed: !data.without_sub,
    };
    Ok(success().header(header).into())
}
