//! The ids of messages: those that brokers give and those that producers make.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use rmq_remoting::offset_id::OffsetId;
use rmq_remoting::unique_id::UniqueIds;

/// An offset id is read from its own text and no other; a unique id has its length, its prefix and
/// its counter whatever the clock says.
///
/// # Panics
///
/// What the target checks does not hold: the fuzzer takes the panic as a find.
pub fn ids(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(id) = text.parse::<OffsetId>()
    {
        assert_eq!(id.to_string(), text.to_ascii_uppercase());
    }
    if let Some((numbers, _)) = data.split_first_chunk::<35>() {
        unique(*numbers);
    }
}

fn unique(numbers: [u8; 35]) {
    let [long, rest @ ..] = numbers;
    let mut words = rest.chunks_exact(4).map(|word| {
        let word = <[u8; 4]>::try_from(word).unwrap_or_default();
        u32::from_be_bytes(word)
    });
    let mut word = || words.next().unwrap_or_default();
    let ip: IpAddr = if long & 1 == 0 {
        Ipv4Addr::from_bits(word()).into()
    } else {
        let high = u128::from(word()) << 96 | u128::from(word()) << 64;
        Ipv6Addr::from_bits(high | u128::from(word())).into()
    };
    let (process, constant) = (word(), word());
    let time = (u64::from(word()) << 32 | u64::from(word())).cast_signed();
    let counter = u16::from_be_bytes([rest[32], rest[33]]);
    let ids = UniqueIds::new(ip, process, constant);
    let id = ids.make(time, counter);
    let address = if ip.is_ipv4() { 8 } else { 32 };
    assert_eq!(id.len(), address + 24);
    let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'A'..=b'F');
    assert!(id.bytes().all(is_hex), "{id}");
    assert_eq!(id[id.len() - 4..], format!("{counter:04X}"));
    assert_eq!(id[..address + 12], ids.make(0, 0)[..address + 12]);
    assert_eq!(id, ids.make(time, counter), "it depends on something else");
}
