//! Keeps the order of what belongs together: messages of one key go to one queue, one at a time, and
//! none of them is sent after one that failed.
//!
//! ```text
//! cargo run --example ordered                                # against mocks in this process
//! cargo run --example ordered -- --namesrv 127.0.0.1:9876    # against a real cluster
//! ```

mod cluster;

use std::error::Error;

use cluster::Cluster;
use rmq_producer::{Message, Producer, Selector, SendError};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let cluster = Cluster::from_arguments().await?;
    let producer = Producer::builder("ordered-example")
        .name_servers(&cluster.name_servers)
        .start()
        .await?;
    for order in ["order-1", "order-2", "order-3"] {
        if let Err(error) = send_in_order(&producer, order, ["created", "paid", "shipped"]).await {
            // The other orders go on; this one waits for whoever sends the rest of it again.
            eprintln!("{order} stops here: {error}");
        }
    }
    producer.stop().await;
    cluster.stop().await;
    Ok(())
}

/// Sends the steps of one order. The first step that fails ends it: a later one would overtake it.
pub(crate) async fn send_in_order(
    producer: &Producer,
    order: &str,
    steps: impl IntoIterator<Item = &'static str>,
) -> Result<(), SendError> {
    for step in steps {
        let message = Message::new("orders", step).with_tag(step).with_key(order);
        // The hash is the Java client's: both send an order to the same queue.
        let sent = producer.send_by(message, Selector::hash(order)).await?;
        println!("{order} {step}: {} at offset {}", sent.queue, sent.offset);
    }
    Ok(())
}
