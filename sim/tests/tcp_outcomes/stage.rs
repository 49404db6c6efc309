//! What a row is played on: two hosts and what can be done to the far one.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use rmq_host::{BoxFuture, Connection, Listener, SharedHost};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{sleep, timeout};

/// What a row has seen, line by line.
pub(crate) type Notes = Vec<String>;

/// A change of the network between the two hosts.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Change {
    /// Nothing gets from the near host to the far one.
    CutThere,
    /// Nothing gets from the far host to the near one.
    CutBack,
    /// No cut, no loss.
    Heal,
    /// So many per cent of the packets are lost, both ways.
    LossPercent(u32),
    /// Bytes per millisecond from near to far.
    Bandwidth(u64),
}

/// Two hosts with a network between them, of a kernel or of an engine.
pub(crate) trait Stage: Send + Sync {
    /// The host that dials.
    fn near(&self) -> SharedHost;
    /// Another host, within the same program: rows hold both ends of a connection.
    fn far(&self) -> SharedHost;
    /// The far host's address.
    fn far_ip(&self) -> IpAddr;
    /// A listener of the far host with room for so few connections.
    fn listen_short(&self, backlog: u32) -> BoxFuture<'_, io::Result<Box<dyn Listener>>>;
    /// Starts a process of its own on the far machine; it listens when this returns. Port 0 picks.
    fn start<'a>(&'a self, script: &'static str, port: u16) -> BoxFuture<'a, Box<dyn Peer>>;
    /// Changes the network between the two hosts.
    fn change(&self, change: Change);
    /// The far machine loses power, and every process there with it.
    fn power_off(&self, peer: Box<dyn Peer>);
    /// It has power again.
    fn power_on(&self);
}

/// A process on the far machine.
pub(crate) trait Peer: Send + Sync {
    /// The address that the process listens at.
    fn at(&self) -> SocketAddr;
    /// Kills the process (SIGKILL).
    fn kill(&mut self);
    /// Stops the process where it stands (SIGSTOP).
    fn stop(&self);
    /// Lets a stopped process go on (SIGCONT).
    fn resume(&self);
}

/// Lets everything that is on its way arrive.
pub(crate) async fn settle() {
    sleep(Duration::from_millis(40)).await;
}

/// Both ends of a new connection, and the listener.
pub(crate) async fn connected(stage: &dyn Stage) -> (Connection, Connection, Box<dyn Listener>) {
    let at = SocketAddr::new(stage.far_ip(), 0);
    let mut listener = stage.far().listen(at).await.unwrap();
    let near = dial(stage, listener.local_addr()).await.unwrap();
    let far = listener.accept().await.unwrap();
    (near, far, listener)
}

/// Dials from the near host.
pub(crate) async fn dial(stage: &dyn Stage, at: SocketAddr) -> io::Result<Connection> {
    stage.near().connect(&at.to_string()).await
}

/// One read of at most 100 bytes, as a note; "nothing" after two tenths of a second.
pub(crate) async fn read(end: &mut Connection) -> String {
    let mut bytes = [0; 100];
    match timeout(Duration::from_millis(200), end.stream.read(&mut bytes)).await {
        Ok(Ok(0)) => "end".to_owned(),
        Ok(Ok(count)) => format!("{:?}", String::from_utf8_lossy(&bytes[..count])),
        Ok(Err(error)) => format!("{:?}", error.kind()),
        Err(_) => "nothing".to_owned(),
    }
}

/// Reads until so many bytes, or the end; where pieces are cut does not show.
pub(crate) async fn read_all(end: &mut Connection, count: usize) -> String {
    let mut bytes = vec![0; count];
    let mut got = 0;
    while got < count {
        let reading = end.stream.read(&mut bytes[got..]);
        match timeout(Duration::from_millis(200), reading).await {
            Ok(Ok(0)) => return format!("{:?}, end", String::from_utf8_lossy(&bytes[..got])),
            Ok(Ok(more)) => got += more,
            Ok(Err(error)) => {
                let text = String::from_utf8_lossy(&bytes[..got]).into_owned();
                return format!("{text:?}, {:?}", error.kind());
            }
            Err(_) => return format!("{:?}, nothing", String::from_utf8_lossy(&bytes[..got])),
        }
    }
    format!("{:?}", String::from_utf8_lossy(&bytes))
}

/// One write of a short text, as a note.
pub(crate) async fn write(end: &mut Connection, text: &str) -> String {
    match timeout(
        Duration::from_millis(200),
        end.stream.write(text.as_bytes()),
    )
    .await
    {
        Ok(Ok(count)) => format!("{count} bytes"),
        Ok(Err(error)) => format!("{:?}", error.kind()),
        Err(_) => "blocked".to_owned(),
    }
}

/// A result as a note.
pub(crate) fn kind<T>(result: &io::Result<T>) -> String {
    match result {
        Ok(_) => "ok".to_owned(),
        Err(error) => format!("{:?}", error.kind()),
    }
}
