//! `DELETE_KV_CONFIG` (102): remove a value from a name server.

use super::field::header;

header! {
    /// Under which namespace and key the value is removed.
    DeleteKvConfig<'a> for DELETE_KV_CONFIG {
        /// The namespace that the key belongs to.
        namespace: &'a str = "namespace",
        /// The key that the value is stored under.
        key: &'a str = "key",
    }
}
