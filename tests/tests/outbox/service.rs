//! The shop: takes an order over HTTP, keeps it in its repository and publishes it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::put;
// In production: tokio::net, tokio::task.
use dst_engine::{net, task};
use rmq_producer::{Message, Producer};
use tokio::time::sleep;

/// Where the shop keeps its orders. What `commit` has returned for survives whatever happens.
pub(crate) trait Repository: Send + Sync + 'static {
    /// Keeps a value under a key.
    fn put(&self, key: String, value: &'static str);
    /// Forgets a key.
    fn remove(&self, key: &str);
    /// The keys that begin like this.
    fn keys(&self, prefix: &str) -> Vec<String>;
    /// Makes all of it durable.
    fn commit(&self) -> impl Future<Output = ()> + Send;
}

/// How an order that is kept gets published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Publishing {
    /// It is kept in an outbox too, which a task empties: at least once.
    Outbox,
    /// When it is kept, right before the answer: a crash in between loses it.
    AfterCommit,
}

struct Shop<R> {
    repository: R,
    producer: Producer,
    publishing: Publishing,
}

/// Serves until the end of the process.
pub(crate) async fn serve<R: Repository>(
    repository: R,
    producer: Producer,
    publishing: Publishing,
) -> std::io::Result<()> {
    let shop = Arc::new(Shop {
        repository,
        producer,
        publishing,
    });
    task::spawn(empty_outbox(Arc::clone(&shop)));
    let router = Router::new().route("/orders/{id}", put(order::<R>));
    let listener = net::TcpListener::bind("0.0.0.0:8080").await?;
    axum::serve(Port(listener), router.with_state(shop)).await
}

/// Accepts an order. One that is kept already was accepted before, and the client has not heard of it.
async fn order<R: Repository>(
    State(shop): State<Arc<Shop<R>>>,
    Path(id): Path<String>,
) -> StatusCode {
    let order = format!("order/{id}");
    if shop.repository.keys(&order).contains(&order) {
        return StatusCode::OK;
    }
    shop.repository.put(order, "accepted");
    if shop.publishing == Publishing::Outbox {
        shop.repository.put(format!("outbox/{id}"), "");
        shop.repository.commit().await;
        return StatusCode::CREATED;
    }
    shop.repository.commit().await;
    match shop.producer.send(Message::new("orders", id)).await {
        Ok(_) => StatusCode::CREATED,
        Err(_) => StatusCode::BAD_GATEWAY,
    }
}

async fn empty_outbox<R: Repository>(shop: Arc<Shop<R>>) {
    loop {
        for key in shop.repository.keys("outbox/") {
            let id = key.trim_start_matches("outbox/").to_owned();
            if shop.producer.send(Message::new("orders", id)).await.is_ok() {
                shop.repository.remove(&key);
            }
        }
        sleep(Duration::from_millis(100)).await;
    }
}

/// `axum` has a trait for listeners that are not Tokio's.
struct Port(net::TcpListener);

impl axum::serve::Listener for Port {
    type Io = net::TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (net::TcpStream, SocketAddr) {
        loop {
            match self.0.accept().await {
                Ok(accepted) => return accepted,
                Err(_) => sleep(Duration::from_secs(1)).await,
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.0.local_addr()
    }
}
