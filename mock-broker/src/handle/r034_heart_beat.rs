//! 34: a client says which groups it serves, and by that that it lives.

use rmq_remoting::body;
use rmq_remoting::request::{HeartBeatResponse, HeartbeatData};

use tokio::time::Instant;

use super::{Fault, Handled, Job, success};
use crate::clients::expiry;

pub(super) fn handle(job: &Job<'_>) -> Result<Handled, Fault> {
    let data: HeartbeatData = body::from_json(&job.request.body)?;
    if !(data.producer_data_set.is_empty() && data.consumer_data_set.is_empty()) {
        let shared = job.shared;
        let patience = shared.config.client_expiry;
        let expiry = expiry(shared.started, Instant::now(), patience);
        job.peer.expire_at(expiry);
    }
    if !job.shared.config.profile.answers_heartbeat_v2() {
        return Ok(success().into());
    }
    let header = HeartBeatResponse {
        supports_v2: true,
        sub_changed: !data.without_sub,
    };
    Ok(success().header(header).into())
}
