//! Names within a namespace: what servers see, and what the program sees.

use rmq_producer::{Message, MessageQueue, Selector};
use rmq_remoting::code::request;

use crate::common::Cluster;

#[tokio::test]
async fn servers_see_the_namespace_and_the_program_does_not() {
    let cluster = Cluster::start(1, "NS%T", 2).await;
    cluster.publish(&cluster.name_server, "%RETRY%NS%G", 1);
    let builder = cluster.producer().namespace("NS");
    let producer = builder.start().await.unwrap();
    let sent = producer.send(Message::new("T", "1")).await.unwrap();
    assert_eq!(sent.queue, MessageQueue::new("T", "broker-a", 0));
    let again = producer.send_to(Message::new("T", "2"), sent.queue.clone());
    assert_eq!(again.await.unwrap().queue, sent.queue);
    let chosen = Selector::own(|queues, message| {
        assert!(queues.iter().all(|queue| &*queue.topic == "T"));
        assert_eq!(message.topic(), "T");
        queues.last().cloned()
    });
    producer
        .send_by(Message::new("NS%T", "3"), chosen)
        .await
        .unwrap();
    let retry = producer.send(Message::new("%RETRY%G", "4")).await.unwrap();
    assert_eq!(&*retry.queue.topic, "%RETRY%G");
    let seen = cluster.brokers[0].seen();
    let topics: Vec<_> = seen.iter().map(|seen| seen.topic.as_str()).collect();
    assert_eq!(topics, ["NS%T", "NS%T", "NS%T", "%RETRY%NS%G"]);
    for seen in &seen {
        assert!(seen.properties.contains("INSTANCE_ID\u{1}NS\u{2}"));
    }
    let missing = producer
        .send(Message::new("missing", "5"))
        .await
        .unwrap_err();
    assert_eq!(missing.topic(), "missing");
    producer.stop().await;
    let heartbeat = &cluster.brokers[0].asked(request::HEART_BEAT)[0];
    let body = String::from_utf8_lossy(&heartbeat.body).into_owned();
    assert!(body.contains("NS%test-group"), "{body}");
    let lookup = &cluster.name_server.asked(request::GET_ROUTEINFO_BY_TOPIC)[0];
    assert_eq!(lookup.ext.get("topic"), Some("NS%T"));
}

#[tokio::test]
async fn a_namespace_of_the_second_kind_is_said_in_every_request_and_changes_no_name() {
    let cluster = Cluster::start(1, "T", 1).await;
    let builder = cluster.producer().namespace_v2("tenant");
    let producer = builder.start().await.unwrap();
    producer.send(Message::new("T", "1")).await.unwrap();
    producer.stop().await;
    let mut asked = cluster.name_server.asked(request::GET_ROUTEINFO_BY_TOPIC);
    asked.extend(cluster.brokers[0].asked(request::SEND_MESSAGE_V2));
    asked.extend(cluster.brokers[0].asked(request::UNREGISTER_CLIENT));
    assert!(asked.len() >= 3);
    for request in asked {
        let fields = [request.ext.get("nsd"), request.ext.get("ns")];
        assert_eq!(fields, [Some("true"), Some("tenant")], "{request:?}");
    }
    assert_eq!(cluster.brokers[0].seen()[0].topic, "T");
}

#[tokio::test]
async fn the_address_of_a_hosted_cluster_says_the_namespace() {
    let cluster = Cluster::start(1, "T", 1).await;
    let hosted = "http://MQ_INST_1_abc.host:80";
    let builder = cluster.producer().name_servers(hosted);
    let producer = builder.start().await.unwrap();
    let dialled = producer.client().name_servers();
    assert_eq!(&*dialled, ["MQ_INST_1_abc.host:80".into()]);
    let update = producer
        .client()
        .update_name_servers(&cluster.name_server.address);
    assert_eq!(update, Ok(true));
    cluster.publish(&cluster.name_server, "MQ_INST_1_abc%T", 1);
    let sent = producer.send(Message::new("T", "1")).await.unwrap();
    assert_eq!(&*sent.queue.topic, "T");
    assert_eq!(cluster.brokers[0].seen()[0].topic, "MQ_INST_1_abc%T");
    producer.stop().await;
}
