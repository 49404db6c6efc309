//! An HTTP service whose process is crashed and restarted in the middle of requests.
//!
//! Service and client are plain `hyper`: they would run the same on `TcpStream`s. The client retries
//! until each order is confirmed. Because a crash may come between an order's being stored and the
//! answer, some orders are sent twice: the service's orders on disk (they survive the crash) and
//! their ids make that visible. The same seed prints the same lines, always.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dst_engine::{Change, Engine};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use rmq_host::SharedHost;
use tokio::time::{Instant, sleep, timeout};

/// The orders that were stored, each with how often: what is on the service's disk.
type Disk = Arc<Mutex<BTreeMap<String, u32>>>;

type Log = Arc<Mutex<Vec<String>>>;

/// Stores an order, which takes 20 ms, and answers after another 20 ms.
async fn order(
    request: Request<Incoming>,
    disk: Disk,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let id = request.uri().path().trim_start_matches('/').to_owned();
    sleep(Duration::from_millis(20)).await;
    *disk.lock().entry(id).or_default() += 1;
    sleep(Duration::from_millis(20)).await;
    Ok(Response::new(Full::new(Bytes::from_static(b"stored"))))
}

/// Sends one request on a connection of its own.
async fn post(host: &SharedHost, id: &str) -> Result<StatusCode, String> {
    let dialled = host.connect("10.0.0.1:80").await;
    let stream = TokioIo::new(dialled.map_err(|error| error.kind().to_string())?.stream);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(stream)
        .await
        .map_err(|error| error.to_string())?;
    let _driven = host.spawn("http", Box::pin(async { drop(connection.await) }));
    let request = Request::post(format!("/{id}"))
        .header("host", "orders")
        .body(Full::new(Bytes::new()))
        .map_err(|error| error.to_string())?;
    let response = sender
        .send_request(request)
        .await
        .map_err(|error| error.to_string())?;
    let status = response.status();
    response
        .into_body()
        .collect()
        .await
        .map_err(|error| error.to_string())?;
    Ok(status)
}

/// Orders six times, and retries each until it is confirmed.
async fn orders(host: SharedHost, log: Log) {
    let start = Instant::now();
    for n in 1..=6 {
        let id = format!("order-{n}");
        for attempt in 1.. {
            let outcome = timeout(Duration::from_secs(2), post(&host, &id)).await;
            let text = match &outcome {
                Ok(Ok(status)) => status.to_string(),
                Ok(Err(error)) => error.clone(),
                Err(_) => "no answer".to_owned(),
            };
            let ms = start.elapsed().as_millis();
            log.lock()
                .push(format!("{ms:>5} ms  {id} attempt {attempt}: {text}"));
            if matches!(outcome, Ok(Ok(StatusCode::OK))) {
                break;
            }
            sleep(Duration::from_millis(500)).await;
        }
    }
}

/// The glue: accepts simulated connections for `hyper`.
async fn service(host: SharedHost, disk: Disk) {
    let Ok(mut listener) = host.listen(([0, 0, 0, 0], 80).into()).await else {
        return;
    };
    let mut tasks = Vec::new();
    while let Ok(connection) = listener.accept().await {
        let disk = Arc::clone(&disk);
        let service = service_fn(move |request| order(request, Arc::clone(&disk)));
        let http = hyper::server::conn::http1::Builder::new();
        let serving = http.serve_connection(TokioIo::new(connection.stream), service);
        tasks.push(host.spawn("connection", Box::pin(async { drop(serving.await) })));
    }
}

/// Crashes the service 75 ms into the run and starts it again a second later. What happened.
pub(crate) fn simulate(seed: u64) -> io::Result<Vec<String>> {
    let (disk, log) = (Disk::default(), Log::default());
    let mut engine = Engine::new(seed);
    let server = engine.process("orders", [10, 0, 0, 1], {
        let disk = Arc::clone(&disk);
        move |host| service(host, Arc::clone(&disk))
    });
    engine.client("client", [10, 0, 0, 2], {
        let log = Arc::clone(&log);
        move |host| orders(host, Arc::clone(&log))
    });
    engine.at(75, move |sim| sim.apply(Change::Crash(server)));
    engine.at(1_075, move |sim| sim.restart(server));
    let report = engine.run()?;
    let mut lines = std::mem::take(&mut *log.lock());
    let twice = disk.lock().iter().filter(|(_, times)| **times > 1).count();
    let stored = disk.lock().len();
    lines.push(format!(
        "{stored} orders stored, {twice} of them twice; {:?}",
        report.end
    ));
    Ok(lines)
}

fn main() -> io::Result<()> {
    for line in simulate(7)? {
        println!("{line}");
    }
    Ok(())
}
