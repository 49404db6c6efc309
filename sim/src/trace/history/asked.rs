//! Route requests as name servers read them, and what became of them.

use std::net::SocketAddr;

use rmq_remoting::observe::Name;

use super::Timestamp;
use crate::trace::NodeId;

/// A route request as a name server read it.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'t> {
    /// The name server that read the request.
    pub server: NodeId,
    /// The address of the client's end of the connection.
    pub peer: SocketAddr,
    /// When the name server read the request.
    pub timestamp: Timestamp,
    /// The topic whose route is asked for.
    pub topic: &'t Name,
    /// The opaque, as the name server read it.
    pub opaque: i32,
    /// The name of the rule that the name server applied; absent if it applied none.
    pub ruled: Option<&'t Name>,
    /// When it was answered, and with which code; absent if it was not.
    pub answered: Option<(Timestamp, i32)>,
}
