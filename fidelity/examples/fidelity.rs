//! Plays the client's part of a case over real TCP: the driver for programs that record clients.
//!
//! ```text
//! cargo run --example fidelity -- --policy java_5_3 CLIENT.json
//! ```
//!
//! The file is the case's `client` object with `namesrvAddr`. Every outcome is a line of JSON on
//! standard output; after the warm-up it waits for a line on standard input.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use rmq_fidelity::driver;
use rmq_host::TokioHost;
use rmq_producer::Policy;
use rmq_producer::policy::Header;
use serde_json::{Map, Value};

/// Plays the client's part of a case.
#[derive(Debug, Parser)]
#[command(name = "fidelity")]
struct Arguments {
    /// The policy's preset.
    #[arg(long, default_value = "strict")]
    policy: String,
    /// Writes binary headers, as a Java client with `-Drocketmq.serialize.type=ROCKETMQ`.
    #[arg(long)]
    binary: bool,
    /// The case's `client` object.
    client: PathBuf,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match read(&arguments) {
        Ok((policy, client)) => {
            let sink = Arc::new(|line: Map<String, Value>| {
                let line = Value::Object(line).to_string();
                // A reader that is gone needs no line.
                let _ = writeln!(std::io::stdout().lock(), "{line}");
            });
            let host = Arc::new(TokioHost::new());
            driver::run(host, client, policy, sink, word()).await;
            ExitCode::SUCCESS
        }
        Err(problem) => {
            eprintln!("fidelity: {problem}");
            ExitCode::from(2)
        }
    }
}

fn read(arguments: &Arguments) -> Result<(Policy, Map<String, Value>), String> {
    let mut policy = Policy::preset(&arguments.policy).map_err(|error| error.to_string())?;
    if arguments.binary {
        policy.wire.header = Header::Binary;
    }
    let name = arguments.client.display();
    let text = std::fs::read_to_string(&arguments.client)
        .map_err(|error| format!("{name}: {error}; give the path of a client's settings"))?;
    let client = serde_json::from_str(&text).map_err(|error| format!("{name}: {error}"))?;
    Ok((policy, client))
}

/// Waits for a line on standard input, on a thread of its own: heartbeats go on meanwhile.
#[expect(
    clippy::disallowed_methods,
    reason = "a program over real TCP: nothing here is simulated"
)]
async fn word() {
    let (told, heard) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        let _ = std::io::stdin().read_line(&mut line);
        let _ = told.send(());
    });
    let _ = heard.await;
}
