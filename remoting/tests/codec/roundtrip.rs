//! Property tests: what is written is read again, and no bytes make a decoder panic.

use std::net::SocketAddr;

use bytes::{Bytes, BytesMut};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use rmq_remoting::batch::{self, BatchItem};
use rmq_remoting::body;
use rmq_remoting::command::{ExtFields, HeaderForm, Language};
use rmq_remoting::frame::{FrameDecoder, Outgoing, Speaker};
use rmq_remoting::record::Record;
use rmq_remoting::request::{
    HeartbeatData, RegisterBrokerBody, SendMessage, SendMessageResponse, SendMessageV2,
};
use rmq_remoting::route::{
    BrokerData, ClusterInfo, QueueData, QueueMapping, RouteForm, TopicRouteData,
};
use rmq_remoting::topic::{DataVersion, TopicConfig};

use crate::support::{decode_one, encode_again, encode_one, frame, golden, request, response};

fn form() -> impl Strategy<Value = HeaderForm> {
    prop_oneof![Just(HeaderForm::Json), Just(HeaderForm::Rocketmq)]
}

/// Texts with all that must be escaped.
fn text() -> impl Strategy<Value = String> {
    "([a-zA-Z0-9]|[\"\\\\\u{1}\u{2}\n\u{7f}\u{85}\u{2028}é中😀/]){1,12}"
}

fn name() -> impl Strategy<Value = std::sync::Arc<str>> {
    "[a-zA-Z0-9_%é-]{1,8}".prop_map(Into::into)
}

prop_compose! {
    fn broker()(
        broker_addrs in btree_map(any::<i64>(), name(), 0..3),
        broker_name in name(),
        cluster in name(),
        enable_acting_master: bool,
        zone_name in option::of(name()),
    ) -> BrokerData {
        BrokerData { broker_addrs, broker_name, cluster, enable_acting_master, zone_name }
    }
}

prop_compose! {
    fn mapping()(
        bname in name(),
        dirty: bool,
        epoch: i64,
        scope in name(),
        topic in name(),
        total_queues: i32,
    ) -> QueueMapping {
        QueueMapping { bname, dirty, epoch, scope, topic, total_queues }
    }
}

prop_compose! {
    fn queue()(
        broker_name in name(),
        perm: i32,
        read_queue_nums: i32,
        topic_sys_flag: i32,
        write_queue_nums: i32,
    ) -> QueueData {
        QueueData { broker_name, perm, read_queue_nums, topic_sys_flag, write_queue_nums }
    }
}

prop_compose! {
    fn topic()(topic_name in name(), queues: i32, perm: i32, order: bool) -> TopicConfig {
        TopicConfig { order, ..TopicConfig::new(topic_name, queues, perm) }
    }
}

prop_compose! {
    fn record()(
        numbers: (i32, i32, i64, i64, i64, i64, i32, i64),
        hosts: (SocketAddr, SocketAddr),
        body in vec(any::<u8>(), 0..40),
        topic in "[a-z]{0,200}",
        properties in text(),
        compressed: bool,
    ) -> Record {
        // An IPv6 address may carry a scope, which is not stored.
        let plain = |host: SocketAddr| SocketAddr::new(host.ip(), host.port());
        let (born_host, store_host) = (plain(hosts.0), plain(hosts.1));
        Record {
            queue_id: numbers.0,
            flag: numbers.1,
            queue_offset: numbers.2,
            physical_offset: numbers.3,
            sys_flag: i32::from(compressed)
                | i32::from(born_host.is_ipv6()) << 4
                | i32::from(store_host.is_ipv6()) << 5,
            born_timestamp: numbers.4,
            born_host,
            store_timestamp: numbers.5,
            store_host,
            reconsume_times: numbers.6,
            prepared_transaction_offset: numbers.7,
            body: body.into(),
            topic,
            properties,
        }
    }
}

proptest! {
    #[test]
    fn commands_survive_the_round_trip_in_both_forms(
        form in form(),
        numbers: (i16, i32, i32, i16),
        language in 0_u8..14,
        remark in option::of(text()),
        fields in vec((text(), text()), 0..6),
        body in vec(any::<u8>(), 0..30),
    ) {
        let ext: ExtFields = fields.into_iter().collect();
        let language = Language::from_code(language);
        let speaker = Speaker { form, language, version: numbers.3.into() };
        let bytes = encode_one(&speaker, &Outgoing {
            code: numbers.0.into(),
            opaque: numbers.1,
            flag: numbers.2,
            remark: remark.as_deref(),
            header: &ext,
            body: &body,
        });
        let command = decode_one(&bytes);
        prop_assert_eq!(command.code, i32::from(numbers.0));
        prop_assert_eq!((command.opaque, command.flag), (numbers.1, numbers.2));
        prop_assert_eq!((command.language, command.form), (language, form));
        prop_assert_eq!(command.version, i32::from(numbers.3));
        prop_assert_eq!(command.remark.as_deref(), remark.as_deref());
        prop_assert_eq!(&command.ext, &ext);
        prop_assert_eq!(&command.body[..], &body[..]);
        prop_assert_eq!(encode_again(&command, form), bytes);
    }

    #[test]
    fn sends_survive_the_round_trip_under_both_sets_of_names(
        form in form(),
        texts: (Option<bool>, i32, i32, i64, i32, Option<i32>, Option<i32>, bool),
        topic in text(),
        optional in option::of(text()),
    ) {
        let send = SendMessage {
            producer_group: optional.as_deref(),
            topic: &topic,
            default_topic: optional.as_deref(),
            default_topic_queue_nums: texts.5,
            queue_id: texts.1,
            sys_flag: texts.2,
            born_timestamp: texts.3,
            flag: texts.4,
            properties: optional.as_deref(),
            reconsume_times: texts.6,
            unit_mode: texts.7,
            max_reconsume_times: texts.5,
            batch: texts.0.unwrap_or_default(),
            broker_name: optional.as_deref(),
        };
        let command = decode_one(&request(form, 10, 1, &send, b"x"));
        prop_assert_eq!(command.header::<SendMessage<'_>>().unwrap(), send.clone());
        let command = decode_one(&request(form, 310, 1, &SendMessageV2(send.clone()), b"x"));
        prop_assert_eq!(command.header::<SendMessageV2<'_>>().unwrap().0, send);
    }

    #[test]
    fn send_responses_survive_the_round_trip(
        form in form(),
        msg_id in text(),
        queue_id: i32,
        queue_offset: i64,
        optional in option::of(text()),
        trace_on: Option<bool>,
    ) {
        let optional = optional.map(std::borrow::Cow::Owned);
        let stored = SendMessageResponse {
            msg_id: msg_id.into(),
            queue_id,
            queue_offset,
            transaction_id: optional.clone(),
            batch_uniq_id: optional.clone(),
            recall_handle: optional.clone(),
            region: optional,
            trace_on,
        };
        let command = decode_one(&response(form, 0, 1, None, &stored));
        prop_assert_eq!(command.header::<SendMessageResponse<'_>>().unwrap(), stored);
    }

    #[test]
    fn routes_survive_the_round_trip_in_both_dialects(
        broker_datas in vec(broker(), 0..3),
        queue_datas in vec(queue(), 0..3),
        order_topic_conf in option::of(text()),
        filter_server_table in btree_map(name(), vec(text(), 0..3), 0..3),
        topic_queue_mapping_by_broker in option::of(btree_map(name(), mapping(), 0..3)),
    ) {
        let route = TopicRouteData {
            broker_datas,
            filter_server_table,
            order_topic_conf,
            queue_datas,
            topic_queue_mapping_by_broker,
        };
        for form in [RouteForm::Legacy, RouteForm::Standard] {
            prop_assert_eq!(&TopicRouteData::decode(&route.encode(form)).unwrap(), &route);
        }
    }

    #[test]
    fn cluster_information_survives_the_round_trip(
        broker_addr_table in btree_map(name(), broker(), 0..3),
        cluster_addr_table in btree_map(name(), vec(name(), 0..3), 0..3),
    ) {
        let info = ClusterInfo { broker_addr_table, cluster_addr_table };
        prop_assert_eq!(ClusterInfo::decode(&info.encode()).unwrap(), info);
    }

    #[test]
    fn registrations_survive_the_round_trip_in_both_forms(
        topics in vec(topic(), 0..4),
        version: (i64, i64, i64),
    ) {
        let mut sent = RegisterBrokerBody::default();
        let wrapper = &mut sent.topic_config_serialize_wrapper;
        wrapper.data_version =
            DataVersion { counter: version.0, state_version: version.1, timestamp: version.2 };
        for topic in topics {
            wrapper.topic_config_table.insert(std::sync::Arc::clone(&topic.topic_name), topic);
        }
        prop_assert_eq!(&RegisterBrokerBody::decode(&sent.encode(), false).unwrap(), &sent);
        // The compressed form says nothing of order.
        let wrapper = &mut sent.topic_config_serialize_wrapper;
        wrapper.topic_config_table.values_mut().for_each(|topic| topic.order = false);
        let packed = sent.encode_compressed().unwrap();
        prop_assert_eq!(RegisterBrokerBody::decode(&packed, true).unwrap(), sent);
    }

    #[test]
    fn records_survive_the_round_trip(records in vec(record(), 1..3)) {
        let mut buffer = BytesMut::new();
        for record in &records {
            record.encode(&mut buffer).unwrap();
        }
        let mut input = buffer.freeze();
        for record in records {
            prop_assert_eq!(Record::decode(&mut input).unwrap(), record);
        }
        prop_assert!(input.is_empty());
    }

    #[test]
    fn batches_survive_the_round_trip(
        items in vec((any::<i32>(), vec(any::<u8>(), 0..20), text()), 0..4),
    ) {
        let items: Vec<_> = items
            .iter()
            .map(|(flag, body, properties)| BatchItem { flag: *flag, body, properties })
            .collect();
        let mut buffer = BytesMut::new();
        for item in &items {
            item.encode(&mut buffer).unwrap();
        }
        prop_assert_eq!(batch::decode(&buffer).unwrap(), items);
    }

    #[test]
    fn bytes_of_no_sense_never_panic(
        bytes in vec(any::<u8>(), 0..80),
        serialize in 0_u8..3,
    ) {
        let mut decoder = FrameDecoder::new();
        let _ = decoder.decode(&mut BytesMut::from(&bytes[..]));
        let _ = decoder.decode(&mut BytesMut::from(&frame(serialize, &bytes, b"")[..]));
        let _ = TopicRouteData::decode(&bytes);
        let _ = ClusterInfo::decode(&bytes);
        let _ = RegisterBrokerBody::decode(&bytes, false);
        let _ = RegisterBrokerBody::decode(&bytes, true);
        let _ = body::from_json::<HeartbeatData>(&bytes);
        let _ = Record::decode(&mut Bytes::from(bytes.clone()));
        let _ = batch::decode(&bytes);
    }

    #[test]
    fn text_that_looks_like_a_header_never_panics(
        header in "([{}\\[\\]\":,\\\\/ ]|code|opaque|extFields|remark|\\\\u00|d83d|null|true|-?[0-9]|é){0,40}",
    ) {
        let _ = crate::support::try_decode(&frame(0, header.as_bytes(), b""));
        let _ = TopicRouteData::decode(header.as_bytes());
    }

    #[test]
    fn a_damaged_frame_never_panics_and_what_is_still_read_can_be_written(
        which in 0_usize..4,
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let name = [
            "SEND_MESSAGE_V2 request, JSON (example B)",
            "SEND_MESSAGE_V2 request, ROCKETMQ (example B)",
            "SEND_MESSAGE_V2 response, JSON (example C/D)",
            "SEND_MESSAGE_V2 response, ROCKETMQ (example C/D)",
        ][which];
        let mut bytes = golden(name).remove(0);
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(Some(command)) = crate::support::try_decode(&bytes) {
            let _ = command.header::<SendMessageV2<'_>>();
            let _ = command.header::<SendMessageResponse<'_>>();
            let again = decode_one(&encode_again(&command, command.form));
            prop_assert_eq!(again.ext, command.ext);
            prop_assert_eq!(again.body, command.body);
        }
    }

    #[test]
    fn a_damaged_record_or_registration_never_panics(
        at: prop::sample::Index,
        byte: u8,
    ) {
        let mut record = golden("stored record of example B").remove(0);
        let place = at.index(record.len());
        record[place] = byte;
        let _ = Record::decode(&mut record.into());
        let register = golden("REGISTER_BROKER with a compressed body").remove(0);
        let mut packed = decode_one(&register).body.to_vec();
        let place = at.index(packed.len());
        packed[place] = byte;
        let _ = RegisterBrokerBody::decode(&packed, true);
    }
}
