//! Checks when a fault starts.

use std::ops::Range;

use toml::Spanned;

use super::rule::request_code;
use super::{MAX_SECONDS, Nodes};
use crate::fault::{FaultKind, Place, Position};
use crate::scenario::Workload;
use crate::scenario::error::ScenarioError;
use crate::scenario::value::{At, Code, Logical, Ms};

/// What a position is checked against.
pub(super) struct Frame<'a> {
    pub(super) nodes: &'a Nodes<'a>,
    pub(super) seconds: u64,
    pub(super) workloads: &'a [Workload],
}

impl Frame<'_> {
    /// Checks a position; without one, the fault is there from the start.
    pub(super) fn position(
        &self,
        kind: &FaultKind,
        place: &Place,
        raw: Option<Spanned<At>>,
    ) -> Result<Position, ScenarioError> {
        let Some(raw) = raw else {
            return Ok(Position::Time { ms: 0 });
        };
        let at = raw.span();
        match raw.into_inner() {
            At::Time(ms) if ms.0 < self.seconds * 1_000 => Ok(Position::Time { ms: ms.0 }),
            At::Time(ms) => Err(self.error(
                at,
                format!(
                    "the fault would start at {} ms, and the run ends at {} s",
                    ms.0, self.seconds
                ),
                "start it earlier, or raise seconds",
            )),
            At::Logical(logical) => self.logical(kind, place, logical, at),
        }
    }

    fn error(&self, at: Range<usize>, what: impl Into<String>, remedy: &str) -> ScenarioError {
        self.nodes.source.error(at, what, remedy)
    }

    fn logical(
        &self,
        kind: &FaultKind,
        place: &Place,
        raw: Logical,
        at: Range<usize>,
    ) -> Result<Position, ScenarioError> {
        match raw {
            Logical {
                received: Some(code),
                n,
                stored: None,
                send: None,
                attempt: None,
                workload: None,
                sends: None,
                after: None,
            } => self.at_request(place, code, n, at),
            Logical {
                stored: Some(n),
                received: None,
                n: None,
                send: None,
                attempt: None,
                workload: None,
                sends: None,
                after: None,
            } => self.at_stored((kind, place), n, at),
            Logical {
                send: Some(send),
                attempt,
                workload,
                sends,
                after,
                received: None,
                n: None,
                stored: None,
            } => {
                let is_rule = matches!(kind, FaultKind::Rule(_));
                if after.is_some() && is_rule {
                    return Err(self.error(
                        at,
                        "a rule waits for the request itself, and not for a time after its start",
                        "remove after; the kind \"delay\" makes an answer late",
                    ));
                }
                if sends.is_some() && !is_rule {
                    return Err(self.error(
                        at,
                        "only a rule is about several sends",
                        "remove sends, or write how long the fault lasts: for = \"2s\"",
                    ));
                }
                self.at_send((send, sends), attempt, workload.unwrap_or(1), (after, at))
            }
            _ => Err(self.error(
                at,
                "this position mixes forms that do not go together",
                "write { received = \"SEND_MESSAGE_V2\", n = 5 }, { stored = 20 } or { send = 21, attempt = 1 }",
            )),
        }
    }

    /// At a request that a server reads.
    fn at_request(
        &self,
        place: &Place,
        code: Code,
        n: Option<u64>,
        at: Range<usize>,
    ) -> Result<Position, ScenarioError> {
        if !matches!(place, Place::Node(node) if self.nodes.is_server(node)) {
            return Err(self.error(
                at,
                "only a fault on a broker or name server can wait for a request there",
                "use a time, or { send = 1, attempt = 1 }",
            ));
        }
        let n = self.counted(n.unwrap_or(1), &at)?;
        let code = request_code(self.nodes, Spanned::new(at, code))?;
        Ok(Position::Received { code, n })
    }

    /// At a message that a broker stores.
    fn at_stored(
        &self,
        (kind, place): (&FaultKind, &Place),
        n: u64,
        at: Range<usize>,
    ) -> Result<Position, ScenarioError> {
        let own_broker = matches!(place, Place::Node(node) if self.nodes.is_broker(node));
        if !own_broker || matches!(kind, FaultKind::Rule(_)) {
            return Err(self.error(
                at,
                "only a fault of a whole broker can wait for what it stored",
                "use { received = \"SEND_MESSAGE_V2\", n = 1 }, or a time",
            ));
        }
        let n = self.counted(n, &at)?;
        Ok(Position::Stored { n })
    }

    fn counted(&self, n: u64, at: &Range<usize>) -> Result<u64, ScenarioError> {
        if n > 0 {
            return Ok(n);
        }
        Err(self.error(at.clone(), "counting starts at 1", "write 1 or more"))
    }

    fn at_send(
        &self,
        (send, sends): (u64, Option<u64>),
        attempt: Option<u32>,
        workload: u32,
        (after, at): (Option<Ms>, Range<usize>),
    ) -> Result<Position, ScenarioError> {
        let planned = usize::try_from(workload)
            .ok()
            .and_then(|number| number.checked_sub(1))
            .and_then(|index| self.workloads.get(index));
        let Some(planned) = planned else {
            return Err(self.error(
                at,
                format!("there is no workload {workload}"),
                "workloads are numbered from 1 in the order of the file",
            ));
        };
        let sends = sends.unwrap_or(1);
        let last = send.saturating_add(sends).saturating_sub(1);
        if send == 0 || sends == 0 || last > planned.sends || attempt == Some(0) {
            return Err(self.error(
                at,
                format!(
                    "workload {workload} never makes this attempt: it has {} sends",
                    planned.sends
                ),
                "sends and attempts are numbered from 1",
            ));
        }
        let after_ms = after.map_or(0, |after| after.0);
        if after_ms > MAX_SECONDS * 1_000 {
            return Err(self.error(
                at,
                format!("the fault would start {after_ms} ms after an attempt"),
                "no attempt takes so long: write a shorter time",
            ));
        }
        Ok(Position::Send {
            workload,
            send,
            attempt,
            sends,
            after_ms,
        })
    }
}
