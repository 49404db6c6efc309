//! What a name server saw and did, as events: the laboratory's *evidence*.

use std::net::SocketAddr;

use rmq_remoting::observe::Name;
use serde::Serialize;

/// A request of one name-server incarnation, numbered from 1 in the order of arrival.
pub type RequestNumber = u64;

/// Why a broker left the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RemovalCause {
    /// It said so (code 104).
    Unregistered,
    /// Its connection closed.
    ConnectionClosed,
    /// It did not register again in time.
    TimedOut,
}

/// One thing that happened at a name server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// The name server listens.
    Listening {
        /// The address.
        at: SocketAddr,
    },
    /// A connection came in.
    Accepted {
        /// The client's address.
        peer: SocketAddr,
    },
    /// A connection ended.
    Disconnected {
        /// The client's address.
        peer: SocketAddr,
    },
    /// A request was read.
    Received {
        /// Its number.
        request: RequestNumber,
        /// The connection, by the client's address.
        peer: SocketAddr,
        /// The request code.
        code: i32,
        /// The request id on that connection.
        opaque: i32,
        /// The topic asked for, if any.
        topic: Option<Name>,
    },
    /// A request was answered.
    Answered {
        /// The request.
        request: RequestNumber,
        /// The response code.
        code: i32,
    },
    /// A rule kept a request from its ordinary answer.
    Ruled {
        /// The request.
        request: RequestNumber,
        /// The rule's name.
        rule: Name,
    },
    /// A broker registered and the tables changed.
    BrokerAdded {
        /// Its name.
        broker: Name,
        /// Its id; 0 is the master.
        id: i64,
        /// Its address.
        address: Name,
    },
    /// A broker address left the tables.
    BrokerRemoved {
        /// Its name.
        broker: Name,
        /// Its address.
        address: Name,
        /// Why.
        cause: RemovalCause,
    },
    /// The route of a topic changed.
    RouteChanged {
        /// The topic.
        topic: Name,
        /// The writable queues each broker has, by broker name.
        write_queues: Vec<(Name, i32)>,
    },
}
