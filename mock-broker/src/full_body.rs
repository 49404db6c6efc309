//! The body of a full registration, made anew only where it differs from the last one.
//!
//! A broker of 4.9 registers all its topics again for each new one. With thousands of topics it
//! would spend its time writing the same JSON; so each topic is written once, when it appears or
//! changes, and a body is put together from what is written already.

use std::sync::Arc;

use bytes::Bytes;
use rmq_remoting::body;
use rmq_remoting::request::RegisterBrokerBody;
use rmq_remoting::request::r103_register_broker::TopicConfigWrapper;
use rmq_remoting::topic::{DataVersion, TopicConfig};

/// A registration's body, encoded.
#[derive(Debug, Clone)]
pub(crate) struct Body {
    pub(crate) bytes: Bytes,
    pub(crate) checksum: i32,
}

/// What the table of topics is in a body that has none.
const NO_TOPICS: &[u8] = b"\"topicConfigTable\":{}";

impl Body {
    /// The body that makes one topic known, with no other permissions than those in `mask`.
    pub(crate) fn of_one(topic: &TopicConfig, version: DataVersion, mask: i32) -> Self {
        Self::around(version, &[Arc::new(Part::of(topic, mask))])
    }

    fn around(version: DataVersion, parts: &[Arc<Part>]) -> Self {
        let frame = RegisterBrokerBody {
            topic_config_serialize_wrapper: TopicConfigWrapper {
                data_version: version,
                mapping_data_version: Some(DataVersion {
                    timestamp: version.timestamp,
                    ..DataVersion::default()
                }),
                ..TopicConfigWrapper::default()
            },
            ..RegisterBrokerBody::default()
        };
        let frame = frame.encode();
        // Its members are two versions and empty tables, so the text occurs once.
        let found = frame
            .windows(NO_TOPICS.len())
            .position(|text| text == NO_TOPICS);
        let (before, after) = frame.split_at(found.map_or(0, |at| at + NO_TOPICS.len() - 1));
        let size: usize = parts.iter().map(|part| part.json.len() + 1).sum();
        let mut bytes = Vec::with_capacity(frame.len() + size);
        bytes.extend_from_slice(before);
        for (number, part) in parts.iter().enumerate() {
            if number > 0 {
                bytes.push(b',');
            }
            bytes.extend_from_slice(part.json.as_bytes());
        }
        bytes.extend_from_slice(after);
        Self {
            checksum: body::checksum(&bytes),
            bytes: bytes.into(),
        }
    }
}

/// A topic, and its entry in the table.
#[derive(Debug)]
struct Part {
    topic: TopicConfig,
    mask: i32,
    json: String,
}

impl Part {
    fn of(topic: &TopicConfig, mask: i32) -> Self {
        let known = TopicConfig {
            perm: topic.perm & mask,
            ..topic.clone()
        };
        let name = serde_json::Value::from(&*topic.topic_name);
        let value = body::to_json(&known);
        Self {
            json: format!("{name}:{}", String::from_utf8_lossy(&value)),
            topic: topic.clone(),
            mask,
        }
    }

    fn is_of(&self, topic: &TopicConfig, mask: i32) -> bool {
        self.mask == mask && self.topic == *topic
    }
}

/// The last full registration.
#[derive(Debug, Default)]
pub(crate) struct FullBody {
    last: Option<(DataVersion, Body)>,
    /// In the order of their names.
    parts: Vec<Arc<Part>>,
}

impl FullBody {
    /// The body with all these topics, which come in the order of their names, and how many of them
    /// had to be written for it: none at a version that it was made for before.
    pub(crate) fn at<'a>(
        &mut self,
        version: DataVersion,
        topics: impl Iterator<Item = &'a TopicConfig>,
        mask: i32,
    ) -> (Body, usize) {
        if let Some((last, body)) = &self.last
            && *last == version
        {
            return (body.clone(), 0);
        }
        let mut written = 0;
        let mut old = std::mem::take(&mut self.parts).into_iter().peekable();
        for topic in topics {
            while old
                .next_if(|part| part.topic.topic_name < topic.topic_name)
                .is_some()
            {}
            let known = old.next_if(|part| part.is_of(topic, mask));
            self.parts.push(known.unwrap_or_else(|| {
                written += 1;
                Arc::new(Part::of(topic, mask))
            }));
        }
        let body = Body::around(version, &self.parts);
        self.last = Some((version, body.clone()));
        (body, written)
    }
}

#[cfg(test)]
mod tests {
    use rmq_remoting::observe::Name;
    use rmq_remoting::topic::perm;

    use super::*;
    use crate::topic::Topics;

    /// As it was written before there were parts: all at once.
    fn at_once(topics: &Topics, mask: i32) -> Bytes {
        let version = topics.version();
        let table = topics.iter().map(|topic| {
            let perm = topic.perm & mask;
            let known = TopicConfig {
                perm,
                ..topic.clone()
            };
            (Name::clone(&topic.topic_name), known)
        });
        RegisterBrokerBody {
            topic_config_serialize_wrapper: TopicConfigWrapper {
                data_version: version,
                mapping_data_version: Some(DataVersion {
                    timestamp: version.timestamp,
                    ..DataVersion::default()
                }),
                topic_config_table: table.collect(),
                ..TopicConfigWrapper::default()
            },
            ..RegisterBrokerBody::default()
        }
        .encode()
    }

    fn topic(name: &str, queues: i32) -> TopicConfig {
        TopicConfig::new(name.into(), queues, 6)
    }

    #[test]
    fn a_body_of_parts_is_the_body_written_at_once() {
        let mut topics = Topics::of_a_new_broker("b", "c", true, 7);
        let mut full = FullBody::default();
        let mut check = |topics: &Topics, mask, expected| {
            let (body, written) = full.at(topics.version(), topics.iter(), mask);
            assert_eq!(body.bytes, at_once(topics, mask));
            assert_eq!(body.checksum, body::checksum(&body.bytes));
            assert_eq!(written, expected);
        };
        check(&topics, !0, 13);
        check(&topics, !0, 0);
        topics.put(topic("zz", 4), 8);
        topics.put(topic("A \"quoted\" name", 4), 8);
        check(&topics, !0, 2);
        topics.put(topic("zz", 5), 9);
        topics.remove("TBW102", 9);
        check(&topics, !0, 1);
        topics.touch();
        check(&topics, !perm::WRITE, 14);
    }

    #[test]
    fn a_thousand_new_topics_are_a_thousand_entries_to_write() {
        let mut topics = Topics::of_a_new_broker("b", "c", true, 7);
        let mut full = FullBody::default();
        let mut written = 0;
        for n in 0..1_000 {
            topics.put(topic(&format!("t{n}"), 4), 8 + n);
            written += full.at(topics.version(), topics.iter(), !0).1;
        }
        assert_eq!(written, 1_013);
    }

    #[test]
    fn a_body_of_one_topic_is_that_topic() {
        let mut one = Topics::default();
        one.put(topic("t", 4), 8);
        let made = Body::of_one(&topic("t", 4), one.version(), !0);
        assert_eq!(made.bytes, at_once(&one, !0));
    }
}
