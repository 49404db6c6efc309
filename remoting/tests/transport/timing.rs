//! What one request and its answer cost in client and server together. Not a benchmark: a figure
//! at hand, printed on demand by
//! `cargo test --release -p rmq-remoting --test transport -- --ignored --nocapture`.

use futures_util::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{ECHO, Memory, ask, name, within};
use rmq_host::Host;

/// Short and many, so that the best of them was not interrupted.
const ROUNDS: u32 = 3_200;
const REPEATS: u32 = 200;

async fn measure(what: &str, rounds: u32, run: impl AsyncFn()) {
    #[expect(clippy::disallowed_methods, reason = "a stopwatch is what this is")]
    let now = std::time::Instant::now;
    let mut best = u128::MAX;
    for _ in 0..REPEATS {
        let start = now();
        run().await;
        best = best.min(start.elapsed().as_nanos() / u128::from(rounds));
    }
    println!("{what}: {best} ns");
}

/// The same bytes to and fro on the pipe alone.
#[tokio::test(start_paused = true)]
#[ignore = "prints figures"]
async fn the_cost_of_the_pipe() {
    measure("bare framed", ROUNDS, async || {
        let (mut here, mut there) = tokio::io::duplex(65_536);
        let mut bytes = [0; 160];
        let host = Memory::new(1, 1);
        let echo = async move {
            let mut bytes = [0; 160];
            while there.read_exact(&mut bytes).await.is_ok() {
                there.write_all(&bytes).await.unwrap();
            }
        };
        let _echo = host.spawn("echo", Box::pin(echo));
        for _ in 0..ROUNDS {
            here.write_all(&bytes).await.unwrap();
            here.read_exact(&mut bytes).await.unwrap();
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
#[ignore = "prints figures"]
async fn the_cost_of_a_call() {
    let memory = Memory::new(1, 65_536);
    let (_server, _) = memory.server(1).await;
    let (client, log) = memory.client(|_| {});
    let (to, request) = (name("127.0.0.1:1"), ask(ECHO, "Hello RocketMQ"));
    client.call(&to, &request, within(3_000)).await.unwrap();
    log.mute();

    measure("one call after another", ROUNDS, async || {
        for _ in 0..ROUNDS {
            client.call(&to, &request, within(3_000)).await.unwrap();
        }
    })
    .await;
    measure("64 calls at a time", ROUNDS, async || {
        for _ in 0..ROUNDS / 64 {
            join_all((0..64).map(|_| client.call(&to, &request, within(3_000)))).await;
        }
    })
    .await;
}
