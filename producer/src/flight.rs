//! The attempts of one send: the retry engine.
//!
//! It waits for whatever comes first: an open attempt ends, the newest one's share is used up, the
//! deadline passes, the producer closes. Then it asks [`decide`](crate::decide) what that means
//! and does it. An overtaken attempt stays open beside its successor; the first success of any
//! attempt completes the send, and the others leave the table of requests as superseded.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use rmq_remoting::event::CloseCause;
use rmq_remoting::observe::Name;
use smallvec::SmallVec;
use tokio::time::{Duration, Instant, sleep_until};

use crate::attempt::{self, Open, Report};
use crate::decide::budget::{self, AtShareEnd, Situation};
use crate::decide::retry::{self, Ended, Next, Standing};
use crate::decide::{envelope, health, route, select};
use crate::error::{Attempt, Cause, SendError};
use crate::event::{Event, Failure, Outcome, QueueRef, Stage};
use crate::hook::{self, AttemptEnd};
use crate::policy::Late;
use crate::routes::{self, Snapshot};
use crate::send::{Prepared, Send, millis};
use crate::sent::Sent;

/// A send in the air.
pub(crate) struct Flight<'a> {
    send: &'a mut Send,
    envelope: Arc<envelope::Envelope>,
    snapshot: Arc<Snapshot>,
    /// Attempts started so far.
    started: u32,
    open: SmallVec<[Open; 3]>,
    /// Brokers that failed in this send, in their order.
    failed: SmallVec<[Name; 3]>,
    ended: Vec<Attempt>,
    /// The first attempt's target.
    first: Option<QueueRef>,
    /// A copy that is stored but not safe, while a better one is tried for.
    kept: Option<(u32, Sent, i32)>,
    /// When the send ends whatever is open.
    end: Instant,
}

/// What a flight waits for.
enum Step {
    Ended(usize, Report),
    ShareEnd,
    Deadline,
    Closed,
}

impl<'a> Flight<'a> {
    pub(crate) fn new(send: &'a mut Send, prepared: Prepared) -> Self {
        Self {
            end: send.deadline,
            send,
            envelope: prepared.envelope,
            snapshot: prepared.snapshot,
            started: 0,
            open: SmallVec::new(),
            failed: SmallVec::new(),
            ended: Vec::new(),
            first: None,
            kept: None,
        }
    }

    /// Flies until the message is stored or the send has failed.
    pub(crate) async fn run(mut self) -> Result<Sent, SendError> {
        let core = Arc::clone(&self.send.core);
        let mut closed = pin!(core.life.closed());
        if self.send.left() < budget::LEAST {
            if retry::late(&core.policy, self.send.call.mode) == Late::ChooseOnly {
                self.choose_in_vain();
            }
            return Err(self.fail(Failure::Deadline));
        }
        self.start();
        loop {
            let step = self.step(closed.as_mut()).await;
            let outcome = match step {
                Step::Ended(index, report) => self.attempt_ended(index, report),
                Step::ShareEnd => self.share_ended(),
                Step::Deadline => self.out_of_time(),
                Step::Closed => Some(Err(self.fail(Failure::Closed))),
            };
            if let Some(outcome) = outcome {
                return outcome;
            }
        }
    }

    /// Waits for the next thing that happens. An answer in the millisecond of a deadline is in
    /// time, so attempts are looked at before the timer.
    async fn step(&mut self, mut closed: Pin<&mut impl Future<Output = ()>>) -> Step {
        let share_end = self.open.last().and_then(|newest| newest.share_end);
        let share_end = share_end.filter(|end| *end < self.end);
        let mut timer = pin!(sleep_until(share_end.unwrap_or(self.end)));
        poll_fn(|cx| {
            for (index, attempt) in self.open.iter_mut().enumerate() {
                if let Poll::Ready(report) = attempt.exchange.as_mut().poll(cx) {
                    return Poll::Ready(Step::Ended(index, report));
                }
            }
            if closed.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Step::Closed);
            }
            timer.as_mut().poll(cx).map(|()| match share_end {
                Some(_) => Step::ShareEnd,
                None => Step::Deadline,
            })
        })
        .await
    }

    fn attempts_left(&self) -> u32 {
        self.send.attempts - self.started
    }

    /// Starts the next attempt.
    fn start(&mut self) {
        let send = &*self.send;
        let core = &send.core;
        let policy = &core.policy;
        let topic = send.call.message.topic();
        // A retry looks at the route in force now: a failed attempt may have led to a new one.
        if let Some(snapshot) = core.client.routes.snapshot(topic) {
            self.snapshot = snapshot;
        }
        let Some(to) = choose(send, &self.snapshot, &self.failed) else {
            return;
        };
        let pinned = send.pinned.is_some();
        let other = !pinned && select::has_other(&self.snapshot.queues, &to.broker);
        let share = budget::share(
            policy,
            Situation {
                mode: send.call.mode,
                timeout: send.timeout,
                attempts: send.attempts,
                attempts_left: self.attempts_left(),
                left: send.left(),
                other_candidate: other,
                token: core.bucket.lock().has_token(),
            },
        );
        self.started += 1;
        let master = self.snapshot.master(&to.broker);
        let mode = send.call.mode;
        let address = master.map(|master| envelope::address(policy, mode, self.started, master));
        let avoided = if pinned {
            Vec::new()
        } else {
            select::avoided(policy, &self.failed).to_vec()
        };
        send.emit(Event::Attempt {
            send: send.number,
            number: self.started,
            snapshot: self.snapshot.number,
            to: to.clone(),
            address: address.clone(),
            budget_ms: share,
            avoided,
        });
        let attempt = (self.started, &to, address.as_ref());
        let refusal = hook::forbid(send, &self.envelope, attempt);
        let first = self.first.get_or_insert_with(|| to.clone());
        let named = envelope::target(policy, send.call.mode, first, &to).clone();
        let time = attempt::time(send, share);
        self.end = self.end.max(time.latest());
        let exchange = attempt::Exchange {
            core: Arc::clone(core),
            send: send.number,
            number: self.started,
            envelope: Arc::clone(&self.envelope),
            named,
            address: address.clone(),
            time,
            mode: send.call.mode,
            broker: Name::clone(&to.broker),
        };
        self.open.push(Open {
            number: self.started,
            to,
            address,
            began: Instant::now(),
            share,
            share_end: time.share_end,
            overtaken: false,
            exchange: exchange.unless(refusal),
        });
    }

    /// The newest attempt's share is used up.
    fn share_ended(&mut self) -> Option<Result<Sent, SendError>> {
        let left = self.attempts_left();
        let policy = &self.send.core.policy;
        let tokens = (left > 0 && self.send.left() >= budget::LEAST)
            .then(|| {
                let mut bucket = self.send.core.bucket.lock();
                let taken = bucket.take()?;
                *bucket = taken;
                Some(taken.tenths())
            })
            .flatten();
        let decision = budget::at_share_end(policy, left, tokens.is_some());
        let newest = self.open.last_mut()?;
        newest.share_end = None;
        if decision != AtShareEnd::Overtake {
            return None;
        }
        newest.overtaken = true;
        let (number, broker) = (newest.number, Name::clone(&newest.to.broker));
        let took = millis(newest.began.elapsed());
        self.send.emit(Event::Overtaken {
            send: self.send.number,
            number,
            tokens_left: tokens.unwrap_or_default(),
        });
        let silent = Ended {
            stage: Stage::Silent,
            code: None,
        };
        refresh(self.send, silent);
        note_health(self.send, &broker, silent, took);
        self.failed.push(broker);
        self.start();
        None
    }

    /// An attempt has ended: by an answer, or without one.
    fn attempt_ended(&mut self, index: usize, report: Report) -> Option<Result<Sent, SendError>> {
        let newest = index + 1 == self.open.len();
        let attempt = self.open.remove(index);
        let took = attempt.began.elapsed();
        let ended = Ended {
            stage: report.stage,
            code: report.code,
        };
        let standing = Standing {
            attempts_left: self.attempts_left(),
            left: self.send.left(),
            newest: newest && !attempt.overtaken,
            open: self.open.len(),
        };
        let next = retry::after(&self.send.core.policy, self.send.call.mode, ended, standing);
        self.note_end(&attempt, ended, took);
        let number = attempt.number;
        match report.result {
            Ok(accepted) => {
                let (sent, code) = accepted.sent(
                    &self.send.core.sender,
                    &self.envelope,
                    &attempt.to,
                    self.started,
                );
                let ended = (number, &attempt.to, attempt.address.as_ref());
                hook::hear(self.send, &self.envelope, ended, AttemptEnd::Stored(&sent));
                if next != Next::KeepAndRetry {
                    return Some(Ok(self.succeed(number, sent, code)));
                }
                self.kept = Some((number, sent, code));
                self.failed.push(attempt.to.broker);
            }
            Err(cause) => {
                if !attempt.overtaken {
                    self.failed.push(Name::clone(&attempt.to.broker));
                }
                self.list(attempt.end(ended, took, cause));
            }
        }
        match next {
            Next::Retry | Next::KeepAndRetry => {
                self.start();
                None
            }
            Next::Wait => None,
            Next::ChooseAndFail => {
                self.choose_in_vain();
                Some(self.give_up(ended.stage))
            }
            Next::Succeed | Next::Fail => Some(self.give_up(ended.stage)),
        }
    }

    /// Tells the observer, the health table and the routes that an attempt has ended.
    fn note_end(&self, attempt: &Open, ended: Ended, took: Duration) {
        self.emit_end(attempt, ended, took);
        if let (Some(retry::GO_AWAY), Some(address)) = (ended.code, &attempt.address) {
            self.send.emit(Event::Drain {
                broker: Name::clone(address),
            });
        }
        if ended.stage == Stage::Silent {
            self.hang_up(attempt);
        }
        refresh(self.send, ended);
        if !attempt.overtaken {
            note_health(self.send, &attempt.to.broker, ended, millis(took));
        }
    }

    /// Java's client closes the connection of a call that timed out.
    fn hang_up(&self, attempt: &Open) {
        let Some(address) = &attempt.address else {
            return;
        };
        let Send { core, call, .. } = &*self.send;
        let remoting = &core.client.remoting;
        let opened = remoting.open_since(address);
        let dialled = opened.map(|at| at.saturating_duration_since(attempt.began));
        let had = attempt.share.saturating_sub(dialled.map_or(0, millis));
        if retry::closes_connection(&core.policy, call.mode, had, self.send.timeout) {
            remoting.close(address, CloseCause::CallTimedOut);
        }
    }

    /// Java's client chooses a queue before it looks at the clock, and then does not use it.
    fn choose_in_vain(&self) {
        let _ = choose(self.send, &self.snapshot, &self.failed);
    }

    fn emit_end(&self, attempt: &Open, ended: Ended, took: Duration) {
        self.send.emit(Event::AttemptEnded {
            send: self.send.number,
            number: attempt.number,
            stage: ended.stage,
            code: ended.code,
            after_ms: millis(took),
        });
    }

    /// Ends every attempt that is still open.
    fn end_open(&mut self, stage: Stage, cause: &Cause) {
        let ended = Ended { stage, code: None };
        for attempt in std::mem::take(&mut self.open) {
            let took = attempt.began.elapsed();
            self.emit_end(&attempt, ended, took);
            if stage == Stage::Silent {
                self.hang_up(&attempt);
                // An overtaken one has taught its lesson when it was overtaken.
                if !attempt.overtaken {
                    refresh(self.send, ended);
                    note_health(self.send, &attempt.to.broker, ended, millis(took));
                }
            }
            self.list(attempt.end(ended, took, cause.clone()));
        }
    }

    /// Keeps an attempt that has failed for the send's error.
    fn list(&mut self, attempt: Attempt) {
        hook::hear_failure(self.send, &self.envelope, &attempt);
        self.ended.push(attempt);
    }

    fn succeed(&mut self, attempt: u32, sent: Sent, code: i32) -> Sent {
        self.end_open(Stage::Superseded, &Cause::Superseded);
        self.send.end(Outcome::Sent {
            attempt,
            at: sent.queue.to_ref(),
            offset: sent.offset,
            code,
        });
        sent
    }

    /// The deadline has passed: what is open has not been answered in time. If attempts end
    /// with their share, this is the end of the only one open, as if it had seen it itself.
    fn out_of_time(&mut self) -> Option<Result<Sent, SendError>> {
        let gives_up = budget::at_share_end(&self.send.core.policy, 0, false);
        if gives_up == AtShareEnd::GiveUp && self.open.len() == 1 {
            return self.attempt_ended(0, Report::failed(Stage::Silent, Cause::Silent));
        }
        self.end_open(Stage::Silent, &Cause::Silent);
        Some(self.give_up(Stage::Silent))
    }

    /// No attempt will succeed any more. A copy that is stored, if not safely, is a success.
    fn give_up(&mut self, stage: Stage) -> Result<Sent, SendError> {
        if let Some((attempt, sent, code)) = self.kept.take() {
            return Ok(self.succeed(attempt, sent, code));
        }
        let late = stage == Stage::Silent && Instant::now() >= self.send.deadline;
        Err(self.fail(if late {
            Failure::Deadline
        } else {
            Failure::Attempts(stage)
        }))
    }

    fn fail(&mut self, failure: Failure) -> SendError {
        self.end_open(Stage::Superseded, &Cause::Superseded);
        let mut attempts = std::mem::take(&mut self.ended);
        attempts.sort_by_key(|attempt| attempt.number);
        let error = self.send.error(failure);
        let error = error.of_message(&self.envelope.key, attempts);
        self.send.fail(error)
    }
}

/// The queue of the next attempt: the caller's, or the next of the rotation.
pub(crate) fn choose(send: &Send, snapshot: &Snapshot, failed: &[Name]) -> Option<QueueRef> {
    let core = &send.core;
    if let Some(pinned) = &send.pinned {
        return Some(pinned.to_ref());
    }
    let (policy, queues) = (&core.policy, &snapshot.queues);
    let table = core.health.lock();
    let now = millis(core.client.started.elapsed());
    let brokers = queues.iter().map(|queue| &queue.broker);
    let least_bad = table.least_bad(policy, brokers, now);
    let grade = |broker: &Name| table.grade(policy, broker, least_bad, now);
    let (mode, topic) = (send.call.mode, send.call.message.topic());
    let rotations = &send.call.rotations;
    rotations.choose(policy, mode, topic, queues, failed, grade)
}

/// Asks for the topic's route if an attempt ended in a way that an old route may have caused.
pub(crate) fn refresh(send: &Send, ended: Ended) {
    if route::refreshes(&send.core.policy, ended) {
        routes::refresh(&send.core.client, send.call.message.topic());
    }
}

/// Notes in the health table what the end of an attempt teaches about its broker.
pub(crate) fn note_health(send: &Send, broker: &Name, ended: Ended, took: u64) {
    let core = &send.core;
    let counts = health::counts(&core.policy, send.call.mode, send.pinned.is_some());
    let isolation = counts.then(|| health::isolation(&core.policy, ended, took));
    let Some(isolation) = isolation.flatten() else {
        return;
    };
    let now = millis(core.client.started.elapsed());
    let noted = core.health.lock().note(broker, isolation, now);
    if let Some(for_ms) = noted {
        send.emit(Event::Health {
            broker: Name::clone(broker),
            for_ms,
            reason: ended.stage,
        });
    }
}
