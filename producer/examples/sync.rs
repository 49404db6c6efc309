//! Waits for each message to be stored: the ordinary way to send.
//!
//! ```text
//! cargo run --example sync                                   # against mocks in this process
//! cargo run --example sync -- --namesrv 127.0.0.1:9876       # against a real cluster
//! ```

mod cluster;

use std::error::Error;
use std::time::Duration;

use cluster::Cluster;
use rmq_producer::{Message, Producer};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let cluster = Cluster::from_arguments().await?;
    let producer = Producer::builder("sync-example")
        .name_servers(&cluster.name_servers)
        .send_timeout(Duration::from_secs(3)) // over everything: lookup, dial, all attempts
        .retries(2)
        .start()
        .await?;
    for number in 1..=8 {
        let message = Message::new("orders", format!("order {number}"))
            .with_tag("created")
            .with_key(format!("order-{number}"));
        match producer.send(message).await {
            Ok(sent) => println!(
                "{} on {} at offset {}",
                sent.message_id, sent.queue, sent.offset
            ),
            Err(error) => eprintln!("{error}"), // names every attempt and how it ended
        }
    }
    producer.stop().await;
    cluster.stop().await;
    Ok(())
}
