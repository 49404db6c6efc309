//! Sends without an answer: for what may be lost, as samples and log lines.
//!
//! ```text
//! cargo run --example oneway                                 # against mocks in this process
//! cargo run --example oneway -- --namesrv 127.0.0.1:9876     # against a real cluster
//! ```

mod cluster;

use std::error::Error;

use cluster::Cluster;
use rmq_producer::{Message, Producer};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let cluster = Cluster::from_arguments().await?;
    let producer = Producer::builder("oneway-example")
        .name_servers(&cluster.name_servers)
        .start()
        .await?;
    let mut written = 0;
    for number in 1..=100 {
        let message = Message::new("samples", format!("sample {number}"));
        // An error says that it did not leave; success does not say that it arrived.
        match producer.send_oneway(message).await {
            Ok(()) => written += 1,
            Err(error) => eprintln!("{error}"),
        }
    }
    println!("{written} written");
    producer.stop().await;
    cluster.stop().await;
    Ok(())
}
