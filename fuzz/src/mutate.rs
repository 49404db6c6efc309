//! Inputs out of inputs: a pure function of a seed, so that a finding can be found again.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

/// Inputs do not grow beyond this by mutation.
const LONGEST: usize = 1 << 16;

/// Numbers at whose edges decoders go wrong.
const EDGES: [u64; 18] = [
    0,
    1,
    3,
    4,
    0x7f,
    0x80,
    0xff,
    0x7fff,
    0x8000,
    0xffff,
    0x00ff_ffff,
    0x0100_0000,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x7fff_ffff_ffff_ffff,
    0x8000_0000_0000_0000,
    0xffff_ffff_ffff_ffff,
];

/// Mutates inputs, by draws that are a function of a seed.
#[derive(Debug)]
pub struct Mutator {
    draws: ChaCha8Rng,
    words: &'static [&'static str],
}

impl Mutator {
    /// One whose mutations are a function of the seed.
    #[must_use]
    pub fn new(seed: u64, words: &'static [&'static str]) -> Self {
        Self {
            draws: ChaCha8Rng::seed_from_u64(seed),
            words,
        }
    }

    /// A number below `limit`; 0 if that is 0.
    pub fn below(&mut self, limit: usize) -> usize {
        let limit = u64::try_from(limit).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.draws.next_u64() % limit).unwrap_or(0)
    }

    /// A number below a power of two, whose exponent is drawn up to `bits`.
    fn mostly_small(&mut self, bits: usize) -> usize {
        let limit = 1 << (1 + self.below(bits));
        self.below(limit)
    }

    /// Another input out of one of these.
    pub fn mutation(&mut self, inputs: &[Vec<u8>]) -> Vec<u8> {
        let pick = |at: usize| inputs.get(at).map_or(&[][..], Vec::as_slice);
        let mut input = pick(self.below(inputs.len())).to_vec();
        // Mostly a few changes, sometimes many.
        let changes = 1 + self.mostly_small(4);
        for _ in 0..changes {
            let other = pick(self.below(inputs.len()));
            self.change(&mut input, other);
        }
        input.truncate(LONGEST);
        input
    }

    fn change(&mut self, input: &mut Vec<u8>, other: &[u8]) {
        let at = self.below(input.len() + 1);
        match self.below(10) {
            0 => {
                let bit = self.below(8);
                if let Some(byte) = input.get_mut(at) {
                    *byte ^= 1 << bit;
                }
            }
            1 => {
                let value = self.draws.next_u32().to_be_bytes()[0];
                if let Some(byte) = input.get_mut(at) {
                    *byte = value;
                }
            }
            2 => {
                let until = at + self.short(input.len() - at);
                input.drain(at..until);
            }
            3 => input.truncate(at),
            4 => self.number(input, at),
            5 => self.digits(input, at),
            6 | 7 => {
                let word = self.below(self.words.len());
                let word = self.words.get(word).map_or(&[][..], |word| word.as_bytes());
                let over = if self.below(3) == 0 { word.len() } else { 0 };
                let until = input.len().min(at + over);
                input.splice(at..until, word.iter().copied());
            }
            8 => {
                // A piece of this one, once more or many times.
                let piece = at..at + self.short(input.len() - at);
                let times = 1 + self.mostly_small(8);
                let piece = input[piece].repeat(times.min(LONGEST / 64));
                let to = self.below(input.len() + 1);
                input.splice(to..to, piece);
            }
            _ => {
                let from = self.below(other.len() + 1);
                let piece = &other[from..from + self.short(other.len() - from)];
                input.splice(at..at, piece.iter().copied());
            }
        }
        input.truncate(LONGEST);
    }

    /// A length up to `most`, mostly a short one.
    fn short(&mut self, most: usize) -> usize {
        self.mostly_small(9).min(most)
    }

    /// Puts a big-endian number at an edge, or near one, over the bytes there.
    fn number(&mut self, input: &mut [u8], at: usize) {
        let width = 1 << self.below(4);
        let edge = EDGES[self.below(EDGES.len())];
        let near = edge.wrapping_add(self.below(3) as u64).wrapping_sub(1);
        let near = near.to_be_bytes();
        if let Some(place) = input.get_mut(at..at + width) {
            place.copy_from_slice(&near[8 - width..]);
        }
    }

    /// Puts a number at an edge in the place of the next decimal one.
    fn digits(&mut self, input: &mut Vec<u8>, at: usize) {
        let Some(start) = input[at..].iter().position(u8::is_ascii_digit) else {
            return;
        };
        let start = at + start;
        let run = input[start..]
            .iter()
            .take_while(|byte| byte.is_ascii_digit());
        let until = start + run.count();
        let edge = EDGES[self.below(EDGES.len())];
        let sign = if self.below(4) == 0 { "-" } else { "" };
        input.splice(start..until, format!("{sign}{edge}").into_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some(seed: u64) -> Vec<Vec<u8>> {
        let inputs = [b"{\"code\":17}".to_vec(), vec![0; 40]];
        let mut mutator = Mutator::new(seed, &["null", "[["]);
        (0..200).map(|_| mutator.mutation(&inputs)).collect()
    }

    #[test]
    fn mutations_depend_on_the_seed_alone() {
        assert_eq!(some(1), some(1));
        assert_ne!(some(1), some(2));
    }

    #[test]
    fn mutations_differ_and_stay_within_the_longest() {
        let made = some(3);
        let distinct: std::collections::BTreeSet<_> = made.iter().collect();
        assert!(distinct.len() > 150, "{} of 200", distinct.len());
        assert!(made.iter().all(|input| input.len() <= LONGEST));
    }

    #[test]
    fn nothing_can_be_mutated_too() {
        let mut mutator = Mutator::new(0, &[]);
        for _ in 0..1_000 {
            let _ = mutator.mutation(&[]);
            let _ = mutator.mutation(&[Vec::new()]);
        }
    }
}
