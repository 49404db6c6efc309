//! 312: a tool asks for the topics with subscribers in a unit.

use rmq_remoting::service::Response;

use super::r206_get_all_topic_list_from_nameserver::topic_list;
use super::{Ask, Fault};

/// A topic's flag: it has subscribers in a unit.
pub(super) const UNIT_SUB: i32 = 2;

pub(super) fn handle(ask: &mut Ask<'_>) -> Result<Response, Fault> {
    topic_list(ask.tables.topics_with_flags(|flags| flags & UNIT_SUB != 0))
}
