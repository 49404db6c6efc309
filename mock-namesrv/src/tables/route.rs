//! Which brokers serve a topic.

use rmq_remoting::observe::Name;
use rmq_remoting::route::{BrokerData, MASTER_ID, TopicRouteData};
use serde::{Deserialize, Serialize};

use super::Tables;
use crate::odd::OddRoute;

/// A client that wants only the brokers of its own zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Zone<'a>(pub &'a str);

impl Zone<'_> {
    /// Whether a broker stays in the route: it is in the zone, or has lost its master.
    fn keeps(&self, broker: &BrokerData) -> bool {
        let leaderless = !broker.broker_addrs.contains_key(&MASTER_ID);
        let zone = broker.zone_name.as_deref().unwrap_or_default();
        leaderless || zone.eq_ignore_ascii_case(self.0)
    }
}

/// How a route is told wrongly, on purpose.
///
/// ```
/// use rmq_mock_namesrv::control::RouteAlteration;
/// use rmq_remoting::route::{BrokerData, TopicRouteData};
///
/// let broker = |name: &str| BrokerData { broker_name: name.into(), ..BrokerData::default() };
/// let broker_datas = vec![broker("broker-a"), broker("broker-b")];
/// let mut route = TopicRouteData { broker_datas, ..TopicRouteData::default() };
/// let without = RouteAlteration::Without { broker: "broker-a".into() };
/// assert!(without.apply(&mut route), "a broker is left");
/// assert_eq!(route.broker_datas, [broker("broker-b")]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub enum RouteAlteration {
    /// As it was when [`Memory::keep`](crate::Memory::keep) was called with this number; as it is
    /// now if it never was.
    Stale {
        /// The number that the tables were kept under.
        kept: u32,
    },
    /// Without one broker. Without brokers there is no route.
    Without {
        /// The name of the broker that is left out.
        broker: Name,
    },
    /// With its brokers in another order.
    Permuted {
        /// Which order: each number stands for one.
        order: u64,
    },
    /// In an odd form; what it says is right.
    Odd {
        /// In which way the route is odd.
        form: OddRoute,
    },
}

/// An alteration as a file has it, in the words of a scenario.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "do", deny_unknown_fields)]
#[expect(
    clippy::enum_variant_names,
    reason = "the names are the words of a file"
)]
enum Written {
    StaleRoute { kept: u32 },
    PartialRoute { broker: Name },
    PermutedRoute { order: u64 },
    BareIdRoute,
    TextNumberRoute,
    NullRoute,
    EmptyRoute,
    OrderedRoute,
    StaticRoute,
}

impl From<Written> for RouteAlteration {
    fn from(written: Written) -> Self {
        let form = match written {
            Written::StaleRoute { kept } => return Self::Stale { kept },
            Written::PartialRoute { broker } => return Self::Without { broker },
            Written::PermutedRoute { order } => return Self::Permuted { order },
            Written::BareIdRoute => OddRoute::BareIds,
            Written::TextNumberRoute => OddRoute::TextNumbers,
            Written::NullRoute => OddRoute::Nulls,
            Written::EmptyRoute => OddRoute::Empty,
            Written::OrderedRoute => OddRoute::Ordered,
            Written::StaticRoute => OddRoute::Static,
        };
        Self::Odd { form }
    }
}

impl From<RouteAlteration> for Written {
    fn from(alteration: RouteAlteration) -> Self {
        let form = match alteration {
            RouteAlteration::Stale { kept } => return Self::StaleRoute { kept },
            RouteAlteration::Without { broker } => return Self::PartialRoute { broker },
            RouteAlteration::Permuted { order } => return Self::PermutedRoute { order },
            RouteAlteration::Odd { form } => form,
        };
        match form {
            OddRoute::BareIds => Self::BareIdRoute,
            OddRoute::TextNumbers => Self::TextNumberRoute,
            OddRoute::Nulls => Self::NullRoute,
            OddRoute::Empty => Self::EmptyRoute,
            OddRoute::Ordered => Self::OrderedRoute,
            OddRoute::Static => Self::StaticRoute,
        }
    }
}

impl RouteAlteration {
    /// Alters a route. `false`: no broker is left in it.
    pub fn apply(&self, route: &mut TopicRouteData) -> bool {
        match self {
            Self::Without { broker } => {
                route.broker_datas.retain(|it| *it.broker_name != **broker);
                route.queue_datas.retain(|it| *it.broker_name != **broker);
            }
            Self::Permuted { order } => {
                permute(&mut route.broker_datas, *order);
                permute(&mut route.queue_datas, *order);
            }
            // What is stale is which tables are asked, and what is odd is how the route is written.
            Self::Stale { .. } | Self::Odd { .. } => {}
        }
        !route.broker_datas.is_empty()
    }
}

/// Puts a list into the order that a number stands for: its digits in the factorial system.
fn permute<T>(list: &mut [T], mut order: u64) {
    for first in 0..list.len() {
        let left = list.len() - first;
        let pick = usize::try_from(order % left as u64).unwrap_or(0);
        order /= left as u64;
        list.swap(first, first + pick);
    }
}

impl Tables {
    /// The route of a topic; `None` unless it has queues and at least one known broker.
    pub fn route(&self, topic: &str, zone: Option<Zone<'_>>) -> Option<TopicRouteData> {
        let queues = self.topics.get(topic)?;
        let known: Vec<_> = queues
            .keys()
            .filter_map(|broker| self.groups.get(broker))
            .collect();
        if known.is_empty() {
            return None;
        }
        let stays = |broker: &Name| match (zone, self.groups.get(broker)) {
            (Some(zone), Some(group)) => zone.keeps(group),
            _ => true,
        };
        let brokers = known.into_iter().filter(|group| stays(&group.broker_name));
        let queues = queues.values().filter(|queues| stays(&queues.broker_name));
        Some(TopicRouteData {
            broker_datas: brokers.cloned().collect(),
            queue_datas: queues.cloned().collect(),
            ..TopicRouteData::default()
        })
    }
}
