//! The table of routes: what is forgotten, and which route wins.

use super::*;
use crate::event::QueueRef;

fn known(routes: &Routes) -> Vec<String> {
    let topics = routes.topics.lock();
    topics.keys().map(ToString::to_string).collect()
}

#[test]
fn a_topic_that_no_send_needed_for_so_many_rounds_is_forgotten_and_others_are_not() {
    let routes = Routes::default();
    routes.know(&"kept".into());
    for topic in ["used", "unused", "under-way"] {
        let (lookup, _) = routes.join(&topic.into(), LookupReason::FirstSend);
        if topic != "under-way" {
            let nothing = Err(Arc::new(LookupError::BrokenOff(topic.into())));
            routes.complete(&topic.into(), &lookup, nothing);
        }
    }
    for _ in 0..3 {
        routes.begin_round(Some(2));
        let _ = routes.snapshot("used");
        let _ = routes.in_force(&"unused".into());
    }
    assert_eq!(known(&routes), ["kept", "under-way", "used"]);
    for _ in 0..3 {
        routes.begin_round(None);
    }
    assert_eq!(known(&routes).len(), 3, "never means never");
}

/// A route with one queue on each broker, whose masters are at this port.
fn route(brokers: &[&str], port: u16) -> Published {
    let queue = |broker: &&str| QueueRef {
        broker: (*broker).into(),
        queue: 0,
    };
    let master = |broker: &&str| ((*broker).into(), format!("{broker}:{port}").into());
    let masters: Vec<(Name, Name)> = brokers.iter().map(master).collect();
    Published {
        queues: brokers.iter().map(queue).collect(),
        addresses: masters.iter().map(|(_, at)| Name::clone(at)).collect(),
        masters,
        ordered: false,
    }
}

/// A table that has one topic, and the number of its last snapshot.
struct Table {
    policy: Policy,
    routes: Routes,
    number: u64,
}

impl Table {
    fn new(policy: Policy) -> Self {
        Self {
            policy,
            routes: Routes::default(),
            number: 0,
        }
    }

    /// An answer comes: `body` stands for its bytes.
    fn answer(&mut self, body: &'static str, published: Published, default: bool) -> LookupEnd {
        let topic = Name::from("orders");
        let body = Bytes::from_static(body.as_bytes());
        let fit = match self.routes.unchanged(&topic, &body, default) {
            Some(snapshot) => Fit::Unchanged(snapshot),
            None => Fit::New(published),
        };
        let answer = RouteAnswer {
            body: &body,
            fit,
            default,
        };
        let number = || {
            self.number += 1;
            SnapshotNumber::from(self.number)
        };
        self.routes.apply(&self.policy, &topic, answer, number).0
    }

    fn own(&mut self, body: &'static str, published: Published) -> LookupEnd {
        self.answer(body, published, false)
    }

    fn default(&mut self, body: &'static str, published: Published) -> LookupEnd {
        self.answer(body, published, true)
    }

    /// The number and the brokers of the route in force, with the ports of their masters.
    fn in_force(&self) -> (u64, String) {
        let snapshot = self.routes.snapshot("orders").unwrap();
        let queues = snapshot.queues.iter();
        let at = queues.map(|queue| snapshot.master(&queue.broker).unwrap().to_string());
        (snapshot.number.get(), at.collect::<Vec<_>>().join(" "))
    }
}

#[test]
fn the_same_answer_changes_nothing_and_neither_does_one_that_publishes_the_same() {
    let mut table = Table::new(Policy::java_5_3());
    assert_eq!(table.own("1", route(&["a", "b"], 1)), LookupEnd::Changed);
    assert_eq!(table.own("1", route(&[], 0)), LookupEnd::Unchanged);
    assert_eq!(table.own("2", route(&["a", "b"], 1)), LookupEnd::Unchanged);
    assert_eq!(table.in_force(), (1, "a:1 b:1".to_owned()));
    assert_eq!(table.own("3", route(&["b"], 1)), LookupEnd::Changed);
    assert_eq!(table.in_force(), (2, "b:1".to_owned()));
}

#[test]
fn a_topics_own_route_wins_over_the_default_topics() {
    let mut table = Table::new(Policy::java_5_3());
    assert_eq!(
        table.default("d", route(&["a", "b"], 1)),
        LookupEnd::Changed
    );
    assert_eq!(table.own("o", route(&["b"], 1)), LookupEnd::Changed);
    assert_eq!(table.in_force(), (2, "b:1".to_owned()));
    assert_eq!(
        table.default("d", route(&["a", "b"], 1)),
        LookupEnd::Unchanged
    );
    assert_eq!(table.in_force(), (2, "b:1".to_owned()));
}

#[test]
fn a_topic_that_was_known_keeps_its_queues_and_takes_new_addresses_from_the_default_route() {
    let mut table = Table::new(Policy::java_5_3());
    table.own("o", route(&["b"], 1));
    assert_eq!(
        table.default("d", route(&["a", "b"], 2)),
        LookupEnd::Changed
    );
    assert_eq!(table.in_force(), (2, "b:2".to_owned()));
    // The answer behind it was no answer of its own: the old one counts again, and moves it back.
    assert_eq!(table.own("o", route(&["b"], 1)), LookupEnd::Changed);
    assert_eq!(table.in_force(), (3, "b:1".to_owned()));
}

#[test]
fn an_answer_of_the_default_topic_is_not_taken_for_the_topics_own() {
    let mut table = Table::new(Policy::java_5_3());
    table.default("same", route(&["a"], 1));
    assert_eq!(table.own("same", route(&["a"], 2)), LookupEnd::Changed);
    assert_eq!(table.in_force(), (2, "a:2".to_owned()));
}

#[test]
fn brokers_that_were_not_tried_stay_beside_the_own_route_where_the_policy_has_it_so() {
    let mut table = Table::new(Policy::strict());
    table.default("d", route(&["a", "b"], 1));
    let first = table.routes.snapshot("orders").unwrap();
    table.routes.tried("orders", &first, &"a".into());
    // The own route with b beside it publishes what is in force.
    assert_eq!(table.own("o", route(&["a"], 1)), LookupEnd::Unchanged);
    assert_eq!(table.in_force(), (1, "a:1 b:1".to_owned()));
    table.routes.tried("orders", &first, &"b".into());
    assert_eq!(table.own("o", route(&["a"], 1)), LookupEnd::Changed);
    assert_eq!(table.in_force(), (2, "a:1".to_owned()));
}
