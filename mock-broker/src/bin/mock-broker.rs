//! A mock broker on a real TCP port.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{CommandFactory, Parser};
use rmq_host::{TokioHost, resolve};
use rmq_mock_broker::control::NoAlteration;
use rmq_mock_broker::event::Event;
use rmq_mock_broker::{Broker, Config, Disk};
use rmq_mock_server::program::{self, RuleFile, ServerOptions, Signals, listen};
use rmq_remoting::observe::{Name, Observer};

/// A mock RocketMQ broker. It speaks the real protocol; any client or mqadmin can use it.
///
/// It keeps what it accepts in memory until it stops, logs what happens on standard error, and
/// leaves its name servers on ctrl-c or SIGTERM. On SIGHUP it reads its rules again. To see what
/// clients do when it just dies, kill -9 it; when it hangs, kill -STOP it.
#[derive(Debug, Parser)]
#[command(name = "mock-broker", version)]
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
    /// Address or host name, and port, to listen at, and to register under.
    #[arg(long, default_value = "127.0.0.1:10911", value_name = "HOST:PORT", value_parser = listen)]
    listen: SocketAddr,
    /// Another address to register under (a proxy, a listener on every interface). A host name is
    /// registered as it is, for clients to resolve.
    #[arg(long, value_name = "HOST:PORT", value_parser = advertise)]
    advertise: Option<Advertised>,
    /// Listen two ports below as well, as real brokers do for clients with a VIP channel.
    #[arg(long)]
    vip: bool,
    /// Name servers to register with; several are separated by semicolons.
    #[arg(long, default_value = "127.0.0.1:9876", value_name = "HOST:PORT;...")]
    namesrv: String,
    /// A topic that exists from the start; may be repeated.
    #[arg(long, value_name = "NAME:QUEUES", value_parser = topic)]
    topic: Vec<(Name, i32)>,
    /// Do not create topics when something is sent to them.
    #[arg(long)]
    no_auto_create: bool,
    /// Append a line for each stored message, before it is answered: unique key, topic, queue,
    /// offset, with tabs between. The file outlives a broker that is killed.
    #[arg(long, value_name = "FILE")]
    ledger: Option<PathBuf>,
    #[command(flatten)]
    server: ServerOptions,
}

/// What clients are told to dial.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Advertised {
    /// The address, which messages carry as their store's.
    socket: SocketAddr,
    /// The host, if it was written as a name.
    name: Option<Name>,
}

/// Reads an address to register under. A name that clients resolve need not be known here.
fn advertise(text: &str) -> Result<Advertised, String> {
    let written = text.trim();
    if let Ok(socket) = written.parse() {
        return Ok(Advertised { socket, name: None });
    }
    let no_port = || listen(written).err().unwrap_or_default();
    let (host, port) = written.rsplit_once(':').ok_or_else(no_port)?;
    let port = port.parse().map_err(|_| no_port())?;
    if host.is_empty() {
        return Err(no_port());
    }
    let unknown = SocketAddr::from(([127, 0, 0, 1], port));
    Ok(Advertised {
        socket: resolve(written).unwrap_or(unknown),
        name: Some(host.into()),
    })
}

/// The second port of a broker that listens there.
fn vip(listen: SocketAddr) -> Result<SocketAddr, String> {
    let port = listen.port().checked_sub(2).filter(|port| *port > 0);
    port.map(|port| SocketAddr::new(listen.ip(), port))
        .ok_or_else(|| format!("there is no port two below {listen}: leave --vip out"))
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

/// Writes events to the log, and what is stored to a file. What peers say is escaped: a name with a
/// line break would otherwise write lines of its own.
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
                unique_key: key,
                ..
            } => {
                let Some(mut ledger) = self.ledger.as_ref() else {
                    return;
                };
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
                let topic = topic.escape_debug();
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
    if options.server.manual {
        return program::manual(Options::command());
    }
    program::run(options.server.verbose, run(options))
}

async fn run(options: Options) -> Result<(), String> {
    let rules = RuleFile::<NoAlteration>::open(options.server.rules.as_deref())?;
    // Before the port opens, so that a signal meant to stop the broker never kills it.
    let mut signals = Signals::listen()?;
    let config = config(&options)?;
    let (host, disk) = (Arc::new(TokioHost::new()), Arc::new(Disk::new()));
    let log = Log::open(options.ledger.as_deref())?;
    let broker = Broker::start(host, config, disk, rules.control(), Arc::new(log));
    let broker = broker.await.map_err(|error| {
        let at = options.listen;
        let both = if options.vip {
            " and two ports below"
        } else {
            ""
        };
        format!("cannot listen at {at}{both}: {error}; choose another with --listen")
    })?;
    rules.serve(&mut signals).await;
    tracing::info!("broker stops");
    broker.stop().await;
    Ok(())
}

fn config(options: &Options) -> Result<Config, String> {
    let servers = options
        .namesrv
        .split([';', ','])
        .map(str::trim)
        .filter(|name| !name.is_empty());
    let advertised = options.advertise.as_ref();
    let vip = if options.vip {
        Some(vip(options.listen)?)
    } else {
        None
    };
    Ok(Config {
        cluster: options.cluster.as_str().into(),
        id: options.id,
        advertise: advertised.map(|advertised| advertised.socket),
        advertise_name: advertised.and_then(|advertised| advertised.name.clone()),
        vip,
        name_servers: servers.map(Name::from).collect(),
        profile: options.server.profile,
        form: options.server.respond.into(),
        topics: options.topic.clone(),
        auto_create: !options.no_auto_create,
        ..Config::new(options.name.as_str(), options.listen)
    })
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
    fn a_host_name_is_registered_as_it_is_and_a_number_as_an_address() {
        let named = advertise("localhost:10911").unwrap();
        assert_eq!(named.name.as_deref(), Some("localhost"));
        assert!(named.socket.ip().is_loopback());
        for number in ["127.0.0.1:10911", "[::1]:10911"] {
            assert_eq!(advertise(number).unwrap().name, None, "{number}");
        }
        let elsewhere = advertise("broker-a.example.invalid:10911").unwrap();
        assert_eq!(elsewhere.socket.port(), 10_911, "clients resolve it");
        for bad in ["localhost", ":10911", "localhost:", "localhost:x"] {
            assert!(advertise(bad).unwrap_err().contains("HOST:PORT"), "{bad}");
        }
    }

    #[test]
    fn the_second_port_is_two_below() {
        let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
        assert_eq!(vip(at(10_911)), Ok(at(10_909)));
        for port in [0, 1, 2] {
            assert!(vip(at(port)).is_err(), "{port}");
        }
    }

    #[test]
    fn the_command_line_is_sound() {
        Options::command().debug_assert();
    }
}
