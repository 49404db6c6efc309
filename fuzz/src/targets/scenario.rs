//! Scenario files.

use std::io;

use rmq_sim::scenario::Scenario;

fn parse(text: &str) -> Option<Scenario> {
    let no_policy = |_: &str| Err(io::ErrorKind::NotFound.into());
    match Scenario::parse("fuzz.toml", text, &no_policy) {
        Ok(scenario) => Some(scenario),
        Err(error) => {
            let said = error.to_string();
            assert!(
                said.starts_with("fuzz.toml"),
                "the file is not named: {said}"
            );
            // It shows a line and names the choices.
            assert!(said.len() <= 4_096 + 8 * text.len(), "{} bytes", said.len());
            None
        }
    }
}

/// A scenario that was read is written and read again, the same; another text is refused with the
/// file's name.
///
/// # Panics
///
/// What the target checks does not hold: the fuzzer takes the panic as a find.
pub fn scenario(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Some(scenario) = parse(text) {
        let written = scenario.to_toml();
        assert_eq!(parse(&written), Some(scenario), "{written}");
    }
}
