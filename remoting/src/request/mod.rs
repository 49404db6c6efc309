//! What is asked and answered: one file per request code, its number in its name.
//!
//! Each has the request's header, the response's header and the type of the body where there are
//! any, and serves both ends. Request headers borrow, so that a client builds one without copying
//! and a server reads one without copying.

mod field;
mod send_response;

pub mod r010_send_message;
pub mod r017_update_and_create_topic;
pub mod r028_get_broker_runtime_info;
pub mod r030_get_max_offset;
pub mod r034_heart_beat;
pub mod r035_unregister_client;
pub mod r100_put_kv_config;
pub mod r101_get_kv_config;
pub mod r102_delete_kv_config;
pub mod r103_register_broker;
pub mod r104_unregister_broker;
pub mod r105_get_routeinfo_by_topic;
pub mod r106_get_broker_cluster_info;
pub mod r205_wipe_write_perm_of_broker;
pub mod r206_get_all_topic_list_from_nameserver;
pub mod r216_delete_topic_in_namesrv;
pub mod r217_register_topic_in_namesrv;
pub mod r219_get_kvlist_by_namespace;
pub mod r224_get_topics_by_cluster;
pub mod r310_send_message_v2;
pub mod r320_send_batch_message;
pub mod r322_query_data_version;
pub mod r327_add_write_perm_of_broker;
pub mod r904_broker_heartbeat;
pub mod registered_topics;

pub use field::FieldValue;
pub use r010_send_message::SendMessage;
pub use r017_update_and_create_topic::UpdateAndCreateTopic;
pub use r028_get_broker_runtime_info::GetBrokerRuntimeInfo;
pub use r030_get_max_offset::GetMaxOffset;
pub use r034_heart_beat::{
    ConsumerData, HeartBeat, HeartBeatResponse, HeartbeatData, ProducerData,
};
pub use r035_unregister_client::UnregisterClient;
pub use r100_put_kv_config::PutKvConfig;
pub use r101_get_kv_config::{GetKvConfig, GetKvConfigResponse};
pub use r102_delete_kv_config::DeleteKvConfig;
pub use r103_register_broker::{RegisterBroker, RegisterBrokerBody, RegisterBrokerResponse};
pub use r104_unregister_broker::UnregisterBroker;
pub use r105_get_routeinfo_by_topic::GetRouteInfoByTopic;
pub use r106_get_broker_cluster_info::GetBrokerClusterInfo;
pub use r205_wipe_write_perm_of_broker::{WipeWritePerm, WipeWritePermResponse};
pub use r206_get_all_topic_list_from_nameserver::{GetAllTopicList, TopicList};
pub use r216_delete_topic_in_namesrv::DeleteTopicInNamesrv;
pub use r217_register_topic_in_namesrv::RegisterTopicInNamesrv;
pub use r219_get_kvlist_by_namespace::GetKvList;
pub use r224_get_topics_by_cluster::GetTopicsByCluster;
pub use r310_send_message_v2::SendMessageV2;
pub use r320_send_batch_message::SendBatchMessage;
pub use r322_query_data_version::{QueryDataVersion, QueryDataVersionResponse};
pub use r327_add_write_perm_of_broker::{AddWritePerm, AddWritePermResponse};
pub use r904_broker_heartbeat::BrokerHeartbeat;
pub use registered_topics::{RegisteredTopic, RegisteredTopics};
pub use send_response::{SendMessageResponse, SendRefusal};
