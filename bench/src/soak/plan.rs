//! What happens to which server when: a function of the seed.

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

/// A seed of this run alone.
pub(crate) fn any_seed() -> u64 {
    RandomState::new().hash_one(0) >> 32
}

/// A server of the cluster, by its number among its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Server {
    Name(u32),
    Broker(u32),
}

/// What is done to a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deed {
    /// SIGKILL: the process is gone at once.
    Kill,
    /// SIGTERM: the server unregisters and ends.
    Stop,
    /// SIGSTOP: the process stands still with its connections open.
    Freeze,
    /// SIGCONT: a process that stood still goes on.
    Thaw,
    /// A new process at the same port.
    Restart,
}

/// One thing that is done to one server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Change {
    /// When it is done, from the beginning of the soak.
    pub(crate) at: Duration,
    pub(crate) server: Server,
    pub(crate) deed: Deed,
}

/// The changes of a run, in order and without end. At least one server of each kind works at any
/// time, if there are two.
#[derive(Debug)]
pub(crate) struct Plan {
    draws: ChaCha8Rng,
    name_servers: u32,
    brokers: u32,
    /// What is broken, and when and how it comes back.
    broken: BTreeMap<Server, (Duration, Deed)>,
    /// When the next server breaks.
    next: Duration,
}

impl Plan {
    pub(crate) fn new(seed: u64, name_servers: u32, brokers: u32) -> Self {
        let mut plan = Self {
            draws: ChaCha8Rng::seed_from_u64(seed),
            name_servers,
            brokers,
            broken: BTreeMap::new(),
            next: Duration::ZERO,
        };
        plan.next = plan.pause();
        plan
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.draws.next_u64() % limit
    }

    /// Draws the time from one fault to the next: half a second to six seconds.
    fn pause(&mut self) -> Duration {
        Duration::from_millis(500 + self.below(5_500))
    }

    /// The next change in the order of time: a server breaks, or one comes back.
    pub(crate) fn next(&mut self) -> Change {
        loop {
            let back = self.broken.iter().min_by_key(|(_, (at, _))| *at);
            if let Some((&server, &(at, deed))) = back
                && at <= self.next
            {
                self.broken.remove(&server);
                return Change { at, server, deed };
            }
            let at = self.next;
            self.next = at + self.pause();
            if let Some((server, deed)) = self.fault(at) {
                return Change { at, server, deed };
            }
        }
    }

    /// Breaks a server, unless it is broken or the last one of its kind that works.
    fn fault(&mut self, at: Duration) -> Option<(Server, Deed)> {
        // Brokers are broken four times as often as name servers.
        let server = if self.below(5) == 0 {
            Server::Name(u32::try_from(self.below(self.name_servers.into())).ok()?)
        } else {
            Server::Broker(u32::try_from(self.below(self.brokers.into())).ok()?)
        };
        let (deed, back) = match self.below(8) {
            0 => (Deed::Stop, Deed::Restart),
            1..=4 => (Deed::Kill, Deed::Restart),
            _ => (Deed::Freeze, Deed::Thaw),
        };
        let length = Duration::from_millis(200 + self.below(9_800));
        let is_name = |server: &Server| matches!(server, Server::Name(_));
        let broken = self.broken.keys();
        let alike = broken.filter(|it| is_name(it) == is_name(&server)).count();
        let all = if is_name(&server) {
            self.name_servers
        } else {
            self.brokers
        };
        let spare = (all.saturating_sub(1)).max(u32::from(all == 1)) as usize;
        if alike >= spare || self.broken.contains_key(&server) {
            return None;
        }
        self.broken.insert(server, (at + length, back));
        Some((server, deed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(seed: u64) -> Vec<Change> {
        let mut plan = Plan::new(seed, 2, 3);
        (0..1_000).map(|_| plan.next()).collect()
    }

    #[test]
    fn a_plan_is_its_seed_and_its_times_go_up() {
        let some = changes(7);
        assert_eq!(some, changes(7));
        assert_ne!(some, changes(8));
        assert!(some.is_sorted_by_key(|change| change.at));
    }

    #[test]
    fn one_broker_and_one_name_server_work_at_any_time_and_what_breaks_comes_back() {
        let mut broken: BTreeMap<Server, Deed> = BTreeMap::new();
        for Change { server, deed, .. } in changes(1) {
            match deed {
                Deed::Kill | Deed::Stop | Deed::Freeze => {
                    assert_eq!(broken.insert(server, deed), None);
                }
                Deed::Thaw => assert_eq!(broken.remove(&server), Some(Deed::Freeze)),
                Deed::Restart => assert!(matches!(
                    broken.remove(&server),
                    Some(Deed::Kill | Deed::Stop)
                )),
            }
            let brokers = broken.keys().filter(|it| matches!(it, Server::Broker(_)));
            assert!(brokers.count() <= 2);
            let names = broken.keys().filter(|it| matches!(it, Server::Name(_)));
            assert!(names.count() <= 1);
        }
    }

    #[test]
    fn a_single_server_breaks_too() {
        let mut plan = Plan::new(1, 1, 1);
        assert!((0..100).any(|_| plan.next().server == Server::Broker(0)));
    }
}
