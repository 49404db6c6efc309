//! The span of a send in an OpenTelemetry exporter, and its context in the stored message.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed step fails the test, and helpers are part of it"
)]

#[path = "../examples/traceparent.rs"]
#[expect(dead_code, reason = "the test needs its hook")]
mod example;

#[path = "common/mod.rs"]
#[expect(dead_code, reason = "other tests use the rest of it")]
mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use opentelemetry::trace::{SpanKind, Status, TracerProvider};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider, SpanData};
use rmq_producer::{Message, Producer};
use tracing::Instrument;
use tracing_subscriber::layer::SubscriberExt;

use common::{Cluster, Script};

/// A producer whose sends fail at once if they fail.
async fn producer(cluster: &Cluster) -> Producer {
    let hook = Arc::new(example::TraceContext::default());
    let builder = cluster.producer().message_hook(hook).retries(0);
    builder.start().await.unwrap()
}

/// The spans of a program, in the order in which they ended.
async fn spans_of(program: impl Future<Output = ()>) -> Vec<SpanData> {
    let exporter = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder()
        .with_simple_exporter(exporter.clone())
        .build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
    let subscriber = tracing_subscriber::registry().with(layer);
    // For the whole thread, which is the test's own: the tasks of async sends run on it, too.
    let guard = tracing::subscriber::set_default(subscriber);
    program.await;
    drop(guard);
    exporter.get_finished_spans().unwrap()
}

fn attributes(span: &SpanData) -> BTreeMap<String, String> {
    let each = span.attributes.iter();
    each.map(|attribute| (attribute.key.to_string(), attribute.value.to_string()))
        .collect()
}

/// The property of the only message that was sent to the broker.
fn traceparent(cluster: &Cluster) -> Option<String> {
    let seen = cluster.brokers[0].seen();
    let [seen] = &seen[..] else {
        panic!("one message: {seen:?}");
    };
    let mut properties = seen.properties.split('\u{2}');
    let found = properties.find_map(|property| property.strip_prefix("traceparent\u{1}"));
    found.map(str::to_owned)
}

#[tokio::test]
async fn a_send_is_a_span_and_the_message_carries_it() {
    let cluster = Cluster::start(1, "orders", 1).await;
    let producer = producer(&cluster).await;
    let spans = spans_of(async {
        let message = Message::new("orders", "hello")
            .with_tag("created")
            .with_key("order-42");
        let sent = producer
            .send(message)
            .instrument(tracing::info_span!("request"));
        sent.await.unwrap();
    });
    let spans = spans.await;
    let [send, request] = &spans[..] else {
        panic!("two spans: {spans:?}");
    };
    assert_eq!((&*send.name, &*request.name), ("rmq.send", "request"));
    assert_eq!(send.span_kind, SpanKind::Producer);
    assert_eq!(send.status, Status::Unset);
    assert_eq!(send.parent_span_id, request.span_context.span_id());

    let attributes = attributes(send);
    for (name, value) in [
        ("messaging.system", "rocketmq"),
        ("messaging.operation.name", "send"),
        ("messaging.destination.name", "orders"),
        ("messaging.destination.partition.id", "0"),
        ("messaging.message.body.size", "5"),
        ("messaging.rocketmq.message.tag", "created"),
        ("messaging.rocketmq.message.keys", "order-42"),
        ("rmq.group", "test-group"),
        ("rmq.broker", "broker-a"),
        ("rmq.attempts", "1"),
    ] {
        assert_eq!(
            attributes.get(name).map(String::as_str),
            Some(value),
            "{name}"
        );
    }
    assert_eq!(attributes["messaging.message.id"].len(), 32);

    let context = &send.span_context;
    let expected = format!("00-{}-{}-01", context.trace_id(), context.span_id());
    assert_eq!(traceparent(&cluster), Some(expected));
    producer.stop().await;
}

#[tokio::test]
async fn a_send_that_fails_is_a_span_with_an_error() {
    let cluster = Cluster::start(1, "orders", 1).await;
    cluster.brokers[0].does(Script::Refuse(1));
    let producer = producer(&cluster).await;
    let spans = spans_of(async {
        producer
            .send(Message::new("orders", "hello"))
            .await
            .unwrap_err();
    });
    let spans = spans.await;
    let [send] = &spans[..] else {
        panic!("one span: {spans:?}");
    };
    assert!(
        matches!(send.status, Status::Error { .. }),
        "{:?}",
        send.status
    );
    let attributes = attributes(send);
    assert_eq!(attributes["error.type"], "attempts");
    assert_eq!(attributes.get("rmq.broker"), None, "it is stored nowhere");
    producer.stop().await;
}

#[tokio::test]
async fn an_async_send_belongs_to_the_span_that_called_it() {
    let cluster = Cluster::start(1, "orders", 1).await;
    let producer = producer(&cluster).await;
    let spans = spans_of(async {
        let request = tracing::info_span!("request");
        let delivery = request.in_scope(|| producer.send_async(Message::new("orders", "hello")));
        drop(request);
        delivery.await.unwrap();
    });
    let spans = spans.await;
    let of = |name: &str| spans.iter().find(|span| span.name == *name);
    let (send, request) = (of("rmq.send").unwrap(), of("request").unwrap());
    assert_eq!(send.parent_span_id, request.span_context.span_id());
    let context = &send.span_context;
    let expected = format!("00-{}-{}-01", context.trace_id(), context.span_id());
    assert_eq!(
        traceparent(&cluster),
        Some(expected),
        "although another task encodes it"
    );
    producer.stop().await;
}

#[tokio::test]
async fn without_a_subscriber_there_is_no_span_and_no_property() {
    let cluster = Cluster::start(1, "orders", 1).await;
    let producer = producer(&cluster).await;
    producer
        .send(Message::new("orders", "hello"))
        .await
        .unwrap();
    assert_eq!(traceparent(&cluster), None);
    producer.stop().await;
}
