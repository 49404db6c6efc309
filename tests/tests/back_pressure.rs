//! Limits of async sends, on a broker that stands still.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::time::Duration;

use rmq_producer::event::Failure;
use rmq_producer::{Message, Producer, SendError, Sent, WhenFull};
use rmq_sim::simulation::{Cluster, Sim, Simulation, freeze};
use tokio::sync::oneshot;
use tokio::time::Instant;

type Outcome = Result<Sent, SendError>;

/// One broker that stands still from the third second on.
fn cluster() -> Simulation {
    Simulation::new(Cluster::new().brokers(1).topic("orders", 4))
        .fault(freeze("broker-a").at_secs(3).for_secs(10))
        .seeds(0..3)
}

fn send(producer: &Producer, len: usize) -> oneshot::Receiver<(Outcome, Instant)> {
    let (told, outcome) = oneshot::channel();
    producer.send_with_callback(Message::new("orders", vec![7; len]), move |outcome| {
        // The receiver may be gone; then nobody asks.
        let _ = told.send((outcome, Instant::now()));
    });
    outcome
}

/// A producer that knows its route, at a moment when the broker does not answer.
async fn warm(sim: &Sim, sends: u32, bytes: u32, when_full: WhenFull) -> Producer {
    let producer = sim
        .producer("p")
        .send_timeout(Duration::from_millis(500))
        .with(move |builder| {
            let builder = builder.max_open_sends(sends).max_open_bytes(bytes);
            builder.when_full(when_full)
        });
    let producer = producer.start().await.expect("it starts without servers");
    sim.until_secs(2).await;
    let (outcome, _) = send(&producer, 10).await.expect("it calls back");
    outcome.expect("the broker is well");
    sim.until_secs(4).await;
    producer
}

#[test]
fn the_eleventh_of_ten_sends_waits_for_its_own_timeout_and_makes_no_request() {
    cluster().check(async |sim| {
        let producer = warm(&sim, 10, 1 << 20, WhenFull::Wait).await;
        let ten: Vec<_> = (0..10).map(|_| send(&producer, 10)).collect();
        let began = Instant::now();
        let (told, eleventh) = oneshot::channel();
        let message = Message::new("orders", "too many");
        let eleventh_send = producer
            .dispatch(message)
            .timeout(Duration::from_millis(400));
        eleventh_send.send_with_callback(move |outcome| {
            // The receiver may be gone; then nobody asks.
            let _ = told.send((outcome, Instant::now()));
        });
        sim.sleep(Duration::from_millis(100)).await;
        assert_eq!(producer.gauges().limited_sends, 10);
        assert_eq!(producer.gauges().limited_bytes, 100);
        let (outcome, at) = eleventh.await?;
        let error = outcome.expect_err("no permit came back in time");
        assert_eq!(error.failure(), Failure::BackPressure);
        assert_eq!(at - began, Duration::from_millis(400));
        assert!(error.attempts().is_empty(), "{error}");
        for outcome in ten {
            assert_eq!(outcome.await?.0.expect_err("silence").attempts().len(), 3);
        }
        producer.stop().await;
        assert_eq!(producer.gauges().limited_sends, 0);
        Ok(())
    });
}

#[test]
fn a_body_above_the_byte_limit_is_told_and_takes_no_place() {
    cluster().check(async |sim| {
        let producer = warm(&sim, 10, 1 << 20, WhenFull::Wait).await;
        let (outcome, _) = send(&producer, 2 << 20).await?;
        let text = outcome.expect_err("too large").to_string();
        assert!(
            text.contains("2097152 bytes more would exceed the 1048576"),
            "{text}"
        );
        assert_eq!(producer.gauges().limited_sends, 0);
        producer.stop().await;
        Ok(())
    });
}

#[test]
fn who_chose_to_refuse_is_told_at_once() {
    cluster().check(async |sim| {
        let producer = warm(&sim, 1, 1 << 20, WhenFull::Refuse).await;
        let first = send(&producer, 10);
        sim.sleep(Duration::from_millis(1)).await;
        let began = Instant::now();
        let (outcome, at) = send(&producer, 10).await?;
        assert_eq!(outcome.expect_err("full").failure(), Failure::BackPressure);
        assert_eq!(at, began);
        first.await?.0.expect_err("silence");
        producer.stop().await;
        Ok(())
    });
}

#[test]
fn who_awaits_room_is_slowed_down_to_what_the_broker_takes() {
    cluster().check(async |sim| {
        let producer = warm(&sim, 2, 1 << 20, WhenFull::Wait).await;
        let (first, second) = (send(&producer, 10), send(&producer, 10));
        sim.sleep(Duration::from_millis(1)).await;
        let began = Instant::now();
        producer.room().await;
        assert_eq!(began.elapsed(), Duration::from_millis(499));
        first.await?.0.expect_err("silence");
        second.await?.0.expect_err("silence");
        producer.stop().await;
        Ok(())
    });
}

#[test]
fn a_stopped_producer_calls_back_those_that_wait_for_a_permit() {
    cluster().check(async |sim| {
        let producer = warm(&sim, 1, 1 << 20, WhenFull::Wait).await;
        let (first, second) = (send(&producer, 10), send(&producer, 10));
        sim.sleep(Duration::from_millis(1)).await;
        producer.stop().await;
        for outcome in [first, second] {
            let error = outcome.await?.0.expect_err("it was stopped");
            assert_eq!(error.failure(), Failure::Closed);
        }
        Ok(())
    });
}
