//! A producer described in a file.
//!
//! Operators change addresses, timeouts and limits without a new build. The file says what the
//! [builder](crate::ProducerBuilder) says, under the same names. A [`Config`] implements
//! [`Deserialize`], so it can be a section of a program's own settings, in any format that says what it
//! holds (TOML, JSON, YAML); with the feature `config` it is also read from TOML by itself:
//!
#![cfg_attr(feature = "config", doc = "```")]
#![cfg_attr(not(feature = "config"), doc = "```ignore")]
//! use rmq_producer::{Config, ProducerBuilder};
//!
//! let config = Config::from_toml(
//!     r#"
//!     group         = "order-service"
//!     name-servers  = ["10.0.0.1:9876", "10.0.0.2:9876"]  # else the variable NAMESRV_ADDR
//!     send-timeout  = "2s"                                # or 2000: milliseconds
//!     retries       = 2
//!     namespace     = "tenant-1"                          # brokers know its topics as tenant-1%topic
//!
//!     [limits]                                            # of async sends
//!     open-sends    = 10000
//!     open-bytes    = 104857600
//!     when-full     = "wait"
//!
//!     [policy]
//!     preset        = "strict"                            # and what differs from it
//!     compress-over = 16384
//!     [policy.periods]
//!     poll          = "10s"
//!     "#,
//! )?;
//! assert_eq!(config.policy.periods.poll, 10_000);
//! assert_eq!(config.namespace.as_deref(), Some("tenant-1"));
//! let builder = ProducerBuilder::from(config);
//! # Ok::<(), rmq_producer::ConfigError>(())
//! ```

#[cfg(feature = "config")]
mod text;

use std::time::Duration;

use rmq_remoting::settings::Millis;
use serde::{Deserialize, Deserializer};

#[cfg(feature = "config")]
pub use self::text::{ConfigError, Place};
use crate::addresses::NameServerAddresses;
use crate::policy::Policy;
use crate::producer::{Producer, ProducerBuilder};
use crate::send::permits::WhenFull;

/// A producer's settings. Its policy is complete: preset and differences are one.
///
/// What a file cannot say (host, observer, hooks) is added to the
/// [`ProducerBuilder`] that is made from it.
///
/// ```
/// # use rmq_producer::{Config, ProducerBuilder};
/// #[derive(serde::Deserialize)]
/// struct Settings {
///     port: u16,
///     producer: Config,
/// }
///
/// let text = r#"{ "port": 80, "producer": { "group": "order-service", "retries": 3 } }"#;
/// let settings: Settings = serde_json::from_str(text)?;
/// assert_eq!(settings.producer.retries, Some(3));
/// let builder = ProducerBuilder::from(settings.producer);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// The producer group, by which brokers know the program.
    pub group: String,
    /// The name servers. Without them the environment variable `NAMESRV_ADDR` is asked at the start.
    pub name_servers: Option<NameServerAddresses>,
    /// The whole time of a send, instead of the policy's. Written as a number of milliseconds, or as a
    /// text like `"2s"`; so are the times of the policy.
    #[serde(default, deserialize_with = "milliseconds")]
    pub send_timeout: Option<Duration>,
    /// How often a failed attempt is repeated, instead of the policy's: see
    /// [`Policy::with_retries`].
    pub retries: Option<u32>,
    /// The namespace of group and topics.
    pub namespace: Option<String>,
    /// The namespace of the second kind: see
    /// [`ClientBuilder::namespace_v2`](crate::ClientBuilder::namespace_v2).
    pub namespace_v2: Option<String>,
    /// The limits of async sends.
    #[serde(default)]
    pub limits: ConfigLimits,
    /// The policy: everything that the producer decides by itself. Written as a preset and what differs
    /// from it.
    #[serde(default)]
    pub policy: Policy,
}

/// The limits of async sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct ConfigLimits {
    /// Open sends. No limit unless set.
    pub open_sends: Option<u32>,
    /// Bytes of their bodies. 256 MiB unless set.
    pub open_bytes: Option<u32>,
    /// What becomes of a send beyond them.
    pub when_full: WhenFull,
}

impl Config {
    /// The settings of a producer of this group that has no others.
    pub fn new(group: impl Into<String>) -> Self {
        Self {
            group: group.into(),
            name_servers: None,
            send_timeout: None,
            retries: None,
            namespace: None,
            namespace_v2: None,
            limits: ConfigLimits::default(),
            policy: Policy::strict(),
        }
    }

    /// A builder with these settings, for what a file cannot say: host, observer, hooks. The same as
    /// `ProducerBuilder::from(config)`, for a chain of calls.
    ///
    /// ```
    /// use rmq_producer::{Config, Message};
    ///
    /// # async fn started() -> Result<(), Box<dyn std::error::Error>> {
    /// let config = Config::new("order-service");
    /// let producer = config.into_builder().name_servers("10.0.0.1:9876").start().await?;
    /// producer.send(Message::new("orders", "created")).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn into_builder(self) -> ProducerBuilder {
        self.into()
    }
}

fn milliseconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let written = Option::<Millis>::deserialize(deserializer)?;
    Ok(written.map(Millis::duration))
}

/// A builder with these settings; what a file cannot say (host, observer, hooks) is added to it.
impl From<Config> for ProducerBuilder {
    fn from(config: Config) -> Self {
        let mut builder = Producer::builder(config.group)
            .policy(config.policy)
            .when_full(config.limits.when_full);
        if let Some(servers) = config.name_servers {
            builder = builder.name_servers(servers);
        }
        if let Some(timeout) = config.send_timeout {
            builder = builder.send_timeout(timeout);
        }
        if let Some(retries) = config.retries {
            builder = builder.retries(retries);
        }
        if let Some(namespace) = config.namespace {
            builder = builder.namespace(namespace);
        }
        if let Some(namespace) = config.namespace_v2 {
            builder = builder.namespace_v2(namespace);
        }
        if let Some(sends) = config.limits.open_sends {
            builder = builder.max_open_sends(sends);
        }
        if let Some(bytes) = config.limits.open_bytes {
            builder = builder.max_open_bytes(bytes);
        }
        builder
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_a_section_of_a_programs_own() {
        let config: Config = serde_json::from_value(serde_json::json!({
            "group": "g",
            "name-servers": ["a:1", "b:2"],
            "send-timeout": 250,
            "policy": { "preset": "java_5_3", "periods": { "poll": 7 } },
        }))
        .unwrap();
        let mut expected = Config::new("g");
        expected.name_servers = Some("a:1;b:2".into());
        expected.send_timeout = Some(Duration::from_millis(250));
        expected.policy = Policy::java_5_3().with(|policy| policy.periods.poll = 7);
        assert_eq!(config, expected);
    }

    #[test]
    fn a_key_of_a_policy_that_is_wrong_is_named_in_any_format() {
        let text = r#"{ "group": "g", "policy": { "periods": { "pol": 7 } } }"#;
        let error = serde_json::from_str::<Config>(text).unwrap_err();
        assert!(
            error.to_string().starts_with("periods.pol: unknown key"),
            "{error}"
        );
    }
}
