//! A mock name server on a real TCP port.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, ValueEnum};
use rmq_mock_namesrv::control::NoControl;
use rmq_mock_namesrv::event::Event;
use rmq_mock_namesrv::{Config, NameServer, Profile};
use rmq_remoting::command::HeaderForm;
use rmq_remoting::host::tokio::TokioHost;
use rmq_remoting::observe::Observer;

/// A mock RocketMQ name server. It speaks the real protocol; any client, broker or mqadmin can use it.
///
/// It logs what brokers do on standard error and stops on ctrl-c or SIGTERM.
#[derive(Debug, Parser)]
#[command(version)]
struct Options {
    /// Address and port to listen at.
    #[arg(long, default_value = "127.0.0.1:9876", value_name = "ADDRESS:PORT")]
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

/// Writes events to the log.
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
                tracing::info!("{broker} id {id} registered at {address}");
            }
            Event::BrokerRemoved {
                broker,
                address,
                cause,
            } => {
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
    stop_asked().await;
    tracing::info!("name server stops");
    server.stop().await;
    ExitCode::SUCCESS
}

/// Waits for ctrl-c or, where there is such a thing, SIGTERM.
async fn stop_asked() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                biased;
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
        }
        Err(_) => {
            let _ = tokio::signal::ctrl_c().await;
        }
    }
}
