//! Compressing bodies.
//!
//! A zlib stream needs a quarter of a megabyte of working memory, which costs more to get than most
//! bodies cost to compress. So a producer keeps what its senders used and lends it to the next.

use bytes::Bytes;
use flate2::{Compress, Compression as Level, FlushCompress, Status};
use parking_lot::Mutex;
use rmq_remoting::message::Compression;

/// The level that the Java client uses, for zlib and Zstandard.
const LEVEL: u32 = 5;

/// How many idle streams are kept: about as many as threads compress at one moment.
const KEPT: usize = 8;

/// Compresses bodies, any number at a time.
#[derive(Debug, Default)]
pub(crate) struct Compressor {
    idle: Mutex<Vec<Compress>>,
}

impl Compressor {
    /// The body compressed in this way; nothing if that fails, then the plain body is sent.
    pub(crate) fn compress(&self, compression: Compression, body: &[u8]) -> Option<Bytes> {
        match compression {
            Compression::Zlib => self.zlib(body),
            Compression::Lz4 => lz4(body),
            Compression::Zstd => zstd(body),
        }
    }

    fn zlib(&self, body: &[u8]) -> Option<Bytes> {
        let kept = self.idle.lock().pop();
        let mut stream = kept.unwrap_or_else(|| Compress::new(Level::new(LEVEL), true));
        let packed = deflate(&mut stream, body);
        stream.reset();
        let mut idle = self.idle.lock();
        if idle.len() < KEPT {
            idle.push(stream);
        }
        packed
    }
}

/// One whole zlib stream (RFC 1950).
fn deflate(stream: &mut Compress, body: &[u8]) -> Option<Bytes> {
    // Deflate stores what it cannot compress, with five bytes a block beside header and checksum.
    let most = body.len() + body.len() / 1_000 + 64;
    let mut packed = Vec::with_capacity(most);
    let status = stream.compress_vec(body, &mut packed, FlushCompress::Finish);
    matches!(status, Ok(Status::StreamEnd)).then(|| Bytes::from(packed))
}

/// One LZ4 frame, which has no levels.
#[cfg(feature = "lz4")]
fn lz4(body: &[u8]) -> Option<Bytes> {
    use std::io::Write;

    let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::with_capacity(body.len() / 2));
    encoder.write_all(body).ok()?;
    encoder.finish().ok().map(Bytes::from)
}

/// One Zstandard frame.
#[cfg(feature = "zstd")]
fn zstd(body: &[u8]) -> Option<Bytes> {
    let level = i32::try_from(LEVEL).ok()?;
    zstd::bulk::compress(body, level).ok().map(Bytes::from)
}

// No producer starts with a policy that asks for a codec which its build lacks.

#[cfg(not(feature = "lz4"))]
fn lz4(_body: &[u8]) -> Option<Bytes> {
    None
}

#[cfg(not(feature = "zstd"))]
fn zstd(_body: &[u8]) -> Option<Bytes> {
    None
}

#[cfg(test)]
#[cfg(all(feature = "lz4", feature = "zstd"))]
mod tests {
    use std::io::Read;

    use proptest::prelude::*;

    use super::*;

    fn unpacked(compression: Compression, packed: &[u8]) -> Vec<u8> {
        let mut body = Vec::new();
        match compression {
            Compression::Zlib => flate2::read::ZlibDecoder::new(packed).read_to_end(&mut body),
            Compression::Lz4 => lz4_flex::frame::FrameDecoder::new(packed).read_to_end(&mut body),
            Compression::Zstd => zstd::stream::copy_decode(packed, &mut body).map(|()| body.len()),
        }
        .unwrap();
        body
    }

    #[test]
    fn each_kind_opens_with_its_own_mark() {
        let compressor = Compressor::default();
        let body = [7; 5_000];
        for (compression, mark) in [
            (Compression::Zlib, &[0x78][..]),
            (Compression::Lz4, &[0x04, 0x22, 0x4d, 0x18]),
            (Compression::Zstd, &[0x28, 0xb5, 0x2f, 0xfd]),
        ] {
            let packed = compressor.compress(compression, &body).unwrap();
            assert!(packed.starts_with(mark), "{compression:?}");
            assert_eq!(unpacked(compression, &packed), body);
        }
    }

    proptest! {
        #[test]
        fn what_was_packed_unpacks_to_the_same_bytes(
            bodies in proptest::collection::vec(
                proptest::collection::vec(any::<u8>(), 0..20_000),
                1..4,
            ),
        ) {
            let compressor = Compressor::default();
            for body in bodies {
                for compression in [Compression::Zlib, Compression::Lz4, Compression::Zstd] {
                    let packed = compressor.compress(compression, &body).unwrap();
                    prop_assert_eq!(&unpacked(compression, &packed), &body);
                }
            }
        }
    }
}
