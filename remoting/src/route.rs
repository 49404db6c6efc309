//! Which brokers serve a topic, and what a name server knows of its clusters.
//!
//! Two dialects of JSON are on the wire. The legacy one has bare numbers as the keys of broker
//! addresses, which is no legal JSON, so it cannot be left to a JSON library alone.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::ser::Formatter;

use crate::body::{self, BodyError, lenient};
use crate::observe::Name;

/// The dialect in which a route is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RouteForm {
    /// Broker ids as bare numbers: for clients before 4.9.4.
    Legacy,
    /// Legal JSON in plain ASCII.
    Standard,
}

/// The id of the master among the brokers of one name.
pub const MASTER_ID: i64 = 0;

/// The queues of a topic and the brokers that hold them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TopicRouteData {
    /// The brokers.
    #[serde(deserialize_with = "lenient")]
    pub broker_datas: Vec<BrokerData>,
    /// Filter servers by address; empty since 4.3.
    #[serde(deserialize_with = "lenient")]
    pub filter_server_table: BTreeMap<Name, Vec<String>>,
    /// For ordered topics: `broker:queues;…`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order_topic_conf: Option<String>,
    /// The queues, one entry per broker name.
    #[serde(deserialize_with = "lenient")]
    pub queue_datas: Vec<QueueData>,
    /// Static topics, not looked into.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topic_queue_mapping_by_broker: Option<BTreeMap<String, serde_json::Value>>,
}

impl TopicRouteData {
    /// Reads a route of either dialect.
    ///
    /// # Errors
    /// It is no route.
    pub fn decode(bytes: &[u8]) -> Result<Self, BodyError> {
        body::from_json(&quote_bare_keys(bytes))
    }

    /// Writes a route.
    #[must_use]
    pub fn encode(&self, form: RouteForm) -> Bytes {
        encode(self, form)
    }
}

/// A broker name: a master and its slaves.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BrokerData {
    /// Addresses by broker id.
    #[serde(deserialize_with = "lenient")]
    pub broker_addrs: BTreeMap<i64, Name>,
    /// The name.
    pub broker_name: Name,
    /// The cluster.
    #[serde(deserialize_with = "lenient")]
    pub cluster: Name,
    /// Whether a slave may stand in for a lost master.
    #[serde(deserialize_with = "lenient")]
    pub enable_acting_master: bool,
    /// The zone it serves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone_name: Option<Name>,
}

impl BrokerData {
    /// The master's address.
    #[must_use]
    pub fn master(&self) -> Option<&Name> {
        self.broker_addrs.get(&MASTER_ID)
    }
}

/// A topic's queues on one broker name.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct QueueData {
    /// The broker name.
    pub broker_name: Name,
    /// Bits of [`perm`](crate::topic::perm).
    pub perm: i32,
    /// Queues to read from.
    pub read_queue_nums: i32,
    /// Bits of the topic. Servers before 4.9 misspell it.
    #[serde(alias = "topicSynFlag")]
    pub topic_sys_flag: i32,
    /// Queues to write to.
    pub write_queue_nums: i32,
}

/// All a name server knows of clusters and brokers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClusterInfo {
    /// By broker name.
    #[serde(deserialize_with = "lenient")]
    pub broker_addr_table: BTreeMap<Name, BrokerData>,
    /// Broker names by cluster.
    #[serde(deserialize_with = "lenient")]
    pub cluster_addr_table: BTreeMap<Name, Vec<Name>>,
}

impl ClusterInfo {
    /// Reads it, of either dialect.
    ///
    /// # Errors
    /// It is no cluster information.
    pub fn decode(bytes: &[u8]) -> Result<Self, BodyError> {
        body::from_json(&quote_bare_keys(bytes))
    }

    /// Writes it; servers write the legacy dialect to every client.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        encode(self, RouteForm::Legacy)
    }
}

fn encode<T: Serialize>(value: &T, form: RouteForm) -> Bytes {
    let mut bytes = Vec::new();
    let dialect = Dialect {
        form,
        quote: Quote::Written,
    };
    // Cannot fail: the keys are texts and numbers, and the sink is memory.
    let _ = value.serialize(&mut serde_json::Serializer::with_formatter(
        &mut bytes, dialect,
    ));
    bytes.into()
}

/// Puts the quotes around bare numeric keys. Legal JSON comes back as it is.
fn quote_bare_keys(text: &[u8]) -> Cow<'_, [u8]> {
    let mut quoted: Vec<u8> = Vec::new();
    let mut copied = 0;
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        if byte == b'"' {
            at = after_string(text, at);
        } else if byte.is_ascii_digit() {
            let start = at;
            let rest = &text[start..];
            at += rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            let next = text[at..].iter().find(|byte| !byte.is_ascii_whitespace());
            if next == Some(&b':') {
                quoted.extend_from_slice(&text[copied..start]);
                quoted.push(b'"');
                quoted.extend_from_slice(&text[start..at]);
                quoted.push(b'"');
                copied = at;
            }
        } else {
            at += 1;
        }
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    quoted.extend_from_slice(&text[copied..]);
    Cow::Owned(quoted)
}

fn after_string(text: &[u8], quote: usize) -> usize {
    let mut at = quote + 1;
    while let Some(&byte) = text.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    text.len()
}

/// The one way in which a JSON library's writer can leave quotes out: it asks for an opening
/// quote, then for a number, where a number is a key.
struct Dialect {
    form: RouteForm,
    quote: Quote,
}

#[derive(PartialEq)]
enum Quote {
    /// The opening quote is out.
    Written,
    /// It waits for what follows.
    Due,
    /// A bare number followed, so there is no closing quote either.
    Omitted,
}

impl Dialect {
    fn settle<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        if self.quote == Quote::Due {
            self.quote = Quote::Written;
            writer.write_all(b"\"")?;
        }
        Ok(())
    }
}

impl Formatter for Dialect {
    fn begin_string<W: ?Sized + io::Write>(&mut self, _writer: &mut W) -> io::Result<()> {
        self.quote = Quote::Due;
        Ok(())
    }

    fn end_string<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.settle(writer)?;
        if self.quote == Quote::Omitted {
            self.quote = Quote::Written;
            return Ok(());
        }
        writer.write_all(b"\"")
    }

    fn write_i64<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: i64) -> io::Result<()> {
        if self.quote == Quote::Due && self.form == RouteForm::Legacy {
            self.quote = Quote::Omitted;
        }
        self.settle(writer)?;
        writer.write_all(itoa::Buffer::new().format(value).as_bytes())
    }

    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        self.settle(writer)?;
        if self.form == RouteForm::Legacy || fragment.is_ascii() {
            return writer.write_all(fragment.as_bytes());
        }
        for letter in fragment.chars() {
            if letter.is_ascii() {
                write!(writer, "{letter}")?;
            } else {
                for unit in letter.encode_utf16(&mut [0; 2]) {
                    write!(writer, "\\u{unit:04X}")?;
                }
            }
        }
        Ok(())
    }

    fn write_char_escape<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        escape: serde_json::ser::CharEscape,
    ) -> io::Result<()> {
        self.settle(writer)?;
        serde_json::ser::CompactFormatter.write_char_escape(writer, escape)
    }
}
