//! A name server in one line: what [`NameServer::start`] asks for, with a default for each part.

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;

use rmq_host::{SharedHost, TokioHost};
use rmq_remoting::observe::{Observer, Silent};

use crate::config::Config;
use crate::control::{Control, NoControl, RouteAlteration, RuleBook};
use crate::event::Event;
use crate::server::NameServer;

/// Describes a name server before it starts. Unless something else is said it listens at a free port of
/// 127.0.0.1, on real TCP, obeys no rules, and tells nobody what it sees.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// use rmq_mock_namesrv::{NameServer, Profile};
///
/// let name_server = NameServer::builder()
///     .configure(|config| *config = config.clone().profile(Profile::V4_9_7))
///     .start()
///     .await?;
/// assert!(name_server.local_addr().ip().is_loopback());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use]
pub struct NameServerBuilder {
    host: Option<SharedHost>,
    config: Config,
    control: Arc<dyn Control<RouteAlteration>>,
    observer: Arc<dyn Observer<Event>>,
}

impl NameServer {
    /// Starts a name server at a free port of 127.0.0.1. It is short for
    /// `NameServer::builder().start()`.
    ///
    /// # Errors
    ///
    /// The machine gives no port.
    pub async fn on_loopback() -> io::Result<Self> {
        Self::builder().start().await
    }

    /// Describes a name server part by part.
    pub fn builder() -> NameServerBuilder {
        NameServerBuilder {
            host: None,
            config: Config::new((Ipv4Addr::LOCALHOST, 0).into()),
            control: Arc::new(NoControl),
            observer: Arc::new(Silent),
        }
    }
}

impl NameServerBuilder {
    /// The rules that it misbehaves by. Whoever keeps the book can add and remove rules while the
    /// server runs.
    pub fn rules(self, rules: impl Into<Arc<RuleBook>>) -> Self {
        let control = rules.into();
        self.control(control)
    }

    /// What decides about each request instead of a book of rules.
    pub fn control(mut self, control: Arc<dyn Control<RouteAlteration>>) -> Self {
        self.control = control;
        self
    }

    /// Who is told of its events.
    pub fn observer(mut self, observer: Arc<dyn Observer<Event>>) -> Self {
        self.observer = observer;
        self
    }

    /// The machine that it runs on, instead of the real one.
    pub fn host(mut self, host: SharedHost) -> Self {
        self.host = Some(host);
        self
    }

    /// Changes any other setting: `configure(|config| config.listen = address)`.
    pub fn configure(mut self, change: impl FnOnce(&mut Config)) -> Self {
        change(&mut self.config);
        self
    }

    /// Starts it. When this returns, it listens.
    ///
    /// # Errors
    ///
    /// The address is in use or cannot be listened at.
    pub async fn start(self) -> io::Result<NameServer> {
        let host = self.host.unwrap_or_else(|| Arc::new(TokioHost::new()));
        NameServer::start(host, self.config, self.control, self.observer).await
    }
}
