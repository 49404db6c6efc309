//! The typed values of a scenario file: durations, places, positions, bounds.
//!
//! Each reads from the form a person writes, and its error has two lines: what is wrong, and what
//! to write instead.

use std::fmt;

use rmq_remoting::observe::Name;
use rmq_remoting::settings::FORM;
pub(crate) use rmq_remoting::settings::Millis as Ms;
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor, value};

use super::Bound;
use crate::fault::Place;

/// A span of time that may go back, written `"90s"` or `"-90s"`, or as a number of milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Jump(pub(crate) i64);

impl<'de> Deserialize<'de> for Jump {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Jump;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(FORM)
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Jump, E> {
                let (sign, size) = match text.strip_prefix('-') {
                    Some(size) => (-1, size),
                    None => (1, text),
                };
                let ms = size.parse::<Ms>().map_err(E::custom)?;
                let ms = i64::try_from(ms.0).map_err(|_| {
                    E::custom(format!(
                        "no clock jumps by \"{text}\"\nwrite a shorter duration"
                    ))
                })?;
                Ok(Jump(sign * ms))
            }
            fn visit_i64<E: de::Error>(self, ms: i64) -> Result<Jump, E> {
                Ok(Jump(ms))
            }
        }
        deserializer.deserialize_any(Text)
    }
}

/// Reads `"broker-a"`, `"p1 -> broker-b"` or `"p1 <-> broker-b"`.
pub(super) fn parse_place(text: &str) -> Result<Place, String> {
    let name = |text: &str| -> Result<Name, String> {
        let text = text.trim();
        if text.is_empty() || text.contains(char::is_whitespace) {
            return Err(
                "a node's name is missing\nwrite \"broker-a\", \"p1 -> broker-a\" or \"p1 <-> broker-a\""
                    .to_owned(),
            );
        }
        Ok(Name::from(text))
    };
    if let Some((a, b)) = text.split_once("<->") {
        Ok(Place::Pair {
            a: name(a)?,
            b: name(b)?,
        })
    } else if let Some((from, to)) = text.split_once("->") {
        Ok(Place::Link {
            from: name(from)?,
            to: name(to)?,
        })
    } else {
        name(text).map(Place::Node)
    }
}

/// One place or a list of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Places(pub(super) Vec<Place>);

impl<'de> Deserialize<'de> for Places {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Places;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a place like \"broker-a\" or \"p1 -> broker-b\", or a list of places")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Places, E> {
                let place = parse_place(text).map_err(E::custom)?;
                Ok(Places(vec![place]))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Places, A::Error> {
                let mut places = Vec::new();
                while let Some(text) = list.next_element::<String>()? {
                    places.push(parse_place(&text).map_err(de::Error::custom)?);
                }
                Ok(Places(places))
            }
        }
        deserializer.deserialize_any(Text)
    }
}

/// When a fault starts, as written: a time, or a logical position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum At {
    Time(Ms),
    Logical(Logical),
}

/// `{ received = "SEND_MESSAGE_V2", n = 5 }`, `{ stored = 20 }` or `{ send = 21, attempt = 1 }`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Logical {
    pub(super) received: Option<Code>,
    pub(super) n: Option<u64>,
    pub(super) stored: Option<u64>,
    pub(super) send: Option<u64>,
    pub(super) attempt: Option<u32>,
    pub(super) workload: Option<u32>,
    pub(super) sends: Option<u64>,
    pub(super) after: Option<Ms>,
}

impl<'de> Deserialize<'de> for At {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Form;
        impl<'de> Visitor<'de> for Form {
            type Value = At;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "a time like \"35s\" or a number of milliseconds, or a position like { received = \"SEND_MESSAGE_V2\", n = 5 }",
                )
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<At, E> {
                text.parse().map(At::Time).map_err(E::custom)
            }
            fn visit_i64<E: de::Error>(self, ms: i64) -> Result<At, E> {
                Ms::deserialize(value::I64Deserializer::new(ms)).map(At::Time)
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<At, A::Error> {
                Logical::deserialize(value::MapAccessDeserializer::new(map)).map(At::Logical)
            }
        }
        deserializer.deserialize_any(Form)
    }
}

/// A request or response code: its number or its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Code {
    Number(i32),
    Named(String),
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Form;
        impl Visitor<'_> for Form {
            type Value = Code;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a code: its number or its name, like 310 or \"SEND_MESSAGE_V2\"")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Code, E> {
                Ok(Code::Named(text.to_owned()))
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Code, E> {
                i32::try_from(number)
                    .map(Code::Number)
                    .map_err(|_| E::custom("a code has 32 bits\nwrite a smaller number"))
            }
        }
        deserializer.deserialize_any(Form)
    }
}

/// One request code or a list of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Codes(pub(super) Vec<Code>);

impl<'de> Deserialize<'de> for Codes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Form;
        impl<'de> Visitor<'de> for Form {
            type Value = Codes;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a code like 310 or \"SEND_MESSAGE_V2\", or a list of codes")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Codes, E> {
                Ok(Codes(vec![Code::Named(text.to_owned())]))
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Codes, E> {
                let code = Code::deserialize(value::I64Deserializer::new(number))?;
                Ok(Codes(vec![code]))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Codes, A::Error> {
                let mut codes = Vec::new();
                while let Some(code) = list.next_element()? {
                    codes.push(code);
                }
                Ok(Codes(codes))
            }
        }
        deserializer.deserialize_any(Form)
    }
}

/// How often a rule applies at most: a number, or `"any"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Times {
    Any,
    Most(u32),
}

impl<'de> Deserialize<'de> for Times {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Form;
        impl Visitor<'_> for Form {
            type Value = Times;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of times, or \"any\"")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Times, E> {
                match text {
                    "any" => Ok(Times::Any),
                    _ => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
                }
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Times, E> {
                u32::try_from(number)
                    .map(Times::Most)
                    .map_err(|_| E::custom("that is no number of times\nwrite 1 or more"))
            }
        }
        deserializer.deserialize_any(Form)
    }
}

/// A bound, written `3` or `{ min = 1, max = 3 }`.
impl<'de> Deserialize<'de> for Bound {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Range {
            min: Option<u64>,
            max: Option<u64>,
        }
        struct Form;
        impl<'de> Visitor<'de> for Form {
            type Value = Bound;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number, or a range like { min = 1, max = 3 }")
            }
            fn visit_i64<E: de::Error>(self, figure: i64) -> Result<Bound, E> {
                u64::try_from(figure)
                    .map(Bound::exactly)
                    .map_err(|_| E::custom("a figure is never negative\nwrite 0 or more"))
            }
            fn visit_u64<E: de::Error>(self, figure: u64) -> Result<Bound, E> {
                Ok(Bound::exactly(figure))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Bound, A::Error> {
                let range = Range::deserialize(value::MapAccessDeserializer::new(map))?;
                if (range.min, range.max) == (None, None) {
                    return Err(de::Error::custom(
                        "a range without min and max expects nothing\nwrite min, max or both",
                    ));
                }
                let bound = Bound {
                    min: range.min.unwrap_or(0),
                    max: range.max.unwrap_or(u64::MAX),
                };
                if bound.min > bound.max {
                    return Err(de::Error::custom(
                        "min is greater than max\nexchange the two numbers",
                    ));
                }
                Ok(bound)
            }
        }
        deserializer.deserialize_any(Form)
    }
}
