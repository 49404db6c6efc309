//! The keys of one fault of a file, as its kind reads them.

use std::ops::Range;

use rmq_remoting::observe::Name;
use toml::Spanned;

use super::rule::{LATEST_MS, response_code};
use super::{Nodes, duration, latency_range, within};
use crate::fault::Place;
use crate::fault::rule::Since;
use crate::scenario::error::ScenarioError;
use crate::scenario::file;
use crate::scenario::value::{At, Logical, Ms};
use crate::trace::NodeKind;

/// The keys of one fault. Each of them belongs to the fault's kind: others were refused before.
#[derive(Debug)]
pub(crate) struct FaultKeys<'a> {
    pub(super) nodes: &'a Nodes<'a>,
    /// As the file has them.
    pub(crate) raw: &'a file::Fault,
    pub(super) whole: &'a Range<usize>,
    pub(super) place: &'a Place,
}

impl FaultKeys<'_> {
    /// The error of a value that stands at `at`, and what to write instead.
    pub(crate) fn error(
        &self,
        at: Range<usize>,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) -> ScenarioError {
        self.nodes.source.error(at, what, remedy)
    }

    /// The value of a key that the kind cannot do without, or the advice to add it in this form.
    pub(crate) fn get<T: Clone>(
        &self,
        value: &Option<Spanned<T>>,
        key: &str,
        form: &str,
    ) -> Result<Spanned<T>, ScenarioError> {
        value.clone().ok_or_else(|| {
            self.error(
                self.whole.clone(),
                format!(
                    "the fault \"{}\" needs the key \"{key}\"",
                    self.raw.kind.get_ref()
                ),
                format!("add {key} = {form}"),
            )
        })
    }

    /// A duration, from 1 ms.
    pub(crate) fn duration(
        &self,
        value: &Option<Spanned<Ms>>,
        (what, key, form): (&str, &str, &str),
        most: u64,
    ) -> Result<u64, ScenarioError> {
        let value = self.get(value, key, form)?;
        duration(self.nodes.source, what, &value, 1, most)
    }

    /// A number within bounds.
    pub(crate) fn number<T: Copy + Ord + std::fmt::Display>(
        &self,
        value: &Option<Spanned<T>>,
        (key, form): (&str, &str),
        least: T,
        most: T,
    ) -> Result<T, ScenarioError> {
        let value = self.get(value, key, form)?;
        within(self.nodes.source, key, &value, least, most)
    }

    /// `byte`: of a link, from 0; the first one unless given.
    pub(crate) fn byte(&self) -> Result<u64, ScenarioError> {
        match (&self.raw.byte, self.place) {
            (None, _) => Ok(0),
            (Some(byte), Place::Link { .. }) => Ok(*byte.get_ref()),
            (Some(byte), Place::Node(_) | Place::Pair { .. }) => Err(self.error(
                byte.span(),
                "bytes are counted along one direction",
                "remove byte, or name one direction, like \"p1 -> broker-a\"",
            )),
        }
    }

    /// `latency`: milliseconds, and how many more.
    pub(crate) fn latency(&self) -> Result<(u64, u64), ScenarioError> {
        let latency = self.get(&self.raw.latency, "latency", "{ ms = 200 }")?;
        latency_range(self.nodes.source, &latency)
    }

    /// `code`: of a response.
    pub(crate) fn response_code(&self) -> Result<i32, ScenarioError> {
        let code = self.get(&self.raw.code, "code", "\"SYSTEM_BUSY\"")?;
        response_code(self.nodes, code)
    }

    /// `by`: how late an answer or a request is.
    pub(crate) fn late(&self) -> Result<u64, ScenarioError> {
        let by = self.get(&self.raw.by, "by", "\"1200ms\"")?;
        let ms = by.get_ref().0;
        match u64::try_from(ms) {
            Ok(ms) if (1..=LATEST_MS).contains(&ms) => Ok(ms),
            _ => Err(self.error(
                by.span(),
                format!("a delay cannot be {ms} ms"),
                format!("write a duration from \"1ms\" to \"{LATEST_MS}ms\""),
            )),
        }
    }

    /// `jitter`: at most so much later; 0 unless given.
    pub(crate) fn jitter(&self) -> Result<u64, ScenarioError> {
        match &self.raw.jitter {
            Some(jitter) => duration(self.nodes.source, "jitter", jitter, 0, LATEST_MS),
            None => Ok(0),
        }
    }

    /// `since`: what the delay of an answer counts from.
    pub(crate) fn since(&self) -> Result<Since, ScenarioError> {
        let Some(since) = &self.raw.since else {
            return Ok(Since::Received);
        };
        let waits_for_send = matches!(
            self.raw.at.as_ref().map(Spanned::get_ref),
            Some(At::Logical(Logical { send: Some(_), .. }))
        );
        match since.get_ref().as_str() {
            "received" => Ok(Since::Received),
            "attempt" if waits_for_send => Ok(Since::Attempt),
            "attempt" => Err(self.error(
                since.span(),
                "the start of an attempt is known only of the sends that a fault waits for",
                "add at = { send = 1, sends = 20 }, or remove since",
            )),
            other => Err(self.error(
                since.span(),
                format!("no delay counts from \"{other}\""),
                "write \"received\" or \"attempt\"",
            )),
        }
    }

    /// The name of a node that there is.
    pub(crate) fn known_node(&self, raw: &Spanned<String>) -> Result<Name, ScenarioError> {
        let name = raw.get_ref().as_str();
        self.nodes.known(name, raw.span())?;
        Ok(Name::from(name))
    }

    /// What a node is.
    pub(crate) fn kind_of(&self, node: &str) -> Option<NodeKind> {
        self.nodes.kind(node)
    }
}
