//! The modules of a crate form layers: nobody imports whoever imports them.

use rmq_tests::circles::{Imports, circles, describe, imports};
use rmq_tests::sources;

/// The imports of a crate and its circles, which are printed.
fn of(folder: &str) -> (Imports, Vec<Vec<String>>) {
    let imports = imports(&sources(), folder);
    let circles = circles(&imports);
    for circle in &circles {
        println!("{folder}: {}", describe(&imports, circle));
    }
    (imports, circles)
}

#[test]
fn host_engine_producer_and_mock_rules_have_no_import_circle() {
    for folder in [
        "host/src",
        "sim/engine/src",
        "producer/src",
        "mock-server/src",
    ] {
        let (imports, circles) = of(folder);
        assert!(!imports.is_empty(), "{folder}: nothing was read");
        assert!(circles.is_empty(), "{folder}: {circles:?}");
    }
}
