//! A producer described in a file.
//!
//! Operators change addresses, timeouts and limits without a new build. The file says what the
//! [builder](crate::ProducerBuilder) says, under the same names:
//!
//! ```
//! use rmq_producer::Config;
//!
//! let config = Config::from_toml(
//!     r#"
//!     group         = "order-service"
//!     name-servers  = "10.0.0.1:9876;10.0.0.2:9876"  # else the variable NAMESRV_ADDR
//!     send-timeout  = 2000                            # milliseconds
//!     retries       = 2
//!     namespace     = "tenant-1"                      # brokers know its topics as tenant-1%topic
//!
//!     [limits]                                        # of async sends
//!     open-sends    = 10000
//!     open-bytes    = 104857600
//!     when-full     = "wait"
//!
//!     [policy]
//!     preset        = "strict"                        # and what differs from it
//!     compress-over = 16384
//!     [policy.periods]
//!     poll          = 10000
//!     "#,
//! )?;
//! assert_eq!(config.policy.periods.poll, 10_000);
//! assert_eq!(config.namespace.as_deref(), Some("tenant-1"));
//! let builder = config.into_builder();
//! # Ok::<(), rmq_producer::ConfigError>(())
//! ```

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use toml::{Table, Value};

use crate::policy::{Policy, PolicyError};
use crate::producer::{Producer, ProducerBuilder};
use crate::send::permits::WhenFull;

/// A producer's settings. Its policy is complete: preset and differences are one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The producer group, by which brokers know the program.
    pub group: String,
    /// The name servers, `host:port` separated by `;`. Without them the environment variable
    /// `NAMESRV_ADDR` is asked at the start.
    pub name_servers: Option<String>,
    /// The whole time of a send, instead of the policy's.
    pub send_timeout: Option<Duration>,
    /// How often a failed attempt is repeated, instead of the policy's: see
    /// [`Policy::with_retries`].
    pub retries: Option<u32>,
    /// The namespace of group and topics.
    pub namespace: Option<String>,
    /// The namespace of the second kind.
    pub namespace_v2: Option<String>,
    /// The limits of async sends.
    pub limits: ConfigLimits,
    /// The policy: everything that the producer decides by itself.
    pub policy: Policy,
}

/// The limits of async sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct ConfigLimits {
    /// Open sends. No limit unless set.
    pub open_sends: Option<u32>,
    /// Bytes of their bodies. 256 MiB unless set.
    pub open_bytes: Option<u32>,
    /// What becomes of a send beyond them.
    pub when_full: WhenFull,
}

/// Settings that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{}: {source}", .path.display())]
    Read {
        /// The file that was read.
        path: PathBuf,
        /// Why it cannot be read.
        source: std::io::Error,
    },
    /// The file's text is not acceptable.
    #[error("{}: {source}", .path.display())]
    File {
        /// The file that was read.
        path: PathBuf,
        /// Where in the file, and why.
        source: Box<ConfigError>,
    },
    /// The text is no description of a producer; the cause says where.
    #[error("not the settings of a producer: {0}")]
    Toml(#[from] toml::de::Error),
    /// The policy is not acceptable.
    #[error("in [policy]: {0}")]
    Policy(#[from] PolicyError),
    /// The preset is not a name.
    #[error("in [policy]: preset is {0}; write the name of one, as preset = \"strict\"")]
    Preset(String),
}

/// The file as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    group: String,
    name_servers: Option<String>,
    send_timeout: Option<u64>,
    retries: Option<u32>,
    namespace: Option<String>,
    namespace_v2: Option<String>,
    #[serde(default)]
    limits: ConfigLimits,
    #[serde(default)]
    policy: Table,
}

impl Config {
    /// Reads settings from a text.
    ///
    /// # Errors
    /// A key is unknown, has a wrong type or is missing, or the policy makes no sense.
    pub fn from_toml(text: &str) -> Result<Self, ConfigError> {
        let file: File = toml::from_str(text)?;
        Ok(Self {
            group: file.group,
            name_servers: file.name_servers,
            send_timeout: file.send_timeout.map(Duration::from_millis),
            retries: file.retries,
            namespace: file.namespace,
            namespace_v2: file.namespace_v2,
            limits: file.limits,
            policy: policy(file.policy)?,
        })
    }

    /// Reads settings from a file.
    ///
    /// # Errors
    /// The file cannot be read, or as [`from_toml`](Self::from_toml).
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::from_toml(&text).map_err(|source| ConfigError::File {
            path: path.to_owned(),
            source: Box::new(source),
        })
    }

    /// A builder with these settings; what the file cannot say (host, observer, hooks) is added
    /// there.
    pub fn into_builder(self) -> ProducerBuilder {
        let mut builder = Producer::builder(self.group)
            .policy(self.policy)
            .when_full(self.limits.when_full);
        if let Some(servers) = self.name_servers {
            builder = builder.name_servers(servers);
        }
        if let Some(timeout) = self.send_timeout {
            builder = builder.send_timeout(timeout);
        }
        if let Some(retries) = self.retries {
            builder = builder.retries(retries);
        }
        if let Some(namespace) = self.namespace {
            builder = builder.namespace(namespace);
        }
        if let Some(namespace) = self.namespace_v2 {
            builder = builder.namespace_v2(namespace);
        }
        if let Some(sends) = self.limits.open_sends {
            builder = builder.max_open_sends(sends);
        }
        if let Some(bytes) = self.limits.open_bytes {
            builder = builder.max_open_bytes(bytes);
        }
        builder
    }
}

/// A preset with what differs from it.
fn policy(mut changes: Table) -> Result<Policy, ConfigError> {
    let preset = match changes.remove("preset") {
        None => Policy::strict(),
        Some(Value::String(name)) => Policy::preset(&name)?,
        Some(other) => return Err(ConfigError::Preset(other.to_string())),
    };
    if changes.is_empty() {
        return Ok(preset);
    }
    let mut whole: Table = toml::from_str(&preset.to_toml()?)?;
    merge(&mut whole, changes);
    let text = toml::to_string(&whole).map_err(PolicyError::Write)?;
    Ok(Policy::from_toml(&text)?)
}

/// Puts changes into a table; tables of both are merged, everything else is replaced.
fn merge(whole: &mut Table, changes: Table) {
    for (key, value) in changes {
        match (whole.get_mut(&key), value) {
            (Some(Value::Table(inner)), Value::Table(changes)) => merge(inner, changes),
            (_, value) => {
                whole.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_alone_is_the_default_producer() {
        let config = Config::from_toml("group = 'g'").unwrap();
        assert_eq!(config.policy, Policy::strict());
        assert_eq!((config.name_servers, config.retries), (None, None));
        assert_eq!(config.limits, ConfigLimits::default());
    }

    #[test]
    fn a_policy_is_a_preset_and_its_differences() {
        let text = "group = 'g'\n[policy]\npreset = 'java_5_3'\nchecks.max-body = 100\n\
                    [policy.periods]\npoll = 7";
        let mut expected = Policy::java_5_3();
        expected.checks.max_body = 100;
        expected.periods.poll = 7;
        assert_eq!(Config::from_toml(text).unwrap().policy, expected);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let told = |text: &str| Config::from_toml(text).unwrap_err().to_string();
        assert!(told("").contains("group"));
        assert!(told("group = 'g'\nretry = 2").contains("retry"));
        assert!(told("group = 'g'\n[policy]\npreset = 3").contains("preset is 3"));
        assert!(told("group = 'g'\n[policy]\npreset = 'x'").contains("no preset `x`"));
        assert!(told("group = 'g'\n[policy]\nmax-bodi = 3").contains("max-bodi"));
        assert!(told("group = 'g'\n[policy]\nchecks.max-body = 0").contains("max-body is 0"));
        assert!(told("group = 'g'\n[limits]\nwhen-full = 'drop'").contains("drop"));
        let missing = Config::from_file("no/such/file.toml").unwrap_err();
        assert!(missing.to_string().starts_with("no/such/file.toml: "));
    }
}
