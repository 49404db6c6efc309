//! A shop that counts the tickets it sells in Redis, with the published client of that name.

use std::time::Duration;

use dst_engine::{net, task};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, FromRedisValue, RedisConnectionInfo, RedisResult, cmd};
use tokio::time::{sleep, timeout};

/// How the shop counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Counting {
    /// Each ticket is a member of a set: whoever adds it again adds nothing.
    Members,
    /// Each ticket adds one to a number, once more with each repetition.
    Number,
}

/// Sells so many tickets, one after the other, each until Redis has counted it. How many Redis has counted then.
pub(crate) async fn sell(tickets: u64, counting: Counting) -> u64 {
    let mut redis = Redis { open: None };
    for number in 0..tickets {
        let sold = match counting {
            Counting::Members => cmd("SADD")
                .arg("sold")
                .arg(format!("ticket-{number}"))
                .take(),
            Counting::Number => cmd("INCR").arg("sold").take(),
        };
        let _: u64 = redis.until_answered(&sold).await;
        sleep(Duration::from_millis(300)).await;
    }
    let count = match counting {
        Counting::Members => cmd("SCARD").arg("sold").take(),
        Counting::Number => cmd("GET").arg("sold").take(),
    };
    redis.until_answered(&count).await
}

/// Redis, and the connection to it that works.
struct Redis {
    open: Option<MultiplexedConnection>,
}

impl Redis {
    /// Repeats a command until it is answered.
    async fn until_answered<T: FromRedisValue>(&mut self, command: &Cmd) -> T {
        loop {
            if let Ok(answer) = self.once(command).await {
                return answer;
            }
            self.open = None;
            sleep(Duration::from_millis(500)).await;
        }
    }

    async fn once<T: FromRedisValue>(&mut self, command: &Cmd) -> RedisResult<T> {
        let mut connection = match self.open.take() {
            Some(connection) => connection,
            None => connect().await?,
        };
        let answer = command.query_async(&mut connection).await?;
        self.open = Some(connection);
        Ok(answer)
    }
}

async fn connect() -> RedisResult<MultiplexedConnection> {
    const PATIENCE: Duration = Duration::from_secs(2);
    let dial = timeout(PATIENCE, net::TcpStream::connect("redis:6379"));
    let stream = dial.await.map_err(std::io::Error::from)??;
    let config = AsyncConnectionConfig::new().set_response_timeout(Some(PATIENCE));
    let info = RedisConnectionInfo::default();
    let opened = MultiplexedConnection::new_with_config(&info, stream, config);
    let (connection, driver) = timeout(PATIENCE, opened)
        .await
        .map_err(std::io::Error::from)??;
    task::spawn(driver);
    Ok(connection)
}
