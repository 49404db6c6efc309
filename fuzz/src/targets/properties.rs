//! Property strings.

use rmq_remoting::properties::{Properties, entries, find};

/// All ways to read a property string agree, and what was read is written and read again.
///
/// # Panics
///
/// What the target checks does not hold: the fuzzer takes the panic as a find.
pub fn properties(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let read = Properties::decode(text);
    let written = read.encode();
    assert!(written.len() <= text.len() + 1, "it grew");
    assert_eq!(Properties::decode(&written), read);
    assert!(entries(&written).eq(read.iter()));
    let count = entries(text).count();
    assert!(read.iter().len() <= count);
    for (name, _) in entries(text)
        .take(8)
        .chain(entries(text).skip(count.saturating_sub(8)))
    {
        assert_eq!(read.get(name), find(text, name));
        assert!(find(text, name).is_some());
    }
}
