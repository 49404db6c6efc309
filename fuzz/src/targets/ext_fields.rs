//! Custom fields of any names and values, as a program sets them, through both forms of a header.

use bytes::Bytes;
use rmq_remoting::command::{Command, ExtFields, HeaderForm, Language};

use super::wire::survives;

/// Pieces of the input that are text, alternately names and values. A piece ends at 0xff, which is
/// in no text.
fn pieces(data: &[u8]) -> Vec<(&str, &str)> {
    let pieces: Vec<&str> = data
        .split(|byte| *byte == 0xff)
        .filter_map(|piece| std::str::from_utf8(piece).ok())
        .collect();
    let pairs = pieces.chunks_exact(2);
    pairs.map(|pair| (pair[0], pair[1])).collect()
}

/// Fields hold what was put into them, of a name that occurs twice the last value counts, and both
/// forms of a header carry them.
///
/// # Panics
///
/// What the target checks does not hold: the fuzzer takes the panic as a find.
pub fn ext_fields(data: &[u8]) {
    let pairs = pieces(data);
    let ext: ExtFields = pairs.iter().copied().collect();
    assert!(ext.iter().eq(pairs.iter().copied()));
    assert_eq!(ext.len(), pairs.len());
    assert_eq!(ext.is_empty(), pairs.is_empty());
    for (name, _) in pairs.iter().take(16) {
        let last = pairs.iter().rfind(|(known, _)| known == name);
        let last = last.map(|(_, value)| *value);
        assert_eq!(ext.get(name), last);
        let flag = last.map(|value| value.to_lowercase() == "true");
        assert_eq!(ext.flag(name), flag);
    }
    let absent = "no such name";
    if pairs.iter().all(|(name, _)| *name != absent) {
        assert_eq!(ext.get(absent), None);
    }
    survives(&Command {
        code: 310,
        language: Language::Rust,
        version: 479,
        opaque: 7,
        flag: 0,
        remark: None,
        ext,
        body: Bytes::new(),
        form: HeaderForm::Json,
    });
}
