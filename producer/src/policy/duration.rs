//! How a policy's times are read: as in every settings file, a number of milliseconds or a text.

use rmq_remoting::settings::Millis;
use serde::{Deserialize, Deserializer};

/// A time, in milliseconds.
pub(crate) fn ms<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    Millis::deserialize(deserializer).map(|it| it.0)
}

/// Times in pairs.
pub(crate) fn pairs<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<(u64, u64)>, D::Error> {
    let read = Vec::<(Millis, Millis)>::deserialize(deserializer)?;
    Ok(read.into_iter().map(|(a, b)| (a.0, b.0)).collect())
}
