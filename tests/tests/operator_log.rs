//! What an operator sees at INFO when a broker is killed and comes back, as `docs/producer.md` prints it.

#![expect(
    clippy::unwrap_used,
    reason = "a failed step fails the test, and helpers are part of it"
)]

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rmq_producer::Message;
use rmq_sim::simulation::{Cluster, Simulation, VirtualTime, crash};
use tracing::Level;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;

/// A log that is kept.
#[derive(Debug, Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Kept {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// The log of 65 seconds, with a message each second, in which broker-a is away for thirty of them.
fn transcript() -> String {
    let kept = Kept::default();
    let lines = tracing_subscriber::fmt::layer()
        .with_timer(VirtualTime)
        .with_ansi(false)
        .with_writer(kept.clone());
    // The producer's own: the laboratory has spans of its tasks.
    let producer = Targets::new().with_target("rmq::", Level::INFO);
    let subscriber = tracing_subscriber::registry().with(lines.with_filter(producer));
    tracing::subscriber::with_default(subscriber, || {
        Simulation::new(Cluster::new().brokers(2).topic("orders", 4))
            .fault(crash("broker-a").at_secs(3).down_for_secs(30))
            .seeds(1..2)
            .check(async |sim| {
                let producer = sim.producer("order-service").start().await?;
                for order in 0..65 {
                    let message = Message::new("orders", format!("order {order}"));
                    producer.send(message).await?;
                    sim.sleep(Duration::from_secs(1)).await;
                }
                producer.stop().await;
                Ok(())
            });
    });
    let log = kept.0.lock().clone();
    String::from_utf8(log).unwrap()
}

/// The block of the page that holds the transcript, and the page before and after it.
fn split(page: &str) -> (&str, &str, &str) {
    let heading = page.find("## Logs").unwrap();
    let begin = page[heading..].find("```\n").unwrap() + heading + 4;
    let end = page[begin..].find("```").unwrap() + begin;
    (&page[..begin], &page[begin..end], &page[end..])
}

#[test]
fn the_transcript_in_the_documentation_is_what_the_producer_logs() {
    let path = rmq_tests::workspace().join("docs/producer.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (before, printed, after) = split(&page);
    let log = transcript();
    if std::env::var_os("UPDATE_README").is_some() {
        std::fs::write(&path, format!("{before}{log}{after}")).unwrap();
        return;
    }
    assert_eq!(
        printed, log,
        "UPDATE_README=1 cargo test --workspace --test operator_log writes it anew"
    );
}

#[test]
fn an_operator_reads_that_the_broker_was_lost_avoided_and_answers_again() {
    let log = transcript();
    let at = |text: &str| {
        log.find(text)
            .unwrap_or_else(|| panic!("no `{text}` in:\n{log}"))
    };
    let lost = at("connection lost");
    let avoided = at("broker is avoided");
    let again = at("broker answers again");
    assert!(lost < avoided && avoided < again, "{log}");
    assert!(
        log.lines().count() < 40,
        "sends that go well say nothing:\n{log}"
    );
}
