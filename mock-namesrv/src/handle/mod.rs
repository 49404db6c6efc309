//! What the name server answers: one file per request code, its number in its name.
//!
//! Each file has one function, `handle`, of the same shape: it reads the request's header, asks or
//! changes the tables, notes what changed, and returns the response. None of them waits or knows of
//! connections, so each is a function of the tables, the request and the time.

mod r100_put_kv_config;
mod r101_get_kv_config;
mod r102_delete_kv_config;
mod r103_register_broker;
mod r104_unregister_broker;
mod r105_get_routeinfo_by_topic;
mod r106_get_broker_cluster_info;
mod r205_wipe_write_perm_of_broker;
mod r206_get_all_topic_list_from_nameserver;
mod r216_delete_topic_in_namesrv;
mod r217_register_topic_in_namesrv;
mod r219_get_kvlist_by_namespace;
mod r224_get_topics_by_cluster;
mod r304_get_system_topic_list_from_ns;
mod r311_get_unit_topic_list;
mod r312_get_has_unit_sub_topic_list;
mod r313_get_has_unit_sub_ununit_topic_list;
mod r322_query_data_version;
mod r327_add_write_perm_of_broker;
mod r901_get_broker_member_group;
mod r904_broker_heartbeat;

use rmq_remoting::body::{BodyError, KvTable};
use rmq_remoting::code::{request, response};
use rmq_remoting::command::Command;
use rmq_remoting::frame::MAX_FRAME;
use rmq_remoting::header::HeaderError;
use rmq_remoting::observe::Name;
use rmq_remoting::route::BrokerData;
use rmq_remoting::service::{Response, Unsupported};
use tokio::time::Instant;

pub(crate) use self::r103_register_broker::Said;
use crate::tables::{Changes, Channel, RouteAlteration, Tables};
use rmq_remoting::profile::Profile;

/// A request, and what answering it may use.
#[derive(Debug)]
pub(crate) struct Ask<'a> {
    pub(crate) tables: &'a mut Tables,
    pub(crate) said: &'a mut Said,
    pub(crate) request: &'a Command,
    pub(crate) channel: Channel,
    pub(crate) now: Instant,
    pub(crate) profile: Profile,
    /// How a route is to be told wrongly.
    pub(crate) alteration: Option<&'a RouteAlteration>,
    /// What the request changed.
    pub(crate) changes: Changes,
    /// A broker that leaves once the answer is out.
    pub(crate) leaving: Option<Leaving>,
}

/// A broker that said it leaves.
#[derive(Debug, Clone)]
pub(crate) struct Leaving {
    pub(crate) cluster: Name,
    pub(crate) broker: Name,
    pub(crate) address: Name,
}

/// Why a request has no ordinary answer. Its text is the remark.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// Its header lacks a field or has a wrong one.
    #[error("{}: {_0}", exception_of(_0))]
    Header(#[from] HeaderError),
    /// Its body cannot be read.
    #[error(
        "org.apache.rocketmq.remoting.exception.RemotingCommandException: \
         Failed to decode the body: {0}"
    )]
    Body(#[from] BodyError),
    /// The connection it came on has made the tables hold as much as one may.
    #[error(
        "the name server holds {} bytes for this connection already",
        crate::tables::MAX_HELD_FOR_A_CONNECTION
    )]
    TooMuch,
    /// No frame could hold the answer, so it is not built.
    #[error("the answer would be larger than a frame of {MAX_FRAME} bytes")]
    AnswerTooLarge,
}

/// Refuses an answer whose texts alone are larger than a frame, before it is built.
fn must_fit(mut texts: impl Iterator<Item = usize>) -> Result<(), Fault> {
    let fits = texts.try_fold(MAX_FRAME, usize::checked_sub);
    fits.map(|_| ()).ok_or(Fault::AnswerTooLarge)
}

/// How long the texts of a table are.
fn pairs(table: &KvTable) -> impl Iterator<Item = usize> {
    let pair = |(key, value): (&Name, &String)| key.len() + value.len();
    table.table.iter().map(pair)
}

/// How long the texts of a broker's entry are.
fn group_texts(group: &BrokerData) -> usize {
    let addresses = group.broker_addrs.values().map(|address| address.len());
    group.broker_name.len() + group.cluster.len() + addresses.sum::<usize>()
}

/// The exception that a real server meets with such a header.
fn exception_of(error: &HeaderError) -> &'static str {
    match error {
        HeaderError::Missing { .. } => "java.lang.NullPointerException",
        HeaderError::NotANumber { .. } | HeaderError::Negative { .. } => {
            "java.lang.NumberFormatException"
        }
    }
}

/// Answers a request by the file of its code; a code without a file is unsupported.
pub(crate) fn handle(ask: &mut Ask<'_>) -> Response {
    let handled = match ask.request.code {
        request::PUT_KV_CONFIG => r100_put_kv_config::handle(ask),
        request::GET_KV_CONFIG => r101_get_kv_config::handle(ask),
        request::DELETE_KV_CONFIG => r102_delete_kv_config::handle(ask),
        request::REGISTER_BROKER => r103_register_broker::handle(ask),
        request::UNREGISTER_BROKER => r104_unregister_broker::handle(ask),
        request::GET_ROUTEINFO_BY_TOPIC => r105_get_routeinfo_by_topic::handle(ask),
        request::GET_BROKER_CLUSTER_INFO => r106_get_broker_cluster_info::handle(ask),
        request::WIPE_WRITE_PERM_OF_BROKER => r205_wipe_write_perm_of_broker::handle(ask),
        request::GET_ALL_TOPIC_LIST_FROM_NAMESERVER => {
            r206_get_all_topic_list_from_nameserver::handle(ask)
        }
        request::DELETE_TOPIC_IN_NAMESRV => r216_delete_topic_in_namesrv::handle(ask),
        request::REGISTER_TOPIC_IN_NAMESRV => r217_register_topic_in_namesrv::handle(ask),
        request::GET_KVLIST_BY_NAMESPACE => r219_get_kvlist_by_namespace::handle(ask),
        request::GET_TOPICS_BY_CLUSTER => r224_get_topics_by_cluster::handle(ask),
        request::GET_SYSTEM_TOPIC_LIST_FROM_NS => r304_get_system_topic_list_from_ns::handle(ask),
        request::GET_UNIT_TOPIC_LIST => r311_get_unit_topic_list::handle(ask),
        request::GET_HAS_UNIT_SUB_TOPIC_LIST => r312_get_has_unit_sub_topic_list::handle(ask),
        request::GET_HAS_UNIT_SUB_UNUNIT_TOPIC_LIST => {
            r313_get_has_unit_sub_ununit_topic_list::handle(ask)
        }
        request::QUERY_DATA_VERSION => r322_query_data_version::handle(ask),
        request::ADD_WRITE_PERM_OF_BROKER => r327_add_write_perm_of_broker::handle(ask),
        request::GET_BROKER_MEMBER_GROUP => r901_get_broker_member_group::handle(ask),
        request::BROKER_HEARTBEAT => r904_broker_heartbeat::handle(ask),
        code => Ok(Unsupported::answer(code)),
    };
    handled.unwrap_or_else(|fault| Response::refuse(response::SYSTEM_ERROR, fault.to_string()))
}

/// Code 0 and nothing else.
fn success() -> Response {
    Response::new(response::SUCCESS)
}

#[cfg(test)]
mod tests;
