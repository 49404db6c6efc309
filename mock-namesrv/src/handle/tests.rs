//! Answers as clients see them: bytes, fields and remarks.

use std::time::Duration;

use bytes::Bytes;
use rmq_remoting::command::{ExtFields, HeaderForm, Language};
use rmq_remoting::request::RegisterBrokerBody;
use rmq_remoting::request::r103_register_broker::TopicConfigWrapper;
use rmq_remoting::route::TopicRouteData;
use rmq_remoting::topic::{DataVersion, TopicConfig};

use super::*;

/// What a server keeps between requests.
struct Server(Tables, Said);

impl Server {
    /// A server that knows `broker-a` with the topics TBW102 and T1.
    fn with_broker_a() -> Self {
        let tables = Tables::new(Profile::V5_3_3, Duration::from_secs(120));
        let mut server = Self(tables, Said::default());
        server.register(["TBW102", "T1"], 4);
        server
    }

    /// `broker-a` registers these topics, each with so many queues, on connection 1.
    fn register<const N: usize>(&mut self, names: [&str; N], queues: i32) {
        let topics = names.map(|name| (name.into(), TopicConfig::new(name.into(), queues, 6)));
        let body = RegisterBrokerBody {
            topic_config_serialize_wrapper: TopicConfigWrapper {
                data_version: DataVersion {
                    counter: queues.into(),
                    ..DataVersion::default()
                },
                topic_config_table: topics.into(),
                ..TopicConfigWrapper::default()
            },
            ..RegisterBrokerBody::default()
        };
        let who = [
            ("brokerName", "broker-a"),
            ("brokerAddr", "127.0.0.1:10911"),
            ("clusterName", "DefaultCluster"),
            ("haServerAddr", "127.0.0.1:10912"),
            ("brokerId", "0"),
        ];
        assert_eq!(self.ask(103, &who, 479, body.encode()).code, 0);
    }

    fn ask(&mut self, code: i32, ext: &[(&str, &str)], version: i32, body: Bytes) -> Response {
        let request = Command {
            code,
            language: Language::Java,
            version,
            opaque: 1,
            flag: 0,
            remark: None,
            ext: ext.iter().copied().collect::<ExtFields>(),
            body,
            form: HeaderForm::Json,
        };
        let mut ask = Ask {
            tables: &mut self.0,
            said: &mut self.1,
            request: &request,
            channel: 1.into(),
            now: Instant::now(),
            profile: Profile::V5_3_3,
            alteration: None,
            changes: Changes::default(),
            leaving: None,
        };
        handle(&mut ask)
    }

    fn get(&mut self, code: i32, ext: &[(&str, &str)]) -> Response {
        self.ask(code, ext, 479, Bytes::new())
    }
}

#[test]
fn what_a_broker_says_counts_whether_it_says_the_same_again_or_something_else() {
    let mut server = Server::with_broker_a();
    let queues = |server: &mut Server, topic| {
        let route = server.get(105, &[("topic", topic)]);
        let route = TopicRouteData::decode(&route.body).ok()?;
        Some(route.queue_datas.first()?.write_queue_nums)
    };
    server.register(["TBW102", "T1"], 4);
    assert_eq!(queues(&mut server, "T1"), Some(4));
    assert_eq!(server.get(216, &[("topic", "T1")]).code, 0);
    assert_eq!(queues(&mut server, "T1"), None);
    server.register(["TBW102", "T1"], 4);
    assert_eq!(queues(&mut server, "T1"), Some(4), "the same again");
    server.register(["TBW102", "T1"], 8);
    assert_eq!(queues(&mut server, "T1"), Some(8), "something else");
}

#[test]
fn a_route_has_bare_ids_for_old_clients_and_quoted_ones_for_new() {
    let mut server = Server::with_broker_a();
    let mut starts = |version, ext: &[(&str, &str)]| {
        let body = server.ask(105, ext, version, Bytes::new()).body;
        String::from_utf8_lossy(&body[..40]).into_owned()
    };
    let bare = "{\"brokerDatas\":[{\"brokerAddrs\":{0:\"127.0";
    let quoted = "{\"brokerDatas\":[{\"brokerAddrs\":{\"0\":\"127";
    for (version, expected) in [(317, bare), (400, bare), (401, quoted), (479, quoted)] {
        assert_eq!(
            starts(version, &[("topic", "T1")]),
            expected,
            "version {version}"
        );
    }
    let asked = [("topic", "T1"), ("acceptStandardJsonOnly", "true")];
    assert_eq!(starts(317, &asked), quoted);
}

#[test]
fn an_unknown_topic_has_the_remark_of_a_real_server_and_no_body() {
    let mut server = Server::with_broker_a();
    let answer = server.get(105, &[("topic", "TopicTest")]);
    let expected = "No topic route info in name server for the topic: TopicTest\n\
                    See https://rocketmq.apache.org/docs/bestPractice/06FAQ for further details.";
    assert_eq!(
        (answer.code, answer.remark.as_deref()),
        (17, Some(expected))
    );
    assert!(answer.body.is_empty() && answer.header.is_none());
    let answer = server.get(105, &[]);
    assert!(
        answer
            .remark
            .unwrap_or_default()
            .contains("the topic: null\n")
    );
}

#[test]
fn an_unknown_brokers_data_version_has_changed_and_the_question_adds_nobody() {
    let mut server = Server::with_broker_a();
    let who = [
        ("brokerName", "x"),
        ("brokerAddr", "y"),
        ("clusterName", "z"),
    ];
    let answer = server.ask(322, &who, 479, Bytes::from_static(b"{\"counter\":1}"));
    assert_eq!((answer.code, answer.body.len()), (0, 0));
    let info = server.get(106, &[]).body;
    assert!(!String::from_utf8_lossy(&info).contains("\"x\""));
}

#[test]
fn a_body_that_does_not_fit_its_checksum_is_refused() {
    let mut server = Server::with_broker_a();
    let who = [
        ("brokerName", "b"),
        ("brokerAddr", "b"),
        ("clusterName", "c"),
        ("brokerId", "0"),
        ("bodyCrc32", "7"),
    ];
    let answer = server.ask(103, &who, 479, Bytes::from_static(b"{}"));
    assert_eq!(
        (answer.code, answer.remark.as_deref()),
        (1, Some("crc32 not match"))
    );
}

#[test]
fn a_request_that_lacks_a_field_or_has_a_bad_one_meets_the_exception_of_a_real_server() {
    let mut server = Server::with_broker_a();
    let mut remark = |id: Option<(&'static str, &'static str)>| {
        let mut who = vec![
            ("brokerName", "b"),
            ("brokerAddr", "b"),
            ("clusterName", "c"),
        ];
        who.extend(id);
        let answer = server.get(103, &who);
        assert_eq!(answer.code, 1);
        answer.remark.unwrap_or_default().into_owned()
    };
    assert!(remark(None).starts_with("java.lang.NullPointerException"));
    assert!(remark(Some(("brokerId", "x"))).starts_with("java.lang.NumberFormatException"));
}
