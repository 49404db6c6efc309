//! Durations as every settings file of the project has them.
//!
//! A scenario, a policy, a producer's settings and a mock's rules all say how long something takes. They
//! are read by one type, so that what a person learned for one file is right in the others.

use std::fmt;
use std::time::Duration;

use serde::de::{self, Deserialize, Deserializer, Visitor};

/// How a duration is written, for an error that says what to write instead.
pub const FORM: &str = "a number of milliseconds or a text like \"200ms\", \"5s\" or \"2min\"";

/// A duration in whole milliseconds. It is read from a number of milliseconds, or from a text with a
/// unit: `ms`, `s` or `min` (`m` for short).
///
/// ```
/// use rmq_remoting::millis::Millis;
///
/// assert_eq!("200ms".parse(), Ok(Millis(200)));
/// assert_eq!("2min".parse(), Ok(Millis(120_000)));
/// assert_eq!(serde_json::from_str::<Millis>("1500").ok(), Some(Millis(1_500)));
/// let error = "soon".parse::<Millis>().map_err(|error| error.to_string());
/// assert!(error.is_err_and(|text| text.contains("\"200ms\"")));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Millis(pub u64);

impl Millis {
    /// The same as a [`Duration`].
    #[must_use]
    pub fn duration(self) -> Duration {
        Duration::from_millis(self.0)
    }
}

/// A text that is no duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}\nwrite {remedy}")]
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
pub struct NoDuration {
    /// What is wrong.
    pub what: String,
    /// What to write instead.
    pub remedy: &'static str,
}

impl std::str::FromStr for Millis {
    type Err = NoDuration;

    fn from_str(text: &str) -> Result<Self, NoDuration> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let scale: Option<u64> = match unit.trim() {
            "ms" => Some(1),
            "s" => Some(1_000),
            "min" | "m" => Some(60_000),
            _ => None,
        };
        let Some(scale) = scale.filter(|_| digits > 0) else {
            return Err(NoDuration {
                what: format!("\"{text}\" is no duration"),
                remedy: FORM,
            });
        };
        // A number of digits alone is only refused where it is too large.
        let number = number.parse::<u64>().ok();
        let ms = number.and_then(|number| number.checked_mul(scale));
        ms.map(Self).ok_or_else(|| NoDuration {
            what: format!("\"{text}\" is longer than anything lasts"),
            remedy: "a shorter duration",
        })
    }
}

impl<'de> Deserialize<'de> for Millis {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Form;
        impl Visitor<'_> for Form {
            type Value = Millis;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(FORM)
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Millis, E> {
                text.parse().map_err(E::custom)
            }
            fn visit_u64<E: de::Error>(self, ms: u64) -> Result<Millis, E> {
                Ok(Millis(ms))
            }
            fn visit_i64<E: de::Error>(self, ms: i64) -> Result<Millis, E> {
                u64::try_from(ms).map(Millis).map_err(|_| {
                    E::custom(format!("a duration cannot be {ms} ms\nwrite 0 or more"))
                })
            }
        }
        deserializer.deserialize_any(Form)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_has_a_number_and_a_unit_and_is_not_endless() {
        for (text, ms) in [
            ("0ms", 0),
            ("7ms", 7),
            ("3s", 3_000),
            ("2min", 120_000),
            ("2m", 120_000),
            ("3 s", 3_000),
        ] {
            assert_eq!(text.parse(), Ok(Millis(ms)), "{text}");
        }
        for text in ["", "3", "s", "3h", "-3s", "1.5s", "18446744073709551615s"] {
            assert!(text.parse::<Millis>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_number_is_one_of_milliseconds_and_never_negative() {
        let read = |text: &str| serde_json::from_str::<Millis>(text).map_err(|it| it.to_string());
        assert_eq!(read("200"), Ok(Millis(200)));
        assert_eq!(read("\"200ms\""), Ok(Millis(200)));
        assert!(read("-1").unwrap_err().contains("cannot be -1 ms"));
        assert!(read("true").unwrap_err().contains(FORM));
    }
}
