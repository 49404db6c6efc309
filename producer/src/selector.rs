//! How a caller chooses a message's queue: for messages that must keep an order.
//!
//! A selector is asked once per send, with the queues of the route in force. Every attempt of the
//! send goes to the queue it chose and nowhere else.

use std::fmt;

use parking_lot::Mutex;

use crate::message::Message;
use crate::sent::MessageQueue;

/// What a closure that selects looks like.
type Choose = dyn FnOnce(&[MessageQueue], &Message) -> Option<MessageQueue> + Send;

/// Chooses a queue of a topic.
pub struct Selector {
    kind: Kind,
}

enum Kind {
    Hash(i32),
    Random,
    /// Locked only so that a send that holds it may be looked at from two threads.
    Own(Mutex<Box<Choose>>),
}

impl fmt::Debug for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Kind::Hash(hash) => write!(f, "Selector::hash({hash})"),
            Kind::Random => f.write_str("Selector::random"),
            Kind::Own(_) => f.write_str("Selector::own"),
        }
    }
}

impl Selector {
    /// The queue whose number is the key's hash modulo the number of queues, as the Java client's
    /// `SelectMessageQueueByHash` has it: messages with one key keep their order, whichever client
    /// sends them, as long as the number of queues does not change.
    ///
    /// ```no_run
    /// # use rmq_producer::{Message, Producer, Selector, SendError};
    /// # async fn ordered(producer: &Producer) -> Result<(), SendError> {
    /// for step in ["created", "paid", "shipped"] {
    ///     let message = Message::new("orders", step).with_key("order-42");
    ///     producer.send_by(message, Selector::hash("order-42")).await?; // all to one queue
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn hash(key: &str) -> Self {
        let kind = Kind::Hash(java_hash(key));
        Self { kind }
    }

    /// Chooses any queue of the route, each equally often.
    #[must_use]
    pub fn random() -> Self {
        Self { kind: Kind::Random }
    }

    /// The program's own choice. `None` ends the send as invalid; a queue that is not of the list
    /// is taken as it is.
    ///
    /// ```
    /// # use rmq_producer::Selector;
    /// /// The queues of one broker only, by turns of the message's flag.
    /// fn on(broker: &'static str) -> Selector {
    ///     Selector::own(move |queues, message| {
    ///         let there: Vec<_> = queues.iter().filter(|queue| &*queue.broker == broker).collect();
    ///         let turn = usize::try_from(message.flag()).ok()?;
    ///         Some((*there.get(turn % there.len().max(1))?).clone())
    ///     })
    /// }
    /// # on("broker-a");
    /// ```
    #[must_use]
    pub fn own<F>(choose: F) -> Self
    where
        F: FnOnce(&[MessageQueue], &Message) -> Option<MessageQueue> + Send + 'static,
    {
        let kind = Kind::Own(Mutex::new(Box::new(choose)));
        Self { kind }
    }

    /// Chooses one of these queues; `drawn` is a number for a choice by chance.
    pub(crate) fn choose(
        self,
        queues: &[MessageQueue],
        message: &Message,
        drawn: u64,
    ) -> Option<MessageQueue> {
        let count = i32::try_from(queues.len())
            .ok()
            .filter(|count| *count > 0)?;
        let at = match self.kind {
            Kind::Own(choose) => return choose.into_inner()(queues, message),
            Kind::Hash(hash) => u64::from((hash % count).unsigned_abs()),
            Kind::Random => drawn % u64::from(count.unsigned_abs()),
        };
        queues.get(usize::try_from(at).ok()?).cloned()
    }
}

/// Java's `String.hashCode`: over UTF-16 units, with wrapping.
fn java_hash(text: &str) -> i32 {
    text.encode_utf16().fold(0, |hash: i32, unit| {
        hash.wrapping_mul(31).wrapping_add(i32::from(unit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queues(count: i32) -> Vec<MessageQueue> {
        let queue = |number| MessageQueue::new("t", "broker-a", number);
        (0..count).map(queue).collect()
    }

    fn chosen(selector: Selector, count: i32) -> Option<i32> {
        let message = Message::new("t", "b");
        let queue = selector.choose(&queues(count), &message, 7)?;
        Some(queue.queue)
    }

    #[test]
    fn a_hash_is_javas() {
        for (key, hash, place) in [
            ("order-1", -1_207_111_310, 2),
            ("KEY-7", 71_406_633, 1),
            ("orderId-1001", -1_800_344_924, 0),
        ] {
            assert_eq!(java_hash(key), hash, "{key}");
            assert_eq!(chosen(Selector::hash(key), 4), Some(place), "{key}");
        }
        assert_eq!(java_hash("polygenelubricants"), i32::MIN);
        assert_eq!(chosen(Selector::hash("polygenelubricants"), 3), Some(2));
    }

    #[test]
    fn chance_and_the_programs_own_choice_are_taken_as_they_are() {
        assert_eq!(chosen(Selector::random(), 4), Some(3));
        let last = Selector::own(|queues, _| queues.last().cloned());
        assert_eq!(chosen(last, 3), Some(2));
        assert_eq!(chosen(Selector::own(|_, _| None), 3), None);
        assert_eq!(chosen(Selector::random(), 0), None);
    }
}
