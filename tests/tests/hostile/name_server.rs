//! A hostile name server that is asked before a healthy one.

use std::fmt::Write as _;

use rmq_host::{BoxFuture, Connection};
use rmq_remoting::code::request;
use rmq_remoting::command::FLAG_RESPONSE;
use rmq_remoting::header::NoFields;

use crate::peers::{self, answering, frame};
use crate::stage::{Role, beside};

macro_rules! harmless {
    ($($test:ident: $peer:path,)*) => {$(
        #[test]
        fn $test() {
            beside(Role::NameServer, $peer).assert_harmless();
        }
    )*};
}

harmless! {
    a_name_server_that_says_garbage_is_passed_over: peers::garbage,
    a_name_server_that_speaks_http_is_passed_over: peers::http,
    a_name_server_that_announces_a_frame_beyond_the_limit_is_passed_over: peers::oversized,
    a_name_server_that_begins_a_frame_and_never_ends_it_is_passed_over: peers::half_frame,
    a_name_server_that_closes_at_once_is_passed_over: peers::close_at_once,
    a_name_server_that_closes_at_each_request_is_passed_over: peers::close_at_request,
    a_name_server_that_is_silent_is_passed_over: peers::silent,
    a_name_server_that_never_reads_is_passed_over: peers::deaf,
    a_name_server_that_asks_without_end_is_passed_over: peers::endless_requests,
    a_name_server_that_answers_nobody_without_end_is_passed_over: peers::endless_answers,
    a_name_server_with_a_remark_of_megabytes_is_passed_over: peers::huge_remark,
    a_name_server_that_answers_under_other_ids_is_passed_over: peers::wrong_opaque,
    a_name_server_that_sends_requests_back_is_passed_over: peers::mirror,
    a_route_without_a_body_is_passed_over: peers::empty_success,
    a_route_of_nothing_is_passed_over: nothing,
    a_route_that_is_no_json_is_passed_over: no_json,
    a_route_of_a_slave_alone_is_passed_over: slave_only,
    a_route_of_sixteen_megabytes_of_noise_is_passed_over: peers::huge_body,
}

/// Answers every lookup with this body.
fn route(
    connection: Connection,
    body: impl Fn() -> String + Send + Sync + 'static,
) -> BoxFuture<'static, ()> {
    Box::pin(answering(connection, move |asked| {
        let body = match asked.code {
            request::GET_ROUTEINFO_BY_TOPIC => body(),
            _ => String::new(),
        };
        frame(
            0,
            asked.opaque,
            FLAG_RESPONSE,
            None,
            &NoFields,
            body.as_bytes(),
        )
    }))
}

fn nothing(connection: Connection) -> BoxFuture<'static, ()> {
    route(connection, || "{}".to_owned())
}

fn no_json(connection: Connection) -> BoxFuture<'static, ()> {
    route(connection, || "<html>".to_owned())
}

/// A broker of the healthy cluster's name, so that nothing hostile is reachable by the route.
fn broker(name: &str, id: i64) -> String {
    format!(r#"{{"brokerAddrs":{{{id}:"10.9.9.9:1"}},"brokerName":"{name}","cluster":"c"}}"#)
}

fn queue(name: &str, count: u32) -> String {
    format!(
        r#"{{"brokerName":"{name}","perm":6,"readQueueNums":{count},"topicSynFlag":0,"writeQueueNums":{count}}}"#
    )
}

fn slave_only(connection: Connection) -> BoxFuture<'static, ()> {
    route(connection, || {
        let (broker, queue) = (broker("broker-a", 1), queue("broker-a", 4));
        format!(r#"{{"brokerDatas":[{broker}],"queueDatas":[{queue}]}}"#)
    })
}

/// 3.2 kB that say 26 million queues.
fn order_bomb(connection: Connection) -> BoxFuture<'static, ()> {
    route(connection, || {
        let order = "b:65536;".repeat(400);
        let (broker, queue) = (broker("b", 0), queue("b", 4));
        format!(r#"{{"brokerDatas":[{broker}],"orderTopicConf":"{order}","queueDatas":[{queue}]}}"#)
    })
}

fn list(count: u32, entry: impl Fn(u32) -> String) -> String {
    (0..count).fold(String::new(), |mut text, at| {
        let comma = if at == 0 { "" } else { "," };
        let _ = write!(text, "{comma}{}", entry(at));
        text
    })
}

fn many(brokers: u32, queues: u32) -> String {
    let datas = list(brokers, |at| broker(&format!("b{at}"), 0));
    let queues = list(brokers, |at| queue(&format!("b{at}"), queues));
    format!(r#"{{"brokerDatas":[{datas}],"queueDatas":[{queues}]}}"#)
}

/// 200 brokers with 65,536 queues each.
fn queue_bomb(connection: Connection) -> BoxFuture<'static, ()> {
    route(connection, || many(200, 65_536))
}

/// 16,000 brokers: work that grows with the square of the answer's size.
fn broker_bomb(connection: Connection) -> BoxFuture<'static, ()> {
    route(connection, || many(16_000, 1))
}

/// 15 MB of mappings that no producer needs.
fn mapping_bomb(connection: Connection) -> BoxFuture<'static, ()> {
    route(connection, || {
        let maps = list(400_000, |at| format!(r#""b{at}":{{"a":[[1,2]],"b":{{}}}}"#));
        let (broker, queue) = (broker("b", 0), queue("b", 4));
        format!(
            r#"{{"brokerDatas":[{broker}],"queueDatas":[{queue}],"topicQueueMappingByBroker":{{{maps}}}}}"#
        )
    })
}

/// What the run may allocate in sum for each lookup of a bomb: reading an answer of a frame's
/// size takes some copies of it.
const MOST_ALLOCATED: usize = 1 << 30;

macro_rules! bombs {
    ($($test:ident: $peer:ident,)*) => {$(
        #[test]
        fn $test() {
            let seen = beside(Role::NameServer, $peer);
            // What such a route names may be unreachable; what is promised is that time and memory
            // stay bounded and that healthy connections live on.
            assert!(seen.most_live <= crate::stage::MOST_LIVE, "{} bytes held", seen.most_live);
            assert_eq!(seen.broken_beside, 0);
            assert!(seen.spent <= MOST_ALLOCATED, "{} bytes allocated", seen.spent);
        }
    )*};
}

bombs! {
    an_order_of_millions_of_queues_is_bounded: order_bomb,
    a_route_of_hundreds_of_brokers_with_all_queues_is_bounded: queue_bomb,
    a_route_of_thousands_of_brokers_is_bounded: broker_bomb,
    mappings_of_megabytes_are_bounded: mapping_bomb,
}
