//! The typed bodies against those that real software wrote.

use bytes::{Bytes, BytesMut};
use rmq_remoting::batch::{self, BatchError, BatchItem};
use rmq_remoting::body::{self, KvTable, checksum};
use rmq_remoting::code::request;
use rmq_remoting::record::{Record, RecordError};
use rmq_remoting::request::{
    HeartBeatResponse, HeartbeatData, RegisterBroker, RegisterBrokerBody, RegisterBrokerResponse,
    SendMessageResponse, TopicList, UnregisterBroker,
};
use rmq_remoting::route::{ClusterInfo, RouteForm, TopicRouteData};
use rmq_remoting::topic::{DataVersion, perm};

use crate::support::{decode_one, golden, goldens};

const LEGACY: &str = concat!(
    r#"{"brokerDatas":[{"brokerAddrs":{0:"127.0.0.1:10911",1:"127.0.0.1:10921"},"#,
    r#""brokerName":"broker-a","cluster":"DefaultCluster","enableActingMaster":false}],"#,
    r#""filterServerTable":{},"queueDatas":[{"brokerName":"broker-a","perm":6,"#,
    r#""readQueueNums":4,"topicSysFlag":0,"writeQueueNums":4}]}"#
);
const CLUSTER: &str = concat!(
    r#"{"brokerAddrTable":{"broker-a":{"brokerAddrs":{0:"127.0.0.1:10911"},"#,
    r#""brokerName":"broker-a","cluster":"DefaultCluster","enableActingMaster":false}},"#,
    r#""clusterAddrTable":{"DefaultCluster":["broker-a"]}}"#
);

#[test]
fn a_route_is_written_to_the_byte_in_both_dialects_and_read_from_both() {
    let standard = LEGACY.replace("{0:", "{\"0\":").replace(",1:", ",\"1\":");
    assert_eq!((LEGACY.len(), standard.len()), (280, 284));
    let route = TopicRouteData::decode(LEGACY.as_bytes()).unwrap();
    assert_eq!(route, TopicRouteData::decode(standard.as_bytes()).unwrap());
    assert_eq!(route.encode(RouteForm::Legacy), LEGACY);
    assert_eq!(route.encode(RouteForm::Standard), standard);
    assert_eq!(
        route.broker_datas[0].master().unwrap().as_ref(),
        "127.0.0.1:10911"
    );
    assert_eq!(route.queue_datas[0].perm, perm::READ | perm::WRITE);
}

#[test]
fn cluster_information_has_bare_numbers_as_keys() {
    let info = ClusterInfo::decode(CLUSTER.as_bytes()).unwrap();
    assert_eq!(info.encode(), CLUSTER);
    assert_eq!(
        info.cluster_addr_table["DefaultCluster"],
        ["broker-a".into()]
    );
}

#[test]
fn every_captured_route_is_the_same_after_decoding_and_encoding() {
    let mut routes = 0;
    for golden in goldens()
        .iter()
        .filter(|golden| golden.name.contains("ROUTEINFO"))
    {
        let command = decode_one(golden.frames.last().unwrap());
        if command.is_response() && !command.body.is_empty() {
            let route = TopicRouteData::decode(&command.body).unwrap();
            assert_eq!(
                route.encode(RouteForm::Standard),
                command.body,
                "{}",
                golden.name
            );
            routes += 1;
        }
    }
    assert!(routes >= 3, "{routes} routes");
}

#[test]
fn blanks_before_the_colon_digits_in_texts_and_escapes_do_not_mislead_the_legacy_reader() {
    let text = br#"{"brokerDatas":[{"brokerAddrs":{ 0 : "h\"1:2" },"brokerName":"1:"}]}"#;
    let route = TopicRouteData::decode(text).unwrap();
    assert_eq!(route.broker_datas[0].broker_addrs[&0].as_ref(), "h\"1:2");
    assert_eq!(route.broker_datas[0].broker_name.as_ref(), "1:");
}

#[test]
fn only_the_standard_dialect_is_plain_ascii() {
    let mut route = TopicRouteData::default();
    route.broker_datas.push(rmq_remoting::route::BrokerData {
        broker_name: "é😀\"".into(),
        ..Default::default()
    });
    let standard = route.encode(RouteForm::Standard);
    assert!(standard.is_ascii());
    assert!(String::from_utf8_lossy(&standard).contains(r#""\u00E9\uD83D\uDE00\"""#));
    assert_eq!(TopicRouteData::decode(&standard).unwrap(), route);
    let legacy = route.encode(RouteForm::Legacy);
    assert!(String::from_utf8_lossy(&legacy).contains("é😀"));
    assert_eq!(TopicRouteData::decode(&legacy).unwrap(), route);
}

#[test]
fn a_null_list_reads_as_an_empty_one() {
    let route = TopicRouteData::decode(br#"{"brokerDatas":null,"queueDatas":null}"#).unwrap();
    assert_eq!(route, TopicRouteData::default());
}

#[test]
fn registrations_of_real_brokers_are_read_and_fit_their_checksum() {
    let full = decode_one(&golden("REGISTER_BROKER from a real broker (full)")[0]);
    let header: RegisterBroker<'_> = full.header().unwrap();
    assert_eq!(header.broker_name, "broker-p1");
    assert_eq!(header.enable_acting_master, Some(false));
    assert_eq!(header.body_crc32, Some(checksum(&full.body)));
    let body = RegisterBrokerBody::decode(&full.body, header.compressed).unwrap();
    let wrapper = &body.topic_config_serialize_wrapper;
    assert!(wrapper.topic_config_table.len() >= 13);
    assert_eq!(
        wrapper.topic_config_table["TBW102"].perm,
        perm::READ | perm::WRITE | perm::INHERIT
    );
    let value = |bytes: &[u8]| serde_json::from_slice::<serde_json::Value>(bytes).unwrap();
    assert_eq!(value(&body.encode()), value(&full.body));
}

#[test]
fn a_registration_without_hash_order_is_the_same_to_the_byte() {
    for name in [
        "from a real broker (incremental",
        "two topics: accepted",
        "slave (id 1)",
    ] {
        let command = decode_one(&golden(name)[0]);
        let body = RegisterBrokerBody::decode(&command.body, false).unwrap();
        assert_eq!(body.encode(), command.body, "{name}");
    }
}

#[test]
fn a_compressed_registration_says_the_same_as_a_plain_one() {
    let command = decode_one(&golden("REGISTER_BROKER with a compressed body")[0]);
    let header: RegisterBroker<'_> = command.header().unwrap();
    assert!(header.compressed);
    let body = RegisterBrokerBody::decode(&command.body, true).unwrap();
    let wrapper = &body.topic_config_serialize_wrapper;
    assert_eq!(wrapper.data_version.counter, 1);
    assert_eq!(wrapper.topic_config_table.len(), 2);
    assert!(
        wrapper
            .topic_config_table
            .values()
            .all(|topic| topic.write_queue_nums == 4)
    );
    let again = body.encode_compressed().unwrap();
    assert_eq!(RegisterBrokerBody::decode(&again, true).unwrap(), body);
    assert!(RegisterBrokerBody::decode(&again[..again.len() / 2], true).is_err());
}

#[test]
fn answers_to_registrations_tell_a_slave_where_its_master_is() {
    let answer = decode_one(&golden("REGISTER_BROKER by a slave")[1]);
    let header: RegisterBrokerResponse<'_> = answer.header().unwrap();
    assert_eq!(header.master_addr.as_deref(), Some("10.1.0.78:10911"));
    let table: KvTable = body::from_json(&answer.body).unwrap();
    assert_eq!(body::to_json(&table), answer.body);
    let leaving = decode_one(&golden("captured: UNREGISTER_BROKER")[0]);
    assert_eq!(
        leaving.header::<UnregisterBroker<'_>>().unwrap().broker_id,
        0
    );
}

#[test]
fn heartbeats_topic_lists_and_versions_are_read_and_written() {
    let [heartbeat, answer] = &golden("HEART_BEAT of a producer")[..] else {
        panic!("two frames")
    };
    let data: HeartbeatData = body::from_json(&decode_one(heartbeat).body).unwrap();
    assert_eq!(data.producer_data_set.len(), 1);
    let text = r#"{"clientID":"cid17c90d","consumerDataSet":[],"heartbeatFingerprint":0,"producerDataSet":[{"groupName":"pgPRBT_7c90d_314"}],"withoutSub":false}"#;
    assert_eq!(body::to_json(&data), text);
    let header: HeartBeatResponse = decode_one(answer).header().unwrap();
    assert!(header.supports_v2 && header.sub_changed);

    let listed = decode_one(&golden("GET_TOPICS_BY_CLUSTER")[1]);
    let list: TopicList = body::from_json(&listed.body).unwrap();
    assert_eq!(list.topic_list.len(), 2);
    assert_eq!(body::to_json(&list), listed.body);

    let asked = decode_one(&golden("QUERY_DATA_VERSION for an unknown broker")[0]);
    let version: DataVersion = body::from_json(&asked.body).unwrap();
    assert_eq!(body::to_json(&version), asked.body);
    assert_eq!(
        version.next(7),
        DataVersion {
            counter: 2,
            state_version: 0,
            timestamp: 7
        }
    );
}

#[test]
fn a_heartbeat_with_absent_members_is_read() {
    let text = br#"{"clientID":"c","producerDataSet":[{"groupName":"pg"}]}"#;
    let data: HeartbeatData = body::from_json(text).unwrap();
    assert_eq!(data.client_id.as_ref(), "c");
    assert!(body::from_json::<HeartbeatData>(b"").is_err());
}

#[test]
fn the_stored_record_of_the_worked_example_is_read_and_written_to_the_byte() {
    let bytes = golden("stored record of example B").remove(0);
    let mut input = Bytes::from(bytes.clone());
    let record = Record::decode(&mut input).unwrap();
    assert!(input.is_empty());
    assert_eq!(record.topic, "TopicTest");
    assert_eq!(&record.body[..], b"Hello RocketMQ");
    assert_eq!(record.born_host, "127.0.0.1:54321".parse().unwrap());
    assert_eq!(record.store_timestamp - record.born_timestamp, 5);
    let mut buffer = BytesMut::new();
    record.encode(&mut buffer).unwrap();
    assert_eq!(buffer, bytes);
}

#[test]
fn a_record_with_a_foreign_magic_or_a_changed_body_is_refused() {
    let bytes = golden("stored record of example B").remove(0);
    let read = |at: usize| {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1;
        Record::decode(&mut damaged.into())
    };
    assert_eq!(read(7), Err(RecordError::Magic { magic: 0xdaa3_20a6 }));
    assert_eq!(read(90), Err(RecordError::Checksum));
    assert_eq!(read(3), Err(RecordError::Length));
}

#[test]
fn pulled_records_of_a_real_broker_are_the_same_after_decoding_and_encoding() {
    let mut records = 0;
    for golden in goldens()
        .iter()
        .filter(|golden| golden.name.contains("PULL_MESSAGE"))
    {
        let Some(frame) = golden.frames.get(1) else {
            continue;
        };
        let mut body = decode_one(frame).body;
        while !body.is_empty() {
            let before = body.clone();
            let record = Record::decode(&mut body).unwrap();
            let mut buffer = BytesMut::new();
            record.encode(&mut buffer).unwrap();
            assert_eq!(
                buffer,
                before[..before.len() - body.len()],
                "{}",
                golden.name
            );
            records += 1;
        }
    }
    assert!(records >= 2, "{records} records");
}

#[test]
fn the_batch_of_the_worked_example_is_read_and_written_to_the_byte() {
    let bytes = golden("batch body of two messages").remove(0);
    let items = batch::decode(&bytes).unwrap();
    let second = BatchItem {
        flag: 0,
        body: b"m22",
        properties: "UNIQ_KEY\u{1}K2\u{2}",
    };
    assert_eq!((items.len(), items[1]), (2, second));
    let mut buffer = BytesMut::new();
    for item in &items {
        item.encode(&mut buffer).unwrap();
    }
    assert_eq!(buffer, bytes);
    assert_eq!(
        batch::decode(&bytes[..bytes.len() - 1]),
        Err(BatchError::Length)
    );
}

#[test]
fn every_successful_send_that_was_captured_says_where_the_message_lies() {
    let mut sends = 0;
    for golden in goldens() {
        let [asked, answer] = &golden.frames[..] else {
            continue;
        };
        let (asked, answer) = (decode_one(asked), decode_one(answer));
        if asked.code == request::SEND_MESSAGE_V2 && answer.code == 0 {
            let stored: SendMessageResponse<'_> = answer.header().unwrap();
            let first = stored.msg_id.split(',').next().unwrap();
            first.parse::<rmq_remoting::offset_id::OffsetId>().unwrap();
            assert_eq!(stored.trace_on, Some(true), "{}", golden.name);
            sends += 1;
        }
    }
    assert!(sends >= 2, "{sends} sends");
}
