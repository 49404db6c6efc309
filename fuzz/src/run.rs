//! One input, one target: what it cost, and whether a promise was broken.

use std::any::Any;
use std::fmt;
use std::panic::catch_unwind;

use crate::target::Target;

/// Memory allocated since the process began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Allocated {
    /// How many allocations were made.
    pub times: u64,
    /// Bytes in sum, whether they were given back or not.
    pub bytes: u64,
}

impl Allocated {
    fn since(self, before: Self) -> Self {
        Self {
            times: self.times - before.times,
            bytes: self.bytes - before.bytes,
        }
    }
}

/// Reads the counters of the process's allocator. One thread must run the targets.
pub type Meter = fn() -> Allocated;

/// A promise that an input breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Broken {
    /// The target panicked, with this message.
    Panic(String),
    /// It allocated more than it may for an input of this length.
    Memory {
        /// The bytes that it allocated, in sum.
        bytes: u64,
        /// The most that it may allocate for an input of this length.
        most: u64,
    },
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panic(text) => write!(f, "it panics: {text}"),
            Self::Memory { bytes, most } => {
                write!(f, "it allocates {bytes} bytes, more than {most}")
            }
        }
    }
}

/// Runs a target on an input.
///
/// # Errors
/// The promise that was broken.
pub fn one(target: &Target, input: &[u8], meter: Meter) -> Result<Allocated, Broken> {
    let before = meter();
    let run = target.run;
    catch_unwind(|| run(input)).map_err(|payload| Broken::Panic(said(payload.as_ref())))?;
    let spent = meter().since(before);
    let most = target.memory(input.len());
    if spent.bytes > most {
        return Err(Broken::Memory {
            bytes: spent.bytes,
            most,
        });
    }
    Ok(spent)
}

/// What a panic said.
fn said(payload: &(dyn Any + Send)) -> String {
    let text = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned());
    let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "(no text)".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::FIXED;

    fn no_meter() -> Allocated {
        Allocated::default()
    }

    #[test]
    fn a_broken_promise_is_told_with_its_text() {
        let target = Target {
            name: "refuses-7",
            run: |data| assert!(!data.contains(&7), "a seven"),
            words: &[],
            bytes_per_byte: 1,
        };
        assert_eq!(one(&target, &[6], no_meter), Ok(Allocated::default()));
        let broken = one(&target, &[6, 7], no_meter);
        assert_eq!(broken, Err(Broken::Panic("a seven".to_owned())));
    }

    #[test]
    fn memory_beyond_the_bound_breaks_a_promise() {
        moved_by_hand::reset();
        let target = Target {
            name: "greedy",
            run: |data| moved_by_hand::add(data.len() as u64 * 3),
            words: &[],
            bytes_per_byte: 2,
        };
        let meter = moved_by_hand::read;
        assert!(one(&target, &[0; 1_000], meter).is_ok());
        let long = vec![0; 2 << 20];
        let (bytes, most) = (6 << 20, FIXED + (4 << 20));
        assert_eq!(
            one(&target, &long, meter),
            Err(Broken::Memory { bytes, most })
        );
    }

    /// A meter that a test can move.
    mod moved_by_hand {
        use std::sync::atomic::{AtomicU64, Ordering};

        use super::Allocated;

        static BYTES: AtomicU64 = AtomicU64::new(0);

        pub(super) fn reset() {
            BYTES.store(0, Ordering::Relaxed);
        }

        pub(super) fn add(bytes: u64) {
            BYTES.fetch_add(bytes, Ordering::Relaxed);
        }

        pub(super) fn read() -> Allocated {
            let bytes = BYTES.load(Ordering::Relaxed);
            Allocated { times: 0, bytes }
        }
    }
}
