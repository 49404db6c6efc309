//! The id that a producer gives a message. It is what `UNIQ_KEY` carries and what senders see as
//! the message's id.
//!
//! A pure function of values: who asks keeps the counter and knows the clock.

use std::fmt::Write;
use std::net::IpAddr;

/// What all ids of one process have in common.
///
/// ```
/// use rmq_remoting::unique_id::UniqueIds;
///
/// let ids = UniqueIds::new([10, 0, 0, 5].into(), 7, 9);
/// // 1970-01-01T00:00:01Z: 1,000 ms into its month.
/// assert_eq!(ids.make(1_000, 2), "0A000005000700000009000003E80002");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UniqueIds {
    /// Address, process number and process constant, as hex.
    prefix: String,
}

impl UniqueIds {
    /// `process` is the process number, of which 16 bits count; `constant` is any number that
    /// stays the same for the process (in Java the hash of a class loader).
    #[must_use]
    pub fn new(ip: IpAddr, process: u32, constant: u32) -> Self {
        let mut prefix = String::with_capacity(44);
        // Writing to a string cannot fail.
        let _ = match ip {
            IpAddr::V4(ip) => write!(prefix, "{:08X}", ip.to_bits()),
            IpAddr::V6(ip) => write!(prefix, "{:032X}", ip.to_bits()),
        };
        let _ = write!(prefix, "{:04X}{constant:08X}", process & 0xffff);
        Self { prefix }
    }

    /// The id of the message number `counter`, made at this time.
    #[must_use]
    pub fn make(&self, unix_millis: i64, counter: u16) -> String {
        let mut id = String::with_capacity(self.prefix.len() + 12);
        id.push_str(&self.prefix);
        let since = u64::from(millis_of_month(unix_millis)) << 16 | u64::from(counter);
        for shift in (0..12).rev() {
            let digit = (since >> (shift * 4)) & 15;
            id.push(char::from(b"0123456789ABCDEF"[digit as usize]));
        }
        id
    }
}

const DAY: i64 = 86_400_000;

/// Milliseconds since the first day of the month, in UTC. At most 2 678 399 999.
fn millis_of_month(unix_millis: i64) -> u32 {
    let days = unix_millis.div_euclid(DAY);
    let millis = i64::from(day_of_month(days)) * DAY + unix_millis.rem_euclid(DAY);
    u32::try_from(millis).unwrap_or_default()
}

/// The day of the month, from 0, of a day counted from 1970-01-01.
///
/// Counts in years that begin in March, so that the leap day is the last day of its year, and in
/// the calendar's eras of 400 years, which all have the same number of days.
fn day_of_month(days: i64) -> u8 {
    const ERA: i64 = 146_097;
    const FROM_MARCH_OF_YEAR_0: i64 = 719_468;
    let day_of_era = (days.rem_euclid(ERA) + FROM_MARCH_OF_YEAR_0).rem_euclid(ERA);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // From March on the months have 31, 30, 31, 30, 31 days, and so on, five months in 153 days.
    let month = (5 * day_of_year + 2) / 153;
    u8::try_from(day_of_year - (153 * month + 2) / 5).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_id_is_address_process_constant_time_of_month_and_counter() {
        let ids = UniqueIds::new([10, 0, 0, 5].into(), 0x1_0007, 0x14da_e083);
        // 2023-11-14T22:13:20Z: 13 days, 22 h 13 min 20 s into the month.
        let id = ids.make(1_700_000_000_000, 10);
        assert_eq!(
            id,
            format!("0A000005000714DAE083{:08X}000A", 13 * DAY + 80_000_000)
        );
    }

    #[test]
    fn ids_of_one_process_share_20_digits_and_the_last_4_count() {
        let ids = UniqueIds::new([10, 0, 0, 5].into(), 7, 9);
        let [first, second] = [0x00ff, 0x0100].map(|counter| ids.make(1_700_000_000_000, counter));
        assert_eq!(first[..20], second[..20]);
        assert_eq!((&first[28..], &second[28..]), ("00FF", "0100"));
    }

    #[test]
    fn an_ipv6_address_takes_32_digits() {
        let ids = UniqueIds::new("::1".parse().unwrap(), 1, 2);
        assert_eq!(ids.make(0, 0xffff).len(), 56);
    }

    #[test]
    fn months_begin_where_the_calendar_says() {
        // 2024-02-29, 2024-03-01, 2023-03-01, 2000-02-29, 1900-03-01, 1970-01-01.
        for (days, day) in [
            (19_782, 28),
            (19_783, 0),
            (19_417, 0),
            (11_016, 28),
            (-25_508, 0),
            (0, 0),
        ] {
            assert_eq!(day_of_month(days), day, "day {days}");
        }
    }

    proptest! {
        #[test]
        fn the_time_of_month_rises_by_a_day_or_starts_anew(days in -1_000_000_i64..1_000_000) {
            let (today, tomorrow) = (day_of_month(days), day_of_month(days + 1));
            prop_assert!(tomorrow == today + 1 || (tomorrow == 0 && today >= 27));
            prop_assert!(today <= 30);
        }

        #[test]
        fn any_clock_gives_an_id(ip: IpAddr, process: u32, constant: u32, at: i64, counter: u16) {
            let id = UniqueIds::new(ip, process, constant).make(at, counter);
            prop_assert_eq!(id.len(), if ip.is_ipv4() { 32 } else { 56 });
            let end = format!("{counter:04X}");
            prop_assert!(id.ends_with(&end));
        }
    }
}
