//! `GET_KV_CONFIG` (101): read a value from a name server.

use std::borrow::Cow;

use super::field::header;

header! {
    /// The value's place.
    GetKvConfig<'a> for GET_KV_CONFIG {
        /// The namespace.
        namespace: &'a str = "namespace",
        /// The key.
        key: &'a str = "key",
    }
}

header! {
    /// The value, if there is one; else the code is 22.
    GetKvConfigResponse<'a> {
        /// The value.
        value: Option<Cow<'a, str>> = "value",
    }
}
