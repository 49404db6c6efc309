//! A laboratory of two nodes, and the echo service that runs on them.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dst_engine::{EngineConfig, Ignore, Limits, RunEnd, RunReport};
use rmq_host::{Connection, SharedHost, Task};
use rmq_sim::fault::EngineKind;
use rmq_sim::internals::backend::{SharedBackend, run};
use rmq_sim::trace::record::NodeId;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

pub(crate) const ENGINES: [EngineKind; 3] =
    [EngineKind::Event, EngineKind::Turmoil, EngineKind::Tcp];
pub(crate) const PORT: u16 = 9876;
pub(crate) const SOON: Duration = Duration::from_millis(50);

/// A run on one engine that must not last longer than 20 s of its own time.
pub(crate) fn run_on<T>(
    engine: EngineKind,
    main: impl AsyncFnOnce(SharedBackend) -> T,
) -> RunReport<T> {
    let config = EngineConfig {
        seed: 7,
        limits: Limits {
            horizon_ms: 20_000,
            ..Limits::default()
        },
        ..EngineConfig::default()
    };
    run(engine, &config, Arc::new(Ignore), main, || {}).expect("a runtime")
}

/// A run that completes on each engine.
pub(crate) fn on_each<T>(main: impl AsyncFn(Lab) -> T) -> Vec<(EngineKind, T)> {
    let run_one = |engine| {
        let report = run_on(engine, async |backend| main(Lab::new(backend)).await);
        assert_eq!(report.end, RunEnd::Finished, "{engine}");
        (engine, report.value.expect("the value of a finished run"))
    };
    ENGINES.into_iter().map(run_one).collect()
}

/// A server node and a client node.
pub(crate) struct Lab {
    pub(crate) backend: SharedBackend,
    pub(crate) server: NodeId,
    pub(crate) client: NodeId,
    pub(crate) at: SocketAddr,
}

impl Lab {
    pub(crate) fn new(backend: SharedBackend) -> Self {
        let ip = backend.address_for(0);
        let server = backend.node("server", ip);
        let client = backend.node("client", backend.address_for(1));
        let at = SocketAddr::new(ip, PORT);
        Self {
            backend,
            server,
            client,
            at,
        }
    }

    pub(crate) fn serve(&self) -> Task {
        let host = self.backend.boot(self.server);
        let at = self.at;
        spawn_value(&host, "server", |host| echo_server(host, at)).0
    }

    /// What a second listener at the server's address gets, in the same process.
    pub(crate) async fn second_listener(&self) -> io::Error {
        let host = self.backend.boot(self.server);
        let at = self.at;
        let (task, outcome) = spawn_value(&host, "two listeners", async move |host: SharedHost| {
            let first = host.listen(at).await;
            let second = host.listen(at).await;
            drop(first);
            second.map(drop)
        });
        let outcome = outcome.await.expect("an outcome");
        drop(task);
        outcome.expect_err("the port is in use")
    }

    /// Runs a client's code on the client's node.
    pub(crate) async fn client<T: Send + 'static>(&self, code: impl AsyncFnOnceSend<T>) -> T {
        let host = self.backend.boot(self.client);
        let (task, value) = spawn_value(&host, "client", |host| code.call(host, self.at));
        let value = value.await;
        drop(task);
        value.expect("the client's value")
    }
}

/// `async fn(SharedHost, SocketAddr) -> T` whose future is `Send`.
pub(crate) trait AsyncFnOnceSend<T> {
    fn call(self, host: SharedHost, at: SocketAddr) -> impl Future<Output = T> + Send + 'static;
}

impl<T, F, R> AsyncFnOnceSend<T> for F
where
    F: FnOnce(SharedHost, SocketAddr) -> R,
    R: Future<Output = T> + Send + 'static,
{
    fn call(self, host: SharedHost, at: SocketAddr) -> impl Future<Output = T> + Send + 'static {
        self(host, at)
    }
}

pub(crate) fn spawn_value<T: Send + 'static, R: Future<Output = T> + Send + 'static>(
    host: &SharedHost,
    name: &'static str,
    code: impl FnOnce(SharedHost) -> R,
) -> (Task, oneshot::Receiver<T>) {
    let (give, value) = oneshot::channel();
    let code = code(Arc::clone(host));
    let work = async move {
        let _ = give.send(code.await);
    };
    (host.spawn(name, Box::pin(work)), value)
}

pub(crate) async fn echo_server(host: SharedHost, at: SocketAddr) {
    let mut listener = host.listen(at).await.expect("listening");
    let mut connections = Vec::new();
    while let Ok(connection) = listener.accept().await {
        connections.push(host.spawn("connection", Box::pin(echo(connection))));
    }
}

pub(crate) async fn echo(mut connection: Connection) {
    let mut buffer = [0; 1024];
    while let Ok(read @ 1..) = connection.stream.read(&mut buffer).await {
        if connection.stream.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}

pub(crate) async fn ask(connection: &mut Connection, question: &[u8]) -> io::Result<Vec<u8>> {
    connection.stream.write_all(question).await?;
    let mut answer = vec![0; question.len()];
    connection.stream.read_exact(&mut answer).await?;
    Ok(answer)
}

/// Dials until somebody listens, for at most a second.
pub(crate) async fn dial(host: &SharedHost, at: SocketAddr) -> io::Result<Connection> {
    let deadline = Instant::now() + Duration::from_secs(1);
    loop {
        match host.connect(&at.to_string()).await {
            Err(_) if Instant::now() < deadline => sleep(Duration::from_millis(10)).await,
            ended => return ended,
        }
    }
}

/// The simulated engines, where the network can be made to misbehave.
pub(crate) fn on_simulated<T>(main: impl AsyncFn(Lab) -> T) -> Vec<(EngineKind, T)> {
    let mut all = Vec::new();
    for engine in [EngineKind::Event, EngineKind::Turmoil] {
        let report = run_on(engine, async |backend| main(Lab::new(backend)).await);
        assert_eq!(report.end, RunEnd::Finished, "{engine}");
        all.push((engine, report.value.expect("the value of a finished run")));
    }
    all
}

/// A client that dials, asks once, says so, and asks again 10 ms later; how long that took.
pub(crate) async fn ask_twice(
    host: SharedHost,
    at: SocketAddr,
    ready: oneshot::Sender<()>,
) -> u128 {
    let mut connection = dial(&host, at).await.expect("a connection");
    ask(&mut connection, b"one").await.expect("an answer");
    // Not every test waits for it.
    let _ = ready.send(());
    sleep(Duration::from_millis(10)).await;
    let asked = Instant::now();
    ask(&mut connection, b"two").await.expect("an answer");
    asked.elapsed().as_millis()
}
