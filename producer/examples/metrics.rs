//! Brings the producer's figures to the `metrics` crate, from where any exporter takes them.
//!
//! ```text
//! cargo run --example metrics                                # against mocks in this process
//! cargo run --example metrics -- --namesrv 127.0.0.1:9876    # against a real cluster
//! ```
//!
//! The example prints what a scrape would find. In a service, install an exporter (for instance
//! `metrics-exporter-prometheus`) instead of the recorder at the end of this file.

mod cluster;

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;

use cluster::Cluster;
use metrics::{counter, gauge, histogram};
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use parking_lot::Mutex;
use rmq_producer::event::{Event, Outcome, SendNumber};
use rmq_producer::{Message, Producer};
use rmq_remoting::observe::{Name, Observer};

/// Turns events into metrics. It remembers where the open attempts went, and nothing else.
#[derive(Debug, Default)]
struct Exporter {
    open: Mutex<BTreeMap<(SendNumber, u32), Name>>,
}

impl Observer<Event> for Exporter {
    fn on(&self, event: Event) {
        match event {
            Event::Done {
                outcome, after_ms, ..
            } => {
                let outcome = match outcome {
                    Outcome::Sent { .. } => "sent",
                    Outcome::Written => "written",
                    Outcome::Failed(_) => "failed",
                };
                counter!("rocketmq_sends_total", "outcome" => outcome).increment(1);
                histogram!("rocketmq_send_milliseconds").record(after_ms as f64);
            }
            Event::Attempt {
                send, number, to, ..
            } => {
                self.open.lock().insert((send, number), to.broker);
            }
            Event::AttemptEnded {
                send,
                number,
                stage,
                after_ms,
                ..
            } => {
                let Some(broker) = self.open.lock().remove(&(send, number)) else {
                    return;
                };
                let broker = broker.to_string();
                let stage = format!("{stage:?}").to_lowercase();
                counter!("rocketmq_attempts_total", "broker" => broker.clone(), "end" => stage)
                    .increment(1);
                histogram!("rocketmq_attempt_milliseconds", "broker" => broker)
                    .record(after_ms as f64);
            }
            Event::Gauges {
                pending,
                open_sends,
                connections,
                ..
            } => {
                gauge!("rocketmq_pending_requests").set(f64::from(pending));
                gauge!("rocketmq_open_sends").set(f64::from(open_sends));
                gauge!("rocketmq_connections").set(f64::from(connections));
            }
            _ => {}
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let recorder = DebuggingRecorder::new();
    let scrape = recorder.snapshotter();
    recorder.install()?;

    let cluster = Cluster::from_arguments().await?;
    let producer = Producer::builder("metrics-example")
        .name_servers(&cluster.name_servers)
        .observer(Arc::new(Exporter::default()))
        .start()
        .await?;
    for number in 1..=100 {
        let message = Message::new("orders", format!("order {number}"));
        if let Err(error) = producer.send(message).await {
            eprintln!("{error}");
        }
    }
    producer.report_gauges();
    producer.stop().await;
    cluster.stop().await;
    print(&scrape);
    Ok(())
}

/// What a scrape finds.
fn print(scrape: &Snapshotter) {
    let mut lines: Vec<String> = scrape
        .snapshot()
        .into_vec()
        .into_iter()
        .map(|(key, _, _, value)| {
            let labels = key
                .key()
                .labels()
                .map(|label| format!(" {}={}", label.key(), label.value()));
            let name = format!("{}{}", key.key().name(), labels.collect::<String>());
            match value {
                DebugValue::Counter(count) => format!("{name}: {count}"),
                DebugValue::Gauge(value) => format!("{name}: {value}"),
                DebugValue::Histogram(values) => format!("{name}: {} values", values.len()),
            }
        })
        .collect();
    lines.sort();
    for line in lines {
        println!("{line}");
    }
}
