//! The root future: one poll is one instant, or a part of it.
//!
//! An instant is (1) the actions planned for it; (2) the deliveries due, and every task they wake,
//! until quiet; (3) only then the tasks that timers woke, until quiet. Then the engine arms one
//! sleep for its next event, and Tokio's auto-advance jumps to the earliest timer, its own or the
//! program's.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use rmq_host::TaskEnd;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::access;
use crate::change::Change;
use crate::command::Command;
use crate::config::{EngineConfig, Limits, ReadyOrder, RunEnd, WaitingTask};
use crate::core::{Core, DeliveryKind, Due, RunId};
use crate::event::{EngineEvent, TaskOff};
use crate::node::NodeId;
use crate::panics;
use crate::process;
use crate::ready::{Lists, Order, TaskRef};
use crate::strike::Strike;
use crate::tasks::{Polled, Running, Tasks, Throttle, guarded, release};

/// How far beyond the horizon the engine looks for a timer that tells a deadlock from a long wait.
const BEYOND: Duration = Duration::from_secs(365 * 24 * 3600);

/// What main is called in reports.
const MAIN: &str = "main";

/// What a task is called that the program gave to Tokio itself.
const FOREIGN: &str = "tokio::spawn";

/// The engine of one run.
pub(super) struct Root<F: Future> {
    run: RunId,
    limits: Limits,
    start: Instant,
    lists: Arc<Lists>,
    order: Order,
    tasks: Tasks,
    throttles: Vec<Throttle>,
    main: Option<Pin<Box<F>>>,
    main_handle: Arc<TaskRef>,
    main_waker: Waker,
    /// What the main future returned; absent until it completes.
    pub(super) value: Option<F::Output>,
    sleep: Pin<Box<Sleep>>,
    armed_at: Instant,
    now: u64,
    polls_now: u64,
    polls: u64,
    deliveries: u64,
    jumps: u64,
    /// The millisecond of the last poll or delivery.
    last_active: u64,
    /// Nothing but the horizon was armed when the engine slept last.
    idle: bool,
    /// The horizon has come and the engine looks whether any timer lies beyond.
    looking_beyond: bool,
}

impl<F: Future> Root<F> {
    pub(super) fn new(run: RunId, config: &EngineConfig, main: F) -> Self {
        let start = Instant::now();
        let lists = Arc::new(Lists::default());
        let main_handle = TaskRef::new(NodeId::OUTSIDE, u64::MAX, usize::MAX, &lists);
        lists.push(Arc::clone(&main_handle));
        access::own(run, |core| core.attach(start, &lists));
        Self {
            run,
            limits: config.limits,
            start,
            order: Order::new(config.ready_order == ReadyOrder::Seeded, config.seed),
            lists,
            tasks: Tasks::default(),
            throttles: Vec::new(),
            main: Some(Box::pin(main)),
            main_waker: Waker::from(Arc::clone(&main_handle)),
            main_handle,
            value: None,
            sleep: Box::pin(sleep_until(start)),
            armed_at: start,
            now: 0,
            polls_now: 0,
            polls: 0,
            deliveries: 0,
            jumps: 0,
            last_active: 0,
            idle: false,
            looking_beyond: false,
        }
    }

    /// Polls of tasks, and jumps of virtual time.
    pub(super) fn cost(&self) -> (u64, u64) {
        (self.polls, self.jumps)
    }

    fn instant(&mut self) -> Option<RunEnd> {
        let now = access::ms_since(self.start);
        if now != self.now {
            self.now = now;
            self.polls_now = 0;
            self.jumps += 1;
        }
        let over = self.looking_beyond || now >= self.limits.horizon_ms;
        let touched = access::resume(self.run, (!over).then_some(now));
        if let Some(end) = self.foreign_panic() {
            return Some(end);
        }
        if over {
            return self.horizon(touched);
        }
        self.quiet()
            .or_else(|| self.deliver())
            .or_else(|| self.drain())
            .or_else(|| {
                self.lists.release_timed();
                self.drain()
            })
    }

    /// A task that the program gave to Tokio itself panicked.
    fn foreign_panic(&self) -> Option<RunEnd> {
        let message = panics::foreign()?;
        let task = WaitingTask {
            node: None,
            task: FOREIGN,
        };
        Some(RunEnd::Panicked { task, message })
    }

    /// Everything that is due now, in order; the tasks it wakes are polled later.
    fn deliver(&mut self) -> Option<RunEnd> {
        while let Some(due) = access::own(self.run, Core::deliver_next) {
            self.last_active = self.now;
            self.deliveries += 1;
            if let Due {
                what: DeliveryKind::Tick,
                conn,
                ..
            } = due
            {
                self.tick(conn);
            }
        }
        None
    }

    /// Polls ready tasks until there are none.
    fn drain(&mut self) -> Option<RunEnd> {
        loop {
            if let Some(end) = self.quiet() {
                return Some(end);
            }
            let task = self.lists.pop(&mut self.order, self.now)?;
            if let Some(end) = self.poll_task(&task) {
                return Some(end);
            }
        }
    }

    /// Between two polls: carries out what the engine was asked to do, and planned actions.
    fn quiet(&mut self) -> Option<RunEnd> {
        loop {
            let (command, action) = access::own(self.run, |core| {
                let command = core.commands.pop_front();
                let action = if command.is_none() {
                    core.next_action()
                } else {
                    None
                };
                (command, action)
            });
            match (command, action) {
                (Some(command), _) => self.carry_out(command),
                (None, Some(action)) => {
                    self.last_active = self.now;
                    let acted = guarded(|| {
                        action();
                        Poll::Ready(())
                    });
                    if let Err(message) = acted {
                        let task = WaitingTask {
                            node: None,
                            task: "planned action",
                        };
                        return Some(RunEnd::Panicked { task, message });
                    }
                }
                (None, None) => return None,
            }
        }
    }

    fn poll_task(&mut self, task: &Arc<TaskRef>) -> Option<RunEnd> {
        if let Some(throttle) = self.throttles.get_mut(task.node.index()) {
            if !throttle.is_open(self.now) {
                throttle.parked.push_back(Arc::clone(task));
                let (what, node) = (throttle.strike(), task.node);
                access::own(self.run, |core| core.strikes.add(what, node, node, 1));
                return None;
            }
            if throttle.ms_per_poll > 0 {
                throttle.next_poll = self.now + throttle.ms_per_poll;
                let (at, node) = (throttle.next_poll, task.node);
                access::own(self.run, |core| {
                    core.schedule(at, node.0.into(), 0, DeliveryKind::Tick);
                });
            }
        }
        self.last_active = self.now;
        self.polls += 1;
        self.polls_now += 1;
        if task.slot == usize::MAX {
            return self.poll_main();
        }
        let (polled, name) = process::polling(task.node, || self.tasks.poll(task))?;
        let end = match polled {
            Polled::Pending => None,
            Polled::Finished => {
                self.ended(task, TaskEnd::Finished, TaskOff::Finished);
                None
            }
            Polled::Panicked(message) => {
                self.ended(task, TaskEnd::Panicked(message.clone()), TaskOff::Panicked);
                let task = WaitingTask {
                    node: Some(task.node),
                    task: name,
                };
                Some(RunEnd::Panicked { task, message })
            }
        };
        end.or_else(|| {
            self.over_limit(WaitingTask {
                node: Some(task.node),
                task: name,
            })
        })
    }

    fn poll_main(&mut self) -> Option<RunEnd> {
        self.main_handle.begin_poll();
        let Some(main) = self.main.as_mut() else {
            unreachable!("main is polled after the end of the run")
        };
        let mut cx = Context::from_waker(&self.main_waker);
        match guarded(|| main.as_mut().poll(&mut cx)) {
            Ok(Poll::Pending) => self.over_limit(WaitingTask {
                node: None,
                task: MAIN,
            }),
            Ok(Poll::Ready(value)) => {
                self.value = Some(value);
                Some(RunEnd::Finished)
            }
            Err(message) => {
                let task = WaitingTask {
                    node: None,
                    task: MAIN,
                };
                Some(RunEnd::Panicked { task, message })
            }
        }
    }

    fn over_limit(&self, last: WaitingTask) -> Option<RunEnd> {
        let at_ms = self.now;
        if self.polls_now > self.limits.polls_per_instant {
            return Some(RunEnd::Livelock { at_ms, last });
        }
        (self.polls + self.deliveries > self.limits.events).then_some(RunEnd::EventLimit { at_ms })
    }

    fn ended(&mut self, task: &TaskRef, end: TaskEnd, how: TaskOff) {
        let running = self.tasks.remove(task);
        self.let_go(running, end, how);
    }

    fn let_go(&mut self, running: Running, end: TaskEnd, how: TaskOff) {
        let (node, number, name) = (running.handle.node, running.handle.number, running.name);
        access::own(self.run, |core| {
            core.known_mut(node).tasks -= 1;
            let node = running.told_as;
            core.tell(EngineEvent::TaskOff {
                node,
                number,
                name,
                how,
            });
        });
        running.end(end);
    }

    fn carry_out(&mut self, command: Command) {
        match command {
            Command::Spawn(task) => {
                let lives = access::own(self.run, |core| core.task_starts(&task));
                if lives {
                    let (run, node) = (self.run, task.told_as);
                    self.tasks
                        .start(*task, &self.lists, || access::name(run, node));
                } else {
                    release(task);
                }
            }
            Command::Cancel(number) => {
                if let Some(running) = self.tasks.take(number) {
                    self.let_go(running, TaskEnd::Cancelled, TaskOff::Cancelled);
                }
            }
            Command::Boot {
                node,
                incarnation,
                ip,
            } => {
                self.kill(node);
                access::own(self.run, |core| {
                    core.freeze(node, false);
                    core.start_process(node, incarnation, ip);
                });
                self.throttle(node, |throttle| {
                    throttle.frozen = false;
                    throttle.parked.clear();
                });
            }
            Command::Change(change) => self.change(change),
        }
    }

    /// Carries out a change: what concerns tasks here, the rest in the kernels and links.
    fn change(&mut self, change: Change) {
        match change {
            Change::Crash(node) => self.kill(node),
            Change::PowerOff(node) => {
                for node in access::own(self.run, |core| core.power_off(node)) {
                    self.drop_tasks(node);
                }
            }
            Change::Freeze(node) => {
                access::own(self.run, |core| core.freeze(node, true));
                self.throttle(node, |throttle| throttle.frozen = true);
            }
            Change::Thaw(node) => {
                access::own(self.run, |core| core.freeze(node, false));
                self.throttle(node, |throttle| throttle.frozen = false);
                self.unpark(node);
            }
            Change::Slow { node, ms_per_poll } => {
                self.throttle(node, |throttle| throttle.ms_per_poll = ms_per_poll);
                self.unpark(node);
            }
            other => {
                access::own(self.run, |core| core.change(other));
            }
        }
    }

    /// Kills the process of a node: first its sockets, then its futures.
    fn kill(&mut self, node: NodeId) {
        access::own(self.run, |core| core.stop_process(node));
        self.drop_tasks(node);
    }

    fn drop_tasks(&mut self, node: NodeId) {
        let killed = self.tasks.take_all(|of| of == node);
        let count = killed.len() as u64;
        access::own(self.run, |core| {
            core.strikes.add(Strike::Killed, node, node, count);
        });
        for running in killed {
            self.let_go(running, TaskEnd::Cancelled, TaskOff::Crashed);
        }
    }

    fn throttle(&mut self, node: NodeId, change: impl FnOnce(&mut Throttle)) {
        assert!(node != NodeId::OUTSIDE, "main is no process to throttle");
        if self.throttles.len() <= node.index() {
            self.throttles
                .resize_with(node.index() + 1, Throttle::default);
        }
        change(&mut self.throttles[node.index()]);
    }

    /// Makes the parked tasks of a node ready again; its throttle decides anew.
    fn unpark(&mut self, node: NodeId) {
        for task in self.throttles[node.index()].parked.drain(..) {
            self.lists.push(task);
        }
    }

    /// A slow node may poll again.
    fn tick(&mut self, node: u32) {
        let throttle = &mut self.throttles[node as usize];
        if let Some(task) = throttle.parked.pop_front() {
            self.lists.push(task);
        }
    }

    /// Virtual time is at its end: tells a deadlock from a run that would go on.
    fn horizon(&mut self, touched: bool) -> Option<RunEnd> {
        let timers = self.lists.release_timed();
        let mut waiting = self.tasks.waiting();
        waiting.push(WaitingTask {
            node: None,
            task: MAIN,
        });
        if timers || touched || !self.idle {
            return Some(RunEnd::Horizon { waiting });
        }
        if self.looking_beyond && self.armed_at <= Instant::now() {
            let since_ms = self.last_active;
            return Some(RunEnd::Deadlock { since_ms, waiting });
        }
        self.looking_beyond = true;
        None
    }

    /// Arms the sleep for the next thing that the engine knows of.
    fn arm(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let next = access::own(self.run, |core| {
            core.pause();
            core.next_ms()
        });
        let horizon = self.limits.horizon_ms;
        let at = if self.looking_beyond {
            self.start + Duration::from_millis(horizon) + BEYOND
        } else {
            self.idle = next.is_none_or(|next| next > horizon);
            let next = next.map_or(horizon, |next| next.min(horizon));
            self.start + Duration::from_millis(next)
        };
        if at != self.armed_at {
            self.armed_at = at;
            self.sleep.as_mut().reset(at);
        }
        self.sleep.as_mut().poll(cx)
    }

    /// Drops main and every task. The trace is sealed by then: nothing of this is observed.
    pub(super) fn teardown(&mut self) {
        access::own(self.run, |core| core.closing = true);
        release(self.main.take());
        for running in self.tasks.take_all(|_| true) {
            running.end(TaskEnd::Cancelled);
        }
        self.lists.clear();
    }
}

impl<F: Future> Future for Root<F> {
    type Output = RunEnd;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<RunEnd> {
        let root = &mut *self;
        loop {
            root.lists.begin(cx.waker());
            let end = root.instant();
            root.lists.end();
            if let Some(end) = end {
                return Poll::Ready(end);
            }
            if root.arm(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }
}

impl<F: Future> Unpin for Root<F> {}
