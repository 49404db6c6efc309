//! A server that speaks as much of Redis' protocol (RESP 2) as the shop needs, and keeps it on a disk.

use std::io;
use std::sync::Arc;

use dst_engine::net::{TcpListener, TcpStream};
use dst_engine::task;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};

/// What the server keeps, on whatever it runs.
pub(crate) trait Store: Send + Sync + 'static {
    fn get(&self, key: &str) -> Option<Vec<u8>>;
    fn put(&self, key: String, value: Vec<u8>);
    /// How many keys begin so.
    fn count(&self, prefix: &str) -> usize;
    fn sync(&self) -> impl Future<Output = ()> + Send;
}

/// Serves whoever connects.
pub(crate) async fn serve(store: impl Store) -> io::Result<()> {
    let store = Arc::new(store);
    let listener = TcpListener::bind("0.0.0.0:6379").await?;
    loop {
        let (stream, _) = listener.accept().await?;
        let store = Arc::clone(&store);
        // A connection that breaks is its client's affair.
        task::spawn(async move { connection(stream, &*store).await });
    }
}

async fn connection(stream: TcpStream, store: &impl Store) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    while let Some(command) = read(&mut stream).await? {
        let reply = answer(&command, store).await;
        stream.get_mut().write_all(reply.as_bytes()).await?;
    }
    Ok(())
}

/// The words of the next command; none at the end of the connection.
async fn read(stream: &mut BufReader<TcpStream>) -> io::Result<Option<Vec<String>>> {
    let Some(count) = length(stream, '*').await? else {
        return Ok(None);
    };
    let mut words = Vec::new();
    for _ in 0..count {
        let length = length(stream, '$').await?;
        let mut word = vec![0; length.ok_or(io::ErrorKind::UnexpectedEof)? + 2];
        stream.read_exact(&mut word).await?;
        word.truncate(word.len() - 2);
        words.push(String::from_utf8_lossy(&word).into_owned());
    }
    Ok(Some(words))
}

/// A line that says how long something is; none at the end of the connection.
async fn length(stream: &mut BufReader<TcpStream>, kind: char) -> io::Result<Option<usize>> {
    let mut line = String::new();
    if stream.read_line(&mut line).await? == 0 {
        return Ok(None);
    }
    let number = line.trim_end().strip_prefix(kind);
    let number = number.and_then(|number| number.parse().ok());
    number
        .map(Some)
        .ok_or_else(|| io::ErrorKind::InvalidData.into())
}

async fn answer(command: &[String], store: &impl Store) -> String {
    let words: Vec<&str> = command.iter().map(String::as_str).collect();
    match words[..] {
        ["CLIENT", ..] => "+OK\r\n".to_owned(),
        ["INCR", key] => {
            let before = store
                .get(key)
                .and_then(|value| String::from_utf8(value).ok());
            let before: u64 = before.and_then(|value| value.parse().ok()).unwrap_or(0);
            store.put(key.to_owned(), (before + 1).to_string().into_bytes());
            store.sync().await;
            format!(":{}\r\n", before + 1)
        }
        ["GET", key] => match store.get(key) {
            Some(value) => {
                let value = String::from_utf8_lossy(&value);
                format!("${}\r\n{value}\r\n", value.len())
            }
            None => "$-1\r\n".to_owned(),
        },
        ["SADD", set, member] => {
            let key = format!("{set}/{member}");
            let is_new = store.get(&key).is_none();
            store.put(key, Vec::new());
            store.sync().await;
            format!(":{}\r\n", u8::from(is_new))
        }
        ["SCARD", set] => format!(":{}\r\n", store.count(&format!("{set}/"))),
        _ => format!("-ERR unknown command {command:?}\r\n"),
    }
}
