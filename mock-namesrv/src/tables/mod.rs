//! What a name server knows, as a value without I/O.
//!
//! Every method that depends on time takes `now`; every method that changes something returns what
//! changed, so that the caller can report it. The rules of registration are in `register`, those of
//! removal in `remove`, the answers to questions in `route` and `list`.

mod held;
mod kv;
mod list;
mod register;
mod remove;
mod route;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rmq_remoting::event::ConnectionNumber;
use rmq_remoting::observe::Name;
use rmq_remoting::route::{BrokerData, QueueData};
use rmq_remoting::topic::{DataVersion, perm};
use tokio::time::Instant;

pub use held::MAX_HELD_FOR_A_CONNECTION;
pub use kv::{KeyValues, ORDER_TOPICS};
pub use register::{Registered, Registration};
pub use remove::Expired;
pub use route::{RouteAlteration, Zone};

use crate::event::RemovalCause;
use held::Held;
use rmq_remoting::profile::Profile;

/// A connection, by the number the server gave it.
pub type Channel = ConnectionNumber;

/// A broker that registered and has not been silent for too long.
#[derive(Debug, Clone)]
struct Live {
    seen: Instant,
    timeout: Duration,
    version: DataVersion,
    channel: Channel,
    ha_address: Name,
}

/// Names a live broker: cluster and address.
type LiveKey = (Name, Name);

/// What an operation changed in the tables.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// A broker address that is new.
    pub added: Option<Added>,
    /// The addresses of brokers that left the tables.
    pub removed: Vec<Removed>,
    /// Topics whose route is another one now.
    pub topics: BTreeSet<Name>,
}

/// A broker address that came into the tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Added {
    /// The name of the broker whose address it is.
    pub broker: Name,
    /// The broker's id under that name: 0 for the master.
    pub id: i64,
    /// The address that it registered.
    pub address: Name,
}

/// A broker address that left the tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removed {
    /// The name of the broker that left the tables.
    pub broker: Name,
    /// The address that it had registered.
    pub address: Name,
    /// Why the broker left the tables.
    pub cause: RemovalCause,
}

/// All tables of a name server.
#[derive(Debug, Clone)]
pub struct Tables {
    profile: Profile,
    /// How long a broker may be silent that states no limit.
    broker_timeout: Duration,
    topics: BTreeMap<Name, BTreeMap<Name, QueueData>>,
    groups: BTreeMap<Name, BrokerData>,
    clusters: BTreeMap<Name, BTreeSet<Name>>,
    live: BTreeMap<LiveKey, Live>,
    held: Held,
    /// Free key-value configuration, by namespace.
    pub kv: KeyValues,
}

impl Tables {
    /// Tables in which no broker has registered.
    pub fn new(profile: Profile, broker_timeout: Duration) -> Self {
        Self {
            profile,
            broker_timeout,
            topics: BTreeMap::new(),
            groups: BTreeMap::new(),
            clusters: BTreeMap::new(),
            live: BTreeMap::new(),
            held: Held::default(),
            kv: KeyValues::default(),
        }
    }

    /// The writable queues of a topic, by broker.
    pub fn write_queues(&self, topic: &str) -> Vec<(Name, i32)> {
        let brokers = self.topics.get(topic).into_iter().flatten();
        brokers
            .map(|(broker, queues)| (Name::clone(broker), writable(queues)))
            .collect()
    }

    /// 4.9 knows live brokers by their address only.
    fn live_key(&self, cluster: &Name, address: &Name) -> LiveKey {
        let cluster = if self.profile.is_5() {
            Name::clone(cluster)
        } else {
            Name::from("")
        };
        (cluster, Name::clone(address))
    }
}

/// How many queues a producer may write to.
fn writable(queues: &QueueData) -> i32 {
    if queues.perm & perm::WRITE == 0 {
        0
    } else {
        queues.write_queue_nums
    }
}

#[cfg(test)]
mod tests;
