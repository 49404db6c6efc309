//! What a process at the far end does.

use std::sync::Arc;

use rmq_host::TokioHost;
use rmq_host::{Connection, Listener, SharedHost, Task};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Accepts for ever and treats each connection as the script's name says.
///
/// * `echo`: sends back what it gets
/// * `silent`: holds it and never reads
/// * `speaks`: writes ten bytes and holds it
/// * `counts`: reads to the end, then writes how many bytes there were
/// * `idle`: does not even accept
pub(crate) async fn play(host: SharedHost, mut listener: Box<dyn Listener>, script: String) {
    if script == "idle" {
        std::future::pending::<()>().await;
    }
    let mut tasks: Vec<Task> = Vec::new();
    while let Ok(connection) = listener.accept().await {
        let script = script.clone();
        tasks.push(host.spawn("script", Box::pin(treat(connection, script))));
    }
}

async fn treat(mut connection: Connection, script: String) {
    let mut bytes = vec![0; 64 * 1024];
    let mut total = 0_u64;
    if script == "speaks" {
        let _ = connection.stream.write_all(b"last words").await;
    }
    if script == "speaks" || script == "silent" {
        std::future::pending::<()>().await;
    }
    while let Ok(count @ 1..) = connection.stream.read(&mut bytes).await {
        total += count as u64;
        if script == "echo" && connection.stream.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
    if script == "counts" {
        let _ = connection
            .stream
            .write_all(total.to_string().as_bytes())
            .await;
    }
}

/// The process: says where it listens and plays.
pub(crate) fn run(script: &str, at: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let host: SharedHost = Arc::new(TokioHost::new());
        let listener = host.listen(at.parse().unwrap()).await.unwrap();
        println!("{}", listener.local_addr());
        play(host, listener, script.to_owned()).await;
    });
}
