//! A mock name server on a real TCP port.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{CommandFactory, Parser};
use rmq_host::TokioHost;
use rmq_mock_namesrv::control::RouteAlteration;
use rmq_mock_namesrv::event::Event;
use rmq_mock_namesrv::{Config, NameServer};
use rmq_mock_server::program::{self, RuleFile, ServerOptions, Signals};
use rmq_remoting::observe::Observer;

/// A mock RocketMQ name server. It speaks the real protocol; any client, broker or mqadmin can use it.
///
/// It logs what brokers do on standard error and stops on ctrl-c or SIGTERM. On SIGHUP it reads its
/// rules again.
#[derive(Debug, Parser)]
#[command(name = "mock-namesrv", version)]
struct Options {
    /// Address or host name, and port, to listen at.
    #[arg(long, default_value = "127.0.0.1:9876", value_name = "HOST:PORT",
          value_parser = program::listen)]
    listen: SocketAddr,
    #[command(flatten)]
    server: ServerOptions,
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
            Event::Ruled { request, rule } => tracing::info!("request {request}: rule {rule}"),
            other => tracing::debug!("{other:?}"),
        }
    }
}

fn main() -> ExitCode {
    let options = Options::parse();
    if options.server.manual {
        return program::manual(Options::command());
    }
    program::run(options.server.verbose, run(options))
}

async fn run(options: Options) -> Result<(), String> {
    let rules = RuleFile::<RouteAlteration>::open(options.server.rules.as_deref())?;
    // Before the port opens, so that a signal meant to stop the server never kills it.
    let mut signals = Signals::listen()?;
    let config = Config {
        form: options.server.respond.into(),
        ..Config::new(options.listen).profile(options.server.profile)
    };
    let host = Arc::new(TokioHost::new());
    let server = NameServer::start(host, config, rules.control(), Arc::new(Log)).await;
    let server = server.map_err(|error| {
        let at = options.listen;
        format!("cannot listen at {at}: {error}; choose another address with --listen")
    })?;
    rules.serve(&mut signals).await;
    tracing::info!("name server stops");
    server.stop().await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Options::command().debug_assert();
    }
}
