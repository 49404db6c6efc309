//! What one broker process is started with.

use std::net::SocketAddr;
use std::time::Duration;

use rmq_remoting::command::HeaderForm;
use rmq_remoting::observe::Name;

use rmq_remoting::profile::Profile;

/// The settings of a broker. [`Config::new`] gives a healthy master; change the fields you mean.
#[derive(Debug, Clone)]
pub struct Config {
    /// The broker's name, as routes show it.
    pub name: Name,
    /// The cluster it belongs to.
    pub cluster: Name,
    /// Its id under that name; 0 is the master. A slave accepts no sends and no pulls.
    pub id: i64,
    /// Where it listens; port 0 picks a free port.
    pub listen: SocketAddr,
    /// The address it registers under, when that is not the one it listens at (a proxy in between,
    /// a listener on every interface).
    pub advertise: Option<SocketAddr>,
    /// The host name it registers under instead of an address, without a port: for clients that
    /// resolve it themselves.
    pub advertise_name: Option<Name>,
    /// Its second listener, which real brokers call fast or VIP and have two ports below the first:
    /// everything but pulls is answered there as well. Port 0 picks a free port. Off unless set.
    pub vip: Option<SocketAddr>,
    /// How long a client that has sent a heartbeat may go without the next: then its connection is
    /// closed, whatever else is said on it. RocketMQ: 120 s, looked at every 10 s.
    pub client_expiry: Duration,
    /// The name servers, each as `host:port`.
    pub name_servers: Vec<Name>,
    /// The release that it imitates.
    pub profile: Profile,
    /// The form of the headers it writes. It reads both.
    pub form: HeaderForm,
    /// Topics that exist from the start, each with its number of queues (read = write).
    pub topics: Vec<(Name, i32)>,
    /// Whether a send may create its topic from the template `TBW102`.
    pub auto_create: bool,
    /// How long after the first registration the first repeat comes.
    pub first_repeat_after: Duration,
    /// How often it registers from then on.
    pub register_every: Duration,
    /// How long one registration may take.
    pub register_timeout: Duration,
    /// A connection on which nothing is read or written for so long is closed.
    pub idle: Duration,
}

impl Config {
    /// A master with the defaults of a real broker: cluster `DefaultCluster`, auto-create on, a
    /// registration every 30 s (the first repeat after 10 s), each within 24 s.
    pub fn new(name: impl Into<Name>, listen: SocketAddr) -> Self {
        Self {
            name: name.into(),
            cluster: "DefaultCluster".into(),
            id: 0,
            listen,
            advertise: None,
            advertise_name: None,
            vip: None,
            client_expiry: Duration::from_secs(120),
            name_servers: Vec::new(),
            profile: Profile::default(),
            form: HeaderForm::Json,
            topics: Vec::new(),
            auto_create: true,
            first_repeat_after: Duration::from_secs(10),
            register_every: Duration::from_secs(30),
            register_timeout: Duration::from_secs(24),
            idle: Duration::from_secs(120),
        }
    }
}
