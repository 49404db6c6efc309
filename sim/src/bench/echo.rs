//! Raw bytes to and fro on the event engine: what remains when codec and producer cost nothing.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use dst_engine::{Engine, EngineHandle, RunEnd};
use rmq_host::{Connection, SharedHost, Task};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{BenchError, Clock, Rate};

const SERVER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2)), 9000);
const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));

/// The size of a small request.
const BYTES: usize = 200;

/// One connection, one request at a time: virtual time jumps between any two steps.
///
/// # Errors
///
/// The run did not come to its end.
pub(crate) fn echo_in_lockstep(clock: Clock, pairs: u64) -> Result<Rate, BenchError> {
    echo(clock, 1, pairs)
}

/// Many connections at once, each with one request at a time.
///
/// # Errors
///
/// The run did not come to its end.
pub(crate) fn echo_on_many(clock: Clock, connections: u64, pairs: u64) -> Result<Rate, BenchError> {
    echo(clock, connections, pairs)
}

fn echo(clock: Clock, connections: u64, pairs: u64) -> Result<Rate, BenchError> {
    let start = clock();
    let report = Engine::new(0).run_with(async |sim| {
        let _server = serve(sim);
        let client = sim.node("client", CLIENT);
        let host = sim.boot(client);
        let clients: Vec<Task> = (0..connections)
            .map(|_| client_task(&host, pairs))
            .collect();
        for client in clients {
            client.await;
        }
    });
    let report = report.map_err(|error| BenchError::new("echo", error))?;
    if report.end != RunEnd::Finished {
        return Err(BenchError::new("echo", report.end));
    }
    let spent = clock() - start;
    let polls = report.stats.polls;
    Ok(Rate {
        count: connections * pairs,
        spent,
        polls,
    })
}

fn serve(sim: EngineHandle) -> Task {
    let node = sim.node("server", SERVER.ip());
    let host = sim.boot(node);
    let own = Arc::clone(&host);
    let accept = async move {
        let Ok(mut listener) = own.listen(SERVER).await else {
            unreachable!("nothing else listens at {SERVER}")
        };
        let mut tasks = Vec::new();
        while let Ok(connection) = listener.accept().await {
            tasks.push(own.spawn("echo", Box::pin(echo_back(connection))));
        }
    };
    host.spawn("accept", Box::pin(accept))
}

async fn echo_back(mut connection: Connection) {
    let mut bytes = [0; 4 * BYTES];
    while let Ok(count @ 1..) = connection.stream.read(&mut bytes).await {
        if connection.stream.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}

fn client_task(host: &SharedHost, pairs: u64) -> Task {
    let own = Arc::clone(host);
    let ask = async move {
        let Ok(mut connection) = own.connect(&SERVER.to_string()).await else {
            unreachable!("a healthy network, and no connection")
        };
        let mut bytes = [7; BYTES];
        for _ in 0..pairs {
            let asked = connection.stream.write_all(&bytes).await;
            let answered = connection.stream.read_exact(&mut bytes).await;
            // Each pair is counted.
            assert!(asked.is_ok() && answered.is_ok(), "a pair fails");
        }
    };
    host.spawn("client", Box::pin(ask))
}
