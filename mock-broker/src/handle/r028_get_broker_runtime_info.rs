//! 28: a tool asks how the broker is doing. Figures a mock has not are given as at rest.

use std::collections::BTreeMap;

use rmq_remoting::body::{self, KvTable};
use rmq_remoting::observe::Name;

use super::{Fault, Handled, Job, success};

/// Figures that never move here.
const AT_REST: [(&str, &str); 17] = [
    ("brokerActive", "true"),
    ("putTps", "0.0 0.0 0.0"),
    ("getTransferredTps", "0.0 0.0 0.0"),
    ("sendThreadPoolQueueSize", "0"),
    ("pullThreadPoolQueueSize", "0"),
    ("ackThreadPoolQueueSize", "0"),
    ("sendThreadPoolQueueHeadWaitTimeMills", "0"),
    ("pullThreadPoolQueueHeadWaitTimeMills", "0"),
    ("queryThreadPoolQueueHeadWaitTimeMills", "0"),
    ("ackThreadPoolQueueHeadWaitTimeMills", "0"),
    ("pageCacheLockTimeMills", "0"),
    ("commitLogDiskRatio", "0.1"),
    ("timerReadBehind", "0"),
    ("timerOffsetBehind", "0"),
    ("timerCongestNum", "0"),
    ("timerEnqueueTps", "0.0"),
    ("timerDequeueTps", "0.0"),
];

pub(super) fn handle(job: &Job<'_>) -> Result<Handled, Fault> {
    let shared = job.shared;
    let at_rest = AT_REST
        .iter()
        .map(|(key, value)| (Name::from(*key), (*value).to_owned()));
    let mut table: BTreeMap<Name, String> = at_rest.collect();
    let (count, earliest) = shared.disk.with_ledger(|ledger| {
        let entries = ledger.entries();
        (
            entries.len(),
            entries
                .first()
                .map_or(shared.started_ms, |entry| entry.at_ms),
        )
    });
    let profile = shared.config.profile;
    let release = format!("V{}", profile.release().replace('.', "_"));
    table.insert("brokerVersionDesc".into(), release);
    table.insert("brokerVersion".into(), profile.version().to_string());
    table.insert("bootTimestamp".into(), shared.started_ms.to_string());
    table.insert("earliestMessageTimeStamp".into(), earliest.to_string());
    table.insert("msgPutTotalTodayNow".into(), count.to_string());
    Ok(success().body(body::to_json(&KvTable { table })).into())
}
