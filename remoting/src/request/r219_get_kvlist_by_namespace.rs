//! `GET_KVLIST_BY_NAMESPACE` (219): all values of one namespace. The answer's body is a
//! [`KvTable`](crate::body::KvTable), or the code is 22.

use super::field::header;

header! {
    /// The namespace whose values are asked for.
    GetKvList<'a> for GET_KVLIST_BY_NAMESPACE {
        /// The name of the namespace.
        namespace: &'a str = "namespace",
    }
}
