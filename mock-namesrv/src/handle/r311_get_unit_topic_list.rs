//! 311: a tool asks for the topics of a unit.

use rmq_remoting::service::Response;

use super::r206_get_all_topic_list_from_nameserver::topic_list;
use super::{Ask, Fault};

/// A topic's flag: it belongs to a unit.
pub(super) const UNIT: i32 = 1;

pub(super) fn handle(ask: &mut Ask<'_>) -> Result<Response, Fault> {
    topic_list(ask.tables.topics_with_flags(|flags| flags & UNIT != 0))
}
