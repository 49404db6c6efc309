//! A client of the shop, which sends each order until it is accepted.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use dst_engine::{net, task};
use http_body_util::Empty;
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::time::{sleep, timeout};

type HttpError = Box<dyn Error + Send + Sync>;

/// The orders that were accepted.
pub(crate) type Accepted = Arc<Mutex<Vec<String>>>;

/// Orders so many times, one after the other, and notes each that was accepted.
pub(crate) async fn order(count: u32, accepted: Accepted) -> Result<(), HttpError> {
    for number in 0..count {
        let id = format!("order-{number}");
        loop {
            // An answer that does not come is no answer.
            let sent = timeout(Duration::from_secs(2), put(&id)).await;
            if matches!(sent, Ok(Ok(true))) {
                break;
            }
            sleep(Duration::from_millis(500)).await;
        }
        accepted.lock().push(id);
        sleep(Duration::from_millis(300)).await;
    }
    Ok(())
}

/// Whether the shop accepts an order, on a connection of its own.
async fn put(id: &str) -> Result<bool, HttpError> {
    let stream = net::TcpStream::connect("shop:8080").await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let driven = task::spawn(connection);
    let request = Request::put(format!("/orders/{id}"))
        .header("host", "shop")
        .body(Empty::<Bytes>::new())?;
    let response = sender.send_request(request).await?;
    driven.abort();
    Ok(response.status().is_success())
}
