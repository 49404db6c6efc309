//! Which name servers a lookup asks, in which order, and how its time is divided.
//!
//! Name servers know nothing of each other: one may lack a topic, another may hang. A lookup has
//! one absolute deadline, divided so that the last server of the list is reached.

use std::borrow::Cow;

use rmq_remoting::observe::Name;

use crate::policy::{NameServers, Policy};

use super::{Millis, address};

/// How one lookup goes through the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pass {
    /// How many name servers it asks at most.
    pub servers: usize,
    /// Whether its time is divided among them.
    pub divided: bool,
    /// Whether one that was reached has the last word, whatever it says or does not say.
    pub first_reached: bool,
}

/// How a lookup goes through a list of `count` name servers.
#[must_use]
pub fn pass(policy: &Policy, count: usize) -> Pass {
    let kind = policy.name_servers;
    Pass {
        servers: match kind {
            NameServers::WholeList | NameServers::Each | NameServers::FirstConnected => count,
            NameServers::OneAttempt => count.min(1),
        },
        divided: kind == NameServers::WholeList,
        first_reached: kind == NameServers::FirstConnected,
    }
}

/// The next server of a pass, from `current` on around the list, and how many the pass may still
/// ask, this one included; nothing if it is over. What has been asked may have left the list.
#[must_use]
pub fn unasked(
    servers: &[Name],
    current: usize,
    asked: &[Name],
    pass: Pass,
) -> Option<(usize, usize)> {
    let is_new = |at: &usize| servers.get(*at).is_some_and(|it| !asked.contains(it));
    let count = servers.len();
    let around = (0..count).map(|step| current.wrapping_add(step) % count);
    let mut new = around.filter(is_new);
    let next = new.next()?;
    let asked_of_these = count - 1 - new.count();
    let left = pass.servers.saturating_sub(asked_of_these);
    (left > 0).then_some((next, left))
}

/// How long a lookup may take, if its caller does not want it sooner.
#[must_use]
pub fn lookup_time(policy: &Policy) -> Millis {
    policy.name_server_timeout
}

/// How long the next server of a pass may take: an equal part of what is left.
#[must_use]
pub fn slice(left: Millis, servers_left: usize) -> Millis {
    let servers = Millis::try_from(servers_left.max(1)).unwrap_or(Millis::MAX);
    (left / servers).max(1)
}

/// The server that a drawn number makes the first choice, so that clients spread over the list.
#[must_use]
pub fn first(drawn: u64, count: usize) -> usize {
    let count = u64::try_from(count.max(1)).unwrap_or(1);
    usize::try_from(drawn % count).unwrap_or(0)
}

/// The server asked after `now`.
#[must_use]
pub fn next(now: usize, count: usize) -> usize {
    now.wrapping_add(1) % count.max(1)
}

/// Whether a new list has other servers than the one in force. Their order means nothing.
#[must_use]
pub fn differs(known: &[Name], new: &[Name]) -> bool {
    known.len() != new.len() || new.iter().any(|server| !known.contains(server))
}

/// The first choice in a new list: the server asked so far, if it is still there, so that its
/// connection is used on; else the one that a drawn number makes it.
#[must_use]
pub fn first_of_new(asked: Option<&Name>, new: &[Name], drawn: u64) -> usize {
    let kept = asked.and_then(|asked| new.iter().position(|server| server == asked));
    kept.unwrap_or_else(|| first(drawn, new.len()))
}

/// Reads a list as users write it: [addresses](address::read) separated by `;` or `,`, blanks
/// ignored.
///
/// # Errors
/// The first entry that is no address.
pub fn list(text: &str) -> Result<Vec<Cow<'_, str>>, String> {
    let entries = text.split([';', ',']).map(str::trim);
    let mut servers = Vec::new();
    for entry in entries.filter(|entry| !entry.is_empty()) {
        let server = address::read(entry).map_err(|_| entry.to_owned())?;
        if !servers.contains(&server) {
            servers.push(server);
        }
    }
    Ok(servers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_first_server_leaves_time_for_the_last_of_three() {
        let mut left = 3000;
        for servers_left in (1..=3).rev() {
            let time = slice(left, servers_left);
            assert_eq!(time, 1000);
            left -= time;
        }
    }

    #[test]
    fn what_a_quick_refusal_saved_goes_to_the_others() {
        assert_eq!(slice(2999, 2), 1499);
    }

    #[test]
    fn java_asks_one_server_and_strict_the_whole_list() {
        assert_eq!(pass(&Policy::strict(), 3).servers, 3);
        assert_eq!(pass(&Policy::java_5_3(), 3).servers, 1);
        assert_eq!(pass(&Policy::java_5_3(), 0).servers, 0);
    }

    #[test]
    fn java_4_9_asks_the_first_that_it_reaches_and_go_all_with_the_whole_time() {
        let four = pass(&Policy::java_4_9(), 3);
        assert!(four.first_reached && !four.divided);
        let go = pass(&Policy::go_2_1(), 3);
        assert!(!go.first_reached && !go.divided);
        assert!(pass(&Policy::strict(), 3).divided);
    }

    #[test]
    fn the_walk_over_the_list_goes_around_and_survives_a_shorter_list() {
        assert_eq!(next(2, 3), 0);
        assert_eq!(next(7, 2), 0);
        assert_eq!(next(usize::MAX, 0), 0);
        assert_eq!(first(u64::MAX, 0), 0);
        assert_eq!(first(7, 3), 1);
    }

    #[test]
    fn a_pass_asks_each_server_once_and_goes_on_in_a_new_list() {
        let list = |servers: &[&str]| -> Vec<Name> {
            servers.iter().map(|server| Name::from(*server)).collect()
        };
        let servers = list(&["a:1", "b:1", "c:1"]);
        let all = pass(&Policy::strict(), 3);
        assert_eq!(unasked(&servers, 2, &[], all), Some((2, 3)));
        assert_eq!(unasked(&servers, 2, &servers[2..], all), Some((0, 2)));
        assert_eq!(unasked(&servers, 0, &servers, all), None);
        let new = list(&["c:1", "d:1"]);
        let all = pass(&Policy::strict(), 2);
        assert_eq!(unasked(&new, 0, &servers, all), Some((1, 1)));
        let one = pass(&Policy::java_5_3(), 3);
        assert_eq!(unasked(&servers, 1, &[], one), Some((1, 1)));
        assert_eq!(unasked(&servers, 2, &servers[1..2], one), None);
    }

    #[test]
    fn a_new_list_keeps_the_server_that_is_asked_and_is_none_if_only_its_order_differs() {
        let list = |servers: &[&str]| -> Vec<Name> {
            servers.iter().map(|server| Name::from(*server)).collect()
        };
        let known = list(&["a:1", "b:1"]);
        assert!(!differs(&known, &list(&["b:1", "a:1"])));
        assert!(differs(&known, &list(&["a:1"])));
        assert!(differs(&known, &list(&["a:1", "c:1"])));
        let new = list(&["c:1", "b:1", "d:1"]);
        assert_eq!(first_of_new(known.get(1), &new, 2), 1);
        assert_eq!(first_of_new(known.first(), &new, 2), 2);
    }

    #[test]
    fn a_list_is_split_trimmed_and_freed_of_doubles() {
        let servers = list(" a:9876; b:9876 ,a:9876;").unwrap();
        assert_eq!(servers, ["a:9876", "b:9876"]);
        assert!(list(" ;, ").unwrap().is_empty());
        let hosted = list("http://MQ_INST_1_abc.host:80").unwrap();
        assert_eq!(hosted, ["MQ_INST_1_abc.host:80"]);
    }

    #[test]
    fn an_entry_without_a_port_is_named() {
        assert_eq!(list("a:9876;b"), Err("b".to_owned()));
        assert_eq!(list("a:port"), Err("a:port".to_owned()));
        assert_eq!(list(":9876"), Err(":9876".to_owned()));
        let wide = "127.0.0.1:9\u{ff1b}127.0.0.1:8";
        assert_eq!(list(wide), Err(wide.to_owned()));
        assert_eq!(list("::1:1;[::1]:1").unwrap(), ["[::1]:1"]);
    }
}
