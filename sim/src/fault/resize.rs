//! `resize`: an operator gives a topic fewer or more queues at one broker.

use std::fmt;

use rmq_remoting::observe::Name;
use serde::{Deserialize, Serialize};

use super::kind::{Behaviour, Changes, Drawn, Engines, Kind, Read, Site, Strike};
use super::{FaultKind, Place};
use crate::backend::Modelled;
use crate::scenario::Table;
use crate::truth::{Condition, Meaning};

/// A topic has another number of queues at the broker, until it ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resize {
    /// The topic; nothing happens if the broker does not have it.
    pub topic: Name,
    /// How many write queues the topic has then.
    pub queues: i32,
}

pub(super) const KIND: Kind = Kind {
    name: "resize",
    site: Site::Broker,
    keys: &["topic", "queues"],
    sample: "topic = \"orders\"\nqueues = 1\n",
    situation: "an operator gives a topic fewer or more queues at one broker",
    engines: Engines::ALL,
    is_at_once: false,
    changes: Changes::ItsOwn,
    read: Read::Fault(|keys| {
        let topic = keys.get(&keys.raw.topic, "topic", "\"topic-1\"")?;
        let queues = keys.number(&keys.raw.queues, ("queues", "2"), 1, MOST_QUEUES)?;
        Ok(FaultKind::Resize(Resize {
            topic: Name::from(topic.get_ref().as_str()),
            queues,
        }))
    }),
    draw: Drawn::Fault(|draw, knobs, _| {
        let (topic, _) = draw.pick("resized", &knobs.cluster.topics);
        FaultKind::Resize(Resize {
            topic,
            queues: draw.one_of("resized-to", [1, 2, 3, 8, 16]),
        })
    }),
};

impl Behaviour for Resize {
    fn start(&self, strike: &Strike<'_>) -> Modelled {
        let (broker, topic) = (strike.node(), &self.topic);
        if strike
            .run
            .resize(broker, strike.fault, topic, Some(self.queues))
        {
            strike.has_struck();
        }
        Ok(())
    }

    fn end(&self, strike: &Strike<'_>) -> Modelled {
        let (broker, topic) = (strike.node(), &self.topic);
        // A broker that never had the topic has nothing to give back.
        let _had = strike.run.resize(broker, strike.fault, topic, None);
        Ok(())
    }

    fn counted(&self) -> Option<dst_engine::Strike> {
        None
    }

    fn meaning(&self) -> Meaning {
        // A queue that is there no more is refused.
        Meaning {
            resized: Some(Name::clone(&self.topic)),
            ..Meaning::of(Condition::Refusing)
        }
    }

    fn words(&self, _place: &Place, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " {} to {} queues", self.topic, self.queues)
    }

    fn write(&self, _place: &Place, table: &mut Table) {
        table.quoted("topic", &self.topic);
        table.push("queues", self.queues);
    }
}

/// The most queues an operator gives a topic at a broker.
const MOST_QUEUES: i32 = 1_024;
