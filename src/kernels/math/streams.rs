//! Named random streams: every random number of a run comes from `(seed, name, index)` and nothing else.
//!
//! A stream has no state to save: the generator for step `t` of stream `"batches"` of seed 3 is the same whether the
//! run arrived there at once or after ten interruptions, and two variants of one experiment that ask for the same
//! `(seed, name, index)` see the same numbers (common random numbers). The key of ChaCha8 is the BLAKE3 hash of seed
//! and name; the index is ChaCha's own 64-bit stream number.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// The generator behind every random number.
pub type Generator = ChaCha8Rng;

/// All streams of one seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Streams {
    seed: u64,
    /// The number of a start from other initial values; that of the first is 0.
    start: u64,
}

/// One named stream of one seed.
#[derive(Debug, Clone)]
pub struct Stream {
    key: [u8; 32],
}

impl Streams {
    /// The streams of `seed`.
    pub fn new(seed: u64) -> Self {
        Self { seed, start: 0 }
    }

    /// The seed.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The streams of the start `start` of the same seed; those of start 0 are the seed's own.
    pub fn of_start(&self, start: u64) -> Self {
        Self { start, ..*self }
    }

    /// The stream called `name`.
    pub fn named(&self, name: &str) -> Stream {
        let mut hasher = blake3::Hasher::new_derive_key("latent-lab random stream");
        hasher.update(&self.seed.to_le_bytes());
        hasher.update(name.as_bytes());
        if self.start > 0 {
            hasher.update(b" of start ");
            hasher.update(&self.start.to_le_bytes());
        }
        Stream {
            key: *hasher.finalize().as_bytes(),
        }
    }
}

impl Stream {
    /// The generator at `index`: a step, a sequence number, a start.
    pub fn at(&self, index: u64) -> Generator {
        let mut generator = ChaCha8Rng::from_seed(self.key);
        generator.set_stream(index);
        generator
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::RngExt;

    #[test]
    fn a_stream_depends_on_seed_name_and_index_alone() {
        let draw = |seed, name, index| Streams::new(seed).named(name).at(index).random::<u64>();
        assert_eq!(draw(3, "batches", 7), draw(3, "batches", 7));
        assert_ne!(draw(3, "batches", 7), draw(4, "batches", 7));
        assert_ne!(draw(3, "batches", 7), draw(3, "data", 7));
        assert_ne!(draw(3, "batches", 7), draw(3, "batches", 8));
    }
}
