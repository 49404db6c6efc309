//! `GET_BROKER_RUNTIME_INFO` (28): figures of a running broker. The answer's body is a
//! [`KvTable`](crate::body::KvTable).

use super::field::bare_request;

bare_request! {
    /// Asks for the figures; there is nothing to say.
    GetBrokerRuntimeInfo for GET_BROKER_RUNTIME_INFO
}
