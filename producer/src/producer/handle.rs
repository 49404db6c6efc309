//! What a program holds to send messages.
//!
//! The handle is cheap to clone and may be used from many tasks. All its background work belongs
//! to it: dropping the last handle ends what is pending as closed, [`Producer::stop`] does the
//! same in an orderly way.

use std::fmt;
use std::sync::Arc;

use rmq_remoting::observe::Name;
use tokio::time::Duration;

use super::dispatch::Dispatch;
use super::{ready, stop};
use crate::client::Client;
use crate::decide::select;
use crate::delivery::DeliveryFuture;
use crate::error::{LookupError, SendError};
use crate::event::Event;
use crate::message::Message;
use crate::policy::Policy;
use crate::selector::Selector;
use crate::send::rotation::Rotations;
use crate::send::state::ProducerCore;
use crate::sent::{MessageQueue, Sent};

/// Sends messages to the brokers of a cluster. Cloning it shares it.
pub struct Producer {
    handle: Arc<Handle>,
    rotations: Arc<Rotations>,
}

impl fmt::Debug for Producer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer")
            .field("group", &self.handle.core.identity.group)
            .finish_non_exhaustive()
    }
}

impl Clone for Producer {
    fn clone(&self) -> Self {
        let rotations = if select::shared(&self.handle.core.policy) {
            Arc::clone(&self.rotations)
        } else {
            Arc::new(self.rotations.of_another_caller())
        };
        Self {
            handle: Arc::clone(&self.handle),
            rotations,
        }
    }
}

/// Ends what is pending when the last producer is dropped.
struct Handle {
    core: Arc<ProducerCore>,
    /// Keeps the client's background work alive.
    client: Client,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.core.life.close();
        self.core.async_sends.close();
        self.core
            .client
            .groups
            .lock()
            .remove(&self.core.identity.group);
    }
}

/// Sizes of a producer's tables, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
pub struct Gauges {
    /// Requests of its client that wait for an answer.
    pub pending: u32,
    /// Sends that were called and are not completed.
    pub open_sends: u32,
    /// Topics known to its client.
    pub topics: u32,
    /// Open connections of its client.
    pub connections: u32,
    /// Open async sends, if they are limited.
    pub limited_sends: u32,
    /// The bytes they hold, if they are limited.
    pub limited_bytes: u32,
}

impl Producer {
    /// A producer that has just started.
    pub(super) fn new(core: Arc<ProducerCore>, client: Client, rotations: Rotations) -> Self {
        Self {
            handle: Arc::new(Handle { core, client }),
            rotations: Arc::new(rotations),
        }
    }

    /// Sends a message and waits until a broker has stored it, no longer than the producer's send
    /// timeout. Dropping the future cancels the send; a copy may still be stored.
    ///
    /// ```
    /// # use rmq_producer::{Message, Producer, SendStatus};
    /// # use rmq_mock_broker::Broker;
    /// # use rmq_mock_namesrv::NameServer;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let name_server = NameServer::on_loopback().await?;
    /// # let address = name_server.local_addr().to_string();
    /// # let broker = Broker::builder("broker-a").name_server(&address).topic("orders", 4).start().await?;
    /// # let producer = Producer::builder("order-service").name_servers(&address).start().await?;
    /// let sent = producer.send(Message::new("orders", "hello")).await?;
    /// assert_eq!((sent.status, sent.attempts), (SendStatus::Ok, 1));
    /// println!("{} on {} at offset {}", sent.message_id, sent.queue, sent.offset);
    /// # assert_eq!(broker.disk().ledger().len(), 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// No broker has confirmed the message in time; the error lists every attempt.
    pub async fn send(&self, message: Message) -> Result<Sent, SendError> {
        self.dispatch(message).send().await
    }

    /// [`send`](Self::send) with another timeout than the producer's.
    ///
    /// ```
    /// # use rmq_producer::{Message, Producer};
    /// # use rmq_mock_broker::Broker;
    /// # use rmq_mock_namesrv::NameServer;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let name_server = NameServer::on_loopback().await?;
    /// # let address = name_server.local_addr().to_string();
    /// # let broker = Broker::builder("broker-a").name_server(&address).topic("orders", 4).start().await?;
    /// # let producer = Producer::builder("order-service").name_servers(&address).start().await?;
    /// # use std::time::Duration;
    /// let urgent = Message::new("orders", "now or never");
    /// producer.send_with_timeout(urgent, Duration::from_millis(500)).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn send_with_timeout(
        &self,
        message: Message,
        timeout: Duration,
    ) -> Result<Sent, SendError> {
        self.dispatch(message).timeout(timeout).send().await
    }

    /// Sends a message to one queue and nowhere else: for orders that consumers must keep.
    ///
    /// ```
    /// # use rmq_producer::{Message, MessageQueue, Producer};
    /// # use rmq_mock_broker::Broker;
    /// # use rmq_mock_namesrv::NameServer;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let name_server = NameServer::on_loopback().await?;
    /// # let address = name_server.local_addr().to_string();
    /// # let broker = Broker::builder("broker-a").name_server(&address).topic("orders", 4).start().await?;
    /// # let producer = Producer::builder("order-service").name_servers(&address).start().await?;
    /// let queue = MessageQueue::new("orders", "broker-a", 2);
    /// let sent = producer.send_to(Message::new("orders", "hello"), queue.clone()).await?;
    /// assert_eq!(sent.queue, queue);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`send`](Self::send); and if the queue is one of another topic.
    pub async fn send_to(&self, message: Message, queue: MessageQueue) -> Result<Sent, SendError> {
        self.dispatch(message).to(queue).send().await
    }

    /// Sends a message to the queue that the selector chooses and nowhere else.
    ///
    /// ```
    /// # use rmq_producer::{Message, Producer, Selector};
    /// # use rmq_mock_broker::Broker;
    /// # use rmq_mock_namesrv::NameServer;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let name_server = NameServer::on_loopback().await?;
    /// # let address = name_server.local_addr().to_string();
    /// # let broker = Broker::builder("broker-a").name_server(&address).topic("orders", 4).start().await?;
    /// # let producer = Producer::builder("order-service").name_servers(&address).start().await?;
    /// let mut queues = Vec::new();
    /// for step in ["created", "paid", "shipped"] {
    ///     let sent = producer.send_by(Message::new("orders", step), Selector::hash("order-42")).await?;
    ///     queues.push(sent.queue);
    /// }
    /// assert!(queues.windows(2).all(|pair| pair[0] == pair[1]), "they keep their order");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`send`](Self::send); and if no queue was chosen.
    pub async fn send_by(&self, message: Message, selector: Selector) -> Result<Sent, SendError> {
        self.dispatch(message).by(selector).send().await
    }

    /// Sends a message in the background. The outcome can be awaited; dropping what is returned does
    /// not end the send.
    ///
    /// ```
    /// # use rmq_producer::{Message, Producer};
    /// # use rmq_mock_broker::Broker;
    /// # use rmq_mock_namesrv::NameServer;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let name_server = NameServer::on_loopback().await?;
    /// # let address = name_server.local_addr().to_string();
    /// # let broker = Broker::builder("broker-a").name_server(&address).topic("orders", 4).start().await?;
    /// # let producer = Producer::builder("order-service").name_servers(&address).start().await?;
    /// let orders: Vec<_> = (0..3).map(|n| producer.send_async(Message::new("orders", format!("{n}")))).collect();
    /// for order in orders {
    ///     println!("{}", order.await?.message_id); // all of them were under way together
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn send_async(&self, message: Message) -> DeliveryFuture {
        self.dispatch(message).send_async()
    }

    /// Sends a message in the background and calls back, exactly once. The callback runs in the
    /// send's own task; if it takes long or panics, no other send notices.
    ///
    /// ```
    /// # use rmq_producer::{Message, Producer};
    /// # use rmq_mock_broker::Broker;
    /// # use rmq_mock_namesrv::NameServer;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let name_server = NameServer::on_loopback().await?;
    /// # let address = name_server.local_addr().to_string();
    /// # let broker = Broker::builder("broker-a").name_server(&address).topic("orders", 4).start().await?;
    /// # let producer = Producer::builder("order-service").name_servers(&address).start().await?;
    /// # let (told, done) = tokio::sync::oneshot::channel();
    /// producer.send_with_callback(Message::new("orders", "hello"), |outcome| {
    ///     match outcome {
    ///         Ok(sent) => println!("{} is stored", sent.message_id),
    ///         Err(error) => eprintln!("{error}"),
    ///     }
    /// #     let _ = told.send(());
    /// });
    /// # done.await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn send_with_callback<F>(&self, message: Message, callback: F)
    where
        F: FnOnce(Result<Sent, SendError>) + Send + 'static,
    {
        self.dispatch(message).send_with_callback(callback);
    }

    /// Describes a send that differs from the plain ones: with its own timeout or target, in any
    /// mode.
    ///
    /// ```
    /// # use rmq_producer::{Message, MessageQueue, Producer};
    /// # use rmq_mock_broker::Broker;
    /// # use rmq_mock_namesrv::NameServer;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let name_server = NameServer::on_loopback().await?;
    /// # let address = name_server.local_addr().to_string();
    /// # let broker = Broker::builder("broker-a").name_server(&address).topic("orders", 4).start().await?;
    /// # let producer = Producer::builder("order-service").name_servers(&address).start().await?;
    /// # use std::time::Duration;
    /// let sent = producer
    ///     .dispatch(Message::new("orders", "hello"))
    ///     .to(MessageQueue::new("orders", "broker-a", 0))
    ///     .timeout(Duration::from_millis(500))
    ///     .send()
    ///     .await?;
    /// assert_eq!(sent.queue.queue, 0);
    /// # Ok(())
    /// # }
    /// ```
    pub fn dispatch(&self, message: Message) -> Dispatch<'_> {
        Dispatch::new(&self.handle.core, &self.rotations, message)
    }

    /// Waits until a message can be sent to the topic as far as the route goes, no longer than the
    /// send timeout: looks the route up unless it is known, and gives the queues that messages may go to.
    /// The route then stays known and fresh. For readiness probes, and so that the first send need not
    /// wait for a lookup. No broker is asked.
    ///
    /// # Errors
    /// There is no route by which a message could be sent now, or the name servers did not answer.
    ///
    /// ```
    /// # use rmq_producer::Producer;
    /// async fn readiness(producer: &Producer) -> Result<(), String> {
    ///     let queues = producer.ready("orders").await.map_err(|error| error.to_string())?;
    ///     println!("orders has {} queues", queues.len());
    ///     Ok(())
    /// }
    /// ```
    pub async fn ready(&self, topic: impl Into<Name>) -> Result<Vec<MessageQueue>, LookupError> {
        ready::ready(&self.handle.core, topic.into()).await
    }

    /// Waits until the limits of async sends leave room for one more; at once without limits. Who
    /// awaits it before each [`send_async`](Self::send_async) or
    /// [`send_with_callback`](Self::send_with_callback) is slowed down to what brokers take.
    ///
    /// ```
    /// # use rmq_producer::{Message, Producer};
    /// # use rmq_mock_broker::Broker;
    /// # use rmq_mock_namesrv::NameServer;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let name_server = NameServer::on_loopback().await?;
    /// # let address = name_server.local_addr().to_string();
    /// # let broker = Broker::builder("broker-a").name_server(&address).topic("orders", 4).start().await?;
    /// # let producer = Producer::builder("order-service").name_servers(&address).start().await?;
    /// # let producer = Producer::builder("careful").name_servers(&address).max_open_sends(2).start().await?;
    /// for n in 0..10 {
    ///     producer.room().await; // no more than two are open
    ///     drop(producer.send_async(Message::new("orders", format!("{n}"))));
    /// }
    /// assert!(producer.gauges().open_sends <= 2);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn room(&self) {
        self.handle.core.permits.room().await;
    }

    /// Gives a message to a broker's connection without waiting for an answer: it may be lost
    /// without a word.
    ///
    /// ```
    /// # use rmq_producer::{Message, Producer};
    /// # use rmq_mock_broker::Broker;
    /// # use rmq_mock_namesrv::NameServer;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let name_server = NameServer::on_loopback().await?;
    /// # let address = name_server.local_addr().to_string();
    /// # let broker = Broker::builder("broker-a").name_server(&address).topic("orders", 4).start().await?;
    /// # let producer = Producer::builder("order-service").name_servers(&address).start().await?;
    /// producer.send_oneway(Message::new("metrics", "42")).await?; // written, perhaps lost
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// There was no route or no connection in time.
    pub async fn send_oneway(&self, message: Message) -> Result<(), SendError> {
        self.dispatch(message).send_oneway().await
    }

    /// Ends the producer: pending sends end as closed, brokers are told, tasks have ended when it
    /// returns. Takes no longer than the policy's `periods.stop` and may be called twice. A client
    /// that the producer made for itself is stopped too.
    ///
    /// ```
    /// # use rmq_producer::{Message, Producer};
    /// # use rmq_mock_broker::Broker;
    /// # use rmq_mock_namesrv::NameServer;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let name_server = NameServer::on_loopback().await?;
    /// # let address = name_server.local_addr().to_string();
    /// # let broker = Broker::builder("broker-a").name_server(&address).topic("orders", 4).start().await?;
    /// # let producer = Producer::builder("order-service").name_servers(&address).start().await?;
    /// producer.stop().await;
    /// let error = producer.send(Message::new("orders", "too late")).await.unwrap_err();
    /// assert!(error.to_string().contains("the producer is stopped"));
    /// # Ok(())
    /// # }
    /// ```
    pub async fn stop(&self) {
        stop::stop(&self.handle.core, &self.handle.client).await;
    }

    /// The sizes of its tables now.
    ///
    /// ```
    /// # use rmq_producer::{Message, Producer};
    /// # use rmq_mock_broker::Broker;
    /// # use rmq_mock_namesrv::NameServer;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let name_server = NameServer::on_loopback().await?;
    /// # let address = name_server.local_addr().to_string();
    /// # let broker = Broker::builder("broker-a").name_server(&address).topic("orders", 4).start().await?;
    /// # let producer = Producer::builder("order-service").name_servers(&address).start().await?;
    /// producer.send(Message::new("orders", "hello")).await?;
    /// let gauges = producer.gauges();
    /// assert_eq!((gauges.topics, gauges.open_sends), (1, 0));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn gauges(&self) -> Gauges {
        let core = &self.handle.core;
        let transport = core.client.remoting.gauges();
        let count = |size: usize| u32::try_from(size).unwrap_or(u32::MAX);
        let (limited_sends, limited_bytes) = core.permits.out();
        Gauges {
            limited_sends,
            limited_bytes,
            pending: count(transport.pending),
            open_sends: count(core.life.open_sends()),
            topics: count(core.client.routes.len()),
            connections: count(transport.connections),
        }
    }

    /// Emits the sizes of its tables as an event.
    pub fn report_gauges(&self) {
        let Gauges {
            pending,
            open_sends,
            topics,
            connections,
            ..
        } = self.gauges();
        self.handle.core.client.emit(Event::Gauges {
            pending,
            open_sends,
            topics,
            connections,
        });
    }

    /// The policy that the producer decides by.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.handle.core.policy
    }

    /// The client it sends through, to be shared with other producers.
    ///
    /// ```
    /// # use rmq_producer::{Producer};
    /// # use rmq_mock_broker::Broker;
    /// # use rmq_mock_namesrv::NameServer;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let name_server = NameServer::on_loopback().await?;
    /// # let address = name_server.local_addr().to_string();
    /// # let broker = Broker::builder("broker-a").name_server(&address).topic("orders", 4).start().await?;
    /// # let producer = Producer::builder("order-service").name_servers(&address).start().await?;
    /// // The second producer uses the connections and routes of the first.
    /// let bills = Producer::builder("bill-service").client(producer.client().clone()).start().await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.handle.client
    }
}
