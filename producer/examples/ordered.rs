//! Keeps the order of what belongs together: messages of one key go to one queue, one at a time.
//!
//! ```text
//! cargo run --example ordered                                # against mocks in this process
//! cargo run --example ordered -- --namesrv 127.0.0.1:9876    # against a real cluster
//! ```

mod cluster;

use std::error::Error;

use cluster::Cluster;
use rmq_producer::{Message, Producer, Selector};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let cluster = Cluster::from_arguments().await?;
    let producer = Producer::builder("ordered-example")
        .name_servers(&cluster.name_servers)
        .start()
        .await?;
    for step in ["created", "paid", "shipped"] {
        for order in ["order-1", "order-2", "order-3"] {
            let message = Message::new("orders", step).tag(step).key(order);
            // The hash is the Java client's: both send an order to the same queue.
            match producer.send_by(message, Selector::hash(order)).await {
                Ok(sent) => println!("{order} {step}: {} at offset {}", sent.queue, sent.offset),
                Err(error) => {
                    eprintln!("{error}");
                    break; // what follows must not overtake what failed
                }
            }
        }
    }
    producer.stop().await;
    cluster.stop().await;
    Ok(())
}
