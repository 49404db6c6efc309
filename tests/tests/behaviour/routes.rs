//! Routes over time: what a producer does with one that changes or cannot be had.

use rmq_mock_broker::event::Event as BrokerEvent;
use rmq_producer::event::Failure;
use rmq_producer::{Message, Policy};
use rmq_remoting::code::request;
use rmq_sim::fault::RuleAction;
use rmq_sim::fault::rule::PartialRoute;
use rmq_sim::simulation::refuse;
use rmq_sim::trace::NodeEvent;

use crate::support::{
    brokers, late, message, play, play_warm, requests, send_sync, strict_and_java,
};

#[test]
fn a_broker_that_left_every_route_gets_no_heartbeat_and_loses_its_connection() {
    for policy in strict_and_java() {
        let without_b = RuleAction::PartialRoute(PartialRoute {
            broker: "broker-b".into(),
        });
        let code = request::GET_ROUTEINFO_BY_TOPIC;
        let setup = brokers(2).fault(late(requests("ns-1", code, without_b)));
        let ((), seen) = play_warm(setup, &policy, async |sim, _| {
            sim.until_secs(70).await;
        });
        // The poll at 30 s brings the route without it, the round at 31 s cleans up.
        let heartbeats = |broker| seen.requests(broker, request::HEART_BEAT);
        let seconds: Vec<_> = heartbeats("broker-a").iter().map(|ms| ms / 1_000).collect();
        assert_eq!(seconds, [31, 61], "{}", policy.name);
        assert!(heartbeats("broker-b").is_empty(), "{}", policy.name);
        let hung_up =
            |what: &NodeEvent| matches!(what, NodeEvent::Broker(BrokerEvent::Disconnected { .. }));
        assert!(seen.at("broker-a", hung_up).is_empty());
        let lost: Vec<_> = seen.at("broker-b", hung_up);
        let seconds: Vec<_> = lost.iter().map(|ms| ms / 1_000).collect();
        assert_eq!(seconds, [31], "{}", policy.name);
    }
}

#[test]
fn without_a_name_server_an_unknown_topic_is_told_with_the_reason() {
    for policy in strict_and_java() {
        let setup = brokers(1).fault(refuse("ns-1"));
        let ((outcome, _), seen) = play(setup, &policy, async |_, producer| {
            send_sync(producer, message()).await
        });
        let error = outcome.unwrap_err();
        assert_eq!(
            error.failure(),
            Failure::RouteUnreachable,
            "{}",
            policy.name
        );
        let reason = error.lookup().expect("the lookup failed").to_string();
        assert!(reason.contains("refused"), "{reason}");
        assert!(seen.lookups().is_empty(), "nobody was asked for TBW102");
    }
}

#[test]
fn java_looks_up_tbw102_whatever_its_default_topic_and_names_that_in_the_request() {
    for (mut policy, asked) in [
        (Policy::strict(), "MyKey"),
        (Policy::java_4_9(), "MyKey"),
        (Policy::java_5_3(), "TBW102"),
    ] {
        policy.default_topic = "MyKey".to_owned();
        policy.default_route.polled = false;
        let setup = brokers(1).causes(&["INV-42"]);
        let ((outcome, _), seen) = play(setup, &policy, async |_, producer| {
            send_sync(producer, Message::new("new", "hello")).await
        });
        let error = outcome.unwrap_err();
        assert_eq!(
            seen.lookups()[..2],
            ["new".into(), asked.into()],
            "{}",
            policy.name
        );
        if asked == "TBW102" {
            // A broker makes the topic after the one that the request names, which it has not.
            assert!(
                !seen.path().is_empty() && error.code() == Some(17),
                "{error}"
            );
        } else {
            assert_eq!((&*seen.path(), error.failure()), ("", Failure::NoRoute));
        }
    }
}
