//! `PUT_KV_CONFIG` (100): store a value in a name server. It alone survives its restart.

use super::field::header;

header! {
    /// The value and its place.
    PutKvConfig<'a> for PUT_KV_CONFIG {
        /// The namespace that the key belongs to.
        namespace: &'a str = "namespace",
        /// The key that the value is stored under.
        key: &'a str = "key",
        /// The value that is to be stored.
        value: &'a str = "value",
    }
}
