//! When a peer that says nothing is given up.
//!
//! Silence alone means nothing: nobody asked, or the answer takes its time. A host that is gone
//! shows by several requests that were not answered by a whole frame, for longer than a slow one
//! takes.

use std::time::Duration;

use rmq_remoting::client::{Backoff, Patience};

use crate::policy::{DeadPeer, Policy};

/// A request that was given to its connection less than this before its time was over says nothing
/// about the connection.
pub const LEAST_SILENCE: Duration = Duration::from_millis(100);

/// How much silence is taken for a peer's end; none if no silence is.
#[must_use]
pub fn patience(policy: &Policy) -> Option<Patience> {
    match policy.dead_peer {
        DeadPeer::Keep => None,
        DeadPeer::Replace { unanswered, silent } => Some(Patience {
            requests: unanswered,
            silence: Duration::from_millis(silent),
        }),
    }
}

/// How dials of an address are spaced that come to nothing, if they are.
#[must_use]
pub fn redial(policy: &Policy) -> Option<Backoff> {
    let redial = policy.redial;
    (redial.first > 0).then_some(Backoff {
        first: Duration::from_millis(redial.first),
        most: Duration::from_millis(redial.most),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strict_gives_a_silent_peer_up_and_java_waits_for_tcp() {
        let expected = Patience {
            requests: 3,
            silence: Duration::from_secs(10),
        };
        assert_eq!(patience(&Policy::strict()), Some(expected));
        assert_eq!(patience(&Policy::java_5_3()), None);
    }
}
