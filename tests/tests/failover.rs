//! The laboratory as its users use it: their own publishing code, unchanged, over many seeds.

use std::time::Duration;

use rmq_producer::{Message, Producer, SendError};
use rmq_sim::simulation::{Cluster, Simulation, crash, drop_replies, freeze};

/// A program that keeps what it could not send and sends it again.
struct Outbox {
    producer: Producer,
    waiting: Vec<Message>,
}

impl Outbox {
    fn new(producer: Producer) -> Self {
        Self {
            producer,
            waiting: Vec::new(),
        }
    }

    async fn publish(&mut self, order: u32) {
        let message = Message::new("orders", format!("order {order}"));
        if self.producer.send(message.clone()).await.is_err() {
            self.waiting.push(message);
        }
    }

    async fn flush(&mut self) -> Result<(), SendError> {
        for message in self.waiting.drain(..) {
            self.producer.send(message).await?;
        }
        Ok(())
    }
}

#[test]
fn the_outbox_loses_nothing_when_a_broker_crashes() {
    Simulation::new(Cluster::new().brokers(3).topic("orders", 4))
        .latency(2, 3)
        .fault(crash("broker-a").after_stored(20).down_for_secs(20))
        .fault(drop_replies("broker-b").per_mille(50).between_secs(10..30))
        .seeds(0..1_000)
        .check(async |sim| {
            let mut outbox = Outbox::new(sim.producer("orders-app").start().await?);
            for order in 0..60 {
                outbox.publish(order).await;
                sim.sleep(Duration::from_secs(1)).await;
            }
            outbox.flush().await?;
            outbox.producer.stop().await;
            sim.ledger().assert_each_key_stored();
            Ok(())
        });
}

#[test]
fn a_check_that_fails_says_how_to_repeat_it() {
    let failed = Simulation::new(Cluster::new().brokers(1).topic("orders", 4))
        .fault(freeze("broker-a").at_secs(2).for_secs(10))
        .seeds(0..3)
        .try_check(async |sim| {
            let producer = sim.producer("orders-app").start().await?;
            sim.until_secs(3).await;
            let message = Message::new("orders", "into the void");
            producer.send(message).await?;
            Ok(())
        });
    let failure = failed.expect_err("a frozen single broker fails the send");
    let text = failure.to_string();
    assert!(text.contains("broker-a"), "{text}");
    let repeat = "ROCKETMQ_SIM_SEED=0 cargo test a_check_that_fails_says_how_to_repeat_it";
    assert!(text.contains(repeat), "{text}");
}
