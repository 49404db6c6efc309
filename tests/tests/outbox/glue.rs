//! All that takes shop and client into the simulation.

use std::sync::Arc;

use rmq_sim::simulation::{Disk, Sim};

use crate::{client, service};

impl service::Repository for Disk {
    fn put(&self, key: String, value: &'static str) {
        Disk::put(self, key, value);
    }
    fn remove(&self, key: &str) {
        Disk::remove(self, key);
    }
    fn keys(&self, prefix: &str) -> Vec<String> {
        let text = |key: &[u8]| String::from_utf8_lossy(key).into();
        let found = self.scan(prefix).into_iter();
        found.map(|(key, _)| text(&key)).collect()
    }
    async fn commit(&self) {
        self.sync().await;
    }
}

/// Starts the shop and its client.
pub(crate) fn start(sim: &Sim, how: service::Publishing, accepted: &client::Accepted) {
    sim.node("shop", move |node| async move {
        let producer = node.producer("shop").start().await?;
        Ok(service::serve(node.disk().clone(), producer, how).await?)
    });
    let accepted = Arc::clone(accepted);
    sim.node("client", move |_node| {
        client::order(30, Arc::clone(&accepted))
    });
}
