//! What of a message travels, and which message is refused.
//!
//! A message is built once for all attempts of its send: body, compression, properties, unique key
//! and time. A retry changes nothing but the target.

use std::borrow::Cow;

use bytes::Bytes;
use rmq_remoting::header::{Request, WithBody};
use rmq_remoting::message::{COMPRESSED, Compression};
use rmq_remoting::observe::Name;
use rmq_remoting::properties;
use rmq_remoting::request::{SendMessage, SendMessageV2};
use rmq_remoting::text;
use rmq_remoting::topic::CLOSED_TO_SENDERS;

use super::namespace;
use crate::event::{Mode, QueueRef};
use crate::message::{InvalidMessage, Message};
use crate::policy::{
    Checks, CompressionKind, Policy, Retarget, SendRequest, Unprofitable, Vip, Wire,
};

/// The longest topic, in UTF-16 units as Java counts them.
const TOPIC_MAX: usize = 127;

/// A message as all its attempts send it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedMessage {
    /// The topic that the message goes to, with its namespace.
    pub topic: Name,
    /// The message's unique key, the same over all its attempts.
    pub unique_key: Name,
    /// What travels as the body, compressed if `sys_flag` says so.
    pub body: Bytes,
    /// Bits that say how the body is packed and what the message is to a transaction; see
    /// [`rmq_remoting::message`].
    pub sys_flag: i32,
    /// The application's flag, which RocketMQ carries and does not read.
    pub flag: i32,
    /// The properties as they travel.
    pub properties: String,
    /// When the message was built, in milliseconds since the Unix epoch.
    pub born_ms: i64,
}

/// What all messages of one producer say of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProducerIdentity {
    /// The producer group that the message is sent for.
    pub group: Name,
    /// The topic that a new topic is made after.
    pub default_topic: Name,
    /// How many queues a new topic gets at most.
    pub default_queues: i32,
    /// The namespace of its topics, if they have one.
    pub namespace: Option<Name>,
}

impl ProducerIdentity {
    /// A topic as servers know it.
    #[must_use]
    pub fn wrapped(&self, topic: &Name) -> Name {
        renamed(topic, self.namespace.as_ref(), namespace::wrap)
    }

    /// A topic as the program knows it.
    #[must_use]
    pub fn unwrapped(&self, topic: &Name) -> Name {
        renamed(topic, self.namespace.as_ref(), namespace::unwrap)
    }
}

fn renamed(
    topic: &Name,
    namespace: Option<&Name>,
    rename: for<'a> fn(&str, &'a str) -> Cow<'a, str>,
) -> Name {
    match namespace.map(|namespace| rename(namespace, topic)) {
        Some(name) if *name != **topic => name.into(),
        _ => Name::clone(topic),
    }
}

/// Whether a message may be sent. Codes, texts and their order are the Java client's.
///
/// # Errors
/// The first thing that is wrong with it.
pub fn validate(policy: &Policy, message: &Message) -> Result<(), InvalidMessage> {
    if let Some(flaw) = message.flaw() {
        // Whatever the policy checks: it would become other properties than the program's.
        let text = flaw.to_string();
        return Err(InvalidMessage { code: 13, text });
    }
    validate_topic(policy, message.topic())?;
    let Checks {
        enabled,
        max_body: max,
        ..
    } = checks(policy);
    let length = message.body().len();
    let text = if !enabled {
        return Ok(());
    } else if length == 0 {
        "the message body length is zero".to_owned()
    } else if u32::try_from(length).is_ok_and(|length| length <= max) {
        return Ok(());
    } else {
        format!("the message body size over max value, MAX: {max}")
    };
    Err(InvalidMessage { code: 13, text })
}

/// Whether messages may be sent to a topic of this name.
///
/// # Errors
/// The first thing that is wrong with it.
pub fn validate_topic(policy: &Policy, topic: &str) -> Result<(), InvalidMessage> {
    let text = if !checks(policy).enabled {
        return Ok(());
    } else if topic.trim().is_empty() {
        "The specified topic is blank".to_owned()
    } else if topic.encode_utf16().count() > TOPIC_MAX {
        format!("The specified topic is longer than topic max length {TOPIC_MAX}.")
    } else if !topic.chars().all(is_legal) {
        format!(
            "The specified topic[{}] contains illegal characters, allowing only {ALLOWED}",
            text::name(topic)
        )
    } else if CLOSED_TO_SENDERS.contains(&topic) {
        format!("Sending message to topic[{topic}] is forbidden.")
    } else {
        return Ok(());
    };
    Err(InvalidMessage { code: -1, text })
}

/// Which messages and groups are refused.
#[must_use]
pub fn checks(policy: &Policy) -> Checks {
    policy.checks
}

/// Whether the queue that a send is for must be of its message's topic.
#[must_use]
pub fn checks_queue(policy: &Policy, mode: Mode) -> bool {
    mode != Mode::Oneway || checks(policy).oneway_topic
}

/// How requests are written and answers are read.
#[must_use]
pub fn wire(policy: &Policy) -> Wire {
    policy.wire
}

/// Whether a name may be a producer group. The texts are the Java client's.
///
/// # Errors
/// What is wrong with it.
pub fn validate_group(policy: &Policy, group: &str) -> Result<(), String> {
    let Checks {
        enabled,
        max_group: max,
        ..
    } = checks(policy);
    if !enabled {
        return Ok(());
    }
    let length = u32::try_from(group.encode_utf16().count()).unwrap_or(u32::MAX);
    if group.trim().is_empty() {
        Err("the specified group is blank".to_owned())
    } else if length > max {
        Err(format!(
            "the specified group[{}] is longer than group max length: {max}.",
            text::name(group)
        ))
    } else if !group.chars().all(is_legal) {
        Err(format!(
            "the specified group[{}] contains illegal characters, allowing only {ALLOWED}",
            text::name(group)
        ))
    } else if group == "DEFAULT_PRODUCER" {
        Err("producerGroup can not equal DEFAULT_PRODUCER, please specify another one.".to_owned())
    } else {
        Ok(())
    }
}

const ALLOWED: &str = "^[%|a-zA-Z0-9_-]+$";

fn is_legal(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '%' | '|' | '_' | '-')
}

/// Whether a name may be a namespace. It travels as a property and as a part of topics, whatever
/// the policy checks.
///
/// # Errors
/// What is wrong with it.
pub fn validate_namespace(namespace: &str) -> Result<(), String> {
    let illegal = |c: char| c.is_control() || c.is_whitespace();
    if !namespace.contains(illegal) {
        return Ok(());
    }
    let namespace = text::name(namespace);
    Err(format!(
        "the namespace `{namespace}` contains blanks or control characters"
    ))
}

/// How a body of this length is compressed, if it is.
#[must_use]
pub fn compresses(policy: &Policy, length: usize) -> Option<Compression> {
    let least = usize::try_from(policy.compress_over).unwrap_or(usize::MAX);
    let kind = match policy.compression {
        CompressionKind::Zlib => Compression::Zlib,
        CompressionKind::Lz4 => Compression::Lz4,
        CompressionKind::Zstd => Compression::Zstd,
    };
    (least > 0 && length >= least).then_some(kind)
}

/// Whether a body travels compressed that takes `packed` bytes so instead of `plain`.
#[must_use]
pub fn pays(policy: &Policy, plain: usize, packed: usize) -> bool {
    match policy.unprofitable {
        Unprofitable::Compressed => true,
        Unprofitable::Plain => packed < plain,
    }
}

/// Builds what all attempts of a send carry. `packed` is the message's body as it was compressed,
/// if it was; it travels so if that [`pays`].
#[must_use]
pub fn encode(
    policy: &Policy,
    namespace: Option<&Name>,
    message: &Message,
    packed: Option<(Compression, Bytes)>,
    unique_key: Name,
    born_ms: i64,
) -> EncodedMessage {
    let mut text = String::with_capacity(64);
    message.for_each_property(|name, value| properties::append(&mut text, name, value));
    properties::append(&mut text, properties::name::UNIQ_KEY, &unique_key);
    if let Some(namespace) = namespace {
        properties::append(&mut text, properties::name::INSTANCE_ID, namespace);
    }
    let plain = message.body().len();
    let packed = packed.filter(|(_, packed)| pays(policy, plain, packed.len()));
    let (body, sys_flag) = match packed {
        Some((kind, packed)) if wire(policy).names_compression => (packed, kind.bits()),
        Some((_, packed)) => (packed, COMPRESSED),
        None => (message.body().clone(), 0),
    };
    EncodedMessage {
        topic: Name::clone(message.topic_name()),
        unique_key,
        body,
        sys_flag,
        flag: message.flag(),
        properties: text,
        born_ms,
    }
}

/// How far the second port of a broker is below the first.
const VIP_BELOW: u16 = 2;

/// The address that an attempt goes to, of a broker's.
#[must_use]
pub fn address(policy: &Policy, mode: Mode, attempt: u32, broker: &Name) -> Name {
    let Vip {
        enabled,
        async_retries,
    } = policy.vip;
    if enabled && (mode != Mode::Async || attempt == 1 || async_retries) {
        return second_port(broker).unwrap_or_else(|| Name::clone(broker));
    }
    Name::clone(broker)
}

/// The address of a broker's second port; none if there is no such port.
#[must_use]
pub fn second_port(broker: &str) -> Option<Name> {
    let (host, port) = broker.rsplit_once(':')?;
    let port: u16 = port.parse().ok()?;
    let port = port.checked_sub(VIP_BELOW).filter(|port| *port > 0)?;
    Some(format!("{host}:{port}").into())
}

/// The queue and broker name that an attempt's request names, of the first attempt's target and
/// its own.
#[must_use]
pub fn target<'a>(
    policy: &Policy,
    mode: Mode,
    first: &'a QueueRef,
    own: &'a QueueRef,
) -> &'a QueueRef {
    match policy.retarget {
        Retarget::AsyncAddressOnly if mode == Mode::Async => first,
        Retarget::AsyncAddressOnly | Retarget::QueueAndBroker => own,
    }
}

/// The request that carries an encoded to a queue.
#[must_use]
pub fn request<'a>(
    policy: &Policy,
    identity: &'a ProducerIdentity,
    encoded: &'a EncodedMessage,
    to: &'a QueueRef,
) -> EncodedRequest<'a> {
    let body = &encoded.body;
    let header = header(identity, encoded, to);
    match wire(policy).request {
        SendRequest::V1 => EncodedRequest::V1(WithBody { header, body }),
        SendRequest::V2 => EncodedRequest::V2(WithBody {
            header: SendMessageV2(header),
            body,
        }),
    }
}

/// A message on its way to a queue, in one of the two requests that can carry it.
#[derive(Debug)]
pub enum EncodedRequest<'a> {
    /// The request `SEND_MESSAGE` (10), with long field names.
    V1(WithBody<'a, SendMessage<'a>>),
    /// The request `SEND_MESSAGE_V2` (310), with one-letter field names.
    V2(WithBody<'a, SendMessageV2<'a>>),
}

impl EncodedRequest<'_> {
    /// The request as the transport takes it.
    #[must_use]
    pub fn request(&self) -> &dyn Request {
        match self {
            Self::V1(request) => request,
            Self::V2(request) => request,
        }
    }
}

fn header<'a>(
    identity: &'a ProducerIdentity,
    encoded: &'a EncodedMessage,
    to: &'a QueueRef,
) -> SendMessage<'a> {
    SendMessage {
        producer_group: Some(&identity.group),
        topic: &encoded.topic,
        default_topic: Some(&identity.default_topic),
        default_topic_queue_nums: Some(identity.default_queues),
        queue_id: to.queue,
        sys_flag: encoded.sys_flag,
        born_timestamp: encoded.born_ms,
        flag: encoded.flag,
        properties: Some(&encoded.properties),
        reconsume_times: Some(0),
        unit_mode: false,
        max_reconsume_times: None,
        batch: false,
        broker_name: Some(&to.broker),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(message: &Message) -> (i32, String) {
        let invalid = validate(&Policy::strict(), message).unwrap_err();
        (invalid.code, invalid.text)
    }

    fn built(message: &Message) -> EncodedMessage {
        encode(&Policy::strict(), None, message, None, "KEY".into(), 7)
    }

    #[test]
    fn a_body_of_exactly_the_limit_passes() {
        let max = Policy::strict().checks.max_body as usize;
        assert!(validate(&Policy::strict(), &Message::new("t", vec![1; max])).is_ok());
        let (code, text) = refused(&Message::new("t", vec![1; max + 1]));
        assert_eq!(code, 13);
        assert_eq!(text, "the message body size over max value, MAX: 4194304");
    }

    #[test]
    fn a_topic_of_127_characters_passes_and_one_of_128_does_not() {
        assert!(validate(&Policy::strict(), &Message::new("t".repeat(127), "b")).is_ok());
        let (code, text) = refused(&Message::new("t".repeat(128), "b"));
        assert_eq!(code, -1);
        assert_eq!(
            text,
            "The specified topic is longer than topic max length 127."
        );
    }

    #[test]
    fn bad_topics_are_refused_before_a_bad_body() {
        assert_eq!(
            refused(&Message::new(" ", "")).1,
            "The specified topic is blank"
        );
        let text = "The specified topic[a.b] contains illegal characters, allowing only \
                    ^[%|a-zA-Z0-9_-]+$";
        assert_eq!(refused(&Message::new("a.b", "")).1, text);
        let text = "Sending message to topic[SCHEDULE_TOPIC_XXXX] is forbidden.";
        assert_eq!(refused(&Message::new("SCHEDULE_TOPIC_XXXX", "b")).1, text);
        let (code, text) = refused(&Message::new("TBW102", ""));
        assert_eq!((code, &*text), (13, "the message body length is zero"));
    }

    #[test]
    fn a_group_of_120_characters_is_the_longest() {
        let validate_group = |group: &str| validate_group(&Policy::strict(), group);
        assert_eq!(validate_group(&"g".repeat(120)), Ok(()));
        assert!(
            validate_group(&"g".repeat(121))
                .unwrap_err()
                .ends_with("max length: 120.")
        );
        let text = validate_group("a b").unwrap_err();
        assert!(text.starts_with("the specified group[a b] contains illegal characters"));
        assert!(
            validate_group("DEFAULT_PRODUCER")
                .unwrap_err()
                .contains("please specify")
        );
        assert_eq!(
            validate_group("").unwrap_err(),
            "the specified group is blank"
        );
    }

    #[test]
    fn a_body_of_4096_bytes_is_compressed_and_one_of_4095_is_not() {
        let mut policy = Policy::strict();
        assert_eq!(compresses(&policy, 4095), None);
        assert_eq!(compresses(&policy, 4096), Some(Compression::Zlib));
        policy.compress_over = 0;
        assert_eq!(compresses(&policy, 4096), None);
    }

    #[test]
    fn a_compressed_body_says_how_unless_its_reader_would_not_understand() {
        let message = Message::new("t", "plain, and longer");
        let packed = || Some((Compression::Lz4, Bytes::from_static(b"packed")));
        let build =
            |policy: &Policy, packed| encode(policy, None, &message, packed, "KEY".into(), 7);
        let encoded = build(&Policy::strict(), packed());
        assert_eq!((encoded.sys_flag, &*encoded.body), (0x101, &b"packed"[..]));
        assert_eq!(build(&Policy::go_2_1(), packed()).sys_flag, 1);
        let plain = build(&Policy::strict(), None);
        assert_eq!(
            (plain.sys_flag, &*plain.body),
            (0, &b"plain, and longer"[..])
        );
    }

    #[test]
    fn a_body_that_compression_does_not_shrink_travels_plain_and_says_so_but_not_with_java() {
        let message = Message::new("t", "plain");
        for (packed, compressed) in [("pack", true), ("packs", false), ("packed", false)] {
            let build = |policy: &Policy| {
                let packed = Some((Compression::Zlib, Bytes::from(packed)));
                encode(policy, None, &message, packed, "KEY".into(), 7)
            };
            let strict = build(&Policy::strict());
            assert_eq!(strict.sys_flag != 0, compressed, "{packed}");
            assert_eq!(strict.body == "plain", !compressed, "{packed}");
            let java = build(&Policy::java_5_3());
            assert_eq!((&*java.body, java.sys_flag), (packed.as_bytes(), 0x301));
        }
    }

    #[test]
    fn a_message_with_a_flaw_is_refused_by_every_policy() {
        let message = Message::new("t", "b").with_tag("a\u{1}b");
        for preset in crate::policy::PRESETS {
            let policy = Policy::preset(preset).unwrap();
            let invalid = validate(&policy, &message).unwrap_err();
            assert_eq!(invalid.code, 13, "{preset}");
            assert!(invalid.text.contains("TAGS"), "{}", invalid.text);
        }
    }

    #[test]
    fn a_namespace_cannot_end_its_property() {
        assert_eq!(validate_namespace("MQ_INST_1_abc"), Ok(()));
        for namespace in ["a\u{2}DELAY\u{1}3", "a b", "a\n"] {
            assert!(validate_namespace(namespace).is_err(), "{namespace}");
        }
    }

    #[test]
    fn the_properties_end_with_the_unique_key() {
        let encoded = built(&Message::new("t", "b").with_tag("A").with_key("K"));
        let expected = "KEYS\u{1}K\u{2}TAGS\u{1}A\u{2}WAIT\u{1}true\u{2}UNIQ_KEY\u{1}KEY\u{2}";
        assert_eq!(encoded.properties, expected);
    }

    #[test]
    fn the_second_port_is_two_below_and_javas_async_retry_does_not_use_it() {
        let (mut strict, mut java) = (Policy::strict(), Policy::java_5_3());
        let broker = Name::from("10.0.0.1:10911");
        assert_eq!(address(&strict, Mode::Sync, 1, &broker), broker);
        (strict.vip.enabled, java.vip.enabled) = (true, true);
        for (policy, mode, attempt, port) in [
            (&strict, Mode::Async, 2, 10_909),
            (&java, Mode::Sync, 2, 10_909),
            (&java, Mode::Async, 1, 10_909),
            (&java, Mode::Async, 2, 10_911),
            (&java, Mode::Oneway, 1, 10_909),
        ] {
            let expected = format!("10.0.0.1:{port}");
            assert_eq!(&*address(policy, mode, attempt, &broker), expected);
        }
        assert_eq!(second_port("h:2"), None);
        assert_eq!(second_port("h"), None);
    }

    #[test]
    fn only_javas_async_retry_keeps_the_first_queue_in_its_request() {
        let queue = |broker: &str, queue| QueueRef {
            broker: broker.into(),
            queue,
        };
        let (first, own) = (queue("a", 3), queue("b", 0));
        let java = Policy::java_5_3();
        assert_eq!(target(&java, Mode::Async, &first, &own), &first);
        assert_eq!(target(&java, Mode::Sync, &first, &own), &own);
        assert_eq!(target(&Policy::strict(), Mode::Async, &first, &own), &own);
    }
}
