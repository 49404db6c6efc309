//! `GET_BROKER_CLUSTER_INFO` (106): all a name server knows of clusters and brokers. The answer's
//! body is a [`ClusterInfo`](crate::route::ClusterInfo).

use super::field::bare_request;

bare_request! {
    /// Asks for everything; there is nothing to say.
    GetBrokerClusterInfo for GET_BROKER_CLUSTER_INFO
}
