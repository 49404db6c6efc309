//! Where messages go that have a route of a special kind.

use rmq_producer::event::Failure;
use rmq_producer::{Message, Policy};
use rmq_remoting::route::TopicRouteData;
use tokio::sync::oneshot;

use crate::common::{Cluster, Script};

#[tokio::test]
async fn a_static_topic_is_one_clear_error() {
    let cluster = Cluster::start(1, "TBW102", 4).await;
    let mapping = r#"{"brokerDatas":[],"queueDatas":[],"topicQueueMappingByBroker":{"broker-a":
        {"topic":"S","totalQueues":2,"bname":"broker-a","epoch":1,"scope":"__global__"}}}"#;
    let route = TopicRouteData::decode(mapping.as_bytes()).unwrap();
    cluster.name_server.knows("S", route);
    let producer = cluster.producer().start().await.unwrap();
    let error = producer.send(Message::new("S", "1")).await.unwrap_err();
    assert_eq!(error.failure(), Failure::NoRoute);
    let text = error.to_string();
    assert!(text.contains("topic: S (it is a static topic"), "{text}");
    assert!(cluster.brokers[0].seen().is_empty());
    producer.stop().await;
}

#[tokio::test]
async fn with_the_vip_channel_sends_go_to_the_second_port_and_javas_async_retry_to_the_first() {
    for (policy, on_first) in [(Policy::strict(), 0), (Policy::java_5_3(), 1)] {
        let (cluster, second) = Cluster::with_second_port("T").await;
        let builder = cluster.producer().policy(policy).vip_channel();
        let producer = builder.start().await.unwrap();
        producer.send(Message::new("T", "1")).await.unwrap();
        assert_eq!(
            (second.seen().len(), cluster.brokers[0].seen().len()),
            (1, 0)
        );
        second.does(Script::Close);
        let (told, outcome) = oneshot::channel();
        producer.send_with_callback(Message::new("T", "2"), move |outcome| {
            let _ = told.send(outcome.is_ok());
        });
        assert_eq!(outcome.await.unwrap(), on_first == 1);
        assert_eq!(cluster.brokers[0].seen().len(), on_first);
        producer.stop().await;
    }
}
