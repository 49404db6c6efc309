//! Addresses as users write them, and what is wrong with those that cannot be dialled.
//!
//! An address that is taken at the start and fails every send with the words of a resolver costs
//! its user an hour. So what is meant is accepted, and what is not is refused with its reason.

use std::borrow::Cow;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV6};

/// The longest host name, and the longest of its labels.
const HOST_MAX: usize = 253;
const LABEL_MAX: usize = 63;

/// Why a text is no address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Problem {
    /// It begins with a scheme such as `https://`.
    Scheme,
    /// There is no port behind the last colon.
    NoPort,
    /// The port is not a number from 1 to 65535.
    Port,
    /// There is nothing before the port.
    NoHost,
    /// It is an IPv6 address and it cannot be told where the port begins.
    Ipv6,
    /// It has letters that no host name has, such as full-width ones or blanks.
    Letters,
    /// It has dots and digits like an IPv4 address and is none.
    Ipv4,
    /// Its labels are empty, too long, or begin or end with a hyphen.
    Labels,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scheme => {
                "a name server speaks no such protocol; leave the scheme out (only http:// of a \
                 hosted instance is understood)"
            }
            Self::NoPort => "there is no port",
            Self::Port => "the port is not a number from 1 to 65535",
            Self::NoHost => "there is no host before the port",
            Self::Ipv6 => "an IPv6 address with a port is written [::1]:9876",
            Self::Letters => {
                "a host has letters of ASCII, digits, dots and hyphens; several addresses are \
                 separated by ; or ,"
            }
            Self::Ipv4 => "it is no IPv4 address",
            Self::Labels => {
                "the parts of a host name have 1 to 63 letters and no hyphen at the end"
            }
        })
    }
}

/// Reads one address, `host:port`, and writes it in the form in which it is dialled: an IPv6
/// address has brackets. Of an address like `http://host:port`, as hosted clusters have it, what
/// follows the last slash counts.
///
/// # Errors
/// It is no address.
pub fn read(entry: &str) -> Result<Cow<'_, str>, Problem> {
    let address = match entry.strip_prefix("http://") {
        Some(rest) => rest.rsplit('/').next().unwrap_or(rest),
        None if entry.contains("://") => return Err(Problem::Scheme),
        None => entry,
    };
    if let Some(bracketed) = address.strip_prefix('[') {
        return bracketed_ipv6(address, bracketed);
    }
    let (host, port) = address.rsplit_once(':').ok_or(Problem::NoPort)?;
    if host.contains(':') {
        if !host.is_ascii() {
            return Err(Problem::Letters);
        }
        let ip: Ipv6Addr = host.parse().map_err(|_| Problem::Ipv6)?;
        is_port(port)?;
        return Ok(Cow::Owned(format!("[{ip}]:{port}")));
    }
    is_host(host)?;
    is_port(port)?;
    Ok(Cow::Borrowed(address))
}

fn bracketed_ipv6<'a>(address: &'a str, bracketed: &'a str) -> Result<Cow<'a, str>, Problem> {
    let (_, port) = bracketed.split_once(']').ok_or(Problem::Ipv6)?;
    let port = port.strip_prefix(':').ok_or(Problem::NoPort)?;
    is_port(port)?;
    // With a scope, as `[fe80::1%2]`, too.
    let read: SocketAddrV6 = address.parse().map_err(|_| Problem::Ipv6)?;
    Ok(Cow::Owned(read.to_string()))
}

fn is_port(port: &str) -> Result<(), Problem> {
    if port.is_empty() {
        return Err(Problem::NoPort);
    }
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    match port.parse::<u16>() {
        Ok(1..) if digits => Ok(()),
        _ => Err(Problem::Port),
    }
}

fn is_host(host: &str) -> Result<(), Problem> {
    if host.is_empty() {
        return Err(Problem::NoHost);
    }
    // The underscore is in no host name of the rules, and in many of the field.
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if !host.chars().all(legal) {
        return Err(Problem::Letters);
    }
    let name = host.strip_suffix('.').unwrap_or(host);
    let numbers = |label: &str| label.bytes().all(|byte| byte.is_ascii_digit());
    let last = name.rsplit('.').next().unwrap_or(name);
    if name.contains('.') && numbers(last) {
        return match host.parse::<Ipv4Addr>() {
            Ok(_) => Ok(()),
            Err(_) => Err(Problem::Ipv4),
        };
    }
    let label = |label: &str| {
        (1..=LABEL_MAX).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-')
    };
    if name.len() > HOST_MAX || !name.split('.').all(label) {
        return Err(Problem::Labels);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_meant_is_accepted_and_written_as_it_is_dialled() {
        for (entry, address) in [
            ("10.0.0.1:9876", "10.0.0.1:9876"),
            ("localhost:1", "localhost:1"),
            ("ns-1.rocket_mq.svc.:65535", "ns-1.rocket_mq.svc.:65535"),
            ("4f2a:9876", "4f2a:9876"),
            ("1234:9876", "1234:9876"),
            ("[::1]:9876", "[::1]:9876"),
            ("::1:9876", "[::1]:9876"),
            ("[2001:DB8:0::1]:9876", "[2001:db8::1]:9876"),
            ("2001:db8::1:9876", "[2001:db8::1]:9876"),
            ("::ffff:10.0.0.1:9876", "[::ffff:10.0.0.1]:9876"),
            ("[fe80::1%2]:9876", "[fe80::1%2]:9876"),
            ("http://MQ_INST_1_abc.host:80", "MQ_INST_1_abc.host:80"),
            ("http://a/b:80", "b:80"),
        ] {
            assert_eq!(read(entry).as_deref(), Ok(address), "{entry}");
        }
    }

    #[test]
    fn what_cannot_be_dialled_is_refused_with_its_reason() {
        for (entry, problem) in [
            ("https://127.0.0.1:9", Problem::Scheme),
            ("tcp://127.0.0.1:9", Problem::Scheme),
            ("127.0.0.1:9\u{ff1b}127.0.0.1:8", Problem::Letters),
            ("127.0.0.1\u{ff1b}127.0.0.1:8", Problem::Letters),
            ("127.0.0.1\u{ff1a}9876", Problem::NoPort),
            ("a b:9876", Problem::Letters),
            ("::1", Problem::Ipv6),
            ("fe80::1", Problem::Ipv6),
            ("1:2:3:4:5:6:7:8", Problem::Ipv6),
            ("[::1]", Problem::NoPort),
            ("[::1", Problem::Ipv6),
            ("[::1]9876", Problem::NoPort),
            ("[10.0.0.1]:9876", Problem::Ipv6),
            ("10.0.0.2", Problem::NoPort),
            ("10.0.0.256:1", Problem::Ipv4),
            ("127.1:1", Problem::Ipv4),
            ("a:", Problem::NoPort),
            ("a:port", Problem::Port),
            ("a:0", Problem::Port),
            ("a:+9", Problem::Port),
            ("a:65536", Problem::Port),
            (":9876", Problem::NoHost),
            ("http://:80", Problem::NoHost),
            ("a..b:1", Problem::Labels),
            ("-a:1", Problem::Labels),
            ("host/path:1", Problem::Letters),
        ] {
            assert_eq!(read(entry), Err(problem), "{entry}");
        }
        assert_eq!(read(&format!("{}:1", "a".repeat(64))), Err(Problem::Labels));
    }

    proptest! {
        #[test]
        fn every_text_is_read_or_refused_and_what_is_read_is_read_again_as_itself(
            entry in "(http://)?[a-z0-9.:\\[\\]%_;é -]{0,24}(:[0-9]{1,5})?",
        ) {
            if let Ok(address) = read(&entry) {
                let again = read(&address);
                prop_assert_eq!(again.as_deref(), Ok(&*address));
            }
        }

        #[test]
        fn every_socket_address_is_an_address(address: std::net::SocketAddr) {
            prop_assume!(address.port() > 0);
            prop_assert!(read(&address.to_string()).is_ok());
        }
    }
}
