//! Draws by name: each knob reads its own number, so that a new one moves no other.

use dst_engine::chance::{Chance, below, happens};

/// A field of numbers below which knobs have names.
#[derive(Debug, Clone)]
pub(crate) struct Draw(Chance);

impl Draw {
    /// The knobs of a seed.
    pub(crate) fn of(seed: u64) -> Self {
        Self(Chance::new(seed).part("knob", 0))
    }

    /// The knobs of one thing among several: the second fault, the first workload.
    pub(crate) fn part(&self, name: &str, number: usize) -> Self {
        Self(self.0.part(name, number as u64))
    }

    /// A number of 64 bits.
    pub(crate) fn number(&self, knob: &str) -> u64 {
        self.0.draw(knob, 0)
    }

    /// A number from `low` to `high`, both included.
    pub(crate) fn between(&self, knob: &str, low: u64, high: u64) -> u64 {
        low + below(self.number(knob), high.saturating_sub(low) + 1)
    }

    /// Whether something of so many per mille is the case.
    pub(crate) fn coin(&self, knob: &str, per_mille: u32) -> bool {
        happens(self.number(knob), per_mille)
    }

    /// An index into a list of this length.
    pub(crate) fn index(&self, knob: &str, length: usize) -> usize {
        assert!(length > 0, "nothing to draw from: {knob}");
        let drawn = below(self.number(knob), length as u64);
        // Below the length of a list, and so an index on every machine.
        drawn as usize
    }

    /// One of a list that is not empty.
    pub(crate) fn pick<T: Clone>(&self, knob: &str, list: &[T]) -> T {
        list[self.index(knob, list.len())].clone()
    }

    /// One of a few values; one that stands there twice is twice as frequent.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the values are written in the call"
    )]
    pub(crate) fn one_of<T: Clone, const N: usize>(&self, knob: &str, values: [T; N]) -> T {
        const { assert!(N > 0) };
        values[self.index(knob, N)].clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_knob_depends_on_its_own_name_and_on_its_part() {
        let draw = Draw::of(7);
        assert_eq!(draw.number("a"), Draw::of(7).number("a"));
        assert_ne!(draw.number("a"), draw.number("b"));
        assert_ne!(draw.part("x", 0).number("a"), draw.part("x", 1).number("a"));
    }

    #[test]
    fn a_range_includes_both_of_its_ends() {
        let drawn: std::collections::BTreeSet<u64> = (0..200)
            .map(|seed| Draw::of(seed).between("range", 3, 6))
            .collect();
        assert_eq!(drawn.into_iter().collect::<Vec<_>>(), [3, 4, 5, 6]);
    }
}
