//! The standard scenario, as a sweep runs it: played, traced, checked.

use std::sync::Arc;
use std::time::Duration;

use super::{BenchError, Clock, Rate};
use crate::fault::EngineKind;
use crate::run;
use crate::scenario::Scenario;
use crate::verdict::Class;

/// One producer, two name servers, three masters, 60 sends at one a second, 60 virtual seconds with
/// heartbeats, polls and registrations.
const STANDARD: &str = r#"
format  = 2
seconds = 60
[cluster]
name-servers = 2
brokers      = ["broker-a", "broker-b", "broker-c"]
profile      = "5.3.3"
topics       = { orders = 4 }
[network]
latency = { ms = 2, jitter = 3 }
[producer.p1]
policy  = "strict"
timeout = "3s"
[[workload]]
producer = "p1"
topic    = "orders"
mode     = "sync"
sends    = 60
every    = "1s"
start    = "500ms"
"#;

/// Runs seed after seed of the standard scenario, on one core, for about so long.
///
/// # Errors
///
/// A seed did not pass.
pub(crate) fn standard_scenarios(clock: Clock, limit: Duration) -> Result<Rate, BenchError> {
    let name = "standard scenarios";
    let no_files = |_: &str| Err(std::io::ErrorKind::NotFound.into());
    let scenario = Scenario::parse("standard.toml", STANDARD, &no_files)
        .map_err(|error| BenchError::new(name, error))?;
    let scenario = Arc::new(scenario);
    let start = clock();
    let mut count = 0;
    while (clock() - start).cpu < limit {
        let run = run::run(&scenario, count, EngineKind::Event);
        let run = run.map_err(|error| BenchError::new(name, error))?;
        if run.verdict.class != Class::Pass {
            return Err(BenchError::new(name, (count, run.verdict)));
        }
        count += 1;
    }
    let spent = clock() - start;
    Ok(Rate {
        count,
        spent,
        polls: 0,
    })
}
