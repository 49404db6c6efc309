//! An in-memory host, a service that does what the request says, and a peer played by hand.

use std::collections::{BTreeMap, BTreeSet};
use std::future::pending;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use rmq_host::{
    BoxFuture, Connection, Host, Identity, Listener, SharedHost, Stream, Task, TokioHost,
};
use rmq_remoting::client::{ClientSettings, RemotingClient};
use rmq_remoting::command::{Command, FLAG_RESPONSE, HeaderForm, Language};
use rmq_remoting::event::Event;
use rmq_remoting::frame::{FrameDecoder, Outgoing, Speaker, encode};
use rmq_remoting::header::{EncodeHeader, FieldWriter, NoFields, Request};
use rmq_remoting::observe::{Name, Observer};
use rmq_remoting::server::{Server, ServerSettings};
use rmq_remoting::service::{Answer, Peer, Reply, Response, Service, Unsupported};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

pub(crate) const SPEAKER: Speaker = Speaker {
    form: HeaderForm::Json,
    language: Language::Rust,
    version: 479,
};

/// Answered at once, with the request's body.
pub(crate) const ECHO: i32 = 900;
/// Answered after as many milliseconds as the body says.
pub(crate) const SLOW: i32 = 901;
/// Read, and never answered.
pub(crate) const SILENT: i32 = 902;
/// The connection is closed.
pub(crate) const CLOSE: i32 = 903;
/// The connection is reset.
pub(crate) const RESET: i32 = 904;
/// The body comes back as it is, not as a frame.
pub(crate) const RAW: i32 = 905;
/// Answered twice, under the same opaque.
pub(crate) const TWICE: i32 = 906;
/// The service panics while it answers.
pub(crate) const PANIC: i32 = 907;
/// Answered, and then the connection is closed.
pub(crate) const ANSWER_AND_CLOSE: i32 = 908;

/// A request of any code.
pub(crate) struct Ask(pub(crate) i32, pub(crate) Vec<u8>);

impl EncodeHeader for Ask {
    fn write(&self, fields: &mut dyn FieldWriter) {
        fields.int("code", i64::from(self.0));
    }
}

impl Request for Ask {
    fn code(&self) -> i32 {
        self.0
    }

    fn body(&self) -> &[u8] {
        &self.1
    }
}

pub(crate) fn ask(code: i32, body: &str) -> Ask {
    Ask(code, body.as_bytes().to_vec())
}

pub(crate) fn name(text: &str) -> Name {
    Arc::from(text)
}

/// The deadline so many milliseconds from now.
pub(crate) fn within(ms: u64) -> Instant {
    Instant::now() + Duration::from_millis(ms)
}

pub(crate) async fn pause(ms: u64) {
    sleep(Duration::from_millis(ms)).await;
}

/// Keeps the events of a client.
#[derive(Debug, Default)]
pub(crate) struct Log(Mutex<Vec<Event>>, AtomicBool);

impl Log {
    pub(crate) fn events(&self) -> Vec<Event> {
        self.0.lock().clone()
    }

    pub(crate) fn count(&self, which: impl Fn(&Event) -> bool) -> usize {
        self.0.lock().iter().filter(|event| which(event)).count()
    }
}

impl Log {
    /// Keeps nothing from now on.
    pub(crate) fn mute(&self) {
        self.1.store(true, Ordering::Relaxed);
    }
}

impl Observer<Event> for Log {
    fn on(&self, event: Event) {
        if !self.1.load(Ordering::Relaxed) {
            self.0.lock().push(event);
        }
    }
}

/// Machines connected by in-memory pipes.
#[derive(Debug, Clone)]
pub(crate) struct Memory {
    net: Arc<Net>,
}

#[derive(Debug)]
struct Net {
    ports: Mutex<BTreeMap<SocketAddr, mpsc::UnboundedSender<Connection>>>,
    gone: Mutex<BTreeSet<String>>,
    next_port: AtomicU16,
    dial_ms: u64,
    framed: usize,
}

impl Memory {
    /// A dial takes `dial_ms`, and a pipe holds `pipe` bytes.
    pub(crate) fn new(dial_ms: u64, framed: usize) -> Self {
        let net = Net {
            ports: Mutex::default(),
            gone: Mutex::default(),
            next_port: AtomicU16::new(40_000),
            dial_ms,
            framed,
        };
        Self { net: Arc::new(net) }
    }

    pub(crate) fn host(&self) -> SharedHost {
        Arc::new(self.clone())
    }

    /// Dials to this address hang from now on.
    pub(crate) fn swallow(&self, to: &str) {
        self.net.gone.lock().insert(to.to_owned());
    }

    /// How many connections were made so far.
    pub(crate) fn connects(&self) -> u16 {
        self.net.next_port.load(Ordering::Relaxed) - 40_000
    }

    /// A client and what it tells.
    pub(crate) fn client(
        &self,
        change: impl FnOnce(&mut ClientSettings),
    ) -> (RemotingClient, Arc<Log>) {
        let mut settings = ClientSettings::new(SPEAKER);
        change(&mut settings);
        let log = Arc::new(Log::default());
        let observer: Arc<dyn Observer<Event>> = Arc::<Log>::clone(&log);
        let client = RemotingClient::new(self.host(), settings, observer, Arc::new(Unsupported));
        (client, log)
    }

    /// A server with the [`Obedient`] service at `127.0.0.1:port`.
    pub(crate) async fn server(&self, port: u16) -> (Server, Arc<Obedient>) {
        let service = Arc::new(Obedient::default());
        let shared: Arc<dyn Service> = Arc::<Obedient>::clone(&service);
        let settings = ServerSettings::new(SPEAKER);
        let server = Server::start(self.host(), local(port), settings, shared).await;
        (server.unwrap(), service)
    }

    /// A peer that the test plays itself.
    pub(crate) async fn by_hand(&self, port: u16) -> Box<dyn Listener> {
        self.listen(local(port)).await.unwrap()
    }
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

impl Host for Memory {
    fn connect(&self, to: &str) -> BoxFuture<'static, io::Result<Connection>> {
        let (net, to) = (Arc::clone(&self.net), to.to_owned());
        Box::pin(async move {
            if net.gone.lock().contains(&to) {
                pending::<()>().await;
            }
            sleep(Duration::from_millis(net.dial_ms)).await;
            let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
            let peer: SocketAddr = to.parse().map_err(|_| io::ErrorKind::InvalidInput)?;
            let port = net.ports.lock().get(&peer).cloned().ok_or_else(refused)?;
            let local = local(net.next_port.fetch_add(1, Ordering::Relaxed));
            let (here, there) = duplex(net.framed);
            let accepted = Connection {
                stream: Box::new(there),
                local: peer,
                peer: local,
            };
            port.send(accepted).map_err(|_| refused())?;
            Ok(Connection {
                stream: Box::new(here),
                local,
                peer,
            })
        })
    }

    fn listen(&self, at: SocketAddr) -> BoxFuture<'static, io::Result<Box<dyn Listener>>> {
        let (sender, queue) = mpsc::unbounded_channel();
        self.net.ports.lock().insert(at, sender);
        Box::pin(async move { Ok(Box::new(Port { at, queue }) as Box<dyn Listener>) })
    }

    fn spawn(&self, name: &'static str, task: BoxFuture<'static, ()>) -> Task {
        TokioHost::with_identity(self.identity()).spawn(name, task)
    }

    fn unix_millis(&self) -> i64 {
        0
    }

    fn draw(&self, _site: &'static str, position: u64) -> u64 {
        position
    }

    fn identity(&self) -> Identity {
        Identity {
            address: Ipv4Addr::LOCALHOST.into(),
            process: 1,
        }
    }
}

#[derive(Debug)]
struct Port {
    at: SocketAddr,
    queue: mpsc::UnboundedReceiver<Connection>,
}

impl Listener for Port {
    fn accept(&mut self) -> BoxFuture<'_, io::Result<Connection>> {
        Box::pin(async { Ok(self.queue.recv().await.unwrap()) })
    }

    fn local_addr(&self) -> SocketAddr {
        self.at
    }
}

/// Does what the request's code says, and counts.
#[derive(Debug, Default)]
pub(crate) struct Obedient {
    pub(crate) connected: AtomicU16,
    pub(crate) disconnected: AtomicU16,
    /// Slow requests that were executed to their end.
    pub(crate) done: Arc<AtomicU16>,
    pub(crate) peers: Mutex<Vec<Peer>>,
}

impl Service for Obedient {
    fn serve(&self, _peer: &Peer, request: Command) -> Reply {
        let echo = |body: Bytes| Answer::Respond(Response::new(0).body(body));
        let body = request.body;
        Reply::Now(match request.code {
            ECHO => echo(body),
            SLOW => {
                let ms = std::str::from_utf8(&body).unwrap().parse().unwrap();
                let done = Arc::clone(&self.done);
                return Reply::Later(Box::pin(async move {
                    pause(ms).await;
                    done.fetch_add(1, Ordering::Relaxed);
                    echo(body)
                }));
            }
            SILENT => Answer::Nothing,
            CLOSE => Answer::Close,
            RESET => Answer::Reset,
            RAW => Answer::Raw(body),
            TWICE => Answer::Many(vec![echo(body.clone()), echo(body)]),
            ANSWER_AND_CLOSE => Answer::Many(vec![echo(body), Answer::Close]),
            PANIC => panic!("told to"),
            code => Answer::Respond(Unsupported::answer(code)),
        })
    }

    fn connected(&self, peer: &Peer) {
        self.connected.fetch_add(1, Ordering::Relaxed);
        self.peers.lock().push(peer.clone());
    }

    fn disconnected(&self, _peer: &Peer) {
        self.disconnected.fetch_add(1, Ordering::Relaxed);
    }
}

/// One end of a connection, played by the test.
pub(crate) struct Hand {
    pub(crate) stream: Box<dyn Stream>,
    input: BytesMut,
    decoder: FrameDecoder,
}

impl Hand {
    pub(crate) fn new(connection: Connection) -> Self {
        Self {
            stream: connection.stream,
            input: BytesMut::new(),
            decoder: FrameDecoder::new(),
        }
    }

    /// The next frame, or nothing at the end of the stream.
    pub(crate) async fn read(&mut self) -> Option<Command> {
        loop {
            if let Some(command) = self.decoder.decode(&mut self.input).unwrap() {
                return Some(command);
            }
            if self.stream.read_buf(&mut self.input).await.unwrap() == 0 {
                return None;
            }
        }
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    pub(crate) async fn answer(&mut self, opaque: i32, body: &[u8]) {
        self.write(&frame(0, opaque, FLAG_RESPONSE, body)).await;
    }

    pub(crate) async fn ask(&mut self, code: i32, opaque: i32, body: &[u8]) {
        self.write(&frame(code, opaque, 0, body)).await;
    }
}

/// A whole frame without custom fields.
pub(crate) fn frame(code: i32, opaque: i32, flag: i32, body: &[u8]) -> BytesMut {
    let mut bytes = BytesMut::new();
    let outgoing = Outgoing {
        code,
        opaque,
        flag,
        remark: None,
        header: &NoFields,
        body,
    };
    encode(&SPEAKER, &outgoing, &mut bytes).unwrap();
    bytes
}
