//! What consumers of a topic would get: the messages that brokers store, one after the other.
//!
//! A ledger tells what is stored in the end. A program that goes on with what it has published, or a test of what
//! comes in which order, wants to read while the run goes on. No wire protocol takes part in it: a reader looks
//! at the brokers' ledgers in memory, disturbs nobody, and meets no fault. What a broker has stored it sees in the same
//! millisecond, also if the broker is down since then or cut off.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use rmq_mock_broker::ledger::Entry;
use rmq_remoting::observe::Name;

use super::ledger::{as_given, is_called};
use super::sim::Sim;
use crate::run::{ReadSoFar, RunningCluster};

/// What stands behind the name of a property as brokers store it, and behind its value.
const NAME_ENDS: char = '\u{1}';
const VALUE_ENDS: char = '\u{2}';

/// A message as a consumer sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consumed {
    /// The broker that has stored it.
    pub broker: Name,
    /// The id of its queue at that broker.
    pub queue: i32,
    /// Its position in the queue, from 0.
    pub offset: i64,
    /// Its unique key: each copy of a message has the same.
    pub key: Name,
    /// The body as the program gave it, decompressed.
    pub body: Bytes,
    /// The properties as stored, each with its value: those of the program, `TAGS` and `KEYS`, and those of client and
    /// broker, such as `UNIQ_KEY`.
    pub properties: Vec<(String, String)>,
    /// When its producer made it, since the start of Unix time by the clock of the producer's machine.
    pub born: Duration,
}

impl Consumed {
    /// The value of a property.
    pub fn property(&self, name: &str) -> Option<&str> {
        let mut properties = self.properties.iter();
        properties.find_map(|(its, value)| (its == name).then_some(&**value))
    }

    fn new(broker: Name, entry: &Entry) -> Self {
        Self {
            broker,
            queue: entry.queue,
            offset: entry.offset,
            key: Name::clone(&entry.key),
            body: as_given(entry),
            properties: properties(&entry.properties),
            // A machine whose clock is before that time is not one of the laboratory's.
            born: Duration::from_millis(u64::try_from(entry.born_ms).unwrap_or(0)),
        }
    }
}

fn properties(stored: &[u8]) -> Vec<(String, String)> {
    let text = String::from_utf8_lossy(stored);
    let pairs = text
        .split(VALUE_ENDS)
        .filter_map(|pair| pair.split_once(NAME_ENDS));
    pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// Reads a topic: each message that any broker stores in it, duplicates included, those of one queue in the
/// order of their offsets. [`Sim::consume`] makes one.
pub struct Consumer {
    cluster: RunningCluster,
    topic: String,
    read: ReadSoFar,
    unread: VecDeque<Consumed>,
}

impl fmt::Debug for Consumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Consumer({})", self.topic)
    }
}

impl Consumer {
    /// The next message; waits, in virtual time, until there is one. A caller that is dropped meanwhile has
    /// missed none.
    ///
    /// ```
    /// use std::time::Duration;
    /// use rmq_producer::Message;
    /// use rmq_sim::simulation::{Cluster, Simulation};
    ///
    /// Simulation::new(Cluster::new()).seeds(0..3).check(async |sim| {
    ///     let producer = sim.producer("app").start().await?;
    ///     let mut orders = sim.consume("orders");
    ///     tokio::spawn(async move {
    ///         tokio::time::sleep(Duration::from_secs(5)).await;
    ///         producer.send(Message::new("orders", "created").with_tag("new")).await
    ///     });
    ///     let order = orders.next().await;
    ///     assert_eq!((&*order.body, order.property("TAGS")), (&b"created"[..], Some("new")));
    ///     assert!(sim.now() >= Duration::from_secs(5));
    ///     Ok(())
    /// });
    /// ```
    pub async fn next(&mut self) -> Consumed {
        let arrivals = self.cluster.arrivals();
        loop {
            // Made before it looks, so that nothing comes between.
            let arrives = arrivals.notified();
            if let Some(next) = self.take_one() {
                return next;
            }
            arrives.await;
        }
    }

    /// All messages that are there and were not read yet, which are read then.
    pub fn drain(&mut self) -> Vec<Consumed> {
        self.look();
        self.unread.drain(..).collect()
    }

    /// All messages that are stored by now, read or not. What a broker has lost with its data is not.
    pub fn so_far(&self) -> Vec<Consumed> {
        let stored = self.cluster.stored().into_iter();
        let own = stored.filter(|(_, entry)| is_called(&entry.topic, &self.topic));
        own.map(|(broker, entry)| Consumed::new(broker, &entry))
            .collect()
    }

    fn take_one(&mut self) -> Option<Consumed> {
        if self.unread.is_empty() {
            self.look();
        }
        self.unread.pop_front()
    }

    /// Reads what has come since it looked last.
    fn look(&mut self) {
        let topic = &self.topic;
        let unread = &mut self.unread;
        self.cluster.read_more(&mut self.read, |broker, entry| {
            if is_called(&entry.topic, topic) {
                unread.push_back(Consumed::new(Name::clone(broker), entry));
            }
        });
    }
}

impl Sim {
    /// Reads a topic from its beginning, under the name that the program has for it, whatever its namespace.
    /// It need not be there yet.
    ///
    /// It is an observer of what brokers store, and no consumer of RocketMQ: it takes no part in the
    /// simulated network, belongs to no group, and no fault delays it.
    ///
    /// ```
    /// use rmq_producer::Message;
    /// use rmq_sim::simulation::{Cluster, Simulation, drop_replies};
    ///
    /// // The answer to the first send is lost, and the message is stored again.
    /// Simulation::new(Cluster::new().topic("orders", 1))
    ///     .fault(drop_replies("broker-a").times(1))
    ///     .seeds(0..3)
    ///     .check(async |sim| {
    ///         let producer = sim.producer("app").start().await?;
    ///         producer.send(Message::new("orders", "created")).await?;
    ///         producer.send(Message::new("orders", "paid")).await?;
    ///         let orders = sim.consume("orders").drain();
    ///         let bodies: Vec<&[u8]> = orders.iter().map(|it| &*it.body).collect();
    ///         assert_eq!(bodies, [&b"created"[..], b"created", b"paid"]);
    ///         assert_eq!(orders[0].key, orders[1].key);
    ///         assert!(orders.iter().map(|it| it.offset).eq(0..3));
    ///         Ok(())
    ///     });
    /// ```
    pub fn consume(&self, topic: &str) -> Consumer {
        Consumer {
            cluster: self.cluster.clone(),
            topic: topic.to_owned(),
            read: ReadSoFar::default(),
            unread: VecDeque::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_are_read_as_brokers_store_them() {
        let pairs = properties("TAGS\u{1}new\u{2}KEYS\u{1}a b\u{2}WAIT\u{1}true".as_bytes());
        let pairs: Vec<_> = pairs
            .iter()
            .map(|(name, value)| (&**name, &**value))
            .collect();
        assert_eq!(pairs, [("TAGS", "new"), ("KEYS", "a b"), ("WAIT", "true")]);
        assert_eq!(properties(b""), []);
    }
}
