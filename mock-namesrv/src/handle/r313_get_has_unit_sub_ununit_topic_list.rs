//! 313: a tool asks for the topics with subscribers in a unit that belong to none themselves.

use rmq_remoting::service::Response;

use super::r206_get_all_topic_list_from_nameserver::topic_list;
use super::r311_get_unit_topic_list::UNIT;
use super::r312_get_has_unit_sub_topic_list::UNIT_SUB;
use super::{Ask, Fault};

pub(super) fn handle(ask: &mut Ask<'_>) -> Result<Response, Fault> {
    let fits = |flags| flags & (UNIT | UNIT_SUB) == UNIT_SUB;
    topic_list(ask.tables.topics_with_flags(fits))
}
