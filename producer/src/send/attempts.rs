//! The code around a send's [attempt set](super::attempt_set): it polls requests, sleeps, and tells
//! what happened.
//!
//! It waits for whatever comes first: an open attempt ends, the set's next timer fires, the producer
//! closes. Then it asks the set what that means and does it: queues are chosen, requests start, events
//! go out, hooks are called, routes and health table learn.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use rmq_remoting::event::CloseCause;
use rmq_remoting::observe::Name;
use smallvec::SmallVec;
use tokio::time::{Duration, Instant, sleep_until};

use super::answer::{Accepted, Report};
use super::attempt::{Exchange, Running};
use super::attempt_set::{
    AttemptSet, Candidate, Done, Due, First, Hedge, OpenAttempt, Origin, OutOfTime, Outlook, Timer,
};
use super::feedback::{note_health, refresh};
use super::hooks;
use super::limits::{Terms, millis};
use super::operation::SendOperation;
use super::prepare::{Outgoing, Prepared};
use super::rotation::Step;
use super::target::choose;
use crate::client::routes::Snapshot;
use crate::decide::retry::{self, Ended, Next};
use crate::decide::{Millis, encoding, health, select};
use crate::error::{Attempt, Cause, SendError};
use crate::event::{Event, Failure, Outcome, QueueRef, Stage};
use crate::hook::AttemptEnd;
use crate::log;
use crate::sent::Sent;

/// Runs a send until its message is stored or it has failed.
pub(crate) async fn stored(mut send: SendOperation) -> Result<Sent, SendError> {
    let prepared = match send.prepare().await {
        Ok(prepared) => prepared,
        Err(error) => return Err(send.fail(error)),
    };
    let core = Arc::clone(&send.core);
    let terms = Terms {
        policy: &core.policy,
        mode: send.call.mode,
        timeout: send.timeout,
        attempts: send.attempts,
        deadline: send.deadline,
        epoch: core.client.started,
    };
    let set = AttemptSet::new(terms);
    Attempts::new(&mut send, prepared, set).run().await
}

/// A copy that a broker has confirmed.
struct Confirmed {
    /// The number of the attempt that brought it there.
    attempt: u32,
    sent: Sent,
    /// The response code of the broker's confirmation.
    code: i32,
}

/// The request of an open attempt.
struct Request {
    to: QueueRef,
    address: Option<Name>,
    exchange: Running,
}

impl Request {
    /// The attempt as the send's error lists it. Its request is given up.
    fn failed(self, of: &OpenAttempt, ended: Ended, took: Duration, cause: Cause) -> Attempt {
        let attempt = Attempt {
            number: of.number,
            to: self.to,
            address: self.address,
            stage: ended.stage,
            code: ended.code,
            after: took,
            cause,
        };
        log::attempt_failed(&attempt);
        attempt
    }
}

/// What a send waits for.
enum Happened {
    /// The open attempt at this place has ended.
    Ended(usize, Report),
    Fired(Timer),
    /// The producer closes: every open send ends as closed.
    Closed,
}

/// The attempts of a send, with their requests.
struct Attempts<'a> {
    send: &'a mut SendOperation,
    set: AttemptSet<'a, Confirmed>,
    /// The requests of the set's open attempts, in the same order.
    requests: SmallVec<[Request; 3]>,
    outgoing: Arc<Outgoing>,
    snapshot: Arc<Snapshot>,
    /// The attempts that have failed, for the send's error.
    ended: Vec<Attempt>,
    /// The first attempt's target.
    first: Option<QueueRef>,
}

impl<'a> Attempts<'a> {
    fn new(
        send: &'a mut SendOperation,
        prepared: Prepared,
        set: AttemptSet<'a, Confirmed>,
    ) -> Self {
        Self {
            send,
            set,
            requests: SmallVec::new(),
            outgoing: prepared.outgoing,
            snapshot: prepared.snapshot,
            ended: Vec::new(),
            first: None,
        }
    }

    /// Makes attempts until the message is stored or the send has failed.
    async fn run(mut self) -> Result<Sent, SendError> {
        let core = Arc::clone(&self.send.core);
        let mut closed = pin!(core.life.closed());
        match self.set.first(Instant::now()) {
            First::Start => self.start(Origin::Call),
            First::TooLate { choose } => {
                if choose {
                    self.choose_in_vain();
                }
                return Err(self.fail(Failure::Deadline));
            }
        }
        loop {
            let done = match self.wait(closed.as_mut()).await {
                Happened::Ended(at, report) => self.attempt_ended(at, report),
                Happened::Fired(Timer::AttemptTimeout) => self.attempt_timed_out(),
                Happened::Fired(Timer::Delayed) => self.delayed_is_due(),
                Happened::Fired(Timer::Deadline) => self.out_of_time(),
                Happened::Closed => Some(self.set.producer_closed()),
            };
            match done {
                None => {}
                Some(Done::Stored(copy)) => return Ok(self.succeed(copy)),
                Some(Done::Failed(failure)) => return Err(self.fail(failure)),
            }
        }
    }

    /// Waits for the next thing that happens. An answer in the millisecond of a deadline is in
    /// time, so attempts are looked at before the timer.
    async fn wait(&mut self, mut closed: Pin<&mut impl Future<Output = ()>>) -> Happened {
        let (at, timer) = self.set.next_timer();
        let mut sleep = pin!(sleep_until(at));
        poll_fn(|cx| {
            for (at, request) in self.requests.iter_mut().enumerate() {
                if let Poll::Ready(report) = request.exchange.as_mut().poll(cx) {
                    return Poll::Ready(Happened::Ended(at, report));
                }
            }
            if closed.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Happened::Closed);
            }
            sleep.as_mut().poll(cx).map(|()| Happened::Fired(timer))
        })
        .await
    }

    /// Takes the route in force now: a failed attempt may have led to a new one.
    fn look_at_the_route(&mut self) {
        let topic = self.send.call.message.topic_name();
        if let Some(snapshot) = self.send.core.client.routes.snapshot(topic) {
            self.snapshot = snapshot;
        }
    }

    /// The queue that an attempt would go to that avoids these brokers.
    fn look_for_a_queue(&self, failed: &[Name]) -> Option<QueueRef> {
        choose(self.send, &self.snapshot, failed, Step::Look)
    }

    /// Java's client chooses a queue before it looks at the clock, and then does not use it.
    fn choose_in_vain(&self) {
        let _ = choose(self.send, &self.snapshot, self.set.failed(), Step::Take);
    }

    fn candidate<'q>(&self, to: &'q QueueRef) -> Candidate<'q> {
        let free = self.send.target_queue.is_none();
        Candidate {
            broker: &to.broker,
            has_other: free && self.snapshot.queues.has_other(&to.broker),
        }
    }

    /// Starts the next attempt; none without a queue.
    fn start(&mut self, origin: Origin) {
        self.look_at_the_route();
        let send = &*self.send;
        let core = &send.core;
        let (policy, mode) = (&core.policy, send.call.mode);
        let Some(to) = choose(send, &self.snapshot, self.set.failed(), Step::Take) else {
            return;
        };
        let topic = send.call.message.topic_name();
        core.client.routes.tried(topic, &self.snapshot, &to.broker);
        let candidate = self.candidate(&to);
        let timeout = self.set.attempt_timeout(Instant::now(), candidate);
        let number = self.set.started() + 1;
        let master = self.snapshot.master(&to.broker);
        let address = master.map(|master| encoding::address(policy, mode, number, master));
        let avoided = if send.target_queue.is_some() {
            Vec::new()
        } else {
            select::avoided(policy, self.set.failed()).to_vec()
        };
        send.emit(Event::Attempt {
            send: send.number,
            number,
            snapshot: self.snapshot.number,
            to: to.clone(),
            address: address.clone(),
            timeout_ms: timeout,
            avoided,
        });
        let which = (number, &to, address.as_ref());
        let refusal = hooks::forbid(send, &self.outgoing.encoded, which);
        let first = self.first.get_or_insert_with(|| to.clone());
        let target_queue = encoding::target(policy, mode, first, &to).clone();
        let limits = self.set.start(Instant::now(), &to.broker, timeout, origin);
        let exchange = Exchange {
            core: Arc::clone(core),
            send: send.number,
            number,
            outgoing: Arc::clone(&self.outgoing),
            target_queue,
            address: address.clone(),
            over: origin.over(),
            limits,
            mode,
            broker: Name::clone(&to.broker),
        };
        self.requests.push(Request {
            to,
            address,
            exchange: exchange.unless(refusal),
        });
    }

    /// The attempt that follows one that ended so starts, or waits for its time.
    fn start_after(&mut self, ended: Ended) {
        self.look_at_the_route();
        let next = self.look_for_a_queue(self.set.failed());
        let candidate = next.as_ref().map(|to| self.candidate(to));
        if self.set.follow(Instant::now(), ended, candidate) {
            self.start(Origin::Failure);
        }
    }

    /// The attempt that waits for its time starts, or waits on.
    fn delayed_is_due(&mut self) -> Option<Done<Confirmed>> {
        self.look_at_the_route();
        let next = self.look_for_a_queue(self.set.failed());
        let candidate = next.as_ref().map(|to| self.candidate(to));
        match self.set.delayed_is_due(Instant::now(), candidate) {
            Due::Wait => None,
            Due::OutOfTime => self.out_of_time(),
            Due::Start => {
                self.start(Origin::Failure);
                None
            }
        }
    }

    /// The newest attempt was not answered within its timeout: it is hedged, or goes on alone.
    fn attempt_timed_out(&mut self) -> Option<Done<Confirmed>> {
        if let (Some(silent), Some(request)) = (self.set.falls_silent(), self.requests.last()) {
            let took = millis(silent.began.elapsed());
            self.learn_silence(&silent, request.address.as_ref(), took);
        }
        self.look_at_the_route();
        let core = Arc::clone(&self.send.core);
        let next = self.look_for_a_queue(&self.set.failed_if_hedged());
        let prompt = next.map_or(0, |to| core.health.lock().prompt(&to.broker));
        let outlook = Outlook {
            known: health::known(&core.policy, prompt),
            token: core.hedging_budget.lock().has_token(),
        };
        if let Some(hedge) = self.set.hedge(Instant::now(), outlook) {
            self.start_hedge(hedge);
        }
        None
    }

    /// Starts an attempt beside the silent one, which stays open.
    fn start_hedge(&mut self, hedge: Hedge) {
        let tokens_left = {
            let mut budget = self.send.core.hedging_budget.lock();
            if hedge.origin.took_token()
                && let Some(taken) = budget.take()
            {
                *budget = taken;
            }
            budget.tenths()
        };
        self.send.emit(Event::Hedged {
            send: self.send.number,
            number: hedge.silent,
            tokens_left,
        });
        self.start(hedge.origin);
    }

    /// Tells the connection, the routes and the health table of an attempt's silence.
    fn learn_silence(&self, attempt: &OpenAttempt, address: Option<&Name>, took: Millis) {
        let silent = Ended {
            stage: Stage::Silent,
            code: None,
        };
        let given = self.outgoing.given(attempt.number);
        if let (Some(given), Some(address)) = (given, address) {
            // One that was opened or was sent to only at the end has said nothing yet.
            if millis(given.at.elapsed()) >= attempt.timeout / 2 {
                let client = &self.send.core.client;
                client.doubt(address, given.connection, given.at);
            }
        }
        refresh(self.send, silent);
        note_health(self.send, &attempt.broker, silent, took);
    }

    /// An attempt has ended: by an answer, or without one.
    fn attempt_ended(&mut self, at: usize, report: Report) -> Option<Done<Confirmed>> {
        let ended = Ended {
            stage: report.stage,
            code: report.code,
        };
        let (attempt, next) = self.set.end(Instant::now(), at, ended);
        let request = self.requests.remove(at);
        let took = attempt.began.elapsed();
        self.tell_end(&attempt, request.address.as_ref(), ended, took);
        match report.result {
            Ok(accepted) => {
                let copy = self.confirmed(&attempt, &request, accepted, took);
                if next != Next::KeepAndRetry {
                    return Some(Done::Stored(copy));
                }
                self.set.keep(copy);
            }
            Err(cause) => self.list(request.failed(&attempt, ended, took, cause)),
        }
        match next {
            Next::Retry | Next::KeepAndRetry => {
                self.start_after(ended);
                None
            }
            Next::Wait => None,
            Next::ChooseAndFail => {
                self.choose_in_vain();
                Some(self.set.give_up(Instant::now(), ended.stage))
            }
            Next::Succeed | Next::Fail => Some(self.set.give_up(Instant::now(), ended.stage)),
        }
    }

    /// A broker has confirmed a copy. A token of the hedging budget comes back if the attempt that
    /// took it brought its answer promptly.
    fn confirmed(
        &self,
        attempt: &OpenAttempt,
        request: &Request,
        accepted: Accepted,
        took: Duration,
    ) -> Confirmed {
        let core = &self.send.core;
        let encoded = &self.outgoing.encoded;
        let started = self.set.started();
        let (sent, code) = accepted.sent(&core.identity, encoded, &request.to, started);
        let which = (attempt.number, &request.to, request.address.as_ref());
        hooks::hear(self.send, encoded, which, AttemptEnd::Stored(&sent));
        if attempt.for_token && health::is_prompt(&core.policy, millis(took)) {
            let mut budget = core.hedging_budget.lock();
            *budget = budget.give_back();
        }
        Confirmed {
            attempt: attempt.number,
            sent,
            code,
        }
    }

    /// Tells the observer, the health table and the routes that an attempt has ended.
    fn tell_end(
        &self,
        attempt: &OpenAttempt,
        address: Option<&Name>,
        ended: Ended,
        took: Duration,
    ) {
        self.emit_end(attempt.number, ended, took);
        if let (Some(retry::GO_AWAY), Some(address)) = (ended.code, address) {
            self.send.emit(Event::Drain {
                broker: Name::clone(address),
            });
        }
        if ended.stage == Stage::Silent {
            self.hang_up(attempt, address);
        }
        refresh(self.send, ended);
        if !attempt.silent {
            note_health(self.send, &attempt.broker, ended, millis(took));
        }
    }

    /// Java's client closes the connection of a call that timed out.
    fn hang_up(&self, attempt: &OpenAttempt, address: Option<&Name>) {
        let Some(address) = address else {
            return;
        };
        let SendOperation { core, call, .. } = &*self.send;
        let remoting = &core.client.remoting;
        let opened = remoting.open_since(address);
        let dialled = opened.map(|at| at.saturating_duration_since(attempt.began));
        let had = attempt.timeout.saturating_sub(dialled.map_or(0, millis));
        if retry::closes_connection(&core.policy, call.mode, had, self.send.timeout) {
            remoting.close(address, CloseCause::CallTimedOut);
        }
    }

    fn emit_end(&self, number: u32, ended: Ended, took: Duration) {
        self.send.emit(Event::AttemptEnded {
            send: self.send.number,
            number,
            stage: ended.stage,
            code: ended.code,
            after_ms: millis(took),
        });
    }

    /// Ends every attempt that is still open.
    fn end_open(&mut self, stage: Stage, cause: &Cause) {
        let ended = Ended { stage, code: None };
        let requests = std::mem::take(&mut self.requests);
        for (attempt, request) in self.set.close().into_iter().zip(requests) {
            let took = attempt.began.elapsed();
            let address = request.address.as_ref();
            self.emit_end(attempt.number, ended, took);
            if stage == Stage::Silent {
                self.hang_up(&attempt, address);
                // One that was silent before has taught its lesson then.
                if !attempt.silent {
                    self.learn_silence(&attempt, address, millis(took));
                }
            }
            self.list(request.failed(&attempt, ended, took, cause.clone()));
        }
    }

    /// Keeps an attempt that has failed for the send's error.
    fn list(&mut self, attempt: Attempt) {
        hooks::hear_failure(self.send, &self.outgoing.encoded, &attempt);
        self.ended.push(attempt);
    }

    /// The send's time is over.
    fn out_of_time(&mut self) -> Option<Done<Confirmed>> {
        match self.set.out_of_time() {
            OutOfTime::EndsOne(at) => {
                self.attempt_ended(at, Report::failed(Stage::Silent, Cause::Silent))
            }
            OutOfTime::EndsAll => {
                self.end_open(Stage::Silent, &Cause::Silent);
                Some(self.set.give_up(Instant::now(), Stage::Silent))
            }
        }
    }

    fn succeed(&mut self, copy: Confirmed) -> Sent {
        self.end_open(Stage::Superseded, &Cause::Superseded);
        let Confirmed {
            attempt,
            sent,
            code,
        } = copy;
        self.send.end(Outcome::Sent {
            attempt,
            at: QueueRef::from(&sent.queue),
            offset: sent.offset,
            code,
        });
        sent
    }

    fn fail(&mut self, failure: Failure) -> SendError {
        self.end_open(Stage::Superseded, &Cause::Superseded);
        let mut attempts = std::mem::take(&mut self.ended);
        attempts.sort_by_key(|attempt| attempt.number);
        let error = self.send.error(failure);
        let error = error.of_message(&self.outgoing.encoded.unique_key, attempts);
        self.send.fail(error)
    }
}
