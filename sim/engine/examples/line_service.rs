//! A key-value service with a protocol of lines, and a client that loses its connection in the middle
//! of its work: what a program needs to run in the simulation, and what it sees there.
//!
//! Client and server know nothing of the simulation: they are written for any `AsyncRead +
//! AsyncWrite`, as if for `TcpStream`. The glue is [`simulate`].

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use dst_engine::{Change, Direction, Engine};
use parking_lot::Mutex;
use rmq_host::{Host, SharedHost};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::time::{Instant, timeout};

type Shared<T> = Arc<Mutex<T>>;

/// Answers `set KEY VALUE` with `ok` and `get KEY` with the value, until the peer is gone.
async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    store: &Shared<BTreeMap<String, String>>,
) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    while stream.read_line(&mut line).await? > 0 {
        let answer = answer(line.trim_end(), store);
        stream.write_all(format!("{answer}\n").as_bytes()).await?;
        line.clear();
    }
    Ok(())
}

fn answer(request: &str, store: &Shared<BTreeMap<String, String>>) -> String {
    let mut store = store.lock();
    let words: Vec<&str> = request.split(' ').collect();
    match words.as_slice() {
        ["set", key, value] => {
            store.insert((*key).to_owned(), (*value).to_owned());
            "ok".to_owned()
        }
        ["get", key] => store
            .get(*key)
            .cloned()
            .unwrap_or_else(|| "none".to_owned()),
        _ => "what?".to_owned(),
    }
}

/// One request and its answer.
async fn ask(
    stream: &mut (impl AsyncBufRead + AsyncWrite + Unpin),
    request: &str,
) -> io::Result<String> {
    stream.write_all(format!("{request}\n").as_bytes()).await?;
    let mut line = String::new();
    match stream.read_line(&mut line).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(line.trim_end().to_owned()),
    }
}

/// Sets three keys, one each second, and dials again after each failure.
async fn work(host: &dyn Host, report: impl Fn(String) + Send) {
    let start = Instant::now();
    for n in 1..=3 {
        let request = format!("set key-{n} {}", n * n);
        let attempt = async {
            let mut stream = BufReader::new(host.connect("10.0.0.1:7000").await?.stream);
            ask(&mut stream, &request).await
        };
        let outcome = match timeout(Duration::from_secs(5), attempt).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no answer".to_owned(),
        };
        report(format!(
            "{:>5} ms  {request}: {outcome}",
            start.elapsed().as_millis()
        ));
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Puts both on machines of their own, and parts them from 900 ms to 1500 ms. What the client reports.
pub(crate) fn simulate(seed: u64) -> io::Result<Vec<String>> {
    let lines = Shared::<Vec<String>>::default();
    let mut engine = Engine::new(seed);
    let server = engine.process("server", [10, 0, 0, 1], |host: SharedHost| async move {
        let store = Shared::default();
        let Ok(mut listener) = host.listen(([0, 0, 0, 0], 7000).into()).await else {
            return;
        };
        let mut tasks = Vec::new();
        while let Ok(connection) = listener.accept().await {
            let store = Arc::clone(&store);
            let serving = async move { drop(serve(connection.stream, &store).await) };
            tasks.push(host.spawn("connection", Box::pin(serving)));
        }
    });
    let log = Arc::clone(&lines);
    let client = engine.client("client", [10, 0, 0, 2], move |host| {
        let log = Arc::clone(&log);
        let report = move |line| log.lock().push(line);
        async move { work(&*host, report).await }
    });
    let link = Direction::Both(client, server);
    engine.at(900, move |sim| sim.apply(Change::Cut(link)));
    engine.at(1_500, move |sim| sim.apply(Change::Heal(link)));
    engine.run()?;
    Ok(std::mem::take(&mut *lines.lock()))
}

fn main() -> io::Result<()> {
    for line in simulate(7)? {
        println!("{line}");
    }
    Ok(())
}
