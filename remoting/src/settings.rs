//! What the settings files of the project have in common: durations, codes, and how a mistake is told.
//!
//! A scenario, a policy, a producer's settings and a mock's rules say how long something takes and which
//! request they mean. They are read in one way, so that what a person learned for one file is right in
//! the others.

use std::fmt;
use std::time::Duration;

use serde::de::{self, Deserialize, Deserializer, Visitor};

use crate::code;

/// How a duration is written, for an error that says what to write instead.
pub const FORM: &str = "a number of milliseconds or a text like \"200ms\", \"5s\" or \"2min\"";

/// A duration in whole milliseconds. It is read from a number of milliseconds, or from a text with a
/// unit: `ms`, `s` or `min` (`m` for short).
///
/// ```
/// use rmq_remoting::settings::Millis;
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

/// What a reader expects, without the types of a programming language.
fn in_words(expected: &str) -> &str {
    match expected {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number from 0",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "bool" | "a boolean" => "true or false",
        "a string" => "a text in quotes",
        "a sequence" => "a list, like [\"broker-a\"],",
        "a map" => "a table, like { min = 1 },",
        other if other.starts_with("struct ") => "a table of keys",
        other => other,
    }
}

/// A code as a file has it, which does not say yet whether a request's or a response's is meant.
enum Written {
    Number(i32),
    Name(String),
}

impl<'de> Deserialize<'de> for Written {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Form;
        impl Visitor<'_> for Form {
            type Value = Written;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a code: its number or its name, like 310 or \"SEND_MESSAGE_V2\"")
            }
            fn visit_str<E: de::Error>(self, name: &str) -> Result<Written, E> {
                Ok(Written::Name(name.to_owned()))
            }
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Written, E> {
                number32(number)
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Written, E> {
                number32(number)
            }
        }
        deserializer.deserialize_any(Form)
    }
}

fn number32<E: de::Error>(number: impl TryInto<i32>) -> Result<Written, E> {
    let number = number.try_into().map(Written::Number);
    number.map_err(|_| E::custom("a code has 32 bits\nwrite a smaller number"))
}

fn code_of<E: de::Error>(
    written: Written,
    find: fn(&str) -> Option<i32>,
    (what, example): (&str, &str),
) -> Result<i32, E> {
    match written {
        Written::Number(number) => Ok(number),
        Written::Name(name) => find(&name).ok_or_else(|| {
            E::custom(format!(
                "no {what} code is called \"{name}\"\nwrite its number, or its name in RocketMQ, like \"{example}\""
            ))
        }),
    }
}

/// Reads a request code, by number or by name: `310` or `"SEND_MESSAGE_V2"`.
///
/// # Errors
///
/// No request has such a code; the second line of the error is the remedy.
pub fn request_code<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i32, D::Error> {
    let written = Written::deserialize(deserializer)?;
    code_of(written, code::request_code, ("request", "SEND_MESSAGE_V2"))
}

/// Reads a response code, by number or by name: `2` or `"SYSTEM_BUSY"`.
///
/// # Errors
///
/// No response has such a code; the second line of the error is the remedy.
pub fn response_code<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i32, D::Error> {
    let written = Written::deserialize(deserializer)?;
    code_of(written, code::response_code, ("response", "SYSTEM_BUSY"))
}

/// Splits a reader's message into what is wrong and what to do about it, in the words of the file.
/// Messages of the readers of this module already are these two lines; `example` says where the form of
/// such a file can be seen.
///
/// ```
/// use rmq_remoting::settings::explain;
///
/// let (what, remedy) = explain("unknown field `tims`, expected `times` or `then`", "the manual");
/// assert_eq!(what, "there is no key \"tims\" here");
/// assert_eq!(remedy, "remove it, or use one of: times or then");
/// ```
#[must_use]
pub fn explain(message: &str, example: &str) -> (String, String) {
    if let Some((what, remedy)) = message.split_once('\n') {
        return (what.to_owned(), remedy.to_owned());
    }
    let expected = |list: &str| list.replace("one of ", "").replace('`', "");
    if let Some(rest) = message.strip_prefix("unknown field `")
        && let Some((key, known)) = rest.split_once("`, expected ")
    {
        return (
            format!("there is no key \"{key}\" here"),
            format!("remove it, or use one of: {}", expected(known)),
        );
    }
    if let Some(rest) = message.strip_prefix("unknown variant `")
        && let Some((word, known)) = rest.split_once("`, expected ")
    {
        return (
            format!("\"{word}\" means nothing here"),
            format!("use one of: {}", expected(known)),
        );
    }
    if let Some(rest) = message.strip_prefix("missing field `") {
        let key = rest.trim_end_matches('`');
        return (
            format!("the key \"{key}\" is missing"),
            format!("add a line `{key} = …` to this table"),
        );
    }
    if let Some((what, expected)) = message.split_once(", expected ") {
        return (
            what.to_owned(),
            format!("write {} here", in_words(expected)),
        );
    }
    (
        message.to_owned(),
        format!("mend the TOML here; {example} shows the form"),
    )
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

    #[test]
    fn a_code_is_a_number_or_a_name_that_rocketmq_has() {
        let request = |text: &str| {
            let mut reader = serde_json::Deserializer::from_str(text);
            request_code(&mut reader).map_err(|it| it.to_string())
        };
        assert_eq!(request("310"), Ok(310));
        assert_eq!(request("\"SEND_MESSAGE_V2\""), Ok(310));
        assert!(request("\"SYSTEM_BUSY\"").is_err_and(|it| it.contains("SEND_MESSAGE_V2")));
        assert!(request("3000000000").is_err_and(|it| it.contains("32 bits")));
        let mut reader = serde_json::Deserializer::from_str("\"SYSTEM_BUSY\"");
        assert_eq!(response_code(&mut reader).ok(), Some(2));
    }

    #[test]
    fn a_message_of_a_reader_is_told_with_a_remedy() {
        for (message, what, remedy) in [
            ("one\ntwo", "one", "two"),
            (
                "unknown variant `x`, expected one of `a`, `b`",
                "\"x\" means",
                "a, b",
            ),
            ("missing field `name`", "\"name\" is missing", "`name = …`"),
            (
                "invalid type: boolean, expected a time",
                "invalid type",
                "write a time",
            ),
            (
                "invalid type: boolean, expected usize",
                "invalid type",
                "a whole number from 0",
            ),
            (
                "invalid type: integer, expected struct Cluster",
                "invalid type",
                "a table of keys",
            ),
            ("odd", "odd", "the manual shows"),
        ] {
            let (told, advice) = explain(message, "the manual");
            assert!(told.contains(what), "{told}");
            assert!(advice.contains(remedy), "{advice}");
        }
    }
}
