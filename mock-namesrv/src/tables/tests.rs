//! The rules of the tables, each by an observable consequence.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rmq_remoting::request::RegisteredTopics;
use rmq_remoting::request::r103_register_broker::TopicConfigWrapper;
use rmq_remoting::topic::{DataVersion, TopicConfig};
use tokio::time::Instant;

use super::*;

const NO_TOPIC: [&str; 0] = [];

#[test]
fn an_altered_route_lacks_one_broker_or_has_another_order() {
    let mut tables = tables();
    accept(&mut tables, &master(&body(["t", "u"], 1)));
    let other = Registration {
        broker: "broker-b".into(),
        address: "Z".into(),
        channel: 3.into(),
        ..master(&body(["t", "u"], 1))
    };
    accept(&mut tables, &other);
    let told = |alteration: RouteAlteration| {
        let mut route = tables.route("t", None).unwrap();
        let left = alteration.apply(&mut route);
        let brokers = route.broker_datas.iter();
        let brokers: Vec<String> = brokers.map(|it| it.broker_name.to_string()).collect();
        assert_eq!(route.queue_datas.len(), brokers.len());
        (left, brokers.join(" "))
    };
    let without = |broker: &str| RouteAlteration::Without {
        broker: broker.into(),
    };
    assert_eq!(told(without("broker-a")), (true, "broker-b".to_owned()));
    let permuted = |order| told(RouteAlteration::Permuted { order }).1;
    let orders: Vec<String> = (0..3).map(permuted).collect();
    assert_eq!(
        orders,
        [
            "broker-a broker-b",
            "broker-b broker-a",
            "broker-a broker-b"
        ]
    );
}

fn tables() -> Tables {
    Tables::new(Profile::V5_3_3, Duration::from_secs(120))
}

fn body<const N: usize>(topics: [&str; N], counter: i64) -> TopicConfigWrapper {
    let topics = topics.map(|topic| (topic.into(), TopicConfig::new(topic.into(), 4, 6)));
    TopicConfigWrapper {
        data_version: DataVersion {
            counter,
            state_version: 0,
            timestamp: 1,
        },
        topic_config_table: topics.into(),
        ..TopicConfigWrapper::default()
    }
}

/// `broker-a` registers id 0 at X on connection 1.
fn master(body: &TopicConfigWrapper) -> Registration {
    Registration {
        cluster: "c".into(),
        broker: "broker-a".into(),
        address: "X".into(),
        id: 0,
        ha_address: "X-ha".into(),
        timeout: None,
        acting_master: Some(false),
        zone: None,
        channel: 1.into(),
        body: Arc::new(RegisteredTopics::from(body)),
    }
}

/// The same broker's id 1 at Y on connection 2.
fn slave(body: &TopicConfigWrapper) -> Registration {
    Registration {
        address: "Y".into(),
        id: 1,
        channel: 2.into(),
        ..master(body)
    }
}

/// Registers, and checks that it counts.
fn accept(tables: &mut Tables, registration: &Registration) -> Changes {
    match tables.register(registration, Instant::now()) {
        Registered::Accepted { changes, .. } => changes,
        other => panic!("not accepted: {other:?}"),
    }
}

/// Addresses of `broker-a` in the route of a topic, `None` without a route.
fn addresses(tables: &Tables, topic: &str) -> Option<BTreeMap<i64, String>> {
    let route = tables.route(topic, None)?;
    let addresses = route.broker_datas.first()?.broker_addrs.iter();
    Some(
        addresses
            .map(|(id, address)| (*id, address.to_string()))
            .collect(),
    )
}

fn at<const N: usize>(addresses: [(i64, &str); N]) -> Option<BTreeMap<i64, String>> {
    Some(
        addresses
            .map(|(id, address)| (id, address.to_owned()))
            .into(),
    )
}

fn perm(tables: &Tables, topic: &str) -> Option<i32> {
    Some(tables.route(topic, None)?.queue_datas.first()?.perm)
}

fn leave(tables: &mut Tables, address: &str) -> Changes {
    let (cluster, broker) = ("c".into(), "broker-a".into());
    tables.unregister(
        &cluster,
        &broker,
        &address.into(),
        RemovalCause::Unregistered,
    )
}

#[test]
fn a_registered_topic_has_a_route_and_the_changes_name_it() {
    let mut tables = tables();
    let changes = accept(&mut tables, &master(&body(["TBW102", "T1"], 1)));
    assert_eq!(addresses(&tables, "T1"), at([(0, "X")]));
    assert_eq!(changes.added.map(|added| added.address), Some("X".into()));
    assert_eq!(
        changes.topics,
        BTreeSet::from(["T1".into(), "TBW102".into()])
    );
    assert_eq!(tables.write_queues("T1"), [("broker-a".into(), 4)]);
}

#[test]
fn an_unchanged_registration_changes_nothing() {
    let mut tables = tables();
    accept(&mut tables, &master(&body(["T1", "T2"], 1)));
    assert_eq!(
        accept(&mut tables, &master(&body(["T1", "T2"], 1))),
        Changes::default()
    );
}

#[test]
fn a_first_registration_with_one_topic_is_refused_and_leaves_an_empty_broker() {
    let mut tables = tables();
    let refused = tables.register(&master(&body(["T1"], 1)), Instant::now());
    assert_eq!(refused, Registered::Refused);
    assert!(tables.groups()["broker-a"].broker_addrs.is_empty());
    assert!(tables.clusters()["c"].contains("broker-a"));
    assert_eq!(tables.route("T1", None), None);
    accept(&mut tables, &master(&body(["T1", "T2"], 1)));
    assert_eq!(addresses(&tables, "T1"), at([(0, "X")]));
}

#[test]
fn a_first_registration_of_a_slave_with_one_topic_is_refused_too() {
    let mut tables = tables();
    accept(&mut tables, &master(&body(["T1", "T2"], 1)));
    let refused = tables.register(&slave(&body(["T1"], 1)), Instant::now());
    assert_eq!(refused, Registered::Refused);
    accept(&mut tables, &slave(&body(NO_TOPIC, 1)));
}

#[test]
fn a_4_9_server_accepts_a_first_registration_with_one_topic() {
    let mut tables = Tables::new(Profile::V4_9_7, Duration::from_secs(120));
    accept(&mut tables, &master(&body(["T1"], 1)));
    assert_eq!(addresses(&tables, "T1"), at([(0, "X")]));
}

#[test]
fn a_wiped_permission_stays_until_the_data_version_moves() {
    let mut tables = tables();
    accept(&mut tables, &master(&body(["T1", "T2"], 1)));
    assert_eq!(tables.wipe_write_perm("broker-a").0, 2);
    assert_eq!(perm(&tables, "T1"), Some(4));
    accept(&mut tables, &master(&body(["T1", "T2"], 1)));
    assert_eq!(perm(&tables, "T1"), Some(4));
    accept(&mut tables, &master(&body(["T1", "T2"], 2)));
    assert_eq!(perm(&tables, "T1"), Some(6));
}

#[test]
fn any_difference_in_the_data_version_counts_even_an_older_one() {
    let version = |counter, state_version, timestamp| DataVersion {
        counter,
        state_version,
        timestamp,
    };
    for moved in [version(1, 0, 2), version(1, 3, 1), version(0, 0, 1)] {
        let mut tables = tables();
        accept(&mut tables, &master(&body(["T1", "T2"], 1)));
        tables.wipe_write_perm("broker-a");
        let body = TopicConfigWrapper {
            data_version: moved,
            ..body(["T1", "T2"], 1)
        };
        accept(&mut tables, &master(&body));
        assert_eq!(perm(&tables, "T1"), Some(6), "{moved:?}");
    }
}

#[test]
fn a_new_topic_alone_leaves_the_other_permissions_wiped() {
    let mut tables = tables();
    accept(&mut tables, &master(&body(["T1", "T2"], 1)));
    tables.wipe_write_perm("broker-a");
    accept(&mut tables, &master(&body(["T3"], 2)));
    accept(&mut tables, &master(&body(["T1", "T2"], 2)));
    assert_eq!(
        ["T1", "T2", "T3"].map(|topic| perm(&tables, topic)),
        [Some(4), Some(4), Some(6)]
    );
}

#[test]
fn restored_permissions_lose_the_bit_of_a_template() {
    let mut tables = tables();
    let mut wrapper = body(["TBW102", "T1"], 1);
    if let Some(template) = wrapper.topic_config_table.get_mut("TBW102") {
        template.perm = 7;
    }
    accept(&mut tables, &master(&wrapper));
    assert_eq!(tables.add_write_perm("broker-a").0, 2);
    assert_eq!(perm(&tables, "TBW102"), Some(6));
}

#[test]
fn topics_missing_from_a_later_registration_stay() {
    let mut tables = tables();
    accept(&mut tables, &master(&body(["T1", "T2"], 1)));
    accept(&mut tables, &master(&body(["T3"], 2)));
    assert!(
        ["T1", "T2", "T3"]
            .iter()
            .all(|topic| tables.route(topic, None).is_some())
    );
}

#[test]
fn a_contested_id_goes_to_the_equal_or_higher_epoch() {
    let mut tables = tables();
    let with_epoch = |address: &str, state_version| {
        let mut wrapper = body(["T1", "T2"], 1);
        wrapper.data_version.state_version = state_version;
        Registration {
            address: address.into(),
            ..master(&wrapper)
        }
    };
    accept(&mut tables, &with_epoch("X", 5));
    let lower = tables.register(&with_epoch("Z", 4), Instant::now());
    assert_eq!(lower, Registered::Ignored);
    assert_eq!(addresses(&tables, "T1"), at([(0, "X")]));
    accept(&mut tables, &with_epoch("Z", 5));
    assert_eq!(addresses(&tables, "T1"), at([(0, "Z")]));
}

#[test]
fn a_slave_that_becomes_master_leaves_its_old_id() {
    let mut tables = tables();
    let as_slave = Registration {
        id: 1,
        ..master(&body(["T1", "T2"], 1))
    };
    accept(&mut tables, &as_slave);
    accept(&mut tables, &master(&body(["T1", "T2"], 1)));
    assert_eq!(addresses(&tables, "T1"), at([(0, "X")]));
}

#[test]
fn a_slave_learns_its_master_and_a_master_nothing() {
    let mut tables = tables();
    let asked = |tables: &mut Tables, registration: &Registration| match tables
        .register(registration, Instant::now())
    {
        Registered::Accepted { master, .. } => master,
        other => panic!("not accepted: {other:?}"),
    };
    assert_eq!(asked(&mut tables, &master(&body(["T1", "T2"], 1))), None);
    let told = asked(&mut tables, &slave(&body(NO_TOPIC, 1)));
    assert_eq!(told, Some(("X".into(), "X-ha".into())));
}

#[test]
fn a_slaves_topics_do_not_count_while_its_master_is_there() {
    let mut tables = tables();
    accept(&mut tables, &master(&body(["T1", "T2"], 1)));
    accept(&mut tables, &slave(&body(["T8", "T9"], 1)));
    assert_eq!(tables.route("T9", None), None);
}

#[test]
fn a_slave_alone_brings_its_topics_without_the_right_to_write_if_it_stands_in() {
    for (acting, expected) in [(Some(false), Some(6)), (Some(true), Some(4)), (None, None)] {
        let mut tables = tables();
        let alone = Registration {
            acting_master: acting,
            ..slave(&body(["T1", "T2"], 1))
        };
        accept(&mut tables, &alone);
        assert_eq!(perm(&tables, "T1"), expected, "acting master {acting:?}");
    }
}

#[test]
fn the_last_address_takes_broker_cluster_and_topics_with_it() {
    let mut tables = tables();
    accept(&mut tables, &master(&body(["T1", "T2"], 1)));
    let changes = leave(&mut tables, "X");
    assert_eq!(changes.removed.len(), 1);
    assert_eq!(changes.topics.len(), 2);
    assert!(tables.groups().is_empty() && tables.clusters().is_empty());
    assert_eq!(tables.topics().count(), 0);
    assert_eq!(leave(&mut tables, "X"), Changes::default());
}

#[test]
fn a_master_that_leaves_its_slave_behind_keeps_the_permission_unless_a_slave_stands_in() {
    for (acting, expected) in [(None, 6), (Some(false), 6), (Some(true), 4)] {
        let mut tables = tables();
        let with = |registration| Registration {
            acting_master: acting,
            ..registration
        };
        accept(&mut tables, &with(master(&body(["T1", "T2"], 1))));
        accept(&mut tables, &with(slave(&body(NO_TOPIC, 1))));
        leave(&mut tables, "X");
        assert_eq!(addresses(&tables, "T1"), at([(1, "Y")]));
        assert_eq!(
            perm(&tables, "T1"),
            Some(expected),
            "acting master {acting:?}"
        );
    }
}

#[test]
fn a_broker_leaves_with_its_connection_but_not_with_an_older_one() {
    let mut tables = tables();
    accept(&mut tables, &master(&body(["T1", "T2"], 1)));
    let newer = Registration {
        channel: 9.into(),
        ..master(&body(["T1", "T2"], 1))
    };
    accept(&mut tables, &newer);
    assert_eq!(tables.channel_closed(1.into()), Changes::default());
    assert!(tables.route("T1", None).is_some());
    assert_eq!(
        tables.channel_closed(9.into()).removed[0].cause,
        RemovalCause::ConnectionClosed
    );
    assert_eq!(tables.route("T1", None), None);
}

#[test]
fn of_several_brokers_on_one_connection_its_close_removes_one() {
    let mut tables = tables();
    for name in ["a", "b", "c"] {
        let (broker, address) = (name.into(), name.into());
        accept(
            &mut tables,
            &Registration {
                broker,
                address,
                ..master(&body(["T1", "T2"], 1))
            },
        );
    }
    tables.channel_closed(1.into());
    assert_eq!(tables.groups().len(), 2);
}

#[test]
fn a_silent_broker_goes_after_its_own_limit_and_not_at_it() {
    let mut tables = tables();
    let limit = Duration::from_secs(3);
    let registration = Registration {
        timeout: Some(limit),
        ..master(&body(["T1", "T2"], 1))
    };
    let start = Instant::now();
    tables.register(&registration, start);
    assert_eq!(tables.scan(start + limit), Expired::default());
    let expired = tables.scan(start + limit + Duration::from_millis(1));
    assert_eq!(expired.channels, [1.into()]);
    assert_eq!(expired.changes.removed[0].cause, RemovalCause::TimedOut);
    assert_eq!(tables.route("T1", None), None);
}

#[test]
fn a_heartbeat_keeps_a_broker_but_never_brings_one_back() {
    let mut tables = tables();
    let (cluster, address) = ("c".into(), "X".into());
    let start = Instant::now();
    tables.register(&master(&body(["T1", "T2"], 1)), start);
    tables.heartbeat(&cluster, &address, start + Duration::from_secs(100));
    assert_eq!(
        tables.scan(start + Duration::from_secs(200)),
        Expired::default()
    );
    assert_eq!(
        tables
            .version(&cluster, &address)
            .map(|version| version.counter),
        Some(1)
    );
    leave(&mut tables, "X");
    tables.heartbeat(&cluster, &address, start + Duration::from_secs(201));
    assert_eq!(tables.version(&cluster, &address), None);
}

#[test]
fn a_zone_keeps_its_own_brokers_and_those_without_a_master() {
    let mut tables = tables();
    let mut add = |broker: &str, id, zone: Option<&str>| {
        let registration = Registration {
            broker: broker.into(),
            address: broker.into(),
            id,
            zone: zone.map(Into::into),
            ..master(&body(["T1", "T2"], 1))
        };
        accept(&mut tables, &registration);
    };
    add("in", 0, Some("zoneA"));
    add("out", 0, Some("zoneB"));
    add("nowhere", 0, None);
    add("leaderless", 1, Some("zoneB"));
    let kept = |zone| {
        let route = tables.route("T1", Some(Zone(zone))).unwrap_or_default();
        assert_eq!(route.broker_datas.len(), route.queue_datas.len());
        route
            .queue_datas
            .iter()
            .map(|queues| queues.broker_name.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(kept("ZONEA"), ["in", "leaderless"]);
    assert_eq!(kept("elsewhere"), ["leaderless"]);
}

#[test]
fn a_deleted_topic_comes_back_with_the_next_registration() {
    let mut tables = tables();
    accept(&mut tables, &master(&body(["T1", "T2"], 1)));
    tables.delete_topic("T1", None);
    assert_eq!(tables.route("T1", None), None);
    accept(&mut tables, &master(&body(["T1", "T2"], 1)));
    assert!(tables.route("T1", None).is_some());
    tables.delete_topic("T1", Some("another cluster"));
    assert!(tables.route("T1", None).is_some());
    tables.delete_topic("T1", Some("c"));
    assert_eq!(tables.route("T1", None), None);
}

#[test]
fn a_topic_can_be_added_to_known_brokers_only() {
    let mut tables = tables();
    accept(&mut tables, &master(&body(["T1", "T2"], 1)));
    let on = |broker: &str| QueueData {
        broker_name: broker.into(),
        perm: 6,
        ..QueueData::default()
    };
    assert_eq!(
        tables.register_topic(1.into(), &"T3".into(), &[on("nobody")]),
        Some(Changes::default())
    );
    assert_eq!(tables.route("T3", None), None);
    tables.register_topic(1.into(), &"T3".into(), &[on("broker-a")]);
    assert_eq!(addresses(&tables, "T3"), at([(0, "X")]));
}

#[test]
fn the_topics_of_a_cluster_are_those_of_its_brokers() {
    let mut tables = tables();
    accept(&mut tables, &master(&body(["T1", "T2"], 1)));
    assert_eq!(tables.topics_of_cluster("c").count(), 2);
    assert_eq!(tables.topics_of_cluster("other").count(), 0);
}
