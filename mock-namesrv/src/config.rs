//! What one name-server process is started with.

use std::net::SocketAddr;
use std::time::Duration;

use rmq_remoting::command::HeaderForm;

use rmq_remoting::profile::Profile;

/// The settings of a name server. [`Config::new`] gives those of a real one; change the fields you
/// mean.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where it listens; port 0 picks a free port.
    pub listen: SocketAddr,
    /// The release that it imitates.
    pub profile: Profile,
    /// The form of the headers it writes. It reads both.
    pub form: HeaderForm,
    /// How often the tables are searched for brokers that went silent.
    pub scan_every: Duration,
    /// How long a broker may be silent that states no limit of its own.
    pub broker_timeout: Duration,
    /// A connection on which nothing is read or written for so long is closed.
    pub idle: Duration,
}

impl Config {
    /// The defaults of a real name server: brokers may be silent for 120 s, searched every 5 s.
    pub fn new(listen: SocketAddr) -> Self {
        let profile = Profile::default();
        Self {
            listen,
            profile,
            scan_every: profile.scan_every(),
            form: HeaderForm::Json,
            broker_timeout: Duration::from_secs(120),
            idle: Duration::from_secs(120),
        }
    }

    /// Imitates the servers of another release.
    pub fn profile(mut self, profile: Profile) -> Self {
        self.profile = profile;
        self.scan_every = profile.scan_every();
        self
    }
}
