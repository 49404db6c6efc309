//! What became of each send.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use rmq_producer::event::Mode;
use rmq_producer::{SendError, Sent};

/// A send's number; its unique key is made of it.
pub(crate) type Number = u64;

/// The unique key of a send.
pub(crate) fn key(number: Number) -> String {
    format!("50AC{number:028X}")
}

/// The send of a unique key.
pub(crate) fn number(key: &str) -> Option<Number> {
    Number::from_str_radix(key.strip_prefix("50AC")?, 16).ok()
}

/// A place in a broker's ledger.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct StoredAt {
    pub(crate) broker: String,
    pub(crate) queue: i32,
    pub(crate) offset: i64,
}

/// What became of one send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// How often it has ended: once, or something is wrong.
    pub(crate) ends: u32,
    /// Where it is stored, as its answer says.
    pub(crate) stored: Option<StoredAt>,
    /// How many copies may be stored.
    pub(crate) attempts: u32,
    /// So much too late it ended, in milliseconds, beyond deadline and grace.
    pub(crate) late: Option<u64>,
}

/// Figures over all sends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Figures {
    pub(crate) sends: u64,
    pub(crate) ok: u64,
    pub(crate) failed: u64,
    pub(crate) oneway: u64,
    pub(crate) callbacks: u64,
    pub(crate) open: u64,
    /// The longest send so far, in milliseconds.
    pub(crate) longest: u64,
}

/// The outcomes of all sends.
#[derive(Debug, Default)]
pub(crate) struct Book {
    pages: Mutex<Pages>,
}

#[derive(Debug, Default)]
struct Pages {
    outcomes: BTreeMap<Number, Outcome>,
    /// How often sends failed in each way, and the first one's text.
    failures: BTreeMap<String, (u64, String)>,
    figures: Figures,
}

impl Book {
    /// A send begins; its number.
    pub(crate) fn begin(&self) -> Number {
        let mut pages = self.pages.lock();
        let number = pages.figures.sends;
        pages.figures.sends += 1;
        pages.figures.open += 1;
        let outcome = Outcome {
            ends: 0,
            stored: None,
            attempts: 0,
            late: None,
        };
        pages.outcomes.insert(number, outcome);
        number
    }

    /// A send has ended after so many milliseconds, of which it may take `most`.
    pub(crate) fn end(&self, number: Number, mode: Mode, end: SendEnd, took: u64, most: u64) {
        let mut pages = self.pages.lock();
        let figures = &mut pages.figures;
        figures.longest = figures.longest.max(took);
        figures.callbacks += u64::from(mode == Mode::Async);
        match &end {
            SendEnd::Stored(..) => figures.ok += 1,
            SendEnd::Written => figures.oneway += 1,
            SendEnd::Failed(..) => figures.failed += 1,
        }
        if let SendEnd::Failed(_, kind, text) = &end {
            let failure = pages.failures.entry(kind.clone());
            failure.or_insert_with(|| (0, text.clone())).0 += 1;
        }
        let Some(outcome) = pages.outcomes.get_mut(&number) else {
            return;
        };
        outcome.ends += 1;
        outcome.late = took.checked_sub(most).filter(|late| *late > 0);
        match end {
            SendEnd::Stored(place, attempts) => {
                outcome.stored = Some(place);
                outcome.attempts = attempts;
            }
            SendEnd::Written => outcome.attempts = 1,
            SendEnd::Failed(attempts, ..) => outcome.attempts = attempts,
        }
        if outcome.ends == 1 {
            pages.figures.open -= 1;
        }
    }

    pub(crate) fn figures(&self) -> Figures {
        self.pages.lock().figures
    }

    /// In which ways sends failed: how often, and the first one's text.
    pub(crate) fn failures(&self) -> BTreeMap<String, (u64, String)> {
        self.pages.lock().failures.clone()
    }

    pub(crate) fn outcomes(&self) -> BTreeMap<Number, Outcome> {
        self.pages.lock().outcomes.clone()
    }
}

/// How a send ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SendEnd {
    /// Acknowledged, after so many attempts.
    Stored(StoredAt, u32),
    /// A one-way message left; nobody tells whether it is stored.
    Written,
    /// It failed, after so many attempts, in such a way, with this text.
    Failed(u32, String, String),
}

impl SendEnd {
    pub(crate) fn of(outcome: &Result<Sent, SendError>) -> Self {
        match outcome {
            Ok(sent) => {
                let place = StoredAt {
                    broker: sent.queue.broker.to_string(),
                    queue: sent.queue.queue,
                    offset: sent.offset,
                };
                Self::Stored(place, sent.attempts)
            }
            Err(error) => Self::failed(error),
        }
    }

    pub(crate) fn failed(error: &SendError) -> Self {
        let attempts = u32::try_from(error.attempts().len()).unwrap_or(u32::MAX);
        Self::Failed(
            attempts,
            format!("{:?}", error.failure()),
            error.to_string(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_its_sends_number() {
        assert_eq!(number(&key(0x1234_5678)), Some(0x1234_5678));
        assert_eq!(number("7F00000100"), None);
    }

    #[test]
    fn a_second_end_and_a_late_one_are_kept() {
        let book = Book::default();
        let send = book.begin();
        assert_eq!(book.figures().open, 1);
        let failed = || SendEnd::Failed(2, "Deadline".to_owned(), "no success".to_owned());
        book.end(send, Mode::Async, failed(), 3_600, 3_500);
        book.end(send, Mode::Async, failed(), 10, 3_500);
        let outcome = &book.outcomes()[&send];
        assert_eq!((outcome.ends, book.figures().callbacks), (2, 2));
        assert_eq!(book.figures().open, 0);
        assert_eq!(book.failures()["Deadline"], (2, "no success".to_owned()));
    }
}
