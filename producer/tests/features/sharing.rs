//! Producers that share a client, whose settings are the client's.

use std::sync::Arc;

use rmq_producer::observe::Silent;
use rmq_producer::{Client, Message, Producer, ProducerBuilder, StartError, TokioHost};

use crate::common::Cluster;

#[tokio::test]
async fn a_setting_of_the_client_is_refused_where_a_client_is_shared() {
    let cluster = Cluster::start(1, "orders", 1).await;
    let client = Client::builder().name_servers(&cluster.name_server.address);
    let client = client.build().unwrap();
    type Set = fn(ProducerBuilder) -> ProducerBuilder;
    let settings: [(&str, Set); 6] = [
        ("name_servers", |builder| builder.name_servers("a:1")),
        ("host", |builder| builder.host(Arc::new(TokioHost::new()))),
        ("observer", |builder| builder.observer(Arc::new(Silent))),
        ("first_name_server", |builder| builder.first_name_server(0)),
        ("id_constant", |builder| builder.id_constant(1)),
        ("namespace_v2", |builder| builder.namespace_v2("n")),
    ];
    for (setting, set) in settings {
        for before in [true, false] {
            let builder = Producer::builder("g");
            let builder = match before {
                true => set(builder).client(client.clone()),
                false => set(builder.client(client.clone())),
            };
            let refused = builder.start().await.unwrap_err();
            assert_eq!(refused, StartError::SharedClient { setting });
            assert!(refused.to_string().starts_with(&format!("`{setting}`")));
        }
    }
    // What is the producer's own stays its own.
    let builder = Producer::builder("g").client(client.clone()).retries(1);
    let producer = builder.max_open_sends(3).start().await.unwrap();
    producer.send(Message::new("orders", "1")).await.unwrap();
    producer.stop().await;
}

#[tokio::test]
async fn the_later_of_a_shared_client_and_one_of_its_own_counts() {
    let cluster = Cluster::start(1, "orders", 1).await;
    let description = || Client::builder().name_servers(&cluster.name_server.address);
    let nowhere = || Client::builder().name_servers("127.0.0.1:1");
    let shared = Producer::builder("shared")
        .own_client(nowhere())
        .client(description().build().unwrap());
    let own = Producer::builder("own")
        .client(nowhere().build().unwrap())
        .own_client(description());
    for builder in [shared, own] {
        let producer = builder.start().await.unwrap();
        producer.send(Message::new("orders", "1")).await.unwrap();
        producer.stop().await;
    }
}
