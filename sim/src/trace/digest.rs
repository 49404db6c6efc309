//! One number for a whole run.
//!
//! Two runs are the same run exactly if their digests are equal, so the digest must depend on what
//! happened and on nothing else: it is blake3 over the postcard encoding of the records, a binary
//! form that is fixed by the types. No text is formatted, the header (which names the seed) and the
//! end (which may carry a panic's message) stay outside, and debug and release builds agree.

use std::fmt;

use postcard::ser_flavors::Flavor;
use serde::Serialize;

use super::record::{Trace, TraceRecord};

/// Bytes collected before they are hashed: blake3 is fastest on large pieces.
const PIECE: usize = 64 * 1024;

/// The digest of a trace.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use std::io::ErrorKind;
/// # use std::sync::Arc;
/// # use rmq_sim::fault::EngineKind;
/// # use rmq_sim::run;
/// # use rmq_sim::scenario::Scenario;
/// use rmq_sim::trace::Digest;
///
/// # let text = "format = 2\nseconds = 5\n[cluster]\nbrokers = [\"broker-a\"]\n[producer.p1]\n\
/// #     [[workload]]\nproducer = \"p1\"\ntopic = \"orders\"\nsends = 3\n";
/// # let scenario = Arc::new(Scenario::parse("three.toml", text, &|_| Err(ErrorKind::NotFound.into()))?);
/// let run = run::run(&scenario, 7, EngineKind::Event)?;
/// assert_eq!(Digest::of(&run.trace), run.digest);
/// assert_eq!(run.digest.short().len(), 16);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of a whole trace.
    pub fn of(trace: &Trace) -> Self {
        let mut digester = Digester::default();
        for record in &trace.records {
            digester.push(record);
        }
        digester.finish()
    }

    /// The first 16 hexadecimal digits: enough for people to compare.
    pub fn short(&self) -> String {
        self.to_string().chars().take(16).collect()
    }

    /// All 32 bytes of the digest.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

impl Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Folds records into a digest, one by one.
#[derive(Debug, Default)]
pub struct Digester {
    hasher: blake3::Hasher,
    buffer: Vec<u8>,
}

impl Digester {
    /// Folds one record into the digest.
    pub fn push(&mut self, record: &TraceRecord) {
        // It fails only for sequences of unknown length, which no record has; and then what was
        // encoded so far would still be the same in equal runs.
        let _ = postcard::serialize_with_flavor(record, Append(&mut self.buffer));
        if self.buffer.len() >= PIECE {
            self.hasher.update(&self.buffer);
            self.buffer.clear();
        }
    }

    /// The digest of everything folded in.
    pub fn finish(mut self) -> Digest {
        self.hasher.update(&self.buffer);
        Digest(*self.hasher.finalize().as_bytes())
    }
}

/// Appends postcard's output to a buffer that outlives one value.
struct Append<'a>(&'a mut Vec<u8>);

impl Flavor for Append<'_> {
    type Output = ();

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::{NodeEvent, NodeId, WorkEvent, WorkResult};

    fn returned(ms: u64, keys: &str) -> TraceRecord {
        let event = WorkEvent::Returned {
            keys: keys.into(),
            result: WorkResult::Written,
        };
        TraceRecord {
            ms,
            node: NodeId(0),
            what: NodeEvent::Work(event),
        }
    }

    fn digest(records: &[TraceRecord]) -> Digest {
        let mut digester = Digester::default();
        records.iter().for_each(|record| digester.push(record));
        digester.finish()
    }

    #[test]
    fn equal_records_give_equal_digests_and_a_millisecond_makes_another() {
        let run = [returned(1, "w1-s1"), returned(2, "w1-s2")];
        assert_eq!(digest(&run), digest(&run.clone()));
        assert_ne!(
            digest(&run),
            digest(&[returned(1, "w1-s1"), returned(3, "w1-s2")])
        );
        assert_ne!(
            digest(&run),
            digest(&[returned(2, "w1-s2"), returned(1, "w1-s1")])
        );
    }

    #[test]
    fn the_encoding_is_fixed_and_the_same_in_every_build() {
        // By hand: 300 as a varint, node 0, the variants work and returned, the text, written.
        let bytes = b"\xAC\x02\x00\x04\x01\x05w1-s1\x01";
        let known = digest(&[returned(300, "w1-s1")]);
        assert_eq!(known.bytes(), blake3::hash(bytes).as_bytes());
    }

    #[test]
    fn a_trace_longer_than_one_piece_is_hashed_whole() {
        let mut long: Vec<TraceRecord> = (0..10_000).map(|n| returned(n, "w1-s1")).collect();
        let whole = digest(&long);
        long[0].ms += 1;
        assert_ne!(digest(&long), whole);
    }
}
