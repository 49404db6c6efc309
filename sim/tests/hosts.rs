//! One echo service and its client, written once against `Host`, on every engine.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rmq_remoting::host::{Connection, Host, SharedHost, Task, TaskEnd};
use rmq_remoting::observe::Silent;
use rmq_sim::engine::{EngineConfig, Limits, NodeGauges, RunEnd, RunReport};
use rmq_sim::fault::Engine;
use rmq_sim::host::{SharedFabric, Way, run};
use rmq_sim::trace::record::NodeId;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

const ENGINES: [Engine; 3] = [Engine::Event, Engine::Turmoil, Engine::Tcp];
const PORT: u16 = 9876;

/// A run on one engine that must not last longer than 20 s of its own time.
fn run_on<T>(engine: Engine, main: impl AsyncFnOnce(SharedFabric) -> T) -> RunReport<T> {
    let config = EngineConfig {
        seed: 7,
        limits: Limits {
            horizon_ms: 20_000,
            ..Limits::default()
        },
        ..EngineConfig::default()
    };
    run(engine, &config, Arc::new(Silent), main).expect("a runtime")
}

/// A run that completes on each engine.
fn on_each<T>(main: impl AsyncFn(Lab) -> T) -> Vec<(Engine, T)> {
    let run_one = |engine| {
        let report = run_on(engine, async |fabric| main(Lab::new(fabric)).await);
        assert_eq!(report.end, RunEnd::Finished, "{engine}");
        (engine, report.value.expect("the value of a finished run"))
    };
    ENGINES.into_iter().map(run_one).collect()
}

/// A server node and a client node.
struct Lab {
    fabric: SharedFabric,
    server: NodeId,
    client: NodeId,
    at: SocketAddr,
}

impl Lab {
    fn new(fabric: SharedFabric) -> Self {
        let ip = fabric.address_for(0);
        let server = fabric.node("server", ip);
        let client = fabric.node("client", fabric.address_for(1));
        let at = SocketAddr::new(ip, PORT);
        Self {
            fabric,
            server,
            client,
            at,
        }
    }

    fn serve(&self) -> Task {
        let host = self.fabric.boot(self.server);
        let at = self.at;
        spawn_value(&host.clone(), "server", echo_server(host, at)).0
    }

    /// Runs a client's code on the client's node.
    async fn client<T: Send + 'static>(&self, code: impl AsyncFnOnceSend<T>) -> T {
        let host = self.fabric.boot(self.client);
        let (task, value) = spawn_value(&host.clone(), "client", code.call(host, self.at));
        let value = value.await;
        drop(task);
        value.expect("the client's value")
    }
}

/// `async fn(SharedHost, SocketAddr) -> T` whose future is `Send`.
trait AsyncFnOnceSend<T> {
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

fn spawn_value<T: Send + 'static>(
    host: &SharedHost,
    name: &'static str,
    code: impl Future<Output = T> + Send + 'static,
) -> (Task, oneshot::Receiver<T>) {
    let (give, value) = oneshot::channel();
    let task = host.spawn(
        name,
        Box::pin(async move {
            let _ = give.send(code.await);
        }),
    );
    (task, value)
}

async fn echo_server(host: SharedHost, at: SocketAddr) {
    let mut listener = host.listen(at).await.expect("listening");
    let mut connections = Vec::new();
    while let Ok(connection) = listener.accept().await {
        connections.push(host.spawn("connection", Box::pin(echo(connection))));
    }
}

async fn echo(mut connection: Connection) {
    let mut buffer = [0; 1024];
    while let Ok(read @ 1..) = connection.stream.read(&mut buffer).await {
        if connection.stream.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}

async fn ask(connection: &mut Connection, question: &[u8]) -> io::Result<Vec<u8>> {
    connection.stream.write_all(question).await?;
    let mut answer = vec![0; question.len()];
    connection.stream.read_exact(&mut answer).await?;
    Ok(answer)
}

/// Dials until somebody listens, for at most a second.
async fn dial(host: &SharedHost, at: SocketAddr) -> io::Result<Connection> {
    let deadline = Instant::now() + Duration::from_secs(1);
    loop {
        match host.connect(&at.to_string()).await {
            Err(_) if Instant::now() < deadline => sleep(Duration::from_millis(10)).await,
            ended => return ended,
        }
    }
}

#[test]
fn an_echo_comes_back_between_the_addresses_of_both_nodes() {
    let all = on_each(async |lab| {
        let server = lab.serve();
        let ends = lab
            .client(async |host: SharedHost, at| {
                let mut connection = dial(&host, at).await.expect("a connection");
                let answer = ask(&mut connection, b"hello").await.expect("an answer");
                assert_eq!(answer, b"hello");
                (connection.local, connection.peer, host.identity().address)
            })
            .await;
        drop(server);
        (ends, lab.at, lab.fabric.link_bytes())
    });
    for (engine, ((local, peer, own), at, bytes)) in all {
        assert_eq!(peer, at, "{engine}");
        assert_eq!(local.ip(), own, "{engine}");
        let bytes: Vec<_> = bytes
            .iter()
            .map(|link| (link.from.0, link.to.0, link.bytes))
            .collect();
        assert_eq!(bytes, [(0, 1, 5), (1, 0, 5)], "{engine}");
    }
}
