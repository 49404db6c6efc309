//! Whether a topic can be sent to, asked before anything is sent.

use rmq_producer::{LookupError, Message};
use rmq_remoting::code::request;

use crate::common::Cluster;

#[tokio::test]
async fn a_topic_is_ready_with_its_queues_and_its_first_send_needs_no_lookup() {
    let cluster = Cluster::start(2, "tenant%orders", 2).await;
    let builder = cluster.producer().namespace("tenant");
    let producer = builder.start().await.unwrap();
    let queues = producer.ready("orders").await.unwrap();
    let queues: Vec<_> = queues.iter().map(ToString::to_string).collect();
    let expected = [
        "orders@broker-a/q0",
        "orders@broker-a/q1",
        "orders@broker-b/q0",
        "orders@broker-b/q1",
    ];
    assert_eq!(queues, expected);
    let lookups = || {
        cluster
            .name_server
            .requests(request::GET_ROUTEINFO_BY_TOPIC)
    };
    let before = lookups();
    producer.send(Message::new("orders", "1")).await.unwrap();
    assert_eq!(lookups(), before);
    producer.stop().await;
}

#[tokio::test]
async fn a_topic_that_cannot_be_sent_to_is_not_ready_and_the_error_says_why() {
    let cluster = Cluster::start(1, "orders", 1).await;
    let producer = cluster.producer().start().await.unwrap();
    let unknown = producer.ready("bills").await.unwrap_err();
    assert!(matches!(unknown, LookupError::NotExist { .. }), "{unknown}");
    let illegal = producer.ready("or ders").await.unwrap_err().to_string();
    assert!(illegal.contains("illegal characters"), "{illegal}");
    producer.stop().await;
    let closed = producer.ready("bills").await.unwrap_err();
    assert!(matches!(closed, LookupError::Closed(_)), "{closed}");
}
