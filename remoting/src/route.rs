//! Which brokers serve a topic, and what a name server knows of its clusters.
//!
//! Two dialects of JSON are on the wire, and both are read as the Java client reads them: see
//! `lenient`. A member that no client needs never costs a route, whatever it holds; one that is
//! needed and cannot be read is named with its path. How much a route may be is limited while it is
//! read, so that a short text cannot become a large table.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Serialize;

use crate::body::BodyError;
use crate::dialect::encode;
use crate::lenient::{DocumentFault, Reader, document};
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

/// The longest name or address that is read, in bytes.
pub const NAME_MAX: usize = 1024;

/// How much a route may be. What is beyond is an error.
///
/// ```
/// use rmq_remoting::route::{RouteLimits, TopicRouteData};
///
/// let body = br#"{"brokerDatas": [{"brokerName": "a"}, {"brokerName": "b"}], "queueDatas": []}"#;
/// let one_broker = RouteLimits { brokers: 1, ..RouteLimits::default() };
/// let refused = TopicRouteData::decode_within(body, &one_broker).map_err(|error| error.to_string());
/// assert!(refused.is_err_and(|text| text.contains("more brokers than the limit of 1")));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RouteLimits {
    /// Its text, in bytes. 4 MiB by default.
    pub bytes: usize,
    /// Its brokers, and as many entries of queues and of static queues; four times as many
    /// addresses. 4,096 by default.
    pub brokers: usize,
}

impl Default for RouteLimits {
    fn default() -> Self {
        Self {
            bytes: 4 * 1024 * 1024,
            brokers: 4096,
        }
    }
}

/// The queues of a topic and the brokers that hold them.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use rmq_remoting::route::TopicRouteData;
///
/// // As servers wrote it before 4.9.4: the broker's id is no text.
/// let body = br#"{
///     "brokerDatas": [{"brokerName": "broker-a", "brokerAddrs": {0: "10.0.0.1:10911"}}],
///     "queueDatas": [{"brokerName": "broker-a", "readQueueNums": 4, "writeQueueNums": 4, "perm": 6}]
/// }"#;
/// let route = TopicRouteData::decode(body)?;
/// assert_eq!(route.broker_datas[0].master().map(|at| &**at), Some("10.0.0.1:10911"));
/// assert_eq!(route.queue_datas[0].write_queue_nums, 4);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TopicRouteData {
    /// The brokers that have queues of the topic.
    pub broker_datas: Vec<BrokerData>,
    /// Filter servers by address; empty since 4.3.
    pub filter_server_table: BTreeMap<Name, Vec<String>>,
    /// The queues of an ordered topic, as `broker:queues;…`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order_topic_conf: Option<String>,
    /// The queues, one entry per broker name.
    pub queue_datas: Vec<QueueData>,
    /// The logical queues of a static topic, by broker name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topic_queue_mapping_by_broker: Option<BTreeMap<Name, QueueMapping>>,
}

impl TopicRouteData {
    /// Reads a route of either dialect, within the usual limits.
    ///
    /// # Errors
    /// It is no route, or larger than the limits; the error says where.
    pub fn decode(bytes: &[u8]) -> Result<Self, BodyError> {
        Self::decode_within(bytes, &RouteLimits::default())
    }

    /// Reads a route of either dialect.
    ///
    /// # Errors
    /// It is no route, or larger than the limits; the error says where.
    pub fn decode_within(bytes: &[u8], limits: &RouteLimits) -> Result<Self, BodyError> {
        let text = text(bytes, limits)?;
        Ok(document(&text, |reader| Self::read(reader, limits))?)
    }

    /// Writes the route in this form.
    #[must_use]
    pub fn encode(&self, form: RouteForm) -> Bytes {
        encode(self, form)
    }

    fn read(reader: &mut Reader<'_>, limits: &RouteLimits) -> Read<Self> {
        const NAMES: [&str; 5] = [
            "brokerDatas",
            "filterServerTable",
            "orderTopicConf",
            "queueDatas",
            "topicQueueMappingByBroker",
        ];
        let mut route = Self::default();
        let mut addresses = limits.brokers.saturating_mul(4);
        let there = reader.object(&NAMES, |reader, name| {
            match name {
                "brokerDatas" => {
                    let brokers = &mut route.broker_datas;
                    brokers.clear();
                    reader.list(|reader| {
                        room(reader, brokers.len(), limits, "brokers")?;
                        brokers.push(BrokerData::read(reader, &mut addresses)?);
                        Ok(())
                    })?;
                }
                "queueDatas" => {
                    let queues = &mut route.queue_datas;
                    queues.clear();
                    reader.list(|reader| {
                        room(reader, queues.len(), limits, "entries of queues")?;
                        queues.push(QueueData::read(reader)?);
                        Ok(())
                    })?;
                }
                "orderTopicConf" => {
                    let order = reader.text(limits.bytes)?;
                    route.order_topic_conf = order.map(Cow::into_owned);
                }
                "filterServerTable" => {
                    let table = reader.spare(|reader| filter_servers(reader, limits))?;
                    route.filter_server_table = table.unwrap_or_default();
                }
                _ => {
                    let mapping = reader.spare(|reader| mappings(reader, limits))?;
                    route.topic_queue_mapping_by_broker = mapping;
                }
            }
            Ok(())
        })?;
        if !there {
            return Err(reader.fault("no object"));
        }
        Ok(route)
    }
}

type Read<T> = Result<T, DocumentFault>;

/// The text of a document. As in Java, damaged letters are replaced.
fn text<'a>(bytes: &'a [u8], limits: &RouteLimits) -> Read<Cow<'a, str>> {
    let (length, most) = (bytes.len(), limits.bytes);
    if length > most {
        return Err(DocumentFault {
            path: String::new(),
            problem: format!("it has {length} bytes, more than the limit of {most}").into(),
            at: most,
        });
    }
    Ok(String::from_utf8_lossy(bytes))
}

/// Refuses one entry more than the limit.
fn room(reader: &Reader<'_>, count: usize, limits: &RouteLimits, what: &str) -> Read<()> {
    let most = limits.brokers;
    if count < most {
        return Ok(());
    }
    Err(reader.fault(format!("more {what} than the limit of {most}")))
}

fn name(reader: &mut Reader<'_>) -> Read<Option<Name>> {
    Ok(reader.text(NAME_MAX)?.map(Name::from))
}

fn filter_servers(
    reader: &mut Reader<'_>,
    limits: &RouteLimits,
) -> Read<Option<BTreeMap<Name, Vec<String>>>> {
    let mut table: BTreeMap<Name, Vec<String>> = BTreeMap::new();
    let mut count: usize = 0;
    reader.map(|reader, key| {
        let mut servers = Vec::new();
        count = count.saturating_add(1);
        room(reader, count, limits, "filter servers")?;
        reader.list(|reader| {
            count = count.saturating_add(1);
            room(reader, count, limits, "filter servers")?;
            servers.extend(reader.text(NAME_MAX)?.map(Cow::into_owned));
            Ok(())
        })?;
        table.insert(key.into(), servers);
        Ok(())
    })?;
    Ok(Some(table))
}

fn mappings(
    reader: &mut Reader<'_>,
    limits: &RouteLimits,
) -> Read<Option<BTreeMap<Name, QueueMapping>>> {
    let mut mappings: BTreeMap<Name, QueueMapping> = BTreeMap::new();
    let there = reader.map(|reader, broker| {
        // Whether there are any is what counts; how many is not worth an error.
        if mappings.len() >= limits.brokers || broker.len() > NAME_MAX {
            return reader.skip();
        }
        let mapping = reader.spare(|reader| QueueMapping::read(reader).map(Some))?;
        mappings.insert(broker.into(), mapping.unwrap_or_default());
        Ok(())
    })?;
    Ok(there.then_some(mappings))
}

/// A broker name: a master and its slaves.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BrokerData {
    /// Addresses by broker id. In a group that waits for the election of its master the ids may be
    /// negative.
    pub broker_addrs: BTreeMap<i64, Name>,
    /// The name of the broker.
    pub broker_name: Name,
    /// The cluster that the broker belongs to.
    pub cluster: Name,
    /// Whether a slave may stand in for a lost master.
    pub enable_acting_master: bool,
    /// The zone that the broker serves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone_name: Option<Name>,
}

impl BrokerData {
    /// The address of the master (id 0), if one is there.
    #[must_use]
    pub fn master(&self) -> Option<&Name> {
        self.broker_addrs.get(&MASTER_ID)
    }

    /// Reads one, with no more addresses than `room` says, which is counted down.
    fn read(reader: &mut Reader<'_>, room: &mut usize) -> Read<Self> {
        const NAMES: [&str; 5] = [
            "brokerAddrs",
            "brokerName",
            "cluster",
            "enableActingMaster",
            "zoneName",
        ];
        let mut broker = Self::default();
        reader.object(&NAMES, |reader, member| {
            match member {
                "brokerAddrs" => broker.broker_addrs = addresses(reader, room)?,
                "brokerName" => broker.broker_name = name(reader)?.unwrap_or_default(),
                "cluster" => broker.cluster = reader.spare(name)?.unwrap_or_default(),
                "zoneName" => broker.zone_name = reader.spare(name)?,
                _ => {
                    let acting = reader.spare(Reader::flag)?;
                    broker.enable_acting_master = acting.unwrap_or_default();
                }
            }
            Ok(())
        })?;
        Ok(broker)
    }
}

fn addresses(reader: &mut Reader<'_>, room: &mut usize) -> Read<BTreeMap<i64, Name>> {
    let mut addresses = BTreeMap::new();
    reader.map(|reader, id| {
        let Ok(id) = id.trim().parse() else {
            return Err(reader.fault("the id of a broker is no whole number"));
        };
        *room = room
            .checked_sub(1)
            .ok_or_else(|| reader.fault("more addresses than four for each broker of the limit"))?;
        if let Some(address) = name(reader)? {
            addresses.insert(id, address);
        }
        Ok(())
    })?;
    Ok(addresses)
}

/// A topic's queues on one broker name.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct QueueData {
    /// The name of the broker that has the queues.
    pub broker_name: Name,
    /// What clients may do with the queues: bits of [`perm`](crate::topic::perm).
    pub perm: i32,
    /// How many queues of the topic consumers may read from, at this broker.
    pub read_queue_nums: i32,
    /// Bits of the topic. Servers before 4.9 misspell it.
    pub topic_sys_flag: i32,
    /// How many queues of the topic producers may write to, at this broker.
    pub write_queue_nums: i32,
}

impl QueueData {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        const NAMES: [&str; 6] = [
            "brokerName",
            "perm",
            "readQueueNums",
            "topicSysFlag",
            "topicSynFlag",
            "writeQueueNums",
        ];
        let mut queue = Self::default();
        reader.object(&NAMES, |reader, member| {
            match member {
                "brokerName" => queue.broker_name = name(reader)?.unwrap_or_default(),
                "perm" => queue.perm = reader.number()?.unwrap_or_default(),
                "readQueueNums" => queue.read_queue_nums = reader.number()?.unwrap_or_default(),
                "writeQueueNums" => queue.write_queue_nums = reader.number()?.unwrap_or_default(),
                _ => {
                    let flag = reader.spare(Reader::number)?;
                    queue.topic_sys_flag = flag.unwrap_or_default();
                }
            }
            Ok(())
        })?;
        Ok(queue)
    }
}

/// The logical queues of a static topic that one broker serves, without the table of queue numbers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct QueueMapping {
    /// The name of the broker.
    pub bname: Name,
    /// Whether the mapping is being changed.
    pub dirty: bool,
    /// Counts the changes of the mapping.
    pub epoch: i64,
    /// Tells mappings of one topic apart.
    pub scope: Name,
    /// The name of the topic.
    pub topic: Name,
    /// The logical queues of the whole topic.
    pub total_queues: i32,
}

impl QueueMapping {
    /// Nobody here looks into a mapping, so it may hold anything.
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        const NAMES: [&str; 6] = ["bname", "dirty", "epoch", "scope", "topic", "totalQueues"];
        let mut mapping = Self::default();
        reader.object(&NAMES, |reader, member| {
            match member {
                "bname" => mapping.bname = reader.spare(name)?.unwrap_or_default(),
                "dirty" => mapping.dirty = reader.spare(Reader::flag)?.unwrap_or_default(),
                "epoch" => mapping.epoch = reader.spare(Reader::number)?.unwrap_or_default(),
                "scope" => mapping.scope = reader.spare(name)?.unwrap_or_default(),
                "topic" => mapping.topic = reader.spare(name)?.unwrap_or_default(),
                _ => {
                    let total = reader.spare(Reader::number)?;
                    mapping.total_queues = total.unwrap_or_default();
                }
            }
            Ok(())
        })?;
        Ok(mapping)
    }
}

/// All a name server knows of clusters and brokers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterInfo {
    /// The brokers, by their names.
    pub broker_addr_table: BTreeMap<Name, BrokerData>,
    /// The names of the brokers, by cluster.
    pub cluster_addr_table: BTreeMap<Name, Vec<Name>>,
}

impl ClusterInfo {
    /// Reads it, of either dialect, within the limits of a route.
    ///
    /// # Errors
    /// It is no cluster information; the error says where.
    pub fn decode(bytes: &[u8]) -> Result<Self, BodyError> {
        let limits = RouteLimits::default();
        let text = text(bytes, &limits)?;
        Ok(document(&text, |reader| Self::read(reader, &limits))?)
    }

    /// Writes it; servers write the legacy dialect to every client.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        encode(self, RouteForm::Legacy)
    }

    fn read(reader: &mut Reader<'_>, limits: &RouteLimits) -> Read<Self> {
        const NAMES: [&str; 2] = ["brokerAddrTable", "clusterAddrTable"];
        let mut info = Self::default();
        let mut addresses = limits.brokers.saturating_mul(4);
        let there = reader.object(&NAMES, |reader, member| {
            if member == "brokerAddrTable" {
                let table = &mut info.broker_addr_table;
                table.clear();
                reader.map(|reader, key| {
                    room(reader, table.len(), limits, "brokers")?;
                    table.insert(key.into(), BrokerData::read(reader, &mut addresses)?);
                    Ok(())
                })?;
                return Ok(());
            }
            let table = &mut info.cluster_addr_table;
            table.clear();
            let mut count: usize = 0;
            reader.map(|reader, key| {
                let mut brokers = Vec::new();
                reader.list(|reader| {
                    count = count.saturating_add(1);
                    room(reader, count, limits, "brokers of clusters")?;
                    brokers.extend(name(reader)?);
                    Ok(())
                })?;
                table.insert(key.into(), brokers);
                Ok(())
            })?;
            Ok(())
        })?;
        if !there {
            return Err(reader.fault("no object"));
        }
        Ok(info)
    }
}
