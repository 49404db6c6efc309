//! What happened in a run, in one list, and the views of it.
//!
//! A run's only memory is its trace. Checkers read it, digests fold it, people read its short form;
//! nothing looks into a component to find out what it did. That is what makes a run repeatable,
//! comparable and explainable from a file.
//!
//! - [`record`]: the list itself: who did what, when, and the header of facts about the run.
//! - `recorder`: the observers that fill it while the run goes on.
//! - [`digest`]: one number for a whole run.
//! - `history`: the records joined into sends, attempts, requests, lookups and connections.
//! - [`short`]: the trace for people.
//! - [`wire`]: what brokers saw, for comparing clients and engines.
//! - [`json`]: the trace for programs.
//! - [`diverge`]: where two traces part, by record; `by_send`: by send.

pub(crate) mod by_send;
pub mod digest;
pub mod diverge;
pub(crate) mod history;
pub mod json;
pub mod record;
mod recorder;
pub mod short;
pub mod wire;
pub(crate) mod work;

pub use digest::{Digest, Digester};
pub use record::{
    AttemptSaid, ErrorSaid, Form, HedgingFacts, IsolationFacts, NodeEvent, NodeId, NodeInfo,
    NodeKind, PatienceFacts, PolicyFacts, Trace, TraceEnd, TraceHeader, TraceRecord,
    UnfinishedTask, WorkEvent, WorkResult,
};
pub use recorder::Recorder;
