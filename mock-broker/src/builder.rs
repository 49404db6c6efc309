//! A broker in one line: what [`Broker::start`] asks for, with a default for each part.

use std::fmt;
use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;

use rmq_host::{SharedHost, TokioHost};
use rmq_remoting::observe::{Name, Observer, Silent};

use crate::broker::Broker;
use crate::config::Config;
use crate::control::{Control, NoControl, RuleBook};
use crate::disk::Disk;
use crate::event::Event;

/// Describes a broker before it starts. Unless something else is said it listens at a free port of
/// 127.0.0.1, on real TCP, with a new disk, obeys no rules, and tells nobody what it sees.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// use std::time::Duration;
/// use rmq_mock_broker::Broker;
/// use rmq_mock_broker::control::{Action, Match, Rule, RuleBook};
///
/// let slow = Rule::new("slow", Match::default(), Action::DelayReply { ms: 500 });
/// let broker = Broker::builder("broker-a")
///     .topic("orders", 4)
///     .rules(RuleBook::with([slow.times(10)]))
///     .configure(|config| config.auto_create = false)
///     .start()
///     .await?;
/// assert!(broker.disk().with_topics(|topics| topics.get("TBW102").is_none()));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use]
pub struct BrokerBuilder {
    host: Option<SharedHost>,
    config: Config,
    disk: Arc<Disk>,
    control: Arc<dyn Control>,
    observer: Arc<dyn Observer<Event>>,
}

impl Broker {
    /// Starts a broker at a free port of 127.0.0.1 and registers it with this name server. It is short
    /// for `Broker::builder(name).name_server(name_server).start()`.
    ///
    /// # Errors
    ///
    /// The machine gives no port.
    pub async fn on_loopback(
        name: impl Into<Name>,
        name_server: impl fmt::Display,
    ) -> io::Result<Self> {
        Self::builder(name).name_server(name_server).start().await
    }

    /// Describes a broker part by part.
    pub fn builder(name: impl Into<Name>) -> BrokerBuilder {
        BrokerBuilder {
            host: None,
            config: Config::new(name, (Ipv4Addr::LOCALHOST, 0).into()),
            disk: Arc::new(Disk::new()),
            control: Arc::new(NoControl),
            observer: Arc::new(Silent),
        }
    }
}

impl BrokerBuilder {
    /// One more name server that it registers with: `host:port`, as text or as a socket address.
    pub fn name_server(mut self, address: impl fmt::Display) -> Self {
        self.config.name_servers.push(address.to_string().into());
        self
    }

    /// One more topic that exists from the start, with so many queues. Other topics are created by
    /// the first send to them.
    pub fn topic(mut self, name: impl Into<Name>, queues: i32) -> Self {
        self.config.topics.push((name.into(), queues));
        self
    }

    /// The rules that it misbehaves by. Whoever keeps the book can add and remove rules while the
    /// broker runs.
    pub fn rules(self, rules: impl Into<Arc<RuleBook>>) -> Self {
        let control = rules.into();
        self.control(control)
    }

    /// What decides about each request instead of a book of rules.
    pub fn control(mut self, control: Arc<dyn Control>) -> Self {
        self.control = control;
        self
    }

    /// The disk of a broker that ran before: the new one begins with its topics and messages.
    pub fn disk(mut self, disk: Arc<Disk>) -> Self {
        self.disk = disk;
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

    /// Changes any other setting: `configure(|config| config.auto_create = false)`.
    pub fn configure(mut self, change: impl FnOnce(&mut Config)) -> Self {
        change(&mut self.config);
        self
    }

    /// Starts it. When this returns, it listens, and each of its name servers has answered its
    /// registration or cannot be reached: a client can send to it at once.
    ///
    /// # Errors
    ///
    /// The address is in use or cannot be listened at. A name server that cannot be reached is no
    /// error; the broker keeps trying.
    pub async fn start(self) -> io::Result<Broker> {
        let host = self.host.unwrap_or_else(|| Arc::new(TokioHost::new()));
        let started = Broker::start(host, self.config, self.disk, self.control, self.observer);
        let broker = started.await?;
        broker.registered().await;
        Ok(broker)
    }
}
