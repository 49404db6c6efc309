//! What a broker saw and did, as events: the laboratory's *evidence*.

use std::net::SocketAddr;

pub use rmq_mock_server::count::RequestNumber;
use rmq_remoting::observe::Name;
use rmq_remoting::properties::name::{INSTANCE_ID, UNIQ_KEY};
use serde::Serialize;

/// What a send request carried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SendSeen {
    /// The topic in the header.
    pub topic: Name,
    /// The queue id in the header.
    pub queue: i32,
    /// The broker name in the header (`n`), if sent.
    pub broker_name: Option<Name>,
    /// The unique key in the properties, if sent.
    pub unique_key: Option<Name>,
    /// The sender's `KEYS` property, if sent.
    pub keys: Option<Name>,
    /// The namespace that the request names beside its header (`ns`), if any.
    pub namespace: Option<Name>,
    /// The level of the delay that the message asks for (`DELAY`), if any.
    pub delay: Option<Name>,
    /// How many requests with this unique key this broker has read, this one included.
    pub nth_of_key: u32,
    /// The `sysFlag` of the header, as bits.
    pub sys_flag: i32,
    /// When the message was born, by its sender's wall clock: the header's `bornTimestamp`, in milliseconds since
    /// the Unix epoch.
    pub born_ms: i64,
    /// Bytes of the body as it came.
    pub body_len: u32,
    /// CRC-32 of the body as it came. Zero for a compressed body: its bytes move with the
    /// compressor's version and stay out of digests.
    pub body_crc: u32,
    /// CRC-32 of what must stay equal over all attempts of one message: user flag and property string.
    pub metadata_crc: u32,
    /// What the application gave the message beside its body, by [`application_crc`].
    pub application_crc: u32,
}

/// CRC-32 of what an application gives a message beside its body: the flag, and every property but those
/// that clients add, whatever the order.
///
/// ```
/// use rmq_mock_broker::event::application_crc;
///
/// let sent = [("KEYS", "k"), ("WAIT", "true"), ("UNIQ_KEY", "0A00")];
/// let given = [("WAIT", "true"), ("KEYS", "k")];
/// assert_eq!(application_crc(7, sent), application_crc(7, given));
/// assert_ne!(application_crc(7, sent), application_crc(8, given));
/// ```
pub fn application_crc<'p>(
    flag: i32,
    properties: impl IntoIterator<Item = (&'p str, &'p str)>,
) -> u32 {
    let given = properties
        .into_iter()
        .filter(|(name, _)| !matches!(*name, UNIQ_KEY | INSTANCE_ID));
    let mut given: Vec<(&str, &str)> = given.collect();
    given.sort_unstable();
    let mut crc = crc32fast::Hasher::new();
    crc.update(&flag.to_be_bytes());
    for (name, value) in given {
        for part in [name, "\u{1}", value, "\u{2}"] {
            crc.update(part.as_bytes());
        }
    }
    crc.finalize()
}

/// How a request left the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// An answer with this code was written.
    Answered {
        /// The response code that is answered.
        code: i32,
    },
    /// An answer with this code was written, without the fields that belong to it.
    Empty {
        /// The response code of the answer.
        code: i32,
    },
    /// One-way: no answer is due.
    NoAnswerDue,
    /// A rule kept the broker silent.
    Silent,
    /// A rule closed the connection instead of answering.
    Closed,
    /// A rule wrote bytes that are no answer to the request.
    Mangled,
}

/// One thing that happened at a broker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// The broker listens for clients.
    Listening {
        /// The address that the server listens at.
        at: SocketAddr,
    },
    /// A client opened a connection.
    Accepted {
        /// The address of the client's end.
        peer: SocketAddr,
    },
    /// The connection of a client ended.
    Disconnected {
        /// The address of the client's end.
        peer: SocketAddr,
    },
    /// A request was read from a connection.
    Received {
        /// The number of the request at this server.
        request: RequestNumber,
        /// The connection, by the client's address.
        peer: SocketAddr,
        /// The code of the request.
        code: i32,
        /// The request id on that connection.
        opaque: i32,
        /// Whether the client wants no answer.
        oneway: bool,
        /// For sends: what it carried.
        send: Option<SendSeen>,
    },
    /// A rule applies to a request.
    Ruled {
        /// The number of the request that this is about.
        request: RequestNumber,
        /// The name of the rule that applied.
        rule: Name,
    },
    /// A message was put on the disk.
    Stored {
        /// The request it came with.
        request: RequestNumber,
        /// The topic that this is about.
        topic: Name,
        /// The queue that the message is stored in.
        queue: i32,
        /// Its position in the queue.
        offset: i64,
        /// Its unique key (made by the broker when the sender gave none).
        unique_key: Name,
        /// CRC-32 of the body as stored; zero for a compressed body.
        body_crc: u32,
    },
    /// A request left the broker.
    Ended {
        /// The number of the request that this is about.
        request: RequestNumber,
        /// How the request left the broker.
        ending: Ending,
    },
    /// A topic was created, by a send or by an operator.
    TopicCreated {
        /// The topic that this is about.
        topic: Name,
        /// How many queues of the topic take messages.
        write_queues: i32,
        /// By a send (true) or by an administrator.
        automatic: bool,
    },
    /// A registration with a name server ended.
    Registered {
        /// The address of the name server.
        name_server: Name,
        /// Whether the name server accepted it.
        accepted: bool,
    },
    /// The broker told a name server that it leaves.
    Unregistered {
        /// The address of the name server.
        name_server: Name,
    },
    /// A heartbeat was read: what the client says of itself.
    Heartbeat {
        /// The number of the request that this is about.
        request: RequestNumber,
        /// The id of the client.
        client_id: Name,
        /// The groups of its producers, in the order in which the client names them.
        groups: Vec<Name>,
    },
    /// A client was heard to say that a group of its producers is gone.
    ProducerLeft {
        /// The number of the request that this is about.
        request: RequestNumber,
        /// The id of the client.
        client_id: Name,
        /// The group that has no producer at this client any more; none if the request names none.
        group: Option<Name>,
    },
}
