//! Stored messages.

use bytes::{Bytes, BytesMut};
use rmq_remoting::record::Record;

/// A record takes exactly the bytes it announces, and is written as it was read.
///
/// # Panics
///
/// What the target checks does not hold: the fuzzer takes the panic as a find.
pub fn record(data: &[u8]) {
    let mut input = Bytes::copy_from_slice(data);
    loop {
        let before = input.clone();
        let Ok(record) = Record::decode(&mut input) else {
            return;
        };
        let taken = before.len() - input.len();
        let announced = before.first_chunk().map(|size| i32::from_be_bytes(*size));
        assert_eq!(i32::try_from(taken).ok(), announced);
        let mut again = BytesMut::from(&b"in front"[..]);
        let written = record.encode(&mut again);
        assert!(written.is_ok(), "what was read cannot be written");
        let again = again.split_off(8).freeze();
        // A short topic with a long length is read and written with a short one.
        let short = record.topic.len() <= 127 && before[4..8] == 0xdaa3_20ab_u32.to_be_bytes();
        if !short {
            assert_eq!(again, before.slice(..taken));
        }
        assert_eq!(Record::decode(&mut again.clone()).as_ref(), Ok(&record));
    }
}
