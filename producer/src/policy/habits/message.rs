//! How a message is checked, packed and written.

use serde::{Deserialize, Serialize};

/// Which messages and groups are refused before anything is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Checks {
    /// Whether anything is checked before it is sent.
    pub enabled: bool,
    /// The largest body, in bytes, before compression. The broker has a limit of its own.
    pub max_body: u32,
    /// The longest group, in UTF-16 units.
    pub max_group: u32,
    /// Whether the queue that a one-way send is for must be of its message's topic, as it must be
    /// in the other modes. If not, the message's topic and the queue's number are taken.
    pub oneway_topic: bool,
}

/// How bodies are compressed. Consumers need to know the kind: old ones know zlib only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
#[serde(rename_all = "kebab-case")]
pub enum CompressionKind {
    /// A zlib stream, level 5.
    Zlib,
    /// An LZ4 frame: quicker, larger. Consumers since 5.0.
    Lz4,
    /// A Zstandard frame, level 5: smaller at the same speed. Consumers since 5.0.
    Zstd,
}

impl CompressionKind {
    /// The Cargo feature that this build lacks for it.
    pub(in crate::policy) fn missing_feature(self) -> Option<&'static str> {
        match self {
            Self::Lz4 if !cfg!(feature = "lz4") => Some("lz4"),
            Self::Zstd if !cfg!(feature = "zstd") => Some("zstd"),
            Self::Zlib | Self::Lz4 | Self::Zstd => None,
        }
    }
}

/// What becomes of a body that compression does not make smaller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
#[serde(rename_all = "kebab-case")]
pub enum Unprofitable {
    /// It travels as the program gave it.
    Plain,
    /// It travels compressed all the same, and a little larger. One of the largest size is then
    /// refused by the broker.
    Compressed,
}

/// How requests are written and answers are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Wire {
    /// The request that carries a message.
    pub request: SendRequest,
    /// The form of headers.
    pub header: Header,
    /// Whether a compressed message says how it is compressed. If it does not, a reader assumes
    /// zlib.
    pub names_compression: bool,
    /// Whether a one-way request says that it wants no answer.
    pub oneway_flag: bool,
    /// Whether an acceptance without queue and offset is a success (at queue 0, offset 0), or an
    /// answer that cannot be understood.
    pub bare_answers: bool,
    /// Whether an acceptance at a queue or an offset below 0 is a success, or an answer that cannot
    /// be understood.
    pub negative_places: bool,
}

/// The request that carries a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
#[serde(rename_all = "kebab-case")]
pub enum SendRequest {
    /// `SEND_MESSAGE` (10), whose fields have long names.
    V1,
    /// `SEND_MESSAGE_V2` (310), whose fields have short names.
    V2,
}

/// The form of headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
#[serde(rename_all = "kebab-case")]
pub enum Header {
    /// A JSON object (`SerializeType.JSON`, 0).
    Json,
    /// RocketMQ's own binary form (`SerializeType.ROCKETMQ`, 1).
    Binary,
}
