//! A broker announces its shutdown: whose attempt fails by it.

use rmq_producer::event::Event;
use rmq_producer::{Message, Policy};
use rmq_remoting::event::{CloseCause, Event as Transport};

use crate::common::{Cluster, Script};

const GO_AWAY: i32 = 1500;

fn opened(cluster: &Cluster) -> usize {
    let broker = cluster.brokers[0].address.as_str();
    let opens = |event: &Event| matches!(event, Event::Transport(Transport::Opened { to, .. }) if **to == *broker);
    cluster.events.count(opens)
}

#[tokio::test]
async fn an_announced_shutdown_costs_no_attempt() {
    for policy in [Policy::strict(), Policy::java_5_3()] {
        let cluster = Cluster::start(1, "T", 1).await;
        let builder = cluster.producer().policy(policy).retries(0);
        let producer = builder.start().await.unwrap();
        cluster.brokers[0].does(Script::Drain);
        let sent = producer.send(Message::new("T", "1")).await.unwrap();
        assert_eq!(sent.attempts, 1);
        assert_eq!(cluster.brokers[0].seen().len(), 2);
        assert_eq!(opened(&cluster), 2, "two connections");
        let resent = |event: &Event| matches!(event, Event::Resend { .. });
        assert_eq!(cluster.events.count(resent), 1);
        producer.stop().await;
        let drained = |event: &Event| {
            matches!(
                event,
                Event::Transport(Transport::Closed {
                    cause: CloseCause::Drained,
                    ..
                })
            )
        };
        assert_eq!(cluster.events.count(drained), 1);
    }
}

#[tokio::test]
async fn all_sends_on_a_connection_that_drains_go_on_over_one_other() {
    let cluster = Cluster::start(1, "T", 1).await;
    let builder = cluster.producer().retries(0);
    let producer = builder.start().await.unwrap();
    producer.send(Message::new("T", "0")).await.unwrap();
    cluster.brokers[0].does(Script::Drain);
    let sends = (0..8).map(|_| producer.send(Message::new("T", "1")));
    let outcomes = futures_util::future::join_all(sends).await;
    let failed: Vec<_> = outcomes.iter().filter_map(|it| it.as_ref().err()).collect();
    assert!(failed.is_empty(), "{failed:?}");
    assert_eq!(opened(&cluster), 2);
    producer.stop().await;
}

#[tokio::test]
async fn a_second_announcement_leads_to_another_broker() {
    let cluster = Cluster::start(2, "T", 1).await;
    let producer = cluster.producer().start().await.unwrap();
    cluster.brokers[0].does(Script::Refuse(GO_AWAY));
    let sent = producer.send(Message::new("T", "1")).await.unwrap();
    assert_eq!((&*sent.queue.broker, sent.attempts), ("broker-b", 2));
    assert_eq!(cluster.brokers[0].seen().len(), 2);
    producer.stop().await;
}
