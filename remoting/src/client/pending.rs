//! The requests of one connection that wait for their answer, by opaque.
//!
//! A value without I/O: what happens at which time is told to it, and it says who must be woken.
//! An answer stays here until its caller picks it up, so that the caller's entry is the only thing
//! kept per request.

use std::hash::{BuildHasherDefault, Hasher};
use std::task::{Context, Poll, Waker};

use indexmap::IndexMap;
use tokio::time::Instant;

use super::silence::{Patience, Silence};
use crate::command::Command;
use crate::event::CloseCause;

/// Why a request ended without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unanswered {
    /// The deadline of its call passed.
    TimedOut,
    /// Its connection ended, for this reason.
    Lost(CloseCause),
}

/// Why a request was not entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// An open request has this opaque.
    Taken,
    /// The connection has ended.
    Ended(CloseCause),
}

/// What an answer matched.
#[derive(Debug)]
pub(super) enum Answered {
    /// An open request, and who waits for it by now.
    Open(Option<Waker>),
    /// No open request: the answer is late, doubled or unknown.
    Late,
}

#[derive(Debug)]
enum Entry {
    Waiting {
        deadline: Instant,
        caller: Option<Waker>,
    },
    Answered(Command),
    TimedOut,
}

/// The requests of one connection that wait for an answer or whose outcome was not picked up yet.
#[derive(Debug, Default)]
pub(super) struct Pending {
    entries: IndexMap<i32, Entry, BuildHasherDefault<OpaqueHasher>>,
    waiting: usize,
    /// How many waited when the connection ended.
    lost: u32,
    /// No waiting entry has an earlier deadline; it may belong to one that has left.
    earliest: Option<Instant>,
    ended: Option<CloseCause>,
    silence: Silence,
}

impl Pending {
    /// A request is about to be written.
    pub(super) fn enter(
        &mut self,
        opaque: i32,
        began: Instant,
        deadline: Instant,
    ) -> Result<(), Refusal> {
        if let Some(cause) = self.ended {
            return Err(Refusal::Ended(cause));
        }
        if self.entries.contains_key(&opaque) {
            return Err(Refusal::Taken);
        }
        let entry = Entry::Waiting {
            deadline,
            caller: None,
        };
        self.entries.insert(opaque, entry);
        self.waiting += 1;
        self.silence.asked(began);
        self.earliest = Some(self.earliest.map_or(deadline, |known| known.min(deadline)));
        Ok(())
    }

    /// An answer arrived: it is kept for its caller, or matches no open request.
    pub(super) fn answer(&mut self, answer: Command) -> Answered {
        match self.entries.get_mut(&answer.opaque) {
            Some(entry @ Entry::Waiting { .. }) => {
                self.waiting -= 1;
                match std::mem::replace(entry, Entry::Answered(answer)) {
                    Entry::Waiting { caller, .. } => Answered::Open(caller),
                    Entry::Answered(_) | Entry::TimedOut => Answered::Open(None),
                }
            }
            _ => Answered::Late,
        }
    }

    /// Bytes of the peer arrived, or the connection opened.
    pub(super) fn heard(&mut self, now: Instant) {
        self.silence.heard(now, self.waiting);
    }

    /// Whether the peer has been silent for too long. A connection that has ended is not silent.
    pub(super) fn silent(&self, patience: Patience, now: Instant) -> bool {
        self.ended.is_none() && self.silence.exceeds(patience, now)
    }

    /// A request that was given to the connection at `given` has had its time without an answer.
    pub(super) fn doubt(&mut self, given: Instant) {
        self.silence.doubt(given);
    }

    /// Whether it takes requests of a caller who wants a connection heard or opened since `since`.
    pub(super) fn trusted(&self, since: Option<Instant>) -> bool {
        self.silence.trusted(since)
    }

    /// When [`expire`](Self::expire) must be called next, at the latest.
    pub(super) fn earliest(&self) -> Option<Instant> {
        self.earliest
    }

    /// Ends the requests whose deadline has come, and returns who waits for them.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<Waker> {
        let mut callers = Vec::new();
        self.earliest = None;
        for entry in self.entries.values_mut() {
            if let Entry::Waiting { deadline, caller } = entry {
                if *deadline <= now {
                    callers.extend(caller.take());
                    *entry = Entry::TimedOut;
                    self.waiting -= 1;
                } else {
                    let deadline = *deadline;
                    self.earliest = Some(self.earliest.map_or(deadline, |at| at.min(deadline)));
                }
            }
        }
        callers
    }

    /// The connection has ended: every waiting request is lost. Returns how many, and who waits
    /// for them. Answers that have arrived remain.
    pub(super) fn end(&mut self, cause: CloseCause) -> (u32, Vec<Waker>) {
        self.ended = Some(cause);
        self.earliest = None;
        let mut callers: Vec<(i32, Waker)> = Vec::new();
        for (opaque, entry) in &mut self.entries {
            if let Entry::Waiting { caller, .. } = entry {
                callers.extend(caller.take().map(|caller| (*opaque, caller)));
            }
        }
        callers.sort_by_key(|(opaque, _)| *opaque);
        let lost = u32::try_from(self.waiting).unwrap_or(u32::MAX);
        self.lost = lost;
        self.waiting = 0;
        (
            lost,
            callers.into_iter().map(|(_, caller)| caller).collect(),
        )
    }

    /// The caller asks. Once this is ready the entry has left the table.
    pub(super) fn poll(
        &mut self,
        opaque: i32,
        cx: &Context<'_>,
    ) -> Poll<Result<Command, Unanswered>> {
        if let Some(Entry::Waiting { caller, .. }) = self.entries.get_mut(&opaque)
            && self.ended.is_none()
        {
            match caller {
                Some(known) if known.will_wake(cx.waker()) => {}
                other => *other = Some(cx.waker().clone()),
            }
            return Poll::Pending;
        }
        let lost = Unanswered::Lost(self.ended.unwrap_or(CloseCause::Stopped));
        Poll::Ready(match self.entries.swap_remove(&opaque) {
            Some(Entry::Answered(answer)) => Ok(answer),
            Some(Entry::TimedOut) => Err(Unanswered::TimedOut),
            Some(Entry::Waiting { .. }) | None => Err(lost),
        })
    }

    /// The caller no longer waits.
    pub(super) fn leave(&mut self, opaque: i32) {
        let left = self.entries.swap_remove(&opaque);
        if matches!(left, Some(Entry::Waiting { .. })) && self.ended.is_none() {
            self.waiting -= 1;
        }
    }

    /// How many requests are in the table, answered and timed-out ones included.
    pub(super) fn held(&self) -> usize {
        self.entries.len()
    }

    /// How many requests wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// How many requests were lost when the connection ended.
    pub(super) fn lost(&self) -> u32 {
        self.lost
    }

    /// Why the connection ended, if it has.
    pub(super) fn ended(&self) -> Option<CloseCause> {
        self.ended
    }
}

/// Opaques are counted up, so spreading their bits is all the hashing they need, and the same in
/// every run.
#[derive(Debug, Default)]
struct OpaqueHasher(u64);

impl Hasher for OpaqueHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_i32(&mut self, value: i32) {
        self.write_u64(u64::from(value.cast_unsigned()));
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = (self.0 ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 32)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;

    use super::*;
    use crate::command::{FLAG_RESPONSE, HeaderForm, Language};

    fn answer(opaque: i32) -> Command {
        Command {
            code: 0,
            language: Language::Java,
            version: 0,
            opaque,
            flag: FLAG_RESPONSE,
            remark: None,
            ext: [("key", "value")].into_iter().collect(),
            body: Bytes::new(),
            form: HeaderForm::Json,
        }
    }

    fn ask(table: &mut Pending, opaque: i32) -> Poll<Result<i32, Unanswered>> {
        let polled = table.poll(opaque, &Context::from_waker(Waker::noop()));
        polled.map(|result| result.map(|answer| answer.opaque))
    }

    #[test]
    fn an_opaque_that_is_open_is_not_given_twice() {
        let (mut table, now) = (Pending::default(), Instant::now());
        table.enter(7, now, now).unwrap();
        assert_eq!(table.enter(7, now, now), Err(Refusal::Taken));
        table.answer(answer(7));
        assert_eq!(
            table.enter(7, now, now),
            Err(Refusal::Taken),
            "not yet picked up"
        );
        assert_eq!(ask(&mut table, 7), Poll::Ready(Ok(7)));
        table.enter(7, now, now).unwrap();
    }

    #[test]
    fn an_answer_completes_only_its_own_request_and_only_once() {
        let (mut table, now) = (Pending::default(), Instant::now());
        table.enter(1, now, now).unwrap();
        table.enter(2, now, now).unwrap();
        assert!(matches!(table.answer(answer(3)), Answered::Late));
        assert!(matches!(table.answer(answer(2)), Answered::Open(None)));
        assert!(matches!(table.answer(answer(2)), Answered::Late));
        assert_eq!(table.waiting(), 1);
        assert_eq!(ask(&mut table, 1), Poll::Pending);
        assert_eq!(ask(&mut table, 2), Poll::Ready(Ok(2)));
    }

    #[test]
    fn deadlines_end_the_requests_that_have_them_and_no_others() {
        let (mut table, now) = (Pending::default(), Instant::now());
        let at = |ms| now + Duration::from_millis(ms);
        for (opaque, ms) in [(1, 30), (2, 10), (3, 20)] {
            table.enter(opaque, now, at(ms)).unwrap();
            assert_eq!(ask(&mut table, opaque), Poll::Pending);
        }
        assert_eq!(table.earliest(), Some(at(10)));
        table.answer(answer(2));
        assert_eq!(table.expire(at(20)).len(), 1);
        assert_eq!(table.earliest(), Some(at(30)));
        assert_eq!(ask(&mut table, 3), Poll::Ready(Err(Unanswered::TimedOut)));
        assert_eq!(ask(&mut table, 2), Poll::Ready(Ok(2)), "answered before");
        assert_eq!(table.waiting(), 1);
        table.leave(1);
        assert_eq!(table.waiting(), 0);
    }

    #[test]
    fn the_end_of_the_connection_fails_what_waits_and_keeps_what_was_answered() {
        let (mut table, now) = (Pending::default(), Instant::now());
        for opaque in 1..=3 {
            table.enter(opaque, now, now).unwrap();
        }
        table.answer(answer(2));
        assert_eq!(table.end(CloseCause::Broken).0, 2);
        let lost = Unanswered::Lost(CloseCause::Broken);
        assert_eq!(ask(&mut table, 1), Poll::Ready(Err(lost)));
        assert_eq!(ask(&mut table, 2), Poll::Ready(Ok(2)));
        assert_eq!(
            table.enter(4, now, now),
            Err(Refusal::Ended(CloseCause::Broken))
        );
        table.leave(3);
        assert_eq!(table.waiting(), 0);
    }
}
