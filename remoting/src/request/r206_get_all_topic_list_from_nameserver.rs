//! `GET_ALL_TOPIC_LIST_FROM_NAMESERVER` (206): every topic a name server knows.

use serde::{Deserialize, Serialize};

use super::field::bare_request;
use crate::body::lenient;
use crate::observe::Name;

bare_request! {
    /// Asks for all of them; there is nothing to say.
    GetAllTopicList for GET_ALL_TOPIC_LIST_FROM_NAMESERVER
}

/// The answer's body, also that of 224.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TopicList {
    /// The names of the topics that were asked for.
    #[serde(default, deserialize_with = "lenient")]
    pub topic_list: Vec<Name>,
}
