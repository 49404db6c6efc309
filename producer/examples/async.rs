//! Sends without waiting and hears of each outcome in a callback, with a limit on what is open.
//!
//! ```text
//! cargo run --example async                                  # against mocks in this process
//! cargo run --example async -- --namesrv 127.0.0.1:9876      # against a real cluster
//! ```

mod cluster;

use std::error::Error;

use cluster::Cluster;
use rmq_producer::{Message, Producer};
use tokio::sync::mpsc;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let cluster = Cluster::from_arguments().await?;
    let producer = Producer::builder("async-example")
        .name_servers(&cluster.name_servers)
        .max_open_sends(100)
        .start()
        .await?;
    let (outcomes, mut arrived) = mpsc::unbounded_channel();
    for number in 1..=1_000 {
        producer.room().await; // no faster than the brokers store
        let outcomes = outcomes.clone();
        let message = Message::new("orders", format!("order {number}"));
        producer.send_with_callback(message, move |outcome| {
            // The receiver outlives every callback.
            let _ = outcomes.send(outcome);
        });
    }
    drop(outcomes); // the last callback closes the channel
    let (mut stored, mut failed) = (0, 0);
    while let Some(outcome) = arrived.recv().await {
        match outcome {
            Ok(_) => stored += 1,
            Err(error) => {
                failed += 1;
                eprintln!("{error}");
            }
        }
    }
    println!("{stored} stored, {failed} failed");
    producer.stop().await;
    cluster.stop().await;
    Ok(())
}
