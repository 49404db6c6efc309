//! The other bodies in JSON: what servers know of clusters and brokers, and what clients say of
//! themselves.

use rmq_remoting::body::{KvTable, from_json, to_json};
use rmq_remoting::request::{HeartbeatData, TopicList};
use rmq_remoting::route::ClusterInfo;

macro_rules! survives {
    ($data:expr, $($body:ident)*) => {$(
        if let Ok(body) = from_json::<$body>($data) {
            let again = from_json::<$body>(&to_json(&body));
            assert_eq!(again.ok(), Some(body));
        }
    )*};
}

/// Bodies that were read are written and read again, the same.
///
/// # Panics
///
/// What the target checks does not hold: the fuzzer takes the panic as a find.
pub fn bodies(data: &[u8]) {
    if let Ok(info) = ClusterInfo::decode(data) {
        let again = ClusterInfo::decode(&info.encode());
        assert_eq!(again.ok(), Some(info));
    }
    survives!(data, HeartbeatData TopicList KvTable);
}
