//! Sends that go well, folded into one line.
//!
//! Twenty sends that succeed at their first attempt say one thing, so they get one line: which
//! they were, how long they took, and how many each broker stored. Any other line ends the fold,
//! because the order of lines is the order of events.

use rmq_producer::event::{Outcome, SendNumber};

use super::names::Names;
use super::{Columns, Glyphs, Row};
use crate::trace::history::{History, SendHistory};
use crate::trace::record::NodeId;

/// Whether a send went well at once: one attempt, a success, no fault in its way.
pub(super) fn uneventful(send: &SendHistory<'_>, history: &History<'_>) -> bool {
    let [attempt] = &send.attempts[..] else {
        return false;
    };
    let ruled = attempt
        .seen()
        .is_some_and(|index| history.requests[index].ruled.is_some());
    let well = match send.outcome() {
        Some(Outcome::Sent { code, .. }) => *code == 0,
        Some(Outcome::Written) => true,
        Some(Outcome::Failed(_)) | None => false,
    };
    well && !ruled && attempt.late.is_none() && attempt.wires.len() <= 1 && send.cancelled.is_none()
}

/// The folds that are open, one for each producer at most.
#[derive(Debug, Default)]
pub(super) struct Folds(Vec<Fold>);

#[derive(Debug)]
struct Fold {
    node: NodeId,
    ms: u64,
    first: SendNumber,
    last: SendNumber,
    count: u64,
    took: (u64, u64),
    /// One send only: where it is stored.
    place: String,
    /// Per column: requests read, messages stored.
    cells: Vec<(usize, u64, u64)>,
}

impl Folds {
    /// Takes an uneventful send that is done at `ms`.
    pub(super) fn add(
        &mut self,
        send: &SendHistory<'_>,
        ms: u64,
        history: &History<'_>,
        (names, columns): (&Names<'_>, &Columns),
    ) {
        let took = ms - send.called.ms;
        let place = match send.outcome() {
            Some(Outcome::Sent { at, offset, .. }) => {
                format!(" {}/{}@{offset}", names.broker(&at.broker), at.queue)
            }
            _ => " one-way".to_owned(),
        };
        let index = match self.0.iter().position(|fold| fold.node == send.node) {
            Some(index) => index,
            None => {
                self.0.push(Fold {
                    node: send.node,
                    ms,
                    first: send.number,
                    last: send.number,
                    count: 0,
                    took: (took, took),
                    place,
                    cells: Vec::new(),
                });
                self.0.len() - 1
            }
        };
        let fold = &mut self.0[index];
        fold.count += 1;
        fold.first = fold.first.min(send.number);
        fold.last = fold.last.max(send.number);
        fold.took = (fold.took.0.min(took), fold.took.1.max(took));
        for request in send.requests.iter().map(|index| &history.requests[*index]) {
            let Some(column) = columns.find(request.broker) else {
                continue;
            };
            let stored = u64::from(request.stored.is_some());
            match fold.cells.iter_mut().find(|cell| cell.0 == column) {
                Some(cell) => (cell.1, cell.2) = (cell.1 + 1, cell.2 + stored),
                None => fold.cells.push((column, 1, stored)),
            }
        }
    }

    pub(super) fn flush(&mut self, rows: &mut Vec<Row>, names: &Names<'_>) {
        rows.extend(self.0.drain(..).map(|fold| fold.row(names)));
    }
}

impl Fold {
    fn row(self, names: &Names<'_>) -> Row {
        let Fold {
            first,
            last,
            count,
            took,
            ..
        } = self;
        let who = names.who(self.node);
        let took = match took {
            (least, most) if least == most => format!("{least}ms"),
            (least, most) => format!("{least}-{most}ms"),
        };
        let text = if count == 1 {
            format!("{who}s{first} ok{}   {took}", self.place)
        } else if last.get() - first.get() + 1 == count {
            format!("{who}s{first}-s{last} ok   {took} each")
        } else {
            format!("{who}{count} of s{first}-s{last} ok   {took} each")
        };
        let mut row = Row::new(self.ms, text);
        for (column, seen, stored) in self.cells {
            row = row.glyphs(Some(column), Glyphs::Folded { seen, stored });
        }
        row
    }
}
