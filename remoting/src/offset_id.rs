//! The id that a broker gives a message: where it lies. Transactions are ended by it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use thiserror::Error;

/// A broker's address and an offset in its commit log, written as upper-case hex.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use rmq_remoting::offset_id::OffsetId;
///
/// let id: OffsetId = "7F00000100002A9F0000000000000400".parse()?;
/// assert_eq!(id, OffsetId { host: ([127, 0, 0, 1], 10911).into(), offset: 1024 });
/// assert_eq!(id.to_string(), "7F00000100002A9F0000000000000400");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OffsetId {
    /// The address at which the broker stored the message.
    pub host: SocketAddr,
    /// The place in its commit log.
    pub offset: i64,
}

/// A text that is no offset message id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("an offset message id has 32 or 56 hex digits: address, port, offset")]
pub struct BadOffsetId;

impl fmt::Display for OffsetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.ip() {
            IpAddr::V4(ip) => write!(f, "{:08X}", ip.to_bits())?,
            IpAddr::V6(ip) => write!(f, "{:032X}", ip.to_bits())?,
        }
        write!(f, "{:08X}{:016X}", self.host.port(), self.offset)
    }
}

impl FromStr for OffsetId {
    type Err = BadOffsetId;

    fn from_str(text: &str) -> Result<Self, BadOffsetId> {
        if !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(BadOffsetId);
        }
        let digits = match text.len() {
            32 => 8,
            56 => 32,
            _ => return Err(BadOffsetId),
        };
        let number = |part: &str| u128::from_str_radix(part, 16).map_err(|_| BadOffsetId);
        let (address, rest) = text.split_at_checked(digits).ok_or(BadOffsetId)?;
        let (port, offset) = rest.split_at_checked(8).ok_or(BadOffsetId)?;
        let address = number(address)?;
        let ip = match u32::try_from(address) {
            Ok(short) if digits == 8 => IpAddr::V4(Ipv4Addr::from_bits(short)),
            _ => IpAddr::V6(Ipv6Addr::from_bits(address)),
        };
        let port = number(port)?;
        let port = u16::try_from(port).map_err(|_| BadOffsetId)?;
        let offset = number(offset)?;
        let offset = u64::try_from(offset)
            .map_err(|_| BadOffsetId)?
            .cast_signed();
        Ok(Self {
            host: SocketAddr::new(ip, port),
            offset,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_worked_example_reads_and_writes() {
        let text = "7F00000100002A9F0000000000000000";
        let id: OffsetId = text.parse().unwrap();
        assert_eq!(id.host, "127.0.0.1:10911".parse().unwrap());
        assert_eq!(id.offset, 0);
        assert_eq!(id.to_string(), text);
    }

    #[test]
    fn a_port_beyond_16_bits_and_a_sign_are_refused() {
        assert_eq!(
            "7F000001000110000000000000000000".parse::<OffsetId>(),
            Err(BadOffsetId)
        );
        assert_eq!(
            "+F00000100002A9F0000000000000000".parse::<OffsetId>(),
            Err(BadOffsetId)
        );
    }

    proptest! {
        #[test]
        fn ids_survive_the_round_trip(ip: IpAddr, port: u16, offset: i64) {
            let id = OffsetId { host: SocketAddr::new(ip, port), offset };
            prop_assert_eq!(id.to_string().parse(), Ok(id));
        }

        #[test]
        fn any_text_can_be_read(text in "[0-9A-Za-zé]{0,60}") {
            if let Ok(id) = text.parse::<OffsetId>() {
                prop_assert_eq!(id.to_string(), text.to_uppercase());
            }
        }
    }
}
