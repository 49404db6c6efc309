//! The kernel's arm: the loop-back interface, or a network of namespaces.

use std::io::{self, BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use rmq_host::TokioHost;
use rmq_host::{BoxFuture, Connection, Identity, Listener, SharedHost};
use tokio::net::{TcpListener, TcpSocket};

use crate::namespace;
use crate::rows::Row;
use crate::stage::{Change, Notes, Peer, Stage};

/// Plays a row on this process's network.
pub(crate) fn run(row: &Row) -> Notes {
    play(
        row,
        &Kernel {
            far: IpAddr::V4(Ipv4Addr::LOCALHOST),
            namespaces: false,
        },
    )
}

/// Plays a row with a far machine in a namespace of its own.
pub(crate) fn run_near(row: &Row) -> Notes {
    play(
        row,
        &Kernel {
            far: namespace::FAR,
            namespaces: true,
        },
    )
}

fn play(row: &Row, stage: &Kernel) -> Notes {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on((row.play)(stage))
}

struct Kernel {
    far: IpAddr,
    namespaces: bool,
}

impl Kernel {
    fn host(&self) -> SharedHost {
        let process = std::process::id();
        Arc::new(TokioHost::with_identity(Identity {
            address: self.far,
            process,
        }))
    }
}

impl Stage for Kernel {
    fn near(&self) -> SharedHost {
        self.host()
    }

    fn far(&self) -> SharedHost {
        self.host()
    }

    fn far_ip(&self) -> IpAddr {
        self.far
    }

    fn listen_short(&self, backlog: u32) -> BoxFuture<'_, io::Result<Box<dyn Listener>>> {
        Box::pin(async move {
            let socket = TcpSocket::new_v4()?;
            socket.bind(SocketAddr::new(self.far, 0))?;
            Ok(Box::new(Short(socket.listen(backlog)?)) as Box<dyn Listener>)
        })
    }

    fn start<'a>(&'a self, script: &'static str, port: u16) -> BoxFuture<'a, Box<dyn Peer>> {
        let at = SocketAddr::new(self.far, port).to_string();
        let exe = std::env::current_exe().unwrap();
        let mut command = if self.namespaces {
            let mut command = Command::new("ip");
            command
                .args(["netns", "exec", namespace::FAR_NAME])
                .arg(exe);
            command
        } else {
            Command::new(exe)
        };
        let mut child = command
            .args(["peer", script, &at])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let at = line.trim().parse().unwrap();
        Box::pin(async move { Box::new(Process { child, at }) as Box<dyn Peer> })
    }

    fn change(&self, change: Change) {
        namespace::change(change);
    }

    fn power_off(&self, mut peer: Box<dyn Peer>) {
        namespace::change(Change::CutThere);
        namespace::change(Change::CutBack);
        peer.kill();
        namespace::remove_far();
    }

    fn power_on(&self) {
        namespace::add_far();
        namespace::change(Change::Heal);
    }
}

/// A listener with a short queue.
#[derive(Debug)]
struct Short(TcpListener);

impl Listener for Short {
    fn accept(&mut self) -> BoxFuture<'_, io::Result<Connection>> {
        Box::pin(async {
            let (stream, peer) = self.0.accept().await?;
            let local = stream.local_addr()?;
            Ok(Connection {
                stream: Box::new(stream),
                local,
                peer,
            })
        })
    }

    fn local_addr(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }
}

/// A process, killed when dropped.
struct Process {
    child: Child,
    at: SocketAddr,
}

impl Process {
    fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args([signal, &pid])
                .status()
                .unwrap()
                .success()
        );
    }
}

impl Peer for Process {
    fn at(&self) -> SocketAddr {
        self.at
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn stop(&self) {
        self.signal("-STOP");
    }

    fn resume(&self) {
        self.signal("-CONT");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
