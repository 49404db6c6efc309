//! The scenario file as TOML has it, key by key, before anything is checked.
//!
//! `serde` refuses what is no scenario at all (an unknown key, a word where a number belongs).
//! What only makes sense together is the business of [`check`](super::check); the values it may
//! have to complain about keep their place in the text.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

use super::Bound;
use super::value::{At, Code, Codes, Jump, Ms, Places, Times};

/// The version of the format; files of format 1 are translated as they are read.
pub(super) const FORMAT: i64 = 2;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct File {
    pub(super) format: Spanned<i64>,
    pub(super) seconds: Spanned<u64>,
    pub(super) cluster: Spanned<Cluster>,
    #[serde(default)]
    pub(super) network: Network,
    #[serde(default)]
    pub(super) producer: BTreeMap<String, Spanned<Producer>>,
    #[serde(default)]
    pub(super) workload: Vec<Spanned<Workload>>,
    #[serde(default)]
    pub(super) fault: Vec<Spanned<Fault>>,
    pub(super) liveness: Option<Spanned<Ms>>,
    #[serde(default)]
    pub(super) expect: Expect,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Cluster {
    pub(super) name_servers: Option<Spanned<u32>>,
    pub(super) brokers: Spanned<Vec<Spanned<String>>>,
    pub(super) profile: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) topics: BTreeMap<String, Spanned<i32>>,
    #[serde(default)]
    pub(super) only_on: BTreeMap<String, Spanned<Vec<String>>>,
    #[serde(default)]
    pub(super) without_master: Vec<Spanned<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Network {
    pub(super) latency: Option<Spanned<Latency>>,
    pub(super) ready_order: Option<Spanned<String>>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Latency {
    pub(crate) ms: Ms,
    pub(crate) jitter: Option<Ms>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Producer {
    pub(super) policy: Option<Spanned<String>>,
    pub(super) group: Option<String>,
    pub(super) timeout: Option<Spanned<Ms>>,
    pub(super) retries: Option<Spanned<u32>>,
    pub(super) first_queue: Option<u32>,
    pub(super) first_name_server: Option<Spanned<u32>>,
    pub(super) id_constant: Option<Spanned<u32>>,
    pub(super) first_opaque: Option<Spanned<i32>>,
    pub(super) first_message: Option<Spanned<u16>>,
    pub(super) fault_tolerance: Option<bool>,
    pub(super) stop: Option<Spanned<Ms>>,
    pub(super) dropped: Option<Spanned<bool>>,
    pub(super) client: Option<Spanned<String>>,
    pub(super) changes: Option<Spanned<toml::Table>>,
    pub(super) max_open_sends: Option<u32>,
    pub(super) max_open_bytes: Option<u32>,
    pub(super) when_full: Option<Spanned<String>>,
    pub(super) namespace: Option<Spanned<String>>,
    pub(super) namespace_v2: Option<Spanned<String>>,
    pub(super) hooks: Option<Spanned<String>>,
    pub(super) forbids: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Workload {
    pub(super) producer: Spanned<String>,
    pub(super) topic: Spanned<String>,
    pub(super) mode: Option<Spanned<String>>,
    pub(super) sends: Spanned<u64>,
    pub(super) every: Option<Spanned<Ms>>,
    pub(super) start: Option<Spanned<Ms>>,
    pub(super) body: Option<Spanned<usize>>,
    pub(super) queue: Option<Spanned<TargetQueue>>,
    pub(super) keys: Option<Spanned<u32>>,
    pub(super) callers: Option<Spanned<u32>>,
    pub(super) drop_after: Option<Spanned<Ms>>,
    pub(super) callback: Option<Spanned<String>>,
    pub(super) select: Option<Spanned<String>>,
    pub(super) timeout: Option<Spanned<Ms>>,
    pub(super) tag: Option<String>,
    pub(super) delay_level: Option<Spanned<u32>>,
    pub(super) flag: Option<i32>,
    pub(super) property: Option<String>,
    pub(super) waits_stored: Option<bool>,
    pub(super) own_ids: Option<bool>,
}

/// `{ broker = "broker-a", id = 1 }`, or with the topic that it is a queue of
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct TargetQueue {
    pub(super) broker: String,
    pub(super) id: i32,
    pub(super) topic: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Fault {
    #[serde(rename = "do")]
    pub(crate) kind: Spanned<String>,
    pub(crate) on: Spanned<Places>,
    pub(crate) at: Option<Spanned<At>>,
    #[serde(rename = "for")]
    pub(crate) lasts: Option<Spanned<Ms>>,
    pub(crate) may_miss: Option<bool>,
    // Processes.
    pub(crate) data: Option<Spanned<String>>,
    pub(crate) address: Option<Spanned<String>>,
    pub(crate) step: Option<Spanned<Ms>>,
    pub(crate) without: Option<Spanned<String>>,
    pub(crate) instead: Option<Spanned<String>>,
    pub(crate) queues: Option<Spanned<i32>>,
    // Links.
    pub(crate) latency: Option<Spanned<Latency>>,
    pub(crate) bytes_per_ms: Option<Spanned<u64>>,
    pub(crate) bytes: Option<Spanned<u64>>,
    pub(crate) byte: Option<Spanned<u64>>,
    /// Of a link's loss, or the chance of a rule.
    pub(crate) per_mille: Option<Spanned<u32>>,
    // Rules.
    pub(crate) request: Option<Spanned<Codes>>,
    pub(crate) topic: Option<Spanned<String>>,
    pub(crate) queue: Option<Spanned<i32>>,
    pub(crate) times: Option<Spanned<Times>>,
    pub(crate) code: Option<Spanned<Code>>,
    pub(crate) remark: Option<Spanned<String>>,
    /// Of a delay, or the jump of a clock.
    pub(crate) by: Option<Spanned<Jump>>,
    pub(crate) jitter: Option<Spanned<Ms>>,
    pub(crate) since: Option<Spanned<String>>,
    pub(crate) broker: Option<Spanned<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Expect {
    pub(super) ok: Option<Bound>,
    pub(super) failed: Option<Bound>,
    pub(super) attempts: Option<Bound>,
    pub(super) max_attempts: Option<Bound>,
    pub(super) max_send_ms: Option<Bound>,
    pub(super) copies: Option<Bound>,
    pub(super) stored: Option<Bound>,
    pub(super) hedged: Option<Bound>,
}
