//! `REGISTER_BROKER` (103): a broker tells a name server who it is and which topics it has.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{Read, Write};

use bytes::{Buf, BufMut, Bytes};
use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use serde::{Deserialize, Serialize};

use super::field::header;
use crate::body::{self, BodyError, lenient};
use crate::frame::MAX_FRAME;
use crate::observe::Name;
use crate::topic::{DataVersion, TopicConfig};

header! {
    /// Who the broker is, and how the body is packed.
    RegisterBroker<'a> for REGISTER_BROKER {
        /// The name of the broker, which a master shares with its slaves.
        broker_name: &'a str = "brokerName",
        /// The address that the broker serves at.
        broker_addr: &'a str = "brokerAddr",
        /// The name of the cluster that the broker belongs to.
        cluster_name: &'a str = "clusterName",
        /// The address its replicas read from. Servers do without it.
        ha_server_addr: Option<&'a str> = "haServerAddr",
        /// Its id among the brokers of its name, 0 for the master.
        broker_id: i64 = "brokerId",
        /// After how long without a registration it counts as dead; absent means 120 s.
        heartbeat_timeout_millis: Option<i64> = "heartbeatTimeoutMillis",
        /// Whether a slave may stand in for a lost master. Brokers from 5.0 on say so either way.
        enable_acting_master: Option<bool> = "enableActingMaster",
        /// Whether the body is in the compressed form.
        compressed: bool = "compressed",
        /// The body's [checksum](crate::body::checksum); absent or 0 means unchecked.
        body_crc32: Option<i32> = "bodyCrc32",
        /// The zone that the broker serves.
        zone_name: Option<&'a str> = "__ZONE_NAME",
    }
}

header! {
    /// What a slave learns. The answer's body is a [`KvTable`](crate::body::KvTable).
    RegisterBrokerResponse<'a> {
        /// Where to read from the master.
        ha_server_addr: Option<Cow<'a, str>> = "haServerAddr",
        /// The address at which the master serves.
        master_addr: Option<Cow<'a, str>> = "masterAddr",
    }
}

/// The body: the broker's topics.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RegisterBrokerBody {
    /// Filter servers; none since 4.3.
    #[serde(deserialize_with = "lenient")]
    pub filter_server_list: Vec<String>,
    /// All topics of the broker, and the version of that list.
    #[serde(deserialize_with = "lenient")]
    pub topic_config_serialize_wrapper: TopicConfigWrapper,
}

/// The topics of a broker and the version of that list.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TopicConfigWrapper {
    /// Moves whenever a topic changes.
    #[serde(deserialize_with = "lenient")]
    pub data_version: DataVersion,
    /// The same for static topics. Brokers from 5.0 on write it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mapping_data_version: Option<DataVersion>,
    /// What is configured for each topic, by the topic's name.
    #[serde(deserialize_with = "lenient")]
    pub topic_config_table: BTreeMap<Name, TopicConfig>,
    /// Static topics, not looked into.
    #[serde(deserialize_with = "lenient")]
    pub topic_queue_mapping_detail_map: BTreeMap<String, serde_json::Value>,
    /// Static topics, not looked into.
    #[serde(deserialize_with = "lenient")]
    pub topic_queue_mapping_info_map: BTreeMap<String, serde_json::Value>,
}

/// A compressed body may unfold to this size at most: to what could have been sent uncompressed.
const MAX_UNFOLDED: usize = MAX_FRAME;

/// Inflates a compressed body.
pub(super) fn inflate(bytes: &[u8]) -> Result<Vec<u8>, BodyError> {
    let mut plain = Vec::new();
    let limit = MAX_UNFOLDED as u64 + 1;
    ZlibDecoder::new(bytes)
        .take(limit)
        .read_to_end(&mut plain)
        .map_err(|_| BodyError::Compression)?;
    if plain.len() > MAX_UNFOLDED {
        return Err(BodyError::TooLarge {
            limit: MAX_UNFOLDED,
        });
    }
    Ok(plain)
}

impl RegisterBrokerBody {
    /// Reads a body in either form.
    ///
    /// # Errors
    /// It is not in that form, or unfolds to more than a frame could hold.
    pub fn decode(bytes: &[u8], compressed: bool) -> Result<Self, BodyError> {
        if compressed {
            Self::unfold(&inflate(bytes)?)
        } else {
            body::from_json(bytes)
        }
    }

    /// Writes the body in its JSON form.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        body::to_json(self)
    }

    /// Writes the compressed form.
    ///
    /// # Errors
    /// The compressor failed.
    pub fn encode_compressed(&self) -> Result<Bytes, BodyError> {
        let mut compressor = ZlibEncoder::new(Vec::new(), Compression::best());
        compressor
            .write_all(&self.fold()?)
            .map_err(|_| BodyError::Compression)?;
        compressor
            .finish()
            .map(Bytes::from)
            .map_err(|_| BodyError::Compression)
    }

    fn fold(&self) -> Result<Vec<u8>, BodyError> {
        let wrapper = &self.topic_config_serialize_wrapper;
        let mut plain = Vec::new();
        put_part(&mut plain, &body::to_json(&wrapper.data_version))?;
        put_count(&mut plain, wrapper.topic_config_table.len())?;
        for topic in wrapper.topic_config_table.values() {
            put_part(&mut plain, topic.to_line().as_bytes())?;
        }
        put_part(&mut plain, &body::to_json(&self.filter_server_list))?;
        put_count(&mut plain, wrapper.topic_queue_mapping_info_map.len())?;
        for mapping in wrapper.topic_queue_mapping_info_map.values() {
            put_part(&mut plain, &body::to_json(mapping))?;
        }
        Ok(plain)
    }

    fn unfold(mut plain: &[u8]) -> Result<Self, BodyError> {
        let mut body = Self::default();
        let wrapper = &mut body.topic_config_serialize_wrapper;
        wrapper.data_version = body::from_json(part(&mut plain)?)?;
        for _ in 0..count(&mut plain)? {
            let topic = TopicConfig::from_line(part(&mut plain)?)?;
            wrapper
                .topic_config_table
                .insert(Name::clone(&topic.topic_name), topic);
        }
        body.filter_server_list = body::from_json(part(&mut plain)?)?;
        // Brokers before 5.0 end here.
        if plain.has_remaining() {
            for _ in 0..count(&mut plain)? {
                let mapping: serde_json::Value = body::from_json(part(&mut plain)?)?;
                if let Some(topic) = mapping.get("topic").and_then(|topic| topic.as_str()) {
                    wrapper
                        .topic_queue_mapping_info_map
                        .insert(topic.to_owned(), mapping);
                }
            }
        }
        Ok(body)
    }
}

fn put_count(plain: &mut Vec<u8>, count: usize) -> Result<(), BodyError> {
    plain.put_i32(i32::try_from(count).map_err(|_| BodyError::Length)?);
    Ok(())
}

fn put_part(plain: &mut Vec<u8>, part: &[u8]) -> Result<(), BodyError> {
    put_count(plain, part.len())?;
    plain.put_slice(part);
    Ok(())
}

pub(super) fn count(plain: &mut &[u8]) -> Result<usize, BodyError> {
    let count = plain.try_get_i32().map_err(|_| BodyError::Length)?;
    usize::try_from(count).map_err(|_| BodyError::Length)
}

pub(super) fn part<'a>(plain: &mut &'a [u8]) -> Result<&'a [u8], BodyError> {
    let length = count(plain)?;
    plain.split_off(..length).ok_or(BodyError::Length)
}
