//! Virtual time in the lines of `tracing`.

use std::fmt;
use std::time::Duration;

use dst_engine::now_here;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;

/// Writes the virtual time of the run that goes on on this thread, as seconds since its start:
/// `12.345s`. Outside of a run of the event engine it writes `-`.
///
/// Together with the spans of the laboratory each line then says when it was written and on which
/// node: a task of a node runs within a span `task` with the fields `node` and `name`.
///
/// ```
/// use rmq_sim::simulation::VirtualTime;
///
/// // As a test's own subscriber; `try_init`, for another test may have set one.
/// let subscriber = tracing_subscriber::fmt().with_timer(VirtualTime).with_test_writer();
/// let _ = subscriber.try_init();
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct VirtualTime;

impl FormatTime for VirtualTime {
    fn format_time(&self, line: &mut Writer<'_>) -> fmt::Result {
        match now_here().map(Duration::from_millis) {
            Some(now) => write!(line, "{}.{:03}s", now.as_secs(), now.subsec_millis()),
            None => write!(line, "-"),
        }
    }
}
