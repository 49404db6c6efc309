//! `GET_KV_CONFIG` (101): read a value from a name server.

use std::borrow::Cow;

use super::field::header;

header! {
    /// Under which namespace and key the value is looked for.
    GetKvConfig<'a> for GET_KV_CONFIG {
        /// The namespace that the key belongs to.
        namespace: &'a str = "namespace",
        /// The key that the value is stored under.
        key: &'a str = "key",
    }
}

header! {
    /// The value, if there is one; else the code is 22.
    GetKvConfigResponse<'a> {
        /// The stored value; absent if there is none.
        value: Option<Cow<'a, str>> = "value",
    }
}
