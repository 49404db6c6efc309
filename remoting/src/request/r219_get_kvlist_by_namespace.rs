//! `GET_KVLIST_BY_NAMESPACE` (219): all values of one namespace. The answer's body is a
//! [`KvTable`](crate::body::KvTable), or the code is 22.

use super::field::header;

header! {
    /// Which namespace.
    GetKvList<'a> for GET_KVLIST_BY_NAMESPACE {
        /// The namespace.
        namespace: &'a str = "namespace",
    }
}
