//! Which release of the name server is imitated.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A name-server release whose observable behaviour the mock follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Profile {
    /// The last 4.9 line that is widely run.
    #[serde(rename = "4.9.7")]
    V4_9_7,
    /// An early 5.x line.
    #[serde(rename = "5.2.0")]
    V5_2_0,
    /// The current line.
    #[default]
    #[serde(rename = "5.3.3")]
    V5_3_3,
}

/// A profile name that no release has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown profile \"{0}\": use 4.9.7, 5.2.0 or 5.3.3")]
pub struct UnknownProfile(String);

impl Profile {
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

    /// How often the tables are searched for brokers that went silent.
    pub fn scan_every(self) -> Duration {
        match self {
            Self::V4_9_7 => Duration::from_secs(10),
            Self::V5_2_0 | Self::V5_3_3 => Duration::from_secs(5),
        }
    }

    /// Whether the second generation's rules hold: the check of state versions, the refusal of a
    /// first registration with one topic, the prime slave, and `enableActingMaster` in routes.
    pub fn is_5(self) -> bool {
        self != Self::V4_9_7
    }

    /// The page that the remark about an unknown topic points to.
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
        [Self::V4_9_7, Self::V5_2_0, Self::V5_3_3]
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
        for profile in [Profile::V4_9_7, Profile::V5_2_0, Profile::V5_3_3] {
            assert_eq!(profile.to_string().parse(), Ok(profile));
        }
        assert!("6.0".parse::<Profile>().is_err());
    }
}
