//! What a connection of a client did, as events. The observer adds the time.

use std::fmt;
use std::net::SocketAddr;

use serde::Serialize;

use crate::observe::Name;

crate::number! {
    /// The number of a connection at one of its ends, from 1: at a client in the order in which the
    /// dials started, whatever their addresses, at a server in the order of accepting. A dial has its
    /// number from its start on, and the connection keeps it; one that fails has used it up.
    ConnectionNumber;
}

/// Why a connection came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
pub enum CloseCause {
    /// The peer closed its side (FIN).
    PeerClosed,
    /// The connection broke: reset, timed out, or another I/O error.
    Broken,
    /// The peer sent bytes that are no frame (`spec/wire-and-servers.md` 1.7).
    BadFrame,
    /// Nothing was read or written for the idle limit.
    Idle,
    /// The peer announced its shutdown and a fresh connection took over.
    Drained,
    /// The policy closes a connection whose call timed out.
    CallTimedOut,
    /// The peer answered nothing for too long, although it was asked.
    DeadPeer,
    /// A request on it was not answered, and a second connection proved that the peer is there.
    Replaced,
    /// The peer's address left every route.
    Offline,
    /// The client itself was stopped.
    Stopped,
    /// The peer asked on and on and did not read the answers.
    Flooded,
}

impl fmt::Display for CloseCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PeerClosed => "the peer closed it",
            Self::Broken => "it broke",
            Self::BadFrame => "the peer sent bytes that are no frame",
            Self::Idle => "it was idle for too long",
            Self::Drained => "the peer announced its shutdown",
            Self::CallTimedOut => "a call on it timed out",
            Self::DeadPeer => "the peer answered nothing for too long",
            Self::Replaced => "another connection to the peer took its place",
            Self::Offline => "nobody needs its address any more",
            Self::Stopped => "this client closed it",
            Self::Flooded => "the peer asks and does not read the answers",
        })
    }
}

/// Why a dial came to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
pub enum DialFailure {
    /// Nobody listens at the address.
    Refused,
    /// No answer within the dial timeout.
    TimedOut,
    /// The address cannot be understood or resolved, or another I/O error.
    Other,
}

/// One thing that happened on a client's connections.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
pub enum Event {
    /// A dial of an address started.
    Dial {
        /// Its number, which the connection keeps.
        connection: ConnectionNumber,
        /// The address that was dialled.
        to: Name,
    },
    /// A dial ended without a connection.
    DialFailed {
        /// The number of the dial, which is that of its connection.
        connection: ConnectionNumber,
        /// The address that was dialled.
        to: Name,
        /// Why the dial came to nothing.
        cause: DialFailure,
    },
    /// A dial succeeded, and the connection is open.
    Opened {
        /// The number of the dial, which is that of its connection.
        connection: ConnectionNumber,
        /// The address that was dialled.
        to: Name,
        /// This end. Together with `peer` it joins this event to the peer's evidence.
        local: SocketAddr,
        /// The address of the other end.
        peer: SocketAddr,
    },
    /// A connection ended, by either side.
    Closed {
        /// The number of the connection that ended.
        connection: ConnectionNumber,
        /// The address that was dialled.
        to: Name,
        /// What ended the connection.
        cause: CloseCause,
        /// Requests that were still waiting for their answer; each fails at once.
        pending: u32,
    },
    /// A request's last byte was given to the machine.
    Written {
        /// The number of the connection that this is about.
        connection: ConnectionNumber,
        /// The request's id on the connection (`opaque`).
        opaque: i32,
    },
    /// An answer completed its request.
    Reply {
        /// The number of the connection that this is about.
        connection: ConnectionNumber,
        /// The request's id on the connection (`opaque`).
        opaque: i32,
        /// The response code of the answer.
        code: i32,
    },
    /// An answer matched no open request: late, doubled or unknown.
    Late {
        /// The number of the connection that this is about.
        connection: ConnectionNumber,
        /// The id that matched nothing.
        opaque: i32,
    },
}
