//! The example `ordered` keeps the order that it teaches, also when a send fails.

#[path = "../examples/ordered.rs"]
#[expect(dead_code, reason = "the test calls the part that sends")]
mod ordered;

use rmq_mock_broker::Broker;
use rmq_mock_broker::control::{Action, Match, Rule, RuleBook};
use rmq_mock_namesrv::NameServer;
use rmq_producer::Producer;

#[tokio::test]
async fn nothing_of_an_order_overtakes_a_step_that_failed_and_other_orders_go_on() {
    let name_server = NameServer::on_loopback().await.unwrap();
    // Every attempt of the second step of order-1, and nothing else.
    let second_step = Match {
        keys: Some("order-1".into()),
        from: Some(2),
        to: Some(4),
        ..Match::default()
    };
    let refuse = Rule::new("refuse", second_step, Action::answer(1, "no"));
    let broker = Broker::builder("broker-a")
        .name_server(name_server.local_addr())
        .topic("orders", 4)
        .rules(RuleBook::with([refuse]));
    let broker = broker.start().await.unwrap();

    let producer = Producer::builder("ordered-test")
        .name_servers(name_server.local_addr().to_string())
        .start()
        .await
        .unwrap();
    let steps = ["created", "paid", "shipped"];
    let first = ordered::send_in_order(&producer, "order-1", steps).await;
    assert_eq!(first.unwrap_err().attempts().len(), 3, "all were refused");
    let second = ordered::send_in_order(&producer, "order-2", steps).await;
    second.unwrap();
    producer.stop().await;

    let stored = |order: &str| -> Vec<String> {
        let ledger = broker.disk().ledger();
        let keys = format!("KEYS\u{1}{order}\u{2}");
        let of_order = ledger
            .iter()
            .filter(|entry| String::from_utf8_lossy(&entry.properties).contains(&keys));
        let bodies = of_order.map(|entry| String::from_utf8_lossy(&entry.body).into_owned());
        bodies.collect()
    };
    assert_eq!(stored("order-1"), ["created"]);
    assert_eq!(stored("order-2"), steps);
    broker.stop().await;
    name_server.stop().await;
}
