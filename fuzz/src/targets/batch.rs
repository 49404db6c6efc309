//! Batches.

use bytes::BytesMut;
use rmq_remoting::batch as batches;

/// A batch that was read is written in the same number of bytes and read again, the same.
///
/// # Panics
///
/// What the target checks does not hold: the fuzzer takes the panic as a find.
pub fn batch(data: &[u8]) {
    let Ok(items) = batches::decode(data) else {
        return;
    };
    assert!(items.len() <= data.len() / 22);
    let mut again = BytesMut::new();
    for item in &items {
        let written = item.encode(&mut again);
        assert!(written.is_ok(), "what was read cannot be written");
    }
    assert_eq!(again.len(), data.len());
    assert_eq!(batches::decode(&again), Ok(items));
}
