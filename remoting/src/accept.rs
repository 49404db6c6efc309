//! What a server does after `accept` has failed.
//!
//! A failed `accept` says one of two things. Either the process has no descriptor or no memory for
//! another connection: then trying at once fails again, and a short rest costs nobody anything. Or
//! the one connection that was next had an end of its own before it was taken from the queue: that
//! concerns nobody else, and the next one is accepted at once. A server that rested then could be
//! kept from its clients by anyone who dials and resets.

use std::io;
use std::time::Duration;

/// How long accepting rests.
pub(crate) const REST: Duration = Duration::from_millis(50);

/// After so many failures without one connection in between, the listener itself is taken for
/// broken. Without this a listener that fails for ever would keep a processor busy.
const IN_A_ROW: u32 = 1_024;

/// How long accepting rests after an error, the `in_a_row`-th (counted from 1) since the last
/// connection; `None` if the next connection is to be accepted at once.
pub(crate) fn rest_after(error: &io::Error, in_a_row: u32) -> Option<Duration> {
    (is_shortage(error) || in_a_row.is_multiple_of(IN_A_ROW)).then_some(REST)
}

/// Whether the machine or the process has run out of something that every connection needs.
pub(crate) fn is_shortage(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::OutOfMemory
        || error
            .raw_os_error()
            .is_some_and(|code| SHORTAGE.contains(&code))
}

/// Too many descriptors in the process or the system, no buffers, no memory.
#[cfg(unix)]
const SHORTAGE: [i32; 4] = [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM];

/// `WSAEMFILE`, `WSAENOBUFS`, `ERROR_TOO_MANY_OPEN_FILES` and `WSA_NOT_ENOUGH_MEMORY`.
#[cfg(windows)]
const SHORTAGE: [i32; 4] = [10_024, 10_055, 4, 8];

#[cfg(not(any(unix, windows)))]
const SHORTAGE: [i32; 0] = [];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_lack_of_descriptors_or_memory_rests() {
        for error in [
            io::Error::from(io::ErrorKind::OutOfMemory),
            io::Error::from_raw_os_error(SHORTAGE[0]),
            io::Error::from_raw_os_error(SHORTAGE[1]),
        ] {
            assert_eq!(rest_after(&error, 1), Some(REST), "{error}");
        }
    }

    #[test]
    fn what_befell_one_connection_costs_the_next_one_nothing() {
        use io::ErrorKind;
        for kind in [
            ErrorKind::ConnectionAborted,
            ErrorKind::ConnectionReset,
            ErrorKind::NotConnected,
            ErrorKind::TimedOut,
            ErrorKind::Interrupted,
            ErrorKind::PermissionDenied,
            ErrorKind::NetworkDown,
            ErrorKind::HostUnreachable,
            ErrorKind::Other,
        ] {
            assert_eq!(rest_after(&kind.into(), 1), None, "{kind}");
            assert_eq!(rest_after(&kind.into(), 300), None, "{kind}");
        }
    }

    /// What accept(2) of Linux documents as errors of the connection or its network.
    #[cfg(target_os = "linux")]
    #[test]
    fn each_error_that_the_kernel_passes_on_from_a_connection_costs_nothing() {
        for code in [
            libc::ECONNABORTED,
            libc::ECONNRESET,
            libc::ENETDOWN,
            libc::EPROTO,
            libc::ENOPROTOOPT,
            libc::EHOSTDOWN,
            libc::ENONET,
            libc::EHOSTUNREACH,
            libc::EOPNOTSUPP,
            libc::ENETUNREACH,
            libc::EPERM,
            libc::ETIMEDOUT,
        ] {
            let error = io::Error::from_raw_os_error(code);
            assert_eq!(rest_after(&error, 1), None, "{error}");
        }
        for code in [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM] {
            let error = io::Error::from_raw_os_error(code);
            assert_eq!(rest_after(&error, 1), Some(REST), "{error}");
        }
    }

    #[test]
    fn a_listener_that_fails_for_ever_rests_once_in_a_while() {
        let rests = |n: u32| {
            (1..=n)
                .filter(|in_a_row| {
                    rest_after(&io::ErrorKind::InvalidInput.into(), *in_a_row).is_some()
                })
                .count()
        };
        assert_eq!([1_023, 1_024, 10_240].map(rests), [0, 1, 10]);
    }
}
