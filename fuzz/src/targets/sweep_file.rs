//! Files of sweeps.

use std::path::Path;

use rmq_sim::internals::sweep::Sweep;
use rmq_sim::internals::sweep::file::{Read, parse};

fn text(read: &Read) -> String {
    let header = serde_json::to_string(&read.header);
    let portions = read.portions.iter().map(serde_json::to_string);
    let lines = std::iter::once(header).chain(portions);
    lines
        .flatten()
        .fold(String::new(), |text, line| text + &line + "\n")
}

/// A file that was read is written and read again, the same, and its portions can be put together.
///
/// # Panics
///
/// What the target checks does not hold: the fuzzer takes the panic as a find.
pub fn sweep_file(data: &[u8]) {
    let Ok(given) = std::str::from_utf8(data) else {
        return;
    };
    let file = Path::new("fuzz.sweep");
    let Ok(read) = parse(file, given) else {
        return;
    };
    let written = text(&read);
    let again = parse(file, &written);
    assert_eq!(again.map(|again| text(&again)).ok(), Some(written));
    let mut sweep = Sweep::default();
    for portion in &read.portions {
        sweep.add(portion);
    }
    let _ = sweep.rare();
}
