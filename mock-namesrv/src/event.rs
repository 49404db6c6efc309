//! What a name server saw and did, as events: the laboratory's *evidence*.

use std::net::SocketAddr;

pub use rmq_mock_server::count::RequestNumber;
use rmq_remoting::observe::Name;
use serde::Serialize;

/// Why a broker left the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RemovalCause {
    /// It said so (code 104).
    Unregistered,
    /// The connection of the broker closed.
    ConnectionClosed,
    /// It did not register again in time.
    TimedOut,
}

/// One thing that happened at a name server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// The name server listens at its port.
    Listening {
        /// The address that the server listens at.
        at: SocketAddr,
    },
    /// A client or a broker opened a connection.
    Accepted {
        /// The address of the client's end.
        peer: SocketAddr,
    },
    /// The connection of a client or a broker ended.
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
        /// The topic asked for, if any.
        topic: Option<Name>,
    },
    /// An answer to a request was written.
    Answered {
        /// The number of the request that this is about.
        request: RequestNumber,
        /// The response code that is answered.
        code: i32,
    },
    /// A rule kept a request from its ordinary answer.
    Ruled {
        /// The number of the request that this is about.
        request: RequestNumber,
        /// The name of the rule that applied.
        rule: Name,
    },
    /// A broker registered and the tables changed.
    BrokerAdded {
        /// The name of the broker.
        broker: Name,
        /// Its id; 0 is the master.
        id: i64,
        /// The address of the broker.
        address: Name,
    },
    /// A broker address left the tables.
    BrokerRemoved {
        /// The name of the broker.
        broker: Name,
        /// The address of the broker.
        address: Name,
        /// Why the broker was removed.
        cause: RemovalCause,
    },
    /// The route of a topic changed.
    RouteChanged {
        /// The topic that this is about.
        topic: Name,
        /// The writable queues each broker has, by broker name.
        write_queues: Vec<(Name, i32)>,
    },
}
