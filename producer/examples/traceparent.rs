//! The way of a trace into a message: the span of a send in an OpenTelemetry exporter, and its context in
//! the message's property `traceparent`, where the span of a consumer finds its parent.
//!
//! ```text
//! cargo run --example traceparent                                # against mocks in this process
//! cargo run --example traceparent -- --namesrv 127.0.0.1:9876    # against a real cluster
//! ```

mod cluster;

use std::error::Error;
use std::sync::Arc;

use cluster::Cluster;
use opentelemetry::propagation::{Injector, TextMapPropagator};
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};
use rmq_producer::{AttemptEnd, Message, MessageHook, Producer, SendContext, SendHook};
use tracing::Instrument;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::layer::SubscriberExt;

/// Puts the context of each send's span into its message, as W3C Trace Context has it.
#[derive(Debug, Default)]
pub(crate) struct TraceContext(TraceContextPropagator);

impl MessageHook for TraceContext {
    fn before(&self, message: &mut Message) {
        let context = tracing::Span::current().context();
        self.0.inject_context(&context, &mut Properties(message));
    }
}

struct Properties<'a>(&'a mut Message);

impl Injector for Properties<'_> {
    fn set(&mut self, name: &str, value: String) {
        // `tracestate` is mostly empty, and an empty value is no property.
        let _ = self.0.set_property(name, value);
    }
}

/// Shows what travels with the message.
#[derive(Debug)]
struct Shown;

impl SendHook for Shown {
    fn before(&self, context: &SendContext<'_>) {
        let carried = context.message.property("traceparent");
        println!("traceparent = {}", carried.unwrap_or("none"));
    }

    fn after(&self, _context: &SendContext<'_>, _end: AttemptEnd<'_>) {}
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    // In a service the exporter is OTLP's; this one keeps the spans, so that they can be printed.
    let exporter = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder()
        .with_simple_exporter(exporter.clone())
        .build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("example"));
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layer))?;

    let cluster = Cluster::from_arguments().await?;
    let producer = Producer::builder("traced-example")
        .name_servers(&cluster.name_servers)
        .message_hook(Arc::new(TraceContext::default()))
        .send_hook(Arc::new(Shown))
        .start()
        .await?;
    let message = Message::new("orders", "hello")
        .with_tag("created")
        .with_key("order-42");
    let request = tracing::info_span!("POST /orders");
    producer.send(message).instrument(request).await?;
    producer.stop().await;
    cluster.stop().await;

    for span in exporter.get_finished_spans()? {
        let id = span.span_context.span_id();
        println!("span {} {id}, child of {}", span.name, span.parent_span_id);
        for attribute in span.attributes {
            let (name, value) = (attribute.key, attribute.value);
            if name.as_str().starts_with("messaging.") {
                println!("  {name} = {value}");
            }
        }
    }
    Ok(())
}
