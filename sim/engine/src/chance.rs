//! Randomness that is addressed by place and position, never consumed.
//!
//! A simulation that draws its numbers from one shared stream cannot be shrunk: taking one fault
//! away shifts every later number. Here a draw is a function of (key, site, position), where the
//! position is an identity that exists without counting: a link and a millisecond, a send number,
//! a knob's name. One draw is one block of `ChaCha8` and yields eight independent numbers, so that a
//! ninth use moves none of the others.

use std::fmt;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// The eight numbers of one draw.
pub type Block = [u64; 8];

/// A field of random numbers, keyed by a seed and, below it, by names.
///
/// ```
/// use dst_engine::chance::{Chance, below, happens};
///
/// let chance = Chance::new(7);
/// let link = chance.part("link", 3);
/// assert_eq!(link.draw("loss", 12), Chance::new(7).part("link", 3).draw("loss", 12));
/// assert_ne!(link.draw("loss", 12), link.draw("loss", 13));
///
/// // Twenty of a thousand are lost, more or less, and of each loss it is known which.
/// let lost = (0..1_000).filter(|ms| happens(link.draw("loss", *ms), 20)).count();
/// assert!((5..50).contains(&lost));
/// assert!(below(link.draw("queue", 0), 4) < 4);
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Chance {
    key: [u8; 32],
}

impl Chance {
    /// The field of a run's seed.
    pub fn new(seed: u64) -> Self {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        Self { key }
    }

    /// A field of its own for a part of the run (a node, a link), independent of all others.
    pub fn part(&self, name: &str, position: u64) -> Self {
        let mut key = [0; 32];
        for (bytes, number) in key.chunks_exact_mut(8).zip(self.block(name, position)) {
            bytes.copy_from_slice(&number.to_le_bytes());
        }
        Self { key }
    }

    /// The field of one process, whose draws are equal on every engine: what `Host::draw` reads.
    pub fn process(&self, node: &str, incarnation: u32) -> Self {
        self.part(node, 0).part("incarnation", incarnation.into())
    }

    /// The eight numbers at one position of one site.
    pub fn block(&self, site: &str, position: u64) -> Block {
        self.block_at(site_number(site), position)
    }

    /// As [`block`](Self::block), with the site's name already hashed by [`site_number`].
    pub fn block_at(&self, site: u64, position: u64) -> Block {
        let mut generator = ChaCha8Rng::from_seed(self.key);
        generator.set_stream(site);
        generator.set_word_pos(u128::from(position) * 16);
        std::array::from_fn(|_| generator.next_u64())
    }

    /// The first of the eight numbers.
    pub fn draw(&self, site: &str, position: u64) -> u64 {
        self.block(site, position)[0]
    }
}

impl fmt::Debug for Chance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Chance")
    }
}

/// The number that stands for a site's name (FNV-1a, 64 bits).
pub const fn site_number(site: &str) -> u64 {
    let bytes = site.as_bytes();
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut at = 0;
    while at < bytes.len() {
        hash = (hash ^ bytes[at] as u64).wrapping_mul(0x0100_0000_01b3);
        at += 1;
    }
    hash
}

/// Maps a random number evenly to `0..n`; 0 if `n` is 0.
pub const fn below(number: u64, n: u64) -> u64 {
    // The upper half of the product: no division, and the bias is below n / 2^64.
    ((number as u128 * n as u128) >> 64) as u64
}

/// Whether an event of so many per mille happens, given a random number.
pub const fn happens(number: u64, per_mille: u32) -> bool {
    below(number, 1000) < per_mille as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draw_depends_on_seed_site_and_position_and_on_nothing_else() {
        let one = Chance::new(7);
        assert_eq!(one.block("loss", 3), Chance::new(7).block("loss", 3));
        assert_ne!(one.block("loss", 3), one.block("loss", 4));
        assert_ne!(one.block("loss", 3), one.block("latency", 3));
        assert_ne!(one.block("loss", 3), Chance::new(8).block("loss", 3));
        assert_ne!(
            one.part("a", 0).block("x", 0),
            one.part("b", 0).block("x", 0)
        );
    }

    #[test]
    fn the_numbers_are_the_same_on_every_machine_and_in_every_release() {
        // The published test vector of ChaCha8 with a zero key: 3e 00 ef 2f 89 5f 40 d6. A change
        // here would move every digest there is.
        assert_eq!(Chance::new(0).block_at(0, 0)[0], 0xd640_5f89_2fef_003e);
    }

    #[test]
    fn below_covers_its_range_evenly() {
        let chance = Chance::new(1);
        let mut counts = [0_u32; 10];
        for position in 0..10_000 {
            for number in chance.block("even", position) {
                counts[below(number, 10) as usize] += 1;
            }
        }
        assert!(
            counts.iter().all(|&n| (7_600..8_400).contains(&n)),
            "{counts:?}"
        );
        assert_eq!(below(u64::MAX, 0), 0);
        assert_eq!(below(u64::MAX, 5), 4);
    }
}
