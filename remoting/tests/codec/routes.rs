//! Routes as old, lenient and broken name servers write them, and what of them counts.

use rmq_remoting::route::{ClusterInfo, RouteForm, RouteLimits, TopicRouteData};

const GOOD: &str = r#"{"brokerDatas":[{"brokerAddrs":{"0":"h:1"},"brokerName":"a","cluster":"c"}],
    "queueDatas":[{"brokerName":"a","perm":6,"readQueueNums":4,"topicSysFlag":0,
    "writeQueueNums":4}]}"#;

fn read(text: &str) -> TopicRouteData {
    TopicRouteData::decode(text.as_bytes()).expect(text)
}

fn fault(text: &str) -> String {
    TopicRouteData::decode(text.as_bytes())
        .unwrap_err()
        .to_string()
}

#[test]
fn a_broker_that_waits_for_its_election_has_the_id_minus_one_with_quotes_or_without() {
    for key in ["-1", "\"-1\"", "'-1'", " -1 "] {
        let text = format!(
            r#"{{"brokerDatas":[{{"brokerAddrs":{{{key}:"h:2",0:"h:1"}},"brokerName":"a"}}]}}"#
        );
        let broker = &read(&text).broker_datas[0];
        assert_eq!(broker.broker_addrs[&-1].as_ref(), "h:2");
        assert_eq!(broker.master().unwrap().as_ref(), "h:1");
    }
}

#[test]
fn what_our_own_writers_write_for_such_a_broker_is_read() {
    let mut route = read(GOOD);
    route.broker_datas[0].broker_addrs.insert(-1, "h:2".into());
    for form in [RouteForm::Legacy, RouteForm::Standard] {
        let text = route.encode(form);
        assert_eq!(TopicRouteData::decode(&text).unwrap(), route);
    }
    let legacy = route.encode(RouteForm::Legacy);
    assert!(String::from_utf8_lossy(&legacy).contains(r#"{-1:"h:2",0:"h:1"}"#));
}

#[test]
fn numbers_may_be_texts_and_null_is_none() {
    let text = GOOD.replace(":6,", ":\"6\",").replace(":4,", ":\" 4 \",");
    assert_eq!(read(&text), read(GOOD));
    let queue = &read(&GOOD.replace(":4,", ":null,").replace(":0,", ":null,")).queue_datas[0];
    assert_eq!((queue.read_queue_nums, queue.write_queue_nums), (0, 4));
    assert_eq!(queue.topic_sys_flag, 0);
}

#[test]
fn single_quotes_bare_names_spare_commas_and_comments_are_forgiven() {
    let loose = "{/* by hand */brokerDatas:[{'brokerAddrs':{0:'h:1',},brokerName:'a',cluster:\
                 'c'},],,queueDatas:[{broker_name:'a',PERM:6.0,readQueueNums:'4',\
                 writeQueueNums:4}// four\n]}";
    assert_eq!(read(loose), read(GOOD));
}

#[test]
fn of_a_member_that_occurs_twice_the_last_one_counts_and_both_spellings_may_be_there() {
    let text = GOOD.replace(
        "\"topicSysFlag\":0",
        "\"topicSynFlag\":1,\"topicSysFlag\":2,\"perm\":4",
    );
    let queue = &read(&text).queue_datas[0];
    assert_eq!((queue.topic_sys_flag, queue.perm), (2, 4));
}

#[test]
fn a_member_that_no_producer_needs_never_costs_the_route() {
    let odd = [
        "null",
        "7",
        "-1.5e9",
        "\"x\"",
        "[]",
        "[[{}],null]",
        "{}",
        "{a:[1,2]}",
        "true",
        "???",
    ];
    for member in [
        "filterServerTable",
        "topicQueueMappingByBroker",
        "somethingNew",
    ] {
        for value in odd {
            let text = GOOD.replacen('{', &format!("{{\"{member}\":{value},"), 1);
            let route = read(&text);
            assert_eq!(route.queue_datas, read(GOOD).queue_datas, "{text}");
        }
    }
    for (member, place) in [
        ("topicSysFlag", "\"perm\""),
        ("topicSynFlag", "\"perm\""),
        ("cluster", "\"brokerAddrs\""),
        ("zoneName", "\"brokerAddrs\""),
        ("enableActingMaster", "\"brokerAddrs\""),
        ("somethingNew", "\"perm\""),
    ] {
        for value in odd {
            let text = GOOD.replace("\"cluster\":\"c\"", "\"x\":0");
            let text = text.replace(place, &format!("\"{member}\":{value},{place}"));
            let route = read(&text);
            assert_eq!(route.queue_datas[0].write_queue_nums, 4, "{text}");
            assert!(route.broker_datas[0].master().is_some(), "{text}");
        }
    }
}

#[test]
fn what_a_producer_needs_and_cannot_be_read_is_named_with_its_path() {
    for (from, to, path) in [
        ("\"perm\":6", "\"perm\":\"x\"", "queueDatas[0].perm"),
        ("\"perm\":6", "\"perm\":[]", "queueDatas[0].perm"),
        ("s\":4}", "s\":4294967296}", "queueDatas[0].writeQueueNums"),
        (
            "\"0\":\"h:1\"",
            "\"zero\":\"h:1\"",
            "brokerDatas[0].brokerAddrs.zero",
        ),
        ("\"0\":\"h:1\"", "\"0\":{}", "brokerDatas[0].brokerAddrs.0"),
        (
            "\"brokerDatas\":[{",
            "\"brokerDatas\":[7,{",
            "brokerDatas[0]",
        ),
        (
            "\"queueDatas\":[",
            "\"queueDatas\":{},\"x\":[",
            "queueDatas",
        ),
    ] {
        let text = GOOD.replace(from, to);
        assert_ne!(text, GOOD);
        let told = fault(&text);
        assert!(told.contains(&format!("at {path} (byte ")), "{told}");
    }
}

#[test]
fn what_is_no_object_or_is_cut_is_no_route() {
    for text in [
        "",
        " ",
        "null",
        "[]",
        "7",
        "{bad",
        "{\"brokerDatas\":[",
        "{} x",
        "\u{0}",
    ] {
        assert!(TopicRouteData::decode(text.as_bytes()).is_err(), "{text}");
        assert!(ClusterInfo::decode(text.as_bytes()).is_err(), "{text}");
    }
    for end in 1..GOOD.len() {
        assert!(
            TopicRouteData::decode(&GOOD.as_bytes()[..end]).is_err(),
            "{end}"
        );
    }
}

#[test]
fn letters_that_are_no_utf_8_are_replaced_and_cost_nothing() {
    let mut bytes = GOOD.replace("\"c\"", "\"#\"").into_bytes();
    let at = bytes.iter().position(|byte| *byte == b'#').unwrap();
    bytes[at] = 0xff;
    let route = TopicRouteData::decode(&bytes).unwrap();
    assert_eq!(route.broker_datas[0].cluster.as_ref(), "\u{fffd}");
}

#[test]
fn a_route_of_exactly_the_limits_is_read_and_one_more_of_anything_is_not() {
    let limits = |bytes, brokers| RouteLimits { bytes, brokers };
    let within = |text: &str, limits| TopicRouteData::decode_within(text.as_bytes(), &limits);
    assert!(within(GOOD, limits(GOOD.len(), 1)).is_ok());
    assert!(within(GOOD, limits(GOOD.len() - 1, 1)).is_err());
    let two = |member: &str, one: &str| format!("{{\"{member}\":[{one},{one}]}}");
    for (member, one) in [("brokerDatas", "{}"), ("queueDatas", "{}")] {
        let text = two(member, one);
        assert!(within(&text, limits(1_000, 2)).is_ok());
        let told = within(&text, limits(1_000, 1)).unwrap_err().to_string();
        assert!(told.contains("than the limit of 1"), "{told}");
    }
    let addresses = |count: i32| {
        let each: Vec<_> = (0..count).map(|id| format!("{id}:'h:1'")).collect();
        format!("{{brokerDatas:[{{brokerAddrs:{{{}}}}}]}}", each.join(","))
    };
    assert!(within(&addresses(4), limits(1_000, 1)).is_ok());
    assert!(within(&addresses(5), limits(1_000, 1)).is_err());
    let named = |length| format!("{{brokerDatas:[{{brokerName:'{}'}}]}}", "x".repeat(length));
    assert!(within(&named(1_024), limits(9_000, 1)).is_ok());
    assert!(within(&named(1_025), limits(9_000, 1)).is_err());
}
