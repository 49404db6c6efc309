//! The attempts of one send: the retry engine.
//!
//! It waits for whatever comes first: an open attempt ends, the newest one's share is used up, the
//! time of the next one comes, the deadline passes, the producer closes. Then it asks
//! [`decide`](crate::decide) what that means and does it. An overtaken attempt stays open beside its
//! successor; the first success of any attempt completes the send, and the others leave the table of
//! requests as superseded.
//!
//! An attempt that overtakes a silent one does not trust connections on which nobody was heard since:
//! what made the one silent may have cut the others, too.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use rmq_remoting::event::CloseCause;
use rmq_remoting::observe::Name;
use smallvec::SmallVec;
use tokio::time::{Duration, Instant, sleep_until};

use crate::attempt::{self, MadeOn, Open, Origin, Report};
use crate::decide::budget::{self, AtShareEnd, Silent, Situation};
use crate::decide::retry::{self, Ended, Next, Standing};
use crate::decide::{envelope, health, select};
use crate::error::{Attempt, Cause, SendError};
use crate::event::{Event, Failure, Outcome, QueueRef, Stage};
use crate::feedback::{note_health, refresh};
use crate::hook::{self, AttemptEnd};
use crate::policy::{Late, OvertakeOver};
use crate::rotation::Step as RotationStep;
use crate::routes::Snapshot;
use crate::send::{Prepared, Send, millis};
use crate::sent::Sent;
use crate::target::choose;

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
    /// The next attempt, if it waits for its time.
    next: Option<Spaced>,
    ended: Vec<Attempt>,
    /// The first attempt's target.
    first: Option<QueueRef>,
    /// A copy that is stored but not safe, while a better one is tried for.
    kept: Option<(u32, Sent, i32)>,
    /// When the send ends whatever is open.
    end: Instant,
}

/// An attempt that waits for its time, because there is only a broker that refuses connections.
#[derive(Debug, Clone, Copy)]
struct Spaced {
    /// When the route is looked at again: it may have another broker by then.
    look: Instant,
    /// When it starts at the latest.
    start: Instant,
    /// How the attempt before it ended.
    after: Ended,
}

/// How often an attempt that waits for its time looks at the route.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// What a flight waits for.
enum Step {
    Ended(usize, Report),
    ShareEnd,
    Start,
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
            next: None,
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
        self.start(Origin::Call);
        loop {
            let step = self.step(closed.as_mut()).await;
            let outcome = match step {
                Step::Ended(index, report) => self.attempt_ended(index, report),
                Step::ShareEnd => self.share_ended(),
                Step::Start => self.start_spaced(),
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
        let timers = [
            (self.next.map(|next| next.look), Step::Start),
            (share_end, Step::ShareEnd),
            (Some(self.end), Step::Deadline),
        ];
        let timers = timers
            .into_iter()
            .filter_map(|(at, step)| Some((at?, step)));
        let soonest = timers.rev().min_by_key(|(at, _)| *at);
        let (at, at_timer) = soonest.unwrap_or((self.end, Step::Deadline));
        let mut timer = pin!(sleep_until(at));
        let mut at_timer = Some(at_timer);
        poll_fn(|cx| {
            for (index, attempt) in self.open.iter_mut().enumerate() {
                if let Poll::Ready(report) = attempt.exchange.as_mut().poll(cx) {
                    return Poll::Ready(Step::Ended(index, report));
                }
            }
            if closed.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Step::Closed);
            }
            let rung = timer.as_mut().poll(cx);
            rung.map(|()| at_timer.take().unwrap_or(Step::Deadline))
        })
        .await
    }

    fn attempts_left(&self) -> u32 {
        self.send.attempts - self.started
    }

    /// Takes the route in force now: a failed attempt may have led to a new one.
    fn look_at_the_route(&mut self) {
        let topic = self.send.call.message.topic();
        if let Some(snapshot) = self.send.core.client.routes.snapshot(topic) {
            self.snapshot = snapshot;
        }
    }

    /// The time of an attempt at this broker, if it started now.
    fn situation(&self, broker: &Name) -> Situation {
        let send = &*self.send;
        Situation {
            mode: send.call.mode,
            timeout: send.timeout,
            attempts: send.attempts,
            attempts_left: self.attempts_left(),
            left: send.left(),
            other_candidate: send.pinned.is_none() && self.snapshot.queues.has_other(broker),
        }
    }

    /// Starts the next attempt.
    fn start(&mut self, origin: Origin) {
        self.look_at_the_route();
        let send = &*self.send;
        let core = &send.core;
        let policy = &core.policy;
        let Some(to) = choose(send, &self.snapshot, &self.failed, RotationStep::Take) else {
            return;
        };
        let topic = send.call.message.topic();
        core.client.routes.tried(topic, &self.snapshot, &to.broker);
        let share = budget::share(policy, self.situation(&to.broker));
        self.started += 1;
        let master = self.snapshot.master(&to.broker);
        let mode = send.call.mode;
        let address = master.map(|master| envelope::address(policy, mode, self.started, master));
        let avoided = if send.pinned.is_some() {
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
        let made_on = MadeOn::default();
        let exchange = attempt::Exchange {
            made_on: Arc::clone(&made_on),
            core: Arc::clone(core),
            send: send.number,
            number: self.started,
            envelope: Arc::clone(&self.envelope),
            named,
            address: address.clone(),
            over: origin.over(),
            time,
            mode: send.call.mode,
            broker: Name::clone(&to.broker),
        };
        self.open.push(Open {
            number: self.started,
            to,
            address,
            began: Instant::now(),
            made_on,
            share,
            share_end: time.share_end.filter(|end| *end < self.end),
            silent: false,
            overtaken: false,
            for_token: matches!(
                origin,
                Origin::Overtaking {
                    for_token: true,
                    ..
                }
            ),
            exchange: exchange.unless(refusal),
        });
    }

    /// Starts the attempt that follows one that failed, or lets it wait for its time: while there is
    /// only a broker that has just refused a connection, the attempts are spread over the send's time.
    fn start_after(&mut self, ended: Ended) {
        match self.refusing(ended) {
            Some(pause) if pause > 0 => {
                let now = Instant::now();
                let start = now + Duration::from_millis(pause);
                self.next = Some(Spaced {
                    look: start.min(now + LOOK_AGAIN),
                    start,
                    after: ended,
                });
            }
            _ => self.start(Origin::Failure),
        }
    }

    /// The attempt that waits starts if its time has come, or if there is another broker by now.
    fn start_spaced(&mut self) -> Option<Result<Sent, SendError>> {
        let spaced = self.next.take()?;
        if self.send.left() < budget::LEAST {
            return self.out_of_time();
        }
        let now = Instant::now();
        if now < spaced.start && self.refusing(spaced.after).is_some() {
            let look = spaced.start.min(now + LOOK_AGAIN);
            self.next = Some(Spaced { look, ..spaced });
        } else {
            self.start(Origin::Failure);
        }
        None
    }

    /// How long the next attempt waits, if it is for a broker that has just refused a connection.
    fn refusing(&mut self, ended: Ended) -> Option<u64> {
        self.look_at_the_route();
        let failures = |broker: &Name, stages: &[Stage]| {
            let at = self.ended.iter().filter(|it| it.to.broker == *broker);
            at.filter(|it| stages.contains(&it.stage)).count()
        };
        // One lost connection may have been an old one; two are none any more.
        let refused = |broker: &Name| match ended.stage {
            Stage::Dial => failures(broker, &[Stage::Dial]) > 0,
            Stage::Lost | Stage::Write => failures(broker, &[Stage::Lost, Stage::Write]) > 1,
            _ => false,
        };
        let next = choose(self.send, &self.snapshot, &self.failed, RotationStep::Look);
        let to = next.filter(|to| refused(&to.broker))?;
        let now = self.situation(&to.broker);
        Some(budget::pause(&self.send.core.policy, now))
    }

    /// The newest attempt's share is used up: it is silent.
    fn share_ended(&mut self) -> Option<Result<Sent, SendError>> {
        self.note_silence();
        self.look_at_the_route();
        let decision = self.at_share_end();
        let newest = self.open.last_mut()?;
        newest.share_end = None;
        match decision {
            AtShareEnd::OvertakeFree => self.overtake(false),
            AtShareEnd::OvertakeForToken => self.overtake(true),
            AtShareEnd::KeepOn if self.started < self.send.attempts => {
                let again = Duration::from_millis(budget::ask_again(newest.share));
                newest.share_end = Some(Instant::now() + again).filter(|end| *end < self.end);
            }
            AtShareEnd::KeepOn | AtShareEnd::GiveUp => {}
        }
        None
    }

    /// What becomes of the newest attempt, whose share is used up.
    fn at_share_end(&self) -> AtShareEnd {
        let core = &self.send.core;
        let failed = self.failed.iter().chain(self.newest_broker()).cloned();
        let failed: SmallVec<[Name; 3]> = failed.collect();
        let next = choose(self.send, &self.snapshot, &failed, RotationStep::Look);
        let prompt = next.map_or(0, |to| core.health.lock().prompt(&to.broker));
        let in_time = self.send.left() >= budget::LEAST;
        let now = Silent {
            attempts_left: if in_time { self.attempts_left() } else { 0 },
            known: health::known(&core.policy, prompt),
            token: core.bucket.lock().has_token(),
        };
        budget::at_share_end(&core.policy, now)
    }

    fn newest_broker(&self) -> Option<&Name> {
        self.open.last().map(|newest| &newest.to.broker)
    }

    /// Tells what the newest attempt's silence teaches, once.
    fn note_silence(&mut self) {
        let Some(newest) = self.open.last_mut() else {
            return;
        };
        let gives_up = budget::at_share_end(&self.send.core.policy, Silent::default());
        if gives_up == AtShareEnd::GiveUp || std::mem::replace(&mut newest.silent, true) {
            return;
        }
        let took = millis(newest.began.elapsed());
        let newest = self.open.last();
        if let Some(newest) = newest {
            self.learn_silence(newest, took);
        }
    }

    fn learn_silence(&self, attempt: &Open, took: u64) {
        let silent = Ended {
            stage: Stage::Silent,
            code: None,
        };
        let made_on = *attempt.made_on.lock();
        if let (Some((connection, given)), Some(address)) = (made_on, &attempt.address) {
            // One that was opened or was sent to only at the end has said nothing yet.
            if millis(given.elapsed()) >= attempt.share / 2 {
                self.send.core.client.doubt(address, connection, given);
            }
        }
        refresh(self.send, silent);
        note_health(self.send, &attempt.to.broker, silent, took);
    }

    /// Starts the next attempt beside the newest one, which stays open.
    fn overtake(&mut self, for_token: bool) {
        let tokens_left = {
            let mut bucket = self.send.core.bucket.lock();
            if for_token && let Some(taken) = bucket.take() {
                *bucket = taken;
            }
            bucket.tenths()
        };
        let Some(newest) = self.open.last_mut() else {
            return;
        };
        newest.overtaken = true;
        let (number, since) = (newest.number, newest.began);
        self.failed.push(Name::clone(&newest.to.broker));
        self.send.emit(Event::Overtaken {
            send: self.send.number,
            number,
            tokens_left,
        });
        let trusts = budget::over(&self.send.core.policy);
        self.start(Origin::Overtaking {
            since: (trusts == OvertakeOver::Heard).then_some(since),
            for_token,
        });
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
            // One that waits for its time is as good as open.
            open: self.open.len() + usize::from(self.next.is_some()),
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
                if attempt.for_token && health::is_prompt(&self.send.core.policy, millis(took)) {
                    let mut bucket = self.send.core.bucket.lock();
                    *bucket = bucket.give_back();
                }
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
                self.start_after(ended);
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
        if !attempt.silent {
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
        let _ = choose(self.send, &self.snapshot, &self.failed, RotationStep::Take);
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
                // One that was silent before has taught its lesson then.
                if !attempt.silent {
                    self.learn_silence(&attempt, millis(took));
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
        let gives_up = budget::at_share_end(&self.send.core.policy, Silent::default());
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
