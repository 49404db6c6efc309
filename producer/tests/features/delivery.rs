//! What a program gets back: a future for an async send, its message from a send that failed.

use std::error::Error;

use rmq_producer::event::Failure;
use rmq_producer::{Message, PropertyError};

use crate::common::{Cluster, Script};

#[tokio::test]
async fn async_sends_are_under_way_together_and_each_can_be_awaited_or_left_alone() {
    let cluster = Cluster::start(1, "orders", 1).await;
    let producer = cluster.producer().start().await.unwrap();
    let first = producer.send_async(Message::new("orders", "1"));
    drop(producer.send_async(Message::new("orders", "2")));
    let third = producer.send_async(Message::new("orders", "3"));
    let (first, third) = (first.await.unwrap(), third.await.unwrap());
    assert_ne!(first.message_id, third.message_id);
    producer.stop().await;
    assert_eq!(
        cluster.brokers[0].seen().len(),
        3,
        "one was left alone and is stored"
    );
}

#[tokio::test]
async fn an_async_send_that_the_end_of_its_producer_ends_says_so() {
    let cluster = Cluster::start(1, "orders", 1).await;
    cluster.brokers[0].does(Script::Silent);
    let producer = cluster.producer().start().await.unwrap();
    let delivery = producer.send_async(Message::new("orders", "1"));
    producer.stop().await;
    let error = delivery.await.unwrap_err();
    assert_eq!(error.failure(), Failure::Closed);
    assert!(error.may_be_stored());
}

#[tokio::test]
async fn a_send_that_failed_gives_its_message_back_as_the_program_made_it()
-> Result<(), PropertyError> {
    let cluster = Cluster::start(1, "tenant%orders", 1).await;
    cluster.brokers[0].does(Script::Refuse(1));
    let builder = cluster.producer().namespace("tenant");
    let producer = builder.start().await.unwrap();
    let message = Message::new("orders", "1")
        .with_key("k")
        .with_property("region", "north")?;
    let error = producer.send(message.clone()).await.unwrap_err();
    let id = error.message_id().unwrap().to_owned();
    assert_eq!(error.into_message(), Some(message.clone()));
    // Sent again under its id, it is the same message for whoever drops copies.
    cluster.brokers[0].does(Script::Store);
    let sent = producer.send(message.clone().with_id(&*id)?).await.unwrap();
    assert_eq!(*sent.message_id, *id);
    let error = producer.send(Message::new("", "1")).await.unwrap_err();
    assert_eq!(error.into_message(), Some(Message::new("", "1")));
    producer.stop().await;
    Ok(())
}

#[tokio::test]
async fn the_text_of_an_error_tells_each_cause_once() {
    let mut cluster = Cluster::start(1, "orders", 1).await;
    cluster.brokers[0].kill();
    let producer = cluster.producer().retries(0).start().await.unwrap();
    let error = producer
        .send(Message::new("orders", "1"))
        .await
        .unwrap_err();
    let text = error.to_string();
    assert_eq!(
        text.matches("refused").count(),
        2,
        "the stage and the cause: {text}"
    );
    assert!(error.source().is_none(), "a reporter would print it again");
    producer.stop().await;
}
