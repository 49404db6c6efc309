//! How long a broker keeps the connection of a client that no longer sends heartbeats.

use std::time::Duration;

use tokio::time::Instant;

/// How often a broker looks for such clients.
const SCAN: Duration = Duration::from_secs(10);

/// When a broker that was started then closes the connection of a client whose last heartbeat came
/// at `heartbeat`: at the first look after its time. Nothing if that is too far away for a clock.
///
/// There is no task that looks: each connection knows its own end.
pub(crate) fn expiry(started: Instant, heartbeat: Instant, patience: Duration) -> Option<Instant> {
    let over = heartbeat.saturating_duration_since(started) + patience;
    let looks = u32::try_from(over.as_millis() / SCAN.as_millis()).ok()?;
    started
        .checked_add(SCAN.checked_mul(looks)?)?
        .checked_add(SCAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_goes_with_the_first_look_after_its_time() {
        let started = Instant::now();
        let goes = |heartbeat| {
            let patience = Duration::from_secs(120);
            let at = started + Duration::from_secs(heartbeat);
            (expiry(started, at, patience).unwrap() - started).as_secs()
        };
        assert_eq!([0, 1, 9, 10, 25].map(goes), [130, 130, 130, 140, 150]);
    }

    #[test]
    fn a_patience_without_end_is_no_end() {
        let now = Instant::now();
        assert_eq!(expiry(now, now, Duration::MAX / 2), None);
    }
}
