//! The servers: the mocks' programs, each in a process of its own.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use crate::TOPIC;
use crate::book::{Number, StoredAt, number};
use crate::plan::{Deed, Server};

/// Queues of the topic on each broker.
const QUEUES: u32 = 4;

/// Why the servers do not run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClusterError {
    #[error(
        "there is no {} beside this program\n  remedy: cargo build --release -p rmq-mock-broker -p rmq-mock-namesrv (without --release where this program was built so)",
        .program.display()
    )]
    NotBuilt { program: PathBuf },
    #[error("{what}: {cause}")]
    Io { what: String, cause: io::Error },
    #[error("{server} does not listen at port {port}\n  remedy: name free ports with --first-port")]
    Deaf { server: String, port: u16 },
    #[error("{file}:{line} is no line of a ledger: {text}")]
    Ledger {
        file: String,
        line: usize,
        text: String,
    },
}

fn io_error(what: String) -> impl FnOnce(io::Error) -> ClusterError {
    |cause| ClusterError::Io { what, cause }
}

/// Every copy that the brokers stored, by send.
pub(crate) type Stored = BTreeMap<Number, Vec<StoredAt>>;

/// The servers. Dropping it kills them.
pub(crate) struct Cluster {
    programs: PathBuf,
    folder: TempDir,
    servers: BTreeMap<Server, Running>,
    name_servers: String,
}

struct Running {
    port: u16,
    child: Option<Child>,
    frozen: bool,
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // SIGKILL reaches a frozen process too. There is nobody left to tell of an error.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Running {
    fn signal(&self, signal: Signal) -> io::Result<()> {
        let Some(child) = &self.child else {
            return Ok(());
        };
        let pid = i32::try_from(child.id()).map_err(io::Error::other)?;
        kill(Pid::from_raw(pid), signal).map_err(io::Error::from)
    }
}

fn name(server: Server) -> String {
    match server {
        Server::Name(number) => format!("ns-{}", number + 1),
        Server::Broker(number) => format!("broker-{}", char::from(b'a' + (number % 26) as u8)),
    }
}

impl fmt::Display for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (server, running) in &self.servers {
            write!(f, "{} :{}  ", name(*server), running.port)?;
        }
        Ok(())
    }
}

impl Cluster {
    /// Starts all servers on the loopback interface.
    pub(crate) fn start(
        name_servers: u32,
        brokers: u32,
        first_port: Option<u16>,
    ) -> Result<Self, ClusterError> {
        let programs = std::env::current_exe().map_err(io_error("this program".to_owned()))?;
        let programs = programs.parent().unwrap_or(Path::new("")).to_owned();
        let folder = TempDir::new().map_err(io_error("a folder for ledgers".to_owned()))?;
        let names = (0..name_servers).map(Server::Name);
        let all: Vec<Server> = names.chain((0..brokers).map(Server::Broker)).collect();
        let ports = ports(all.len(), first_port)?;
        let mut cluster = Self {
            programs,
            folder,
            servers: BTreeMap::new(),
            name_servers: String::new(),
        };
        let addresses = ports.iter().take(name_servers as usize);
        let addresses: Vec<String> = addresses.map(|port| format!("127.0.0.1:{port}")).collect();
        cluster.name_servers = addresses.join(";");
        for (server, port) in all.into_iter().zip(ports) {
            let child = cluster.launch(server, port)?;
            let running = Running {
                port,
                child: Some(child),
                frozen: false,
            };
            cluster.servers.insert(server, running);
        }
        Ok(cluster)
    }

    /// The name servers' addresses, separated by semicolons.
    pub(crate) fn name_servers(&self) -> &str {
        &self.name_servers
    }

    fn ledger(&self, server: Server) -> PathBuf {
        self.folder.path().join(name(server))
    }

    fn launch(&self, server: Server, port: u16) -> Result<Child, ClusterError> {
        let program = match server {
            Server::Name(_) => "mock-namesrv",
            Server::Broker(_) => "mock-broker",
        };
        let program = self.programs.join(program);
        if !program.is_file() {
            return Err(ClusterError::NotBuilt { program });
        }
        let mut command = Command::new(&program);
        command.args(["--listen", &format!("127.0.0.1:{port}")]);
        if let Server::Broker(_) = server {
            command
                .args(["--name", &name(server), "--namesrv", &self.name_servers])
                .args(["--topic", &format!("{TOPIC}:{QUEUES}"), "--ledger"])
                .arg(self.ledger(server));
        }
        // In a group of its own: ctrl-c is for this program, which then ends its servers.
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0);
        let what = format!("cannot start {}", program.display());
        command.spawn().map_err(io_error(what))
    }

    /// Waits until every server listens, and a moment more in which the brokers register.
    pub(crate) async fn serves(&self, patience: Duration) -> Result<(), ClusterError> {
        let deadline = Instant::now() + patience;
        for (server, Running { port, .. }) in &self.servers {
            while TcpStream::connect((Ipv4Addr::LOCALHOST, *port))
                .await
                .is_err()
            {
                if Instant::now() > deadline {
                    let server = name(*server);
                    return Err(ClusterError::Deaf {
                        server,
                        port: *port,
                    });
                }
                sleep(Duration::from_millis(50)).await;
            }
        }
        sleep(Duration::from_secs(1)).await;
        Ok(())
    }

    /// Does something to a server, and says what.
    pub(crate) fn apply(&mut self, server: Server, deed: Deed) -> Result<String, ClusterError> {
        let who = name(server);
        let what = match deed {
            Deed::Kill => "is killed",
            Deed::Stop => "is stopped",
            Deed::Freeze => "is frozen",
            Deed::Thaw => "goes on",
            Deed::Restart => "is started again",
        };
        let said = format!("{who} {what}");
        let started = match deed {
            Deed::Restart => {
                let port = self.servers.get(&server).map_or(0, |running| running.port);
                Some(self.launch(server, port)?)
            }
            _ => None,
        };
        let Some(running) = self.servers.get_mut(&server) else {
            return Ok(said);
        };
        let done = match deed {
            Deed::Kill => end(running, Signal::SIGKILL),
            Deed::Stop => end(running, Signal::SIGTERM),
            Deed::Freeze => {
                running.frozen = true;
                running.signal(Signal::SIGSTOP)
            }
            Deed::Thaw => {
                running.frozen = false;
                running.signal(Signal::SIGCONT)
            }
            Deed::Restart => {
                running.child = started;
                Ok(())
            }
        };
        done.map_err(io_error(said.clone()))?;
        Ok(said)
    }

    /// Thaws and restarts what is broken.
    pub(crate) fn heal(&mut self) -> Result<(), ClusterError> {
        let state = |(server, running): (&Server, &Running)| {
            let deed = match (&running.child, running.frozen) {
                (None, _) => Some(Deed::Restart),
                (Some(_), true) => Some(Deed::Thaw),
                (Some(_), false) => None,
            };
            deed.map(|deed| (*server, deed))
        };
        let broken: Vec<_> = self.servers.iter().filter_map(state).collect();
        for (server, deed) in broken {
            self.apply(server, deed)?;
        }
        Ok(())
    }

    /// Ends all servers; what the brokers have stored.
    pub(crate) fn stop(mut self) -> Result<Stored, ClusterError> {
        let servers = std::mem::take(&mut self.servers);
        let brokers: Vec<Server> = servers.keys().copied().collect();
        drop(servers);
        let mut stored = Stored::new();
        for server in brokers {
            let file = self.ledger(server);
            if file.is_file() {
                let what = format!("cannot read {}", file.display());
                let text = fs::read_to_string(&file).map_err(io_error(what))?;
                read_ledger(&name(server), &text, &mut stored)?;
            }
        }
        Ok(stored)
    }
}

/// Ends a process and waits for it, so that its port is free for the next one.
fn end(running: &mut Running, signal: Signal) -> io::Result<()> {
    running.signal(signal)?;
    if let Some(mut child) = running.child.take() {
        // A broker that leaves its name servers waits for a frozen one, and not for ever.
        for _ in 0..200 {
            if child.try_wait()?.is_some() {
                return Ok(());
            }
            nap();
        }
        child.kill()?;
        child.wait()?;
    }
    Ok(())
}

#[expect(
    clippy::disallowed_methods,
    reason = "waits for a process of the kernel"
)]
fn nap() {
    std::thread::sleep(Duration::from_millis(10));
}

/// Ports that are free now, or those that the user named.
fn ports(count: usize, first: Option<u16>) -> Result<Vec<u16>, ClusterError> {
    let free = || io_error("no free port".to_owned());
    if let Some(first) = first {
        let ports: Option<Vec<u16>> = (0..count)
            .map(|nth| first.checked_add(u16::try_from(nth).ok()?))
            .collect();
        let beyond = io::Error::other(format!("there are not {count} ports from {first} on"));
        return ports.ok_or_else(|| free()(beyond));
    }
    // All are held at once, so that they differ.
    let listeners: io::Result<Vec<TcpListener>> = (0..count)
        .map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
        .collect();
    let listeners = listeners.map_err(free())?;
    let ports: io::Result<Vec<u16>> = listeners
        .iter()
        .map(|listener| Ok(listener.local_addr()?.port()))
        .collect();
    ports.map_err(free())
}

/// Reads what one broker wrote. A line that a kill cut off was answered to nobody.
fn read_ledger(broker: &str, text: &str, stored: &mut Stored) -> Result<(), ClusterError> {
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    for (at, line) in whole.lines().enumerate() {
        let mut parts = line.split('\t');
        let mut next = || parts.next();
        let (key, _topic, queue, offset) = (next(), next(), next(), next());
        let place = |queue: &str, offset: &str| {
            Some(StoredAt {
                broker: broker.to_owned(),
                queue: queue.parse().ok()?,
                offset: offset.parse().ok()?,
            })
        };
        let send = key.and_then(number);
        let place = queue
            .zip(offset)
            .and_then(|(queue, offset)| place(queue, offset));
        let (Some(send), Some(place)) = (send, place) else {
            return Err(ClusterError::Ledger {
                file: broker.to_owned(),
                line: at + 1,
                text: line.to_owned(),
            });
        };
        stored.entry(send).or_default().push(place);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::book::key;

    #[test]
    fn a_ledger_is_read_up_to_its_last_whole_line() {
        let mut stored = Stored::new();
        let text = format!("{}\tsoak\t1\t7\n{}\tso", key(5), key(6));
        read_ledger("broker-a", &text, &mut stored).unwrap();
        let place = StoredAt {
            broker: "broker-a".to_owned(),
            queue: 1,
            offset: 7,
        };
        assert_eq!(stored, Stored::from([(5, vec![place])]));
    }

    #[test]
    fn a_line_of_something_else_is_refused_by_its_number() {
        let text = format!("{}\tsoak\t1\t7\nhello\n", key(5));
        let error = read_ledger("broker-a", &text, &mut Stored::new()).unwrap_err();
        assert!(error.to_string().starts_with("broker-a:2 "), "{error}");
    }

    #[test]
    fn free_ports_differ_and_named_ones_count_up() {
        let free = ports(5, None).unwrap();
        let distinct: std::collections::BTreeSet<_> = free.iter().collect();
        assert_eq!(distinct.len(), 5);
        assert_eq!(ports(2, Some(10_911)).unwrap(), [10_911, 10_912]);
        assert!(ports(2, Some(u16::MAX)).is_err());
    }
}
