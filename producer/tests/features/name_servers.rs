//! The list of name servers is changed while the producer runs: whom it asks from then on.

use std::time::Duration;

use crate::common::Cluster;
use rmq_producer::{Message, StartError};
use rmq_remoting::code::request::GET_ROUTEINFO_BY_TOPIC;
use tokio::time::{Instant, timeout};

#[tokio::test]
async fn a_server_that_left_the_list_is_asked_no_more() {
    let cluster = Cluster::start(1, "orders", 1).await;
    let second = Cluster::another_name_server().await;
    cluster.publish(&second, "invoices", 1);
    let producer = cluster.producer().start().await.unwrap();
    producer.send(Message::new("orders", "1")).await.unwrap();
    assert_eq!(producer.gauges().connections, 2);
    let client = producer.client();
    assert_eq!(client.update_name_servers(&second.address), Ok(true));
    assert_eq!(&*client.name_servers(), [second.address.as_str().into()]);
    assert_eq!(producer.gauges().connections, 1, "its connection is closed");
    let asked = cluster.name_server.requests(GET_ROUTEINFO_BY_TOPIC);
    producer.send(Message::new("invoices", "2")).await.unwrap();
    producer.send(Message::new("orders", "3")).await.unwrap();
    assert_eq!(second.requests(GET_ROUTEINFO_BY_TOPIC), 1);
    assert_eq!(cluster.name_server.requests(GET_ROUTEINFO_BY_TOPIC), asked);
    producer.stop().await;
}

#[tokio::test]
async fn a_lookup_that_waits_for_a_server_that_leaves_goes_on_with_the_new_list() {
    let cluster = Cluster::start(1, "orders", 1).await;
    cluster
        .name_server
        .answers_routes_after(Duration::from_secs(60));
    let second = Cluster::another_name_server().await;
    cluster.publish(&second, "orders", 1);
    let producer = cluster.producer().start().await.unwrap();
    let began = Instant::now();
    let mut send = Box::pin(producer.send(Message::new("orders", "1")));
    assert!(
        timeout(Duration::from_millis(100), &mut send)
            .await
            .is_err()
    );
    let update = producer.client().update_name_servers(&second.address);
    assert_eq!(update, Ok(true));
    send.await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(1));
    producer.stop().await;
}

#[tokio::test]
async fn a_list_that_is_no_list_changes_nothing() {
    let cluster = Cluster::start(1, "orders", 1).await;
    let producer = cluster.producer().start().await.unwrap();
    let client = producer.client();
    let before = client.name_servers();
    assert_eq!(
        client.update_name_servers(" ; "),
        Err(StartError::NoNameServer)
    );
    let broken = client.update_name_servers("10.0.0.1:9876;10.0.0.2");
    assert_eq!(broken, Err(StartError::NameServer("10.0.0.2".to_owned())));
    let same = format!("{0};{0}", cluster.name_server.address);
    assert_eq!(client.update_name_servers(&same), Ok(false));
    assert_eq!(client.name_servers(), before);
    producer.send(Message::new("orders", "1")).await.unwrap();
    producer.stop().await;
}
