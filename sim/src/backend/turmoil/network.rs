//! The machines of a `turmoil` run and what is wrong between them.
//!
//! `turmoil` forgets one state of a link when another is set (a hold inside a partition, say). Here
//! the reasons are kept apart, and a link gets the state that follows from all of them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use dst_engine::NetworkConfig;
use parking_lot::Mutex;
use turmoil::Sim;

use super::machine;
use crate::backend::runtime_handle::RuntimeHandle;

/// All machines and links.
pub(super) struct Network {
    /// Latency and jitter of a link without faults, in milliseconds.
    usual: (u64, u64),
    state: Mutex<Topology>,
}

#[derive(Default)]
struct Topology {
    machines: BTreeMap<IpAddr, Machine>,
    cuts: BTreeSet<Pair>,
    latencies: BTreeMap<Pair, (u64, u64)>,
    /// What has to wait for the end of `turmoil`'s step.
    changes: Vec<Change>,
}

struct Machine {
    runtime: Arc<RuntimeHandle>,
    /// Whether `turmoil` knows the machine by now.
    registered: bool,
    powered: bool,
}

/// Two different addresses, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Pair(IpAddr, IpAddr);

impl Pair {
    fn new(a: IpAddr, b: IpAddr) -> Option<Self> {
        (a != b).then(|| Self(a.min(b), a.max(b)))
    }
}

enum Change {
    Register(IpAddr, Arc<RuntimeHandle>),
    Link(Pair, LinkState),
    Latency(Pair, (u64, u64)),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LinkState {
    /// Messages flow; what was held is delivered at once.
    Open,
    /// Messages wait until the link is open again.
    Held,
    /// Messages vanish, and are not delivered later.
    Dead,
}

impl Network {
    pub(super) fn new(config: &NetworkConfig) -> Self {
        Self {
            usual: (config.latency_ms.max(1), config.jitter_ms),
            state: Mutex::default(),
        }
    }

    /// The machine at an address is powered, and built if it is new; returns its runtime.
    pub(super) fn power_on(&self, ip: IpAddr) -> Arc<RuntimeHandle> {
        let mut state = self.state.lock();
        if let Some(machine) = state.machines.get_mut(&ip) {
            let runtime = Arc::clone(&machine.runtime);
            if !std::mem::replace(&mut machine.powered, true) {
                state.settle_all(ip);
            }
            return runtime;
        }
        let runtime = Arc::<RuntimeHandle>::default();
        let machine = Machine {
            runtime: Arc::clone(&runtime),
            registered: false,
            powered: true,
        };
        state.machines.insert(ip, machine);
        state
            .changes
            .push(Change::Register(ip, Arc::clone(&runtime)));
        state.settle_all(ip);
        runtime
    }

    /// Nothing goes to or comes from the machine until it is powered on.
    pub(super) fn power_off(&self, ip: IpAddr) {
        let mut state = self.state.lock();
        // Where nothing was ever booted no machine is built yet.
        if let Some(machine) = state.machines.get_mut(&ip) {
            machine.powered = false;
            state.settle_all(ip);
        }
    }

    /// Holds everything between two machines, or releases it. A machine's own loop has no faults.
    pub(super) fn cut(&self, a: IpAddr, b: IpAddr, on: bool) {
        let Some(pair) = Pair::new(a, b) else {
            return;
        };
        let mut state = self.state.lock();
        if on {
            state.cuts.insert(pair);
        } else {
            state.cuts.remove(&pair);
        }
        state.settle(pair);
    }

    /// Sets the latency between two machines; `None` means the usual one. It is not that of a
    /// machine's own loop.
    pub(super) fn latency(&self, a: IpAddr, b: IpAddr, latency: Option<(u64, u64)>) {
        let Some(pair) = Pair::new(a, b) else {
            return;
        };
        let latency = latency.unwrap_or(self.usual);
        let mut state = self.state.lock();
        state.latencies.insert(pair, latency);
        if state.knows(pair) {
            state.changes.push(Change::Latency(pair, latency));
        }
    }

    /// The time that an answer takes from one machine to the other.
    pub(super) fn latency_between(&self, a: IpAddr, b: IpAddr) -> Duration {
        let latencies = &self.state.lock().latencies;
        let set = Pair::new(a, b).map(|pair| latencies.get(&pair).copied());
        Duration::from_millis(match set {
            Some(special) => special.unwrap_or(self.usual).0,
            None => 0,
        })
    }

    /// Whether messages flow between two machines.
    pub(super) fn is_open(&self, a: IpAddr, b: IpAddr) -> bool {
        let state = self.state.lock();
        match Pair::new(a, b) {
            Some(pair) => state.knows(pair) && state.link(pair) == LinkState::Open,
            None => state.is_powered(a),
        }
    }

    /// Does what had to wait for the end of a step.
    pub(super) fn apply(&self, sim: &mut Sim<'_>) {
        let changes = std::mem::take(&mut self.state.lock().changes);
        for change in changes {
            match change {
                Change::Register(ip, runtime) => {
                    sim.host(ip, move || machine(Arc::clone(&runtime)));
                    self.registered(ip);
                }
                Change::Link(Pair(a, b), LinkState::Open) => sim.release(a, b),
                Change::Link(Pair(a, b), LinkState::Held) => sim.hold(a, b),
                Change::Link(Pair(a, b), LinkState::Dead) => sim.partition(a, b),
                Change::Latency(Pair(a, b), (ms, jitter_ms)) => {
                    sim.set_link_latency(a, b, Duration::from_millis(ms));
                    if jitter_ms > 0 {
                        let longest = Duration::from_millis(ms + jitter_ms);
                        sim.set_link_max_message_latency(a, b, longest);
                    }
                }
            }
        }
    }

    fn registered(&self, ip: IpAddr) {
        let mut state = self.state.lock();
        let Some(machine) = state.machines.get_mut(&ip) else {
            unreachable!("a machine at {ip} is registered that was never powered on")
        };
        machine.registered = true;
    }

    /// The run is over.
    pub(super) fn close(&self) {
        let homes: Vec<_> = {
            let state = self.state.lock();
            let machines = state.machines.values();
            machines
                .map(|machine| Arc::clone(&machine.runtime))
                .collect()
        };
        for runtime in homes {
            runtime.close();
        }
    }
}

impl Topology {
    fn is_powered(&self, ip: IpAddr) -> bool {
        self.machines
            .get(&ip)
            .is_some_and(|machine| machine.powered)
    }

    fn knows(&self, Pair(a, b): Pair) -> bool {
        self.machines.contains_key(&a) && self.machines.contains_key(&b)
    }

    fn link(&self, pair: Pair) -> LinkState {
        if !self.is_powered(pair.0) || !self.is_powered(pair.1) {
            LinkState::Dead
        } else if self.cuts.contains(&pair) {
            LinkState::Held
        } else {
            LinkState::Open
        }
    }

    fn settle_all(&mut self, ip: IpAddr) {
        let others: Vec<_> = self.machines.keys().copied().collect();
        for pair in others.into_iter().filter_map(|other| Pair::new(ip, other)) {
            self.settle(pair);
        }
    }

    /// Gives a link the state that follows from everything that is wrong: at once from within
    /// `turmoil`'s step, so that nothing slips through, and before the next step from outside.
    fn settle(&mut self, pair: Pair) {
        let Pair(a, b) = pair;
        let registered = |ip| {
            self.machines
                .get(ip)
                .is_some_and(|machine| machine.registered)
        };
        let link = self.link(pair);
        if turmoil::in_simulation() && registered(&a) && registered(&b) {
            match link {
                LinkState::Open => turmoil::release(a, b),
                LinkState::Held => turmoil::hold(a, b),
                LinkState::Dead => turmoil::partition(a, b),
            }
        } else if self.knows(pair) {
            // A machine that is not built yet settles its links when it is.
            self.changes.push(Change::Link(pair, link));
        }
    }
}
