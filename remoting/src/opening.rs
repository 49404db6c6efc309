//! What speaks at an address where no RocketMQ does, told by its first bytes.
//!
//! A wrong port is the commonest mistake in a configuration, and "bytes that are no frame" helps
//! nobody to find it. The first bytes of other protocols are telling, so they are kept, a few of
//! them, and named.

use std::fmt;

use thiserror::Error;

use crate::frame::FrameError;
use crate::text::printable;

/// How many bytes are kept.
const KEPT: usize = 48;

/// The first bytes of what should have been a frame.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Opening {
    bytes: [u8; KEPT],
    len: usize,
}

impl Opening {
    /// The start of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let len = bytes.len().min(KEPT);
        let mut kept = [0; KEPT];
        for (to, from) in kept.iter_mut().zip(bytes) {
            *to = *from;
        }
        Self { bytes: kept, len }
    }

    /// The first bytes that the peer sent.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    /// The protocol that begins so.
    #[must_use]
    pub fn protocol(&self) -> Option<Protocol> {
        recognise(self.bytes())
    }
}

impl fmt::Debug for Opening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Opening({self})")
    }
}

/// As text if it is one, else in hex.
impl fmt::Display for Opening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.bytes();
        let readable = |byte: &u8| byte.is_ascii_graphic() || byte.is_ascii_whitespace();
        match std::str::from_utf8(bytes) {
            Ok(text) if bytes.iter().all(readable) => {
                write!(f, "\"{}\"", printable(text.trim_end(), KEPT))
            }
            _ => {
                for (at, byte) in bytes.iter().take(16).enumerate() {
                    let blank = if at == 0 { "" } else { " " };
                    write!(f, "{blank}{byte:02x}")?;
                }
                Ok(())
            }
        }
    }
}

/// A protocol that is not RocketMQ's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
pub enum Protocol {
    /// The peer speaks HTTP of version 1.
    Http,
    /// HTTP/2, which gRPC speaks: the port of a RocketMQ 5 proxy, for one.
    Http2,
    /// The peer speaks TLS, and wants to be spoken to in it.
    Tls,
    /// The peer speaks the protocol of Redis.
    Redis,
    /// The peer speaks the protocol of SSH.
    Ssh,
    /// The peer speaks the protocol of Kafka.
    Kafka,
    /// The peer speaks the protocol of `MySQL` or `MariaDB`.
    MySql,
    /// The peer speaks the protocol of `PostgreSQL`.
    Postgres,
    /// The peer speaks AMQP, as `RabbitMQ` does.
    Amqp,
    /// The peer speaks the protocol of NATS.
    Nats,
    /// The peer speaks the protocol of Memcached.
    Memcached,
    /// The peer greets as SMTP or FTP servers do.
    SmtpOrFtp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http => "HTTP",
            Self::Http2 => "HTTP/2 (gRPC)",
            Self::Tls => "TLS",
            Self::Redis => "Redis",
            Self::Ssh => "SSH",
            Self::Kafka => "Kafka",
            Self::MySql => "MySQL",
            Self::Postgres => "PostgreSQL",
            Self::Amqp => "AMQP",
            Self::Nats => "NATS",
            Self::Memcached => "Memcached",
            Self::SmtpOrFtp => "SMTP or FTP",
        })
    }
}

/// The protocol whose server or client begins with these bytes.
///
/// ```
/// use rmq_remoting::opening::{Protocol, recognise};
///
/// assert_eq!(recognise(b"HTTP/1.1 400 Bad Request\r\n"), Some(Protocol::Http));
/// assert_eq!(recognise(b"SSH-2.0-OpenSSH_9.6\r\n"), Some(Protocol::Ssh));
/// assert_eq!(recognise(&[0, 0, 0, 90, 0, 0, 0, 86]), None);
/// ```
#[must_use]
pub fn recognise(bytes: &[u8]) -> Option<Protocol> {
    let begins = |starts: &[&str]| starts.iter().any(|it| bytes.starts_with(it.as_bytes()));
    Some(match bytes {
        _ if begins(&["HTTP/", "<html", "<HTML", "<!DOC", "<!doc"]) => Protocol::Http,
        _ if begins(&[
            "GET ", "POST ", "PUT ", "HEAD ", "OPTIONS ", "DELETE ", "CONNECT ",
        ]) =>
        {
            Protocol::Http
        }
        _ if begins(&["PRI * HTTP/2"]) => Protocol::Http2,
        // A frame of settings, of the connection itself.
        [0, 0, _, 4, 0 | 1, 0, 0, 0, 0, ..] => Protocol::Http2,
        // Change of cipher, alert, handshake or data, of any version from SSL 3 to TLS 1.3.
        [0x14..=0x17, 3, 0..=4, ..] => Protocol::Tls,
        _ if begins(&["SSH-"]) => Protocol::Ssh,
        _ if begins(&[
            "-ERR", "-NOAUTH", "-DENIED", "-LOADING", "-MISCONF", "-WRONG",
        ]) =>
        {
            Protocol::Redis
        }
        _ if begins(&["+OK\r\n", "+PONG"]) => Protocol::Redis,
        // Ten bytes: correlation id, the error "unsupported version", an empty list.
        [0, 0, 0, 10, _, _, _, _, 0, 35, ..] => Protocol::Kafka,
        // A greeting of protocol 10, or an error instead of one; the first packet of its sequence.
        [_, _, 0, 0, 10, b'1'..=b'9', ..] | [_, _, 0, 0, 0xff, ..] => Protocol::MySql,
        [b'E', 0, 0, _, b'S', ..] | [b'E', 0, 0, _, _, b'S', ..] => Protocol::Postgres,
        _ if begins(&["AMQP"]) => Protocol::Amqp,
        _ if begins(&["INFO {"]) => Protocol::Nats,
        _ if begins(&["ERROR\r\n", "CLIENT_ERROR "]) => Protocol::Memcached,
        _ if begins(&["220 ", "220-", "421 ", "500 "]) => Protocol::SmtpOrFtp,
        _ => return None,
    })
}

/// Bytes of a peer that are no frame.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
pub struct BadFrame {
    /// What is wrong with them.
    pub fault: FrameError,
    /// How they began.
    pub opening: Opening,
    /// Whether whole frames came before them: then their sender is no server of another kind, whatever they
    /// look like.
    pub after_frames: bool,
}

impl BadFrame {
    /// Whether something else than RocketMQ was heard.
    #[must_use]
    pub fn is_foreign(&self) -> bool {
        self.fault != FrameError::Nothing
    }

    /// Whether a peer spoke TLS to a client that does not.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.protocol() == Some(Protocol::Tls)
    }

    /// The protocol that the peer speaks instead of RocketMQ's, if it can be told.
    fn protocol(&self) -> Option<Protocol> {
        let opening = (!self.after_frames).then_some(self.opening)?;
        opening.protocol()
    }
}

impl fmt::Display for BadFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { fault, opening, .. } = self;
        match self.protocol() {
            Some(Protocol::Tls) => write!(
                f,
                "it speaks TLS, and this client does not here; it began with {opening}"
            ),
            Some(protocol) => write!(
                f,
                "it looks like {protocol}, not like RocketMQ; it began with {opening}"
            ),
            None if opening.bytes().is_empty() => fault.fmt(f),
            None => write!(f, "{fault}; it began with {opening}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_after_frames_is_no_other_protocol() {
        let alert = |after_frames| BadFrame {
            fault: FrameError::Length { total: 1 },
            opening: Opening::of(b"\x15\x03\x03\x00\x02\x02F"),
            after_frames,
        };
        assert!(alert(false).is_tls());
        assert!(!alert(true).is_tls());
        assert!(!alert(true).to_string().contains("TLS"));
    }

    #[test]
    fn other_protocols_are_known_by_their_first_bytes() {
        for (bytes, protocol) in [
            (&b"HTTP/1.1 400 Bad Request\r\n"[..], Protocol::Http),
            (b"GET / HTTP/1.1\r\n", Protocol::Http),
            (
                b"\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03",
                Protocol::Http2,
            ),
            (b"\x15\x03\x01\x00\x02\x02F", Protocol::Tls),
            (b"\x16\x03\x03\x02\x00", Protocol::Tls),
            (b"-ERR unknown command\r\n", Protocol::Redis),
            (b"SSH-2.0-OpenSSH_9.2\r\n", Protocol::Ssh),
            (b"J\0\0\0\n8.0.36\0", Protocol::MySql),
            (b"\0\0\0\n\0\0\0\0\0#\0\0\0\0", Protocol::Kafka),
            (b"E\0\0\0\x8bSFATAL\0", Protocol::Postgres),
            (b"AMQP\0\0\x09\x01", Protocol::Amqp),
            (b"220 mail ESMTP\r\n", Protocol::SmtpOrFtp),
        ] {
            assert_eq!(recognise(bytes), Some(protocol), "{bytes:?}");
        }
    }

    #[test]
    fn a_frame_and_nonsense_are_no_other_protocol() {
        for bytes in [
            &b""[..],
            b"\0",
            b"\0\0\x01\0\0\0\0@{\"code\":0",
            b"\0\0\x06\x04\0\0\0\x80{\"code\":0",
            b"\0\0\0\x04\0\0\0\0",
            b"hello",
            b"\xff\xff\xff\xff",
        ] {
            assert_eq!(recognise(bytes), None, "{bytes:?}");
        }
    }

    #[test]
    fn the_bytes_are_shown_as_text_or_in_hex_and_never_obeyed() {
        let shown = |bytes: &[u8]| Opening::of(bytes).to_string();
        assert_eq!(shown(b"SSH-2.0-x\r\n"), "\"SSH-2.0-x\"");
        assert_eq!(shown(b"\x15\x03\x01\x00"), "15 03 01 00");
        assert_eq!(shown(b"a\x1b[2J"), "61 1b 5b 32 4a");
        assert_eq!(shown(&[b'x'; 100]).len(), KEPT + 2);
    }

    #[test]
    fn an_error_says_what_it_looks_like_or_what_is_wrong() {
        let told = |bytes: &[u8]| {
            let bad = BadFrame {
                fault: FrameError::Length {
                    total: 1_213_486_160,
                },
                opening: Opening::of(bytes),
                after_frames: false,
            };
            bad.to_string()
        };
        assert_eq!(
            told(b"HTTP/1.1 400"),
            "it looks like HTTP, not like RocketMQ; it began with \"HTTP/1.1 400\""
        );
        assert_eq!(
            told(b"xyz!"),
            "the frame announces 1213486160 bytes, and one has 4 to 16777212; it began with \
             \"xyz!\""
        );
    }
}
