//! What the brokers have stored, beside what was sent: the oracle for lost and doubled messages.

use std::collections::BTreeSet;
use std::io::Read;

use bytes::Bytes;
use flate2::read::ZlibDecoder;
use lz4_flex::frame::FrameDecoder;
use rmq_mock_broker::ledger::Entry;
use rmq_remoting::message::Compression;
use rmq_remoting::observe::Name;

use crate::run::Sends;

/// What all brokers have stored, and what was sent: the oracle for lost and doubled messages.
///
/// ```
/// use rmq_producer::Message;
/// use rmq_sim::simulation::{Cluster, Simulation, drop_replies};
///
/// // The answer to the first send is lost, and the message is stored again on the next attempt.
/// Simulation::new(Cluster::new().topic("orders", 1))
///     .fault(drop_replies("broker-a").times(1))
///     .seeds(0..3)
///     .check(async |sim| {
///         let producer = sim.producer("orders-app").start().await?;
///         producer.send(Message::new("orders", "created")).await?;
///         producer.stop().await;
///         let ledger = sim.ledger();
///         assert_eq!(ledger.entries().len(), 2, "two copies");
///         assert_eq!(ledger.bodies("orders"), ["created"], "of one message");
///         Ok(())
///     });
/// ```
#[derive(Debug, Clone)]
pub struct ClusterLedger {
    pub(super) entries: Vec<(Name, Entry)>,
    pub(super) sends: Sends,
}

impl ClusterLedger {
    /// Every stored copy with the name of its broker, broker by broker, in the order stored; topic and
    /// body are as they stand on the wire.
    pub fn entries(&self) -> &[(Name, Entry)] {
        &self.entries
    }

    /// The bodies of a topic, one for each unique key: as the program gave them, decompressed, and under
    /// the name that the program has for the topic, whatever its namespace.
    ///
    /// ```
    /// use rmq_producer::Message;
    /// use rmq_sim::simulation::{Cluster, Simulation};
    ///
    /// Simulation::new(Cluster::new()).seeds(0..1).check(async |sim| {
    ///     let producer = sim.producer("app").with(|builder| builder.namespace("tenant-1"));
    ///     let producer = producer.start().await?;
    ///     producer.send(Message::new("orders", vec![b'x'; 50_000])).await?;
    ///     producer.stop().await;
    ///     let ledger = sim.ledger();
    ///     assert_eq!(ledger.bodies("orders"), [vec![b'x'; 50_000]]);
    ///     let (_, entry) = &ledger.entries()[0];
    ///     assert_eq!(&*entry.topic, "tenant-1%orders");
    ///     assert!(entry.body.len() < 1_000, "compressed");
    ///     Ok(())
    /// });
    /// ```
    ///
    /// # Panics
    ///
    /// If a body says that it is compressed and cannot be read: in a simulation a panic is a verdict.
    pub fn bodies(&self, topic: &str) -> Vec<Bytes> {
        let mut seen = BTreeSet::new();
        let entries = self.entries.iter().map(|(_, entry)| entry);
        entries
            .filter(|entry| is_called(&entry.topic, topic))
            .filter(|entry| seen.insert(Name::clone(&entry.key)))
            .map(as_given)
            .collect()
    }

    /// How many sends all producers were called for.
    pub fn calls(&self) -> usize {
        self.sends.calls
    }

    /// Unique keys of messages that were sent and that no broker has stored.
    pub fn missing(&self) -> Vec<Name> {
        let stored: BTreeSet<&Name> = self.entries.iter().map(|(_, entry)| &entry.key).collect();
        let built = self.sends.built.iter();
        built.filter(|key| !stored.contains(key)).cloned().collect()
    }

    /// Fails the check if a message that was sent is stored nowhere, whatever the sender was told; and if
    /// no producer was called at all, for then there is nothing to be judged.
    ///
    /// # Panics
    ///
    /// If one is missing: in a simulation a panic is a verdict.
    #[expect(clippy::panic, reason = "an assertion of tests, as `assert!` is")]
    #[track_caller]
    pub fn assert_each_key_stored(&self) {
        let Sends { calls, built } = &self.sends;
        if built.is_empty() {
            panic!(
                "no message was sent ({calls} calls)\n  remedy: send before you ask; a producer that the \
                 program builds itself is seen if it gets its host from Sim::host"
            );
        }
        let missing = self.missing();
        if let Some(first) = missing.first() {
            panic!(
                "{} of {} messages are stored nowhere; the first is {first}",
                missing.len(),
                built.len()
            );
        }
    }
}

/// Whether a program calls a topic so that servers know by `stored`: with or without a namespace.
pub(super) fn is_called(stored: &str, topic: &str) -> bool {
    let within = stored.strip_suffix(topic);
    within.is_some_and(|namespace| {
        namespace.is_empty() || namespace.ends_with('%') && !namespace.starts_with('%')
    })
}

/// The body as its sender had it.
#[expect(
    clippy::panic,
    reason = "a body that cannot be read is a verdict, as the assertions of a check are"
)]
pub(super) fn as_given(entry: &Entry) -> Bytes {
    let packed = &entry.body[..];
    let mut body = Vec::new();
    let unpacked = match Compression::of(entry.sys_flag) {
        None => return entry.body.clone(),
        Some(Compression::Zlib) => ZlibDecoder::new(packed).read_to_end(&mut body),
        Some(Compression::Lz4) => FrameDecoder::new(packed).read_to_end(&mut body),
        Some(Compression::Zstd) => {
            zstd::stream::copy_decode(packed, &mut body).map(|()| body.len())
        }
    };
    match unpacked {
        Ok(_) => body.into(),
        Err(error) => panic!("the body of {} cannot be decompressed: {error}", entry.key),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_is_called_by_its_name_without_the_namespace() {
        assert!(is_called("orders", "orders") && is_called("tenant-1%orders", "orders"));
        for other in [
            "%RETRY%orders",
            "old-orders",
            "orders-2",
            "tenant-1%reorders",
        ] {
            assert!(!is_called(other, "orders"), "{other}");
        }
    }
}
