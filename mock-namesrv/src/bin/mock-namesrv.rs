//! A mock name server on a real TCP port.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, ValueEnum};
use rmq_host::{TokioHost, resolve};
use rmq_mock_namesrv::control::NoControl;
use rmq_mock_namesrv::event::Event;
use rmq_mock_namesrv::{Config, NameServer, Profile};
use rmq_remoting::command::HeaderForm;
use rmq_remoting::observe::Observer;

/// A mock RocketMQ name server. It speaks the real protocol; any client, broker or mqadmin can use it.
///
/// It logs what brokers do on standard error and stops on ctrl-c or SIGTERM. It has no settings to
/// read again, so SIGHUP changes nothing.
#[derive(Debug, Parser)]
#[command(version)]
struct Options {
    /// Address or host name, and port, to listen at.
    #[arg(long, default_value = "127.0.0.1:9876", value_name = "HOST:PORT", value_parser = listen)]
    listen: SocketAddr,
    /// The release to imitate: 4.9.7, 5.2.0 or 5.3.3.
    #[arg(long, default_value_t = Profile::default(), value_name = "RELEASE")]
    profile: Profile,
    /// The form of the headers in answers. Both forms are always read.
    #[arg(long, default_value = "json")]
    respond: Form,
    /// Log every request and every change of a route as well.
    #[arg(long, short)]
    verbose: bool,
}

/// How the headers of answers are written.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Form {
    /// JSON, as a real server by default.
    Json,
    /// The binary form that RocketMQ calls ROCKETMQ.
    Rocketmq,
}

/// Reads an address to listen at.
fn listen(text: &str) -> Result<SocketAddr, String> {
    resolve(text).map_err(|error| error.to_string())
}

/// Writes events to the log. What peers say of themselves is escaped: a name with a line break would
/// otherwise write lines of its own.
#[derive(Debug)]
struct Log;

impl Observer<Event> for Log {
    fn on(&self, event: Event) {
        match event {
            Event::Listening { at } => tracing::info!("name server listens at {at}"),
            Event::BrokerAdded {
                broker,
                id,
                address,
            } => {
                let (broker, address) = (broker.escape_debug(), address.escape_debug());
                tracing::info!("{broker} id {id} registered at {address}");
            }
            Event::BrokerRemoved {
                broker,
                address,
                cause,
            } => {
                let (broker, address) = (broker.escape_debug(), address.escape_debug());
                tracing::info!("{broker} at {address} removed: {cause:?}");
            }
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
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: no runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    runtime.block_on(run(options))
}

async fn run(options: Options) -> ExitCode {
    let mut config = Config::new(options.listen).profile(options.profile);
    config.form = match options.respond {
        Form::Json => HeaderForm::Json,
        Form::Rocketmq => HeaderForm::Rocketmq,
    };
    // Before the port opens, so that a signal meant to stop the server never kills it.
    let mut signals = match Signals::listen() {
        Ok(signals) => signals,
        Err(error) => {
            eprintln!("error: no signals can be listened to: {error}");
            return ExitCode::FAILURE;
        }
    };
    let host = Arc::new(TokioHost::new());
    let server = match NameServer::start(host, config, Arc::new(NoControl), Arc::new(Log)).await {
        Ok(server) => server,
        Err(error) => {
            eprintln!(
                "error: cannot listen at {}: {error}; choose another address with --listen",
                options.listen
            );
            return ExitCode::FAILURE;
        }
    };
    while let Told::Reload = signals.next().await {
        tracing::info!("there is nothing to read again; the name server goes on");
    }
    tracing::info!("name server stops");
    server.stop().await;
    ExitCode::SUCCESS
}

/// What the operating system tells this process.
enum Told {
    /// To stop.
    Stop,
    /// To read its settings again.
    #[cfg_attr(not(unix), expect(dead_code, reason = "nothing says so there"))]
    Reload,
}

/// The signals that people and process managers send. They are listened to before the port opens:
/// an unexpected one never kills a process that serves.
#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    hangup: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn listen() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Told {
        tokio::select! {
            biased;
            _ = self.interrupt.recv() => Told::Stop,
            _ = self.terminate.recv() => Told::Stop,
            _ = self.hangup.recv() => Told::Reload,
        }
    }
}

/// Where there are no signals: ctrl-c.
#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    #[expect(
        clippy::unnecessary_wraps,
        reason = "as where there are signals, which can fail"
    )]
    fn listen() -> std::io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) -> Told {
        if tokio::signal::ctrl_c().await.is_err() {
            // Nobody can ask it to stop in this way; it serves until it is ended in another.
            std::future::pending::<()>().await;
        }
        Told::Stop
    }
}
