//! A mock broker on a real TCP port.

use std::fs::{File, OpenOptions};
use std::io::{IsTerminal, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, ValueEnum};
use rmq_mock_broker::control::{Control, NoControl, RuleBook};
use rmq_mock_broker::event::Event;
use rmq_mock_broker::{Broker, Config, Disk, Profile};
use rmq_remoting::command::HeaderForm;
use rmq_remoting::host::tokio::TokioHost;
use rmq_remoting::observe::{Name, Observer};
use tokio::signal::unix::{SignalKind, signal};

/// A mock RocketMQ broker. It speaks the real protocol; any client or mqadmin can use it.
///
/// It keeps what it accepts in memory until it stops, logs what happens on standard error, and
/// leaves its name servers on ctrl-c or SIGTERM. To see what clients do when it just dies, kill -9
/// it; when it hangs, kill -STOP it.
#[derive(Debug, Parser)]
#[command(version)]
struct Options {
    /// The broker's name, as routes show it.
    #[arg(long, default_value = "broker-a")]
    name: String,
    /// The cluster it belongs to.
    #[arg(long, default_value = "DefaultCluster")]
    cluster: String,
    /// Its id under that name: 0 for the master.
    #[arg(long, default_value_t = 0)]
    id: i64,
    /// Address and port to listen at, and to register under.
    #[arg(long, default_value = "127.0.0.1:10911", value_name = "ADDRESS:PORT")]
    listen: SocketAddr,
    /// Another address to register under (a proxy, a listener on every interface).
    #[arg(long, value_name = "ADDRESS:PORT")]
    advertise: Option<SocketAddr>,
    /// Name servers to register with; several are separated by semicolons.
    #[arg(long, default_value = "127.0.0.1:9876", value_name = "HOST:PORT;...")]
    namesrv: String,
    /// A topic that exists from the start; may be repeated.
    #[arg(long, value_name = "NAME:QUEUES", value_parser = topic)]
    topic: Vec<(Name, i32)>,
    /// The release to imitate: 4.9.7, 5.2.0 or 5.3.3.
    #[arg(long, default_value_t = Profile::default(), value_name = "RELEASE")]
    profile: Profile,
    /// The form of the headers in answers. Both forms are always read.
    #[arg(long, default_value = "json")]
    respond: Form,
    /// Do not create topics when something is sent to them.
    #[arg(long)]
    no_auto_create: bool,
    /// Rules for misbehaving, as `[[rule]]` tables: name, when, times, then.
    #[arg(long, value_name = "FILE.toml")]
    rules: Option<PathBuf>,
    /// Append a line for each stored message, before it is answered: unique key, topic, queue,
    /// offset, with tabs between. The file outlives a broker that is killed.
    #[arg(long, value_name = "FILE")]
    ledger: Option<PathBuf>,
    /// Log every request as well.
    #[arg(long, short)]
    verbose: bool,
}

/// How the headers of answers are written.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Form {
    /// JSON, as a real broker by default.
    Json,
    /// The binary form that RocketMQ calls ROCKETMQ.
    Rocketmq,
}

/// Reads `NAME:QUEUES`.
fn topic(text: &str) -> Result<(Name, i32), String> {
    let (name, queues) = text
        .rsplit_once(':')
        .ok_or("write it as NAME:QUEUES, such as orders:4")?;
    match queues.parse() {
        Ok(queues) if queues > 0 && !name.is_empty() => Ok((name.into(), queues)),
        _ => Err(format!(
            "\"{queues}\" is no number of queues: write orders:4"
        )),
    }
}

/// Writes events to the log, and what is stored to a file.
#[derive(Debug)]
struct Log {
    ledger: Option<File>,
}

impl Log {
    fn open(ledger: Option<&Path>) -> Result<Self, String> {
        let open = |path: &Path| {
            let file = OpenOptions::new().create(true).append(true).open(path);
            file.map_err(|error| format!("cannot write the ledger {}: {error}", path.display()))
        };
        Ok(Self {
            ledger: ledger.map(open).transpose()?,
        })
    }
}

impl Observer<Event> for Log {
    fn on(&self, event: Event) {
        match event {
            Event::Stored {
                topic,
                queue,
                offset,
                key,
                ..
            } if let Some(mut ledger) = self.ledger.as_ref() => {
                // In one piece, and unbuffered: what was written is there after a kill.
                let line = format!("{key}\t{topic}\t{queue}\t{offset}\n");
                if let Err(error) = ledger.write_all(line.as_bytes()) {
                    tracing::error!("cannot write the ledger: {error}");
                }
            }
            Event::Listening { at } => tracing::info!("broker listens at {at}"),
            Event::TopicCreated {
                topic,
                write_queues,
                automatic,
            } => {
                let why = if automatic { "by a send" } else { "on request" };
                tracing::info!("topic {topic} created {why}, {write_queues} queues");
            }
            Event::Unregistered { name_server } => tracing::info!("left {name_server}"),
            Event::Ruled { request, rule } => tracing::info!("request {request}: rule {rule}"),
            other => tracing::debug!("{other:?}"),
        }
    }
}

fn main() -> ExitCode {
    let options = Options::parse();
    let level = if options.verbose {
        tracing::Level::DEBUG
    } else {
        tracing::Level::INFO
    };
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let ended = match runtime {
        Ok(runtime) => runtime.block_on(run(options)),
        Err(error) => Err(format!("no runtime: {error}")),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> Result<(), String> {
    let control: Arc<dyn Control> = match &options.rules {
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .map_err(|error| format!("cannot read the rules {}: {error}", path.display()))?;
            let book = RuleBook::from_toml(&text)
                .map_err(|error| format!("{}: {error}", path.display()))?;
            Arc::new(book)
        }
        None => Arc::new(NoControl),
    };
    // Before the port opens, so that a signal meant to stop the broker never kills it.
    let mut terminate =
        signal(SignalKind::terminate()).map_err(|error| format!("no signals: {error}"))?;
    let config = config(&options);
    let (host, disk) = (Arc::new(TokioHost::new()), Arc::new(Disk::new()));
    let log = Log::open(options.ledger.as_deref())?;
    let broker = Broker::start(host, config, disk, control, Arc::new(log));
    let broker = broker.await.map_err(|error| {
        format!(
            "cannot listen at {}: {error}; choose another with --listen",
            options.listen
        )
    })?;
    tokio::select! {
        biased;
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
    tracing::info!("broker stops");
    broker.stop().await;
    Ok(())
}

fn config(options: &Options) -> Config {
    let servers = options
        .namesrv
        .split([';', ','])
        .map(str::trim)
        .filter(|name| !name.is_empty());
    Config {
        cluster: options.cluster.as_str().into(),
        id: options.id,
        advertise: options.advertise,
        name_servers: servers.map(Name::from).collect(),
        profile: options.profile,
        form: match options.respond {
            Form::Json => HeaderForm::Json,
            Form::Rocketmq => HeaderForm::Rocketmq,
        },
        topics: options.topic.clone(),
        auto_create: !options.no_auto_create,
        ..Config::new(options.name.as_str(), options.listen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_is_written_with_its_queues() {
        assert_eq!(topic("orders:4"), Ok(("orders".into(), 4)));
        for bad in ["orders", "orders:", "orders:x", "orders:0", ":4"] {
            assert!(topic(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_command_line_is_sound() {
        <Options as clap::CommandFactory>::command().debug_assert();
    }
}
