//! The list of name servers is changed while the producer runs: whom it asks from then on.

use std::time::Duration;

use crate::common::Cluster;
use rmq_producer::event::Failure;
use rmq_producer::{Config, Message, Policy, Producer, ProducerBuilder, StartError};
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

const SLAVE_ONLY: &str = "{brokerDatas:[{brokerAddrs:{1:'127.0.0.1:1'},brokerName:'a'}],\
                          queueDatas:[{brokerName:'a',perm:6,writeQueueNums:1}]}";
const READ_ONLY: &str = "{brokerDatas:[{brokerAddrs:{0:'127.0.0.1:1'},brokerName:'a'}],\
                         queueDatas:[{brokerName:'a',perm:4,writeQueueNums:1}]}";

#[tokio::test]
async fn a_name_server_whose_answer_is_of_no_use_is_passed_over_like_one_that_refuses() {
    for words in ["{bad", "{}", "null", "", SLAVE_ONLY, READ_ONLY] {
        let cluster = Cluster::start(1, "orders", 1).await;
        let bad = Cluster::another_name_server().await;
        bad.says(words);
        let servers = format!("{};{}", bad.address, cluster.name_server.address);
        let builder = cluster.producer().name_servers(servers);
        let producer = builder.first_name_server(0).start().await.unwrap();
        producer.send(Message::new("orders", "1")).await.unwrap();
        assert_eq!(bad.requests(GET_ROUTEINFO_BY_TOPIC), 1, "{words}");
        cluster.publish(&cluster.name_server, "invoices", 1);
        producer.send(Message::new("invoices", "2")).await.unwrap();
        assert_eq!(
            bad.requests(GET_ROUTEINFO_BY_TOPIC),
            1,
            "the good one is asked first now: {words}"
        );
        producer.stop().await;
    }
}

#[tokio::test]
async fn the_error_tells_what_every_name_server_said_and_a_topic_that_exists_is_not_made_anew() {
    let cluster = Cluster::start(1, "TBW102", 1).await;
    let bad = Cluster::another_name_server().await;
    let failed = |words: &'static str, first: usize| {
        bad.says(words);
        let servers = format!("{};{}", bad.address, cluster.name_server.address);
        let builder = cluster.producer().name_servers(servers);
        async move {
            let producer = builder.first_name_server(first).start().await.unwrap();
            let sent = producer.send(Message::new("orders", "1")).await;
            producer.stop().await;
            sent
        }
    };
    for first in [0, 1] {
        let error = failed(READ_ONLY, first).await.unwrap_err();
        assert_eq!(error.failure(), Failure::NoRoute);
        let text = error.to_string();
        assert!(text.contains("no broker has a writable queue"), "{text}");
        assert!(text.contains("it does not know the topic"), "{text}");
        assert!(text.contains(&bad.address), "{text}");
        // What is no answer says nothing against a new topic.
        for words in ["{bad", "{}"] {
            failed(words, first).await.unwrap();
        }
    }
}

#[tokio::test]
async fn javas_one_attempt_ends_with_the_answer_it_got() {
    let cluster = Cluster::start(1, "orders", 1).await;
    let bad = Cluster::another_name_server().await;
    bad.says("{bad");
    let servers = format!("{};{}", bad.address, cluster.name_server.address);
    let builder = cluster.producer().policy(Policy::java_5_3());
    let builder = builder.name_servers(servers).first_name_server(0);
    let producer = builder.start().await.unwrap();
    let error = producer
        .send(Message::new("orders", "1"))
        .await
        .unwrap_err();
    assert_eq!(error.failure(), Failure::NoRoute);
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

#[tokio::test]
async fn an_address_that_cannot_be_dialled_is_named_at_the_start_with_its_reason() {
    for (list, named, reason) in [
        (
            "https://127.0.0.1:9",
            "`https://127.0.0.1:9`",
            "leave the scheme out",
        ),
        (
            "a:1;tcp://127.0.0.1:9",
            "`tcp://127.0.0.1:9`",
            "leave the scheme out",
        ),
        (
            "127.0.0.1:9\u{ff1b}127.0.0.1:8",
            "`127.0.0.1:9\u{ff1b}127.0.0.1:8`",
            "separated by ;",
        ),
        ("::1", "`::1`", "[::1]:9876"),
        ("a:1,b", "`b`", "no port"),
        ("a\u{1b}[2J:1", "`a\\u{1b}[2J:1`", "letters"),
    ] {
        let told = Producer::builder("g").name_servers(list).start().await;
        let told = told.unwrap_err().to_string();
        assert!(told.contains(named) && told.contains(reason), "{told}");
        let text = format!("group = 'g'\nname-servers = {list:?}");
        let config = Config::from_toml(
            &text
                .replace("\\u{1b}", "\\u001b")
                .replace("\\u{ff1b}", "\u{ff1b}"),
        );
        let from_file = ProducerBuilder::from(config.unwrap())
            .start()
            .await
            .unwrap_err();
        assert_eq!(from_file.to_string(), told);
    }
}

#[tokio::test]
async fn a_namespace_that_would_become_properties_is_refused_at_the_start() {
    let cluster = Cluster::start(1, "orders", 1).await;
    for policy in [Policy::strict(), Policy::go_2_1()] {
        let builder = cluster.producer().policy(policy);
        let told = builder.namespace("n\u{2}DELAY\u{1}3").start().await;
        assert!(matches!(told, Err(StartError::Namespace(_))), "{told:?}");
    }
}
