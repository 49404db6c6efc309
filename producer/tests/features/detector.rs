//! Brokers that failed are asked whether they are there again.

use std::time::Duration;

use rmq_producer::{Message, Policy};
use rmq_remoting::code::request::GET_MAX_OFFSET;
use tokio::time::{sleep, timeout};

use crate::common::{Cluster, Script};

#[tokio::test]
async fn a_broker_in_the_table_is_asked_and_the_task_ends_with_the_producer() {
    let mut policy = Policy::strict();
    policy.health.detector.enabled = true;
    policy.health.detector.period = 20;
    policy.health.detector.interval = 40;
    let cluster = Cluster::start(2, "T", 1).await;
    let producer = cluster.producer().policy(policy).start().await.unwrap();
    cluster.brokers[0].does(Script::Close);
    let sent = producer.send(Message::new("T", "1")).await.unwrap();
    assert_eq!(&*sent.queue.broker, "broker-b");
    let asked_twice = async {
        while cluster.brokers[0].requests(GET_MAX_OFFSET) < 2 {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(10), asked_twice).await.unwrap();
    let probe = &cluster.brokers[0].asked(GET_MAX_OFFSET)[0];
    assert_eq!(
        (probe.ext.get("topic"), probe.ext.get("queueId")),
        (Some("T"), Some("0"))
    );
    producer.stop().await;
    let asked = cluster.brokers[0].requests(GET_MAX_OFFSET);
    sleep(Duration::from_millis(100)).await;
    assert_eq!(cluster.brokers[0].requests(GET_MAX_OFFSET), asked);
}
