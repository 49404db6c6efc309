//! What a name server needs of a registration's body (103), and no more.
//!
//! A body may say much that no route depends on: attributes, filter servers, static topics. None of
//! that is kept, nor held while the body is read, and the number of topics is bounded. So what a
//! registration costs is known beforehand, whoever sends it.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::r103_register_broker::{TopicConfigWrapper, count, inflate, part};
use crate::body::{self, BodyError, lenient};
use crate::observe::Name;
use crate::topic::{DataVersion, TopicConfig};

/// Servers before 3.0.11 sent the topics without anything around them; this is that release.
const WRAPPED_SINCE: i32 = 37;

/// A broker's topics as a name server keeps them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RegisteredTopics {
    /// Moves whenever a topic changes.
    pub data_version: DataVersion,
    /// What routes say of each topic on this broker, by the topic's name.
    pub topics: BTreeMap<Name, RegisteredTopic>,
}

/// What routes say of a topic on one broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RegisteredTopic {
    /// Permission bits of the topic, see [`perm`](crate::topic::perm).
    pub perm: i32,
    /// How many queues of the topic consumers may read from, at this broker.
    pub read_queue_nums: i32,
    /// Bits of `TopicSysFlag`: 1, the topic belongs to a unit; 2, a unit subscribes to it.
    pub topic_sys_flag: i32,
    /// How many queues of the topic producers may write to, at this broker.
    pub write_queue_nums: i32,
}

impl From<&TopicConfig> for RegisteredTopic {
    fn from(topic: &TopicConfig) -> Self {
        Self {
            perm: topic.perm,
            read_queue_nums: topic.read_queue_nums,
            topic_sys_flag: topic.topic_sys_flag,
            write_queue_nums: topic.write_queue_nums,
        }
    }
}

/// As that of a [`TopicConfig`].
impl Default for RegisteredTopic {
    fn default() -> Self {
        Self::from(&TopicConfig::default())
    }
}

impl From<&TopicConfigWrapper> for RegisteredTopics {
    fn from(wrapper: &TopicConfigWrapper) -> Self {
        let topics = wrapper.topic_config_table.iter();
        Self {
            data_version: wrapper.data_version,
            topics: topics
                .map(|(name, topic)| (Name::clone(name), topic.into()))
                .collect(),
        }
    }
}

impl RegisteredTopics {
    /// One registration may name so many topics.
    pub const MAX: usize = 100_000;

    /// Reads the body of a request from a broker of this `version`; brokers before 3.0.11 know
    /// neither the outer object nor compression.
    ///
    /// # Errors
    /// It is not in that form, unfolds to more than a frame could hold, or names more topics than
    /// [`RegisteredTopics::MAX`].
    pub fn decode(bytes: &[u8], compressed: bool, version: i32) -> Result<Self, BodyError> {
        let table: Table = if version < WRAPPED_SINCE {
            body::from_json(bytes)?
        } else if compressed {
            return Self::unfold(&inflate(bytes)?);
        } else {
            let body: Body = body::from_json(bytes)?;
            body.topic_config_serialize_wrapper
        };
        Ok(Self {
            data_version: table.data_version,
            topics: table.topic_config_table,
        })
    }

    fn unfold(mut plain: &[u8]) -> Result<Self, BodyError> {
        let mut all = Self {
            data_version: body::from_json(part(&mut plain)?)?,
            topics: BTreeMap::new(),
        };
        for _ in 0..count(&mut plain)? {
            let topic = TopicConfig::from_line(part(&mut plain)?)?;
            all.topics
                .insert(Name::clone(&topic.topic_name), (&topic).into());
            if all.topics.len() > Self::MAX {
                return Err(BodyError::TooLarge { limit: Self::MAX });
            }
        }
        Ok(all)
    }
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Body {
    #[serde(deserialize_with = "lenient")]
    topic_config_serialize_wrapper: Table,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Table {
    #[serde(deserialize_with = "lenient")]
    data_version: DataVersion,
    #[serde(deserialize_with = "bounded")]
    topic_config_table: BTreeMap<Name, RegisteredTopic>,
}

/// Reads the table of topics, or null for none.
fn bounded<'de, D>(deserializer: D) -> Result<BTreeMap<Name, RegisteredTopic>, D::Error>
where
    D: Deserializer<'de>,
{
    struct Topics;

    impl<'de> Visitor<'de> for Topics {
        type Value = BTreeMap<Name, RegisteredTopic>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "at most {} topics", RegisteredTopics::MAX)
        }

        fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
            Ok(BTreeMap::new())
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut topics = BTreeMap::new();
            while let Some((name, topic)) = map.next_entry()? {
                topics.insert(name, topic);
                if topics.len() > RegisteredTopics::MAX {
                    return Err(A::Error::invalid_length(topics.len(), &self));
                }
            }
            Ok(topics)
        }
    }

    deserializer.deserialize_any(Topics)
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;
    use std::io::Write as _;

    use bytes::BufMut;
    use flate2::Compression;
    use flate2::write::ZlibEncoder;

    use super::*;
    use crate::request::RegisterBrokerBody;

    fn body() -> RegisterBrokerBody {
        let mut body = RegisterBrokerBody::default();
        let wrapper = &mut body.topic_config_serialize_wrapper;
        wrapper.data_version.counter = 7;
        for (name, queues) in [("orders", 4), ("TBW102", 8)] {
            let mut topic = TopicConfig::new(name.into(), queues, 6);
            topic
                .attributes
                .insert("message.type".into(), "NORMAL".into());
            wrapper.topic_config_table.insert(name.into(), topic);
        }
        body
    }

    #[test]
    fn every_form_of_a_body_says_the_same() {
        let sent = body();
        let expected = RegisteredTopics::from(&sent.topic_config_serialize_wrapper);
        let read = |bytes: &[u8], packed, version| {
            RegisteredTopics::decode(bytes, packed, version).unwrap()
        };
        assert_eq!(read(&sent.encode(), false, 479), expected);
        assert_eq!(
            read(&sent.encode_compressed().unwrap(), true, 479),
            expected
        );
        let bare = body::to_json(&sent.topic_config_serialize_wrapper);
        assert_eq!(read(&bare, false, 36), expected);
        assert_eq!(
            read(&bare, false, 37),
            RegisteredTopics::default(),
            "another form to newer brokers' servers: nothing that they know"
        );
    }

    #[test]
    fn what_no_route_needs_may_be_anything() {
        let text = br#"{"filterServerList":{"x":[[]]},"topicConfigSerializeWrapper":{
            "topicQueueMappingDetailMap":[1,{"a":null}],"dataVersion":null,
            "topicConfigTable":{"t":{"attributes":7,"perm":6}}}}"#;
        let read = RegisteredTopics::decode(text, false, 479).unwrap();
        assert_eq!(read.topics["t"].perm, 6);
        let none = br#"{"topicConfigSerializeWrapper":{"topicConfigTable":null}}"#;
        let read = RegisteredTopics::decode(none, false, 479).unwrap();
        assert_eq!(read, RegisteredTopics::default());
    }

    fn json_of(topics: usize) -> String {
        let mut text = String::from(r#"{"topicConfigSerializeWrapper":{"topicConfigTable":{"#);
        for n in 0..topics {
            let comma = if n == 0 { "" } else { "," };
            write!(text, "{comma}\"{n}\":{{}}").unwrap();
        }
        text.push_str("}}}");
        text
    }

    #[test]
    fn one_topic_more_than_may_be_is_refused() {
        let read = |topics| RegisteredTopics::decode(json_of(topics).as_bytes(), false, 479);
        assert_eq!(read(RegisteredTopics::MAX).unwrap().topics.len(), 100_000);
        let error = read(RegisteredTopics::MAX + 1).unwrap_err().to_string();
        assert!(error.contains("at most 100000 topics"), "{error}");
    }

    fn packed(plain: &[u8]) -> Vec<u8> {
        let mut compressor = ZlibEncoder::new(Vec::new(), Compression::best());
        compressor.write_all(plain).unwrap();
        compressor.finish().unwrap()
    }

    #[test]
    fn a_body_that_unfolds_to_more_than_a_frame_is_refused() {
        let bomb = packed(&vec![0; 64 << 20]);
        assert!(bomb.len() < 100_000);
        for error in [
            RegisteredTopics::decode(&bomb, true, 479).unwrap_err(),
            RegisterBrokerBody::decode(&bomb, true).unwrap_err(),
        ] {
            assert!(matches!(error, BodyError::TooLarge { .. }), "{error}");
        }
    }

    #[test]
    fn too_many_topics_are_refused_in_the_compressed_form_too() {
        let mut plain = b"\0\0\0\x02{}".to_vec();
        plain.put_u32(200_000);
        for n in 0..200_000 {
            let line = format!("{n} 1 1 6 S");
            plain.put_u32(u32::try_from(line.len()).unwrap());
            plain.put_slice(line.as_bytes());
        }
        let error = RegisteredTopics::decode(&packed(&plain), true, 479).unwrap_err();
        assert!(
            matches!(error, BodyError::TooLarge { limit: 100_000 }),
            "{error}"
        );
    }
}
