//! Which release of RocketMQ a server imitates.
//!
//! Real servers answer the same request differently from release to release; a client that is
//! right against one of them only is not right. Each difference is one method here, so that the
//! rest of a server never compares versions.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A release whose observable behaviour a server follows.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use rmq_remoting::profile::Profile;
///
/// let profile: Profile = "4.9.7".parse()?;
/// assert_eq!((profile, profile.version()), (Profile::V4_9_7, 407));
/// assert_eq!(Profile::default().to_string(), "5.3.3");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Profile {
    /// The last 4.9 line that is widely run.
    #[serde(rename = "4.9.7")]
    V4_9_7,
    /// The last release before the retryable busy code.
    #[serde(rename = "5.2.0")]
    V5_2_0,
    /// The release 5.3.3, of the current line.
    #[default]
    #[serde(rename = "5.3.3")]
    V5_3_3,
}

/// A profile name that no release has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown profile \"{0}\": use 4.9.7, 5.2.0 or 5.3.3")]
pub struct UnknownProfile(String);

impl Profile {
    /// Every release, the oldest first.
    pub const ALL: [Self; 3] = [Self::V4_9_7, Self::V5_2_0, Self::V5_3_3];

    /// The release as it is written, such as `5.3.3`.
    pub fn release(self) -> &'static str {
        match self {
            Self::V4_9_7 => "4.9.7",
            Self::V5_2_0 => "5.2.0",
            Self::V5_3_3 => "5.3.3",
        }
    }

    /// The version ordinal the server puts into every frame.
    pub fn version(self) -> i32 {
        match self {
            Self::V4_9_7 => 407,
            Self::V5_2_0 => 453,
            Self::V5_3_3 => 479,
        }
    }

    /// Whether the second generation's rules hold at the name server: the check of state versions,
    /// the refusal of a first registration with one topic, the prime slave, and `enableActingMaster`
    /// in routes.
    pub fn is_5(self) -> bool {
        self != Self::V4_9_7
    }

    /// How often a name server searches its tables for brokers that went silent.
    pub fn scan_every(self) -> Duration {
        match self {
            Self::V4_9_7 => Duration::from_secs(10),
            Self::V5_2_0 | Self::V5_3_3 => Duration::from_secs(5),
        }
    }

    /// The code for a bad topic name or queue id.
    pub fn invalid_parameter(self) -> i32 {
        match self {
            Self::V4_9_7 | Self::V5_2_0 => 1,
            Self::V5_3_3 => 29,
        }
    }

    /// Whether a send reply carries `transactionId`.
    pub fn answers_transaction_id(self) -> bool {
        self != Self::V4_9_7
    }

    /// Whether a broker registers a topic made by a send alone and waits for it. Otherwise it
    /// registers everything again, one-way.
    pub fn registers_incrementally(self) -> bool {
        self != Self::V4_9_7
    }

    /// Whether a broker's graceful stop leaves the name servers before it closes its connections.
    pub fn unregisters_first(self) -> bool {
        self != Self::V4_9_7
    }

    /// Whether a heartbeat's answer carries the two fields of the second heartbeat version.
    pub fn answers_heartbeat_v2(self) -> bool {
        self != Self::V4_9_7
    }

    /// How many bytes a fresh connection must bring before a server looks at them: servers from 5.0
    /// on look for a proxy's greeting first.
    pub fn first_bytes(self) -> usize {
        match self {
            Self::V4_9_7 => 0,
            Self::V5_2_0 | Self::V5_3_3 => 12,
        }
    }

    /// The page that some remarks point to.
    pub fn help_url(self) -> &'static str {
        match self {
            Self::V4_9_7 => "http://rocketmq.apache.org/docs/faq/",
            Self::V5_2_0 | Self::V5_3_3 => "https://rocketmq.apache.org/docs/bestPractice/06FAQ",
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.release())
    }
}

impl FromStr for Profile {
    type Err = UnknownProfile;

    fn from_str(text: &str) -> Result<Self, UnknownProfile> {
        Self::ALL
            .into_iter()
            .find(|profile| profile.release() == text)
            .ok_or_else(|| UnknownProfile(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_is_read_by_the_name_it_prints() {
        for profile in Profile::ALL {
            assert_eq!(profile.to_string().parse(), Ok(profile));
        }
        let error = "6.0".parse::<Profile>().unwrap_err().to_string();
        assert!(error.contains("5.3.3"), "{error}");
    }

    #[test]
    fn a_bad_parameter_has_its_own_code_only_in_the_current_line() {
        assert_eq!(Profile::V5_2_0.invalid_parameter(), 1);
        assert_eq!(Profile::V5_3_3.invalid_parameter(), 29);
    }
}
