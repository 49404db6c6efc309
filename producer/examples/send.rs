//! Sends messages and tells what became of each: the quickest look at a cluster from outside.
//!
//! ```text
//! cargo run --example send -- --namesrv 127.0.0.1:9876 --topic TopicTest --count 10
//! ```
//!
//! Exit code 0 if every message was sent, 1 if one was not, 2 for wrong arguments.

use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use rmq_producer::event::Failure;
use rmq_producer::{Message, Policy, Producer, SendError, Sent};
use tokio::sync::oneshot;
use tokio::time::Instant;

/// Sends messages to a RocketMQ cluster and prints one line for each.
#[derive(Debug, Parser)]
#[command(name = "send")]
struct Arguments {
    /// The name servers, host:port separated by ';'.
    #[arg(long, value_name = "ADDRESSES")]
    namesrv: String,
    /// The topic.
    #[arg(long)]
    topic: String,
    /// How many messages.
    #[arg(long, default_value_t = 1)]
    count: u32,
    /// The whole time of a send, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 3000, value_parser = clap::value_parser!(u64).range(1..))]
    timeout: u64,
    /// How often a failed attempt is repeated.
    #[arg(long, default_value_t = 2)]
    retries: u32,
    /// The time between two sends, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 0)]
    every: u64,
    /// How messages are sent.
    #[arg(long, value_enum, default_value_t = Mode::Sync)]
    mode: Mode,
    /// The text of each message; its number is added.
    #[arg(long, default_value = "hello")]
    body: String,
    /// A tag for each message.
    #[arg(long, default_value = "")]
    tag: String,
    /// The producer group.
    #[arg(long, default_value = "send-example")]
    group: String,
    /// The policy's preset: `strict` or `java_5_3`.
    #[arg(long, default_value = "strict")]
    policy: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// Wait for each message to be stored.
    Sync,
    /// Let a callback tell.
    Async,
    /// Do not wait and do not know.
    Oneway,
}

/// What was seen so far.
#[derive(Debug, Default)]
struct Tally {
    sent: u32,
    failed: u32,
    attempts: u32,
    no_name_server: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let producer = match start(&arguments).await {
        Ok(producer) => producer,
        Err(problem) => {
            eprintln!("send: {problem}");
            return ExitCode::from(2);
        }
    };
    let began = Instant::now();
    let mut tally = Tally::default();
    for number in 1..=arguments.count {
        if number > 1 && arguments.every > 0 {
            tokio::time::sleep(Duration::from_millis(arguments.every)).await;
        }
        let called = Instant::now();
        let outcome = send(&producer, &arguments, number).await;
        tally.note(number, called.elapsed(), outcome);
    }
    producer.stop().await;
    let Tally {
        sent,
        failed,
        attempts,
        no_name_server,
    } = tally;
    let took = began.elapsed().as_millis();
    println!("{sent} sent, {failed} failed, {attempts} attempts, {took} ms");
    if no_name_server {
        eprintln!(
            "send: no name server of {} told a route; the lines above say what became of each: check \
             the address and port, that a name server listens there, and that no firewall is in \
             between",
            arguments.namesrv
        );
    }
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

async fn start(arguments: &Arguments) -> Result<Producer, String> {
    let policy = Policy::preset(&arguments.policy).map_err(|error| error.to_string())?;
    Producer::builder(arguments.group.as_str())
        .name_servers(arguments.namesrv.as_str())
        .policy(policy)
        .send_timeout(Duration::from_millis(arguments.timeout))
        .retries(arguments.retries)
        .start()
        .await
        .map_err(|error| error.to_string())
}

/// Sends one message; a one-way message has no result.
async fn send(
    producer: &Producer,
    arguments: &Arguments,
    number: u32,
) -> Result<Option<Sent>, SendError> {
    let body = format!("{} {number}", arguments.body);
    let message = Message::new(arguments.topic.as_str(), body)
        .with_tag(arguments.tag.as_str())
        .with_key(number.to_string());
    match arguments.mode {
        Mode::Sync => producer.send(message).await.map(Some),
        Mode::Oneway => producer.send_oneway(message).await.map(|()| None),
        Mode::Async => {
            let (tell, told) = oneshot::channel();
            producer.send_with_callback(message, move |outcome| {
                // Nobody is left to hear it only if the program is ending.
                let _ = tell.send(outcome);
            });
            told.await.map_or(Ok(None), |outcome| outcome.map(Some))
        }
    }
}

impl Tally {
    fn note(&mut self, number: u32, took: Duration, outcome: Result<Option<Sent>, SendError>) {
        let took = took.as_millis();
        match outcome {
            Ok(Some(sent)) => {
                self.sent += 1;
                self.attempts += sent.attempts;
                let plural = if sent.attempts == 1 { "" } else { "s" };
                println!(
                    "{number}: {} on {} at offset {} ({} attempt{plural}, {took} ms)",
                    sent.message_id, sent.queue, sent.offset, sent.attempts
                );
            }
            Ok(None) => {
                self.sent += 1;
                self.attempts += 1;
                println!("{number}: written ({took} ms)");
            }
            Err(error) => {
                self.failed += 1;
                self.attempts += u32::try_from(error.attempts().len()).unwrap_or(u32::MAX);
                self.no_name_server |= error.failure() == Failure::RouteUnreachable;
                println!("{number}: FAILED {error}");
            }
        }
    }
}
