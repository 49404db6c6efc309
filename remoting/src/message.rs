//! The bits that say how a message's body and hosts are to be read: its sysFlag.

/// The body is compressed; [`Compression`] says how.
pub const COMPRESSED: i32 = 0x1;
/// The topic has more than one tag per message.
pub const MULTI_TAGS: i32 = 0x2;
/// The bits of a flag that say the [`TransactionState`].
pub const TRANSACTION_MASK: i32 = 0xc;
/// The born host is an IPv6 address.
pub const BORN_HOST_V6: i32 = 0x10;
/// The store host is an IPv6 address.
pub const STORE_HOST_V6: i32 = 0x20;
/// The record holds several messages that readers must unwrap.
pub const NEED_UNWRAP: i32 = 0x40;
/// The message is one of a batch stored as one.
pub const INNER_BATCH: i32 = 0x80;
/// The bits of a flag that say the [`Compression`].
pub const COMPRESSION_MASK: i32 = 0x700;

/// Where a message stands in a transaction.
///
/// ```
/// use rmq_remoting::message::{COMPRESSED, TransactionState};
///
/// let sys_flag = COMPRESSED | TransactionState::Prepared.bits();
/// assert_eq!(TransactionState::of(sys_flag), TransactionState::Prepared);
/// assert_eq!(TransactionState::of(COMPRESSED), TransactionState::None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransactionState {
    /// The message belongs to no transaction.
    None,
    /// A half message, not visible yet.
    Prepared,
    /// The half message is committed, and becomes visible.
    Commit,
    /// The half message is rolled back, and is never visible.
    Rollback,
}

impl TransactionState {
    /// The state that a sysFlag says.
    #[must_use]
    pub fn of(sys_flag: i32) -> Self {
        match sys_flag & TRANSACTION_MASK {
            0x4 => Self::Prepared,
            0x8 => Self::Commit,
            0xc => Self::Rollback,
            _ => Self::None,
        }
    }

    /// Its bits in a sysFlag.
    #[must_use]
    pub fn bits(self) -> i32 {
        match self {
            Self::None => 0,
            Self::Prepared => 0x4,
            Self::Commit => 0x8,
            Self::Rollback => 0xc,
        }
    }
}

/// How a body is compressed.
///
/// ```
/// use rmq_remoting::message::{COMPRESSED, Compression};
///
/// let sys_flag = COMPRESSED | Compression::Zstd.bits();
/// assert_eq!(Compression::of(sys_flag), Some(Compression::Zstd));
/// assert_eq!(Compression::of(COMPRESSED), Some(Compression::Zlib), "as old clients write it");
/// assert_eq!(Compression::of(0), None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// The body is an LZ4 frame.
    Lz4,
    /// The body is a Zstandard frame.
    Zstd,
    /// A zlib stream; also what messages of old clients use, which have no bits for it.
    Zlib,
}

impl Compression {
    /// The compression that a sysFlag says, if the body is compressed in a known way.
    #[must_use]
    pub fn of(sys_flag: i32) -> Option<Self> {
        if sys_flag & COMPRESSED == 0 {
            return None;
        }
        match (sys_flag & COMPRESSION_MASK) >> 8 {
            0 | 3 => Some(Self::Zlib),
            1 => Some(Self::Lz4),
            2 => Some(Self::Zstd),
            _ => None,
        }
    }

    /// Its bits in a sysFlag, with the one that says that the body is compressed.
    #[must_use]
    pub fn bits(self) -> i32 {
        COMPRESSED
            | match self {
                Self::Lz4 => 0x100,
                Self::Zstd => 0x200,
                Self::Zlib => 0x300,
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_compressed_by_zlib_is_marked_769_and_an_old_client_s_1_means_the_same() {
        assert_eq!(Compression::Zlib.bits(), 769);
        assert_eq!(Compression::of(769), Some(Compression::Zlib));
        assert_eq!(Compression::of(1), Some(Compression::Zlib));
        assert_eq!(Compression::of(0x300), None);
        assert_eq!(Compression::of(0x701), None);
    }

    #[test]
    fn bits_and_states_belong_together() {
        for compression in [Compression::Lz4, Compression::Zstd, Compression::Zlib] {
            assert_eq!(
                Compression::of(compression.bits() | MULTI_TAGS),
                Some(compression)
            );
        }
        for state in [
            TransactionState::None,
            TransactionState::Prepared,
            TransactionState::Commit,
            TransactionState::Rollback,
        ] {
            assert_eq!(TransactionState::of(state.bits() | COMPRESSED), state);
        }
    }
}
