//! `DELETE_KV_CONFIG` (102): remove a value from a name server.

use super::field::header;

header! {
    /// The value's place.
    DeleteKvConfig<'a> for DELETE_KV_CONFIG {
        /// The namespace.
        namespace: &'a str = "namespace",
        /// The key.
        key: &'a str = "key",
    }
}
