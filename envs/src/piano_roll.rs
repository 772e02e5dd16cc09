//! Synthetic piano rolls: a hidden Markov chain of chords, and keys of a piano that sound, independently of each other,
//! given the chord and the step before.
//!
//! The chord c_t is one of the seven triads of C major. c_1 is the tonic. A chord lasts `duration` steps on average: it
//! ends after each step with probability 1/`duration`, and the next one is drawn from a table of successions. A key i
//! sounds with
//!
//! p(x_ti = 1 | c_t, x_{t−1,i}) = h x_{t−1,i} + (1 − h x_{t−1,i}) p_i(c_t), x_0 = 0:
//!
//! a sounding key is held with probability h, and otherwise struck with a probability p_i that depends on whether it is
//! a tone of the chord, another tone of the scale, or neither.
//!
//! The log-likelihood is exact, by the forward algorithm: with x_{t−1} observed, c is the only hidden variable.

use rand::{Rng, RngExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::numeric::{categorical, log_sum_exp};
use crate::{Generator, Points};

/// Triads of the scale.
const CHORDS: usize = 7;

/// Pitch classes of C major.
const SCALE: [usize; 7] = [0, 2, 4, 5, 7, 9, 11];

/// Weights of the chord after I, ii, iii, IV, V, vi, vii°.
const SUCCESSIONS: [[f64; CHORDS]; CHORDS] = [
    [0.0, 2.0, 1.0, 4.0, 4.0, 2.0, 1.0],
    [0.0, 0.0, 0.0, 1.0, 6.0, 0.0, 2.0],
    [0.0, 1.0, 0.0, 3.0, 0.0, 4.0, 0.0],
    [3.0, 2.0, 0.0, 0.0, 4.0, 0.0, 1.0],
    [6.0, 0.0, 0.0, 1.0, 0.0, 2.0, 1.0],
    [0.0, 4.0, 1.0, 3.0, 2.0, 0.0, 0.0],
    [6.0, 0.0, 2.0, 0.0, 1.0, 0.0, 0.0],
];

/// Binary piano rolls from a hidden Markov chain of chords; learn p(x_1 … x_T).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PianoRoll {
    /// Steps of each sequence, such as quarter notes; the last sequence may be shorter.
    #[schemars(range(min = 1, max = 100_000_000))]
    pub length: usize,
    /// Keys of the piano, each a column of 0 and 1.
    #[schemars(range(min = 1, max = 88))]
    pub notes: usize,
    /// The MIDI number of the lowest key; 21 is that of a piano, 60 the middle C.
    #[schemars(range(min = 0, max = 127))]
    pub lowest: usize,
    /// Mean duration of a chord, steps.
    #[schemars(range(min = 1.0, max = 1e6))]
    pub duration: f64,
    /// h, the probability that a sounding key is held for another step.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub hold: f64,
    /// The probability that a key is struck if it is a tone of the chord.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub chord_tone: f64,
    /// The probability that a key is struck if it is a tone of the scale, but not of the chord.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub scale_tone: f64,
    /// The probability that any other key is struck.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub other_tone: f64,
}

impl Default for PianoRoll {
    fn default() -> Self {
        Self {
            length: 64,
            notes: 88,
            lowest: 21,
            duration: 4.0,
            hold: 0.5,
            chord_tone: 0.08,
            scale_tone: 0.01,
            other_tone: 0.001,
        }
    }
}

impl PianoRoll {
    /// The number of chords.
    pub const CHORDS: usize = CHORDS;

    /// p(c_{t+1} | c_t), a row for each c_t.
    pub fn transition(&self) -> [[f64; CHORDS]; CHORDS] {
        let leave = 1.0 / self.duration;
        std::array::from_fn(|from| {
            let total: f64 = SUCCESSIONS[from].iter().sum();
            std::array::from_fn(|to| match from == to {
                true => 1.0 - leave,
                false => leave * SUCCESSIONS[from][to] / total,
            })
        })
    }

    /// p_i(c), the probability that key `i` (from 0, the lowest) is struck in chord `c`.
    pub fn struck(&self, i: usize, c: usize) -> f64 {
        let class = (self.lowest + i) % 12;
        if [0, 2, 4].iter().any(|third| SCALE[(c + third) % 7] == class) {
            self.chord_tone
        } else if SCALE.contains(&class) {
            self.scale_tone
        } else {
            self.other_tone
        }
    }

    /// p(x_ti = 1 | c_t, x_{t−1,i}).
    fn sounds(&self, i: usize, c: usize, sounded: bool) -> f64 {
        let held = if sounded { self.hold } else { 0.0 };
        held + (1.0 - held) * self.struck(i, c)
    }

    /// The rows of [`Generator::draw`] with the same random numbers, and the chords, from 0 for the tonic. `[n]`
    pub fn draw_with_states(&self, rows: usize, rng: &mut dyn Rng) -> (Points, Vec<usize>) {
        let transition = self.transition();
        let mut points = Points::default();
        let mut chords = Vec::with_capacity(rows);
        while chords.len() < rows {
            let steps = self.length.max(1).min(rows - chords.len());
            let mut chord = 0;
            let mut sounding = vec![false; self.notes];
            for _ in 0..steps {
                for (i, sounding) in sounding.iter_mut().enumerate() {
                    *sounding = rng.random::<f64>() < self.sounds(i, chord, *sounding);
                    points.observed.push(f64::from(u8::from(*sounding)));
                }
                chords.push(chord);
                chord = categorical(&transition[chord], rng);
            }
            points.lengths.push(steps);
        }
        (points, chords)
    }
}

impl Generator for PianoRoll {
    fn name(&self) -> &'static str {
        "piano_roll"
    }

    fn observed(&self) -> Vec<String> {
        (self.lowest..self.lowest + self.notes)
            .map(|note| format!("note_{note}"))
            .collect()
    }

    fn check(&self) -> Result<(), String> {
        match self.lowest + self.notes <= 128 {
            true => Ok(()),
            false => Err(format!(
                "`notes` should leave the highest MIDI number at most 127, got {} keys from {}: try {}",
                self.notes,
                self.lowest,
                128usize.saturating_sub(self.lowest)
            )),
        }
    }

    fn longest_sequence(&self, rows: usize) -> Option<usize> {
        Some(self.length.min(rows))
    }

    fn draw(&self, rows: usize, rng: &mut dyn Rng) -> Points {
        self.draw_with_states(rows, rng).0
    }

    fn sequence_log_prob(&self, observed: &[f64], _given: &[f64]) -> Option<f64> {
        let log_transition = self.transition().map(|row| row.map(f64::ln));
        // log p(x_1 … x_t, c_t)
        let mut forward = [f64::NEG_INFINITY; CHORDS];
        let mut before: Option<&[f64]> = None;
        for row in observed.chunks_exact(self.notes) {
            let predicted: [f64; CHORDS] = match before {
                None => std::array::from_fn(|c| if c == 0 { 0.0 } else { f64::NEG_INFINITY }),
                Some(_) => std::array::from_fn(|to| {
                    let terms: [f64; CHORDS] = std::array::from_fn(|from| forward[from] + log_transition[from][to]);
                    log_sum_exp(&terms)
                }),
            };
            let emission = |c: usize| -> f64 {
                let one = |(i, x): (usize, &f64)| {
                    let sounds = self.sounds(i, c, before.is_some_and(|before| before[i] == 1.0));
                    match *x {
                        1.0 => sounds.ln(),
                        0.0 => (-sounds).ln_1p(),
                        _ => f64::NEG_INFINITY,
                    }
                };
                row.iter().enumerate().map(one).sum()
            };
            forward = std::array::from_fn(|c| predicted[c] + emission(c));
            before = Some(row);
        }
        Some(before.map_or(0.0, |_| log_sum_exp(&forward)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

    #[test]
    fn chords_and_keys_have_the_stated_probabilities() {
        let roll = PianoRoll {
            length: 1000,
            ..PianoRoll::default()
        };
        let n = 200_000;
        let (points, chords) = roll.draw_with_states(n, &mut ChaCha8Rng::seed_from_u64(51));
        assert_eq!((points.observed.len(), chords.len()), (88 * n, n));
        assert!((0..200).all(|k| chords[1000 * k] == 0));
        let inner = || (1..n).filter(|t| t % 1000 != 0);
        let transition = roll.transition();
        let near = |found: usize, of: usize, p: f64, what: &str| {
            let (share, error) = (found as f64 / of as f64, (p * (1.0 - p) / of as f64).sqrt());
            assert!((share - p).abs() < 6.0 * error + 1e-12, "{what}: {share} {p} ± {error}");
        };
        for (from, row) in transition.iter().enumerate() {
            assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-12);
            let of: Vec<usize> = inner().filter(|t| chords[t - 1] == from).collect();
            for (to, p) in row.iter().enumerate() {
                let found = of.iter().filter(|&&t| chords[t] == to).count();
                near(found, of.len(), *p, &format!("{from} to {to}"));
            }
        }
        // The keys of C4, D4 and C♯4: a tone of the tonic, of the scale, and neither.
        for (note, p) in [(60, 0.08), (62, 0.01), (61, 0.001)] {
            let on = |t: usize| points.observed[88 * t + note - 21] == 1.0;
            for sounded in [false, true] {
                let of: Vec<usize> = inner().filter(|&t| chords[t] == 0 && on(t - 1) == sounded).collect();
                let found = of.iter().filter(|&&t| on(t)).count();
                let p = if sounded { 0.5 + 0.5 * p } else { p };
                near(found, of.len(), p, &format!("{note} {sounded}"));
            }
        }
        let sounding = points.observed.iter().sum::<f64>() / n as f64;
        assert!((3.0..5.0).contains(&sounding), "{sounding} keys a step");
    }

    fn small() -> PianoRoll {
        PianoRoll {
            notes: 3,
            lowest: 60,
            duration: 1.6,
            chord_tone: 0.6,
            scale_tone: 0.3,
            other_tone: 0.05,
            ..PianoRoll::default()
        }
    }

    /// Three keys and four steps: the probabilities of all 4096 rolls sum to 1, and each is the sum over all 7³ paths of
    /// chords.
    #[test]
    fn the_forward_algorithm_sums_over_all_chords() {
        let (roll, steps) = (small(), 4);
        let transition = roll.transition();
        let path_probability = |x: &[f64], path: [usize; 4]| {
            let mut p = 1.0;
            for t in 0..steps {
                p *= if t > 0 { transition[path[t - 1]][path[t]] } else { 1.0 };
                for i in 0..3 {
                    let held = t > 0 && x[3 * (t - 1) + i] == 1.0;
                    let struck = roll.struck(i, path[t]);
                    let on = if held { 0.5 + 0.5 * struck } else { struck };
                    p *= if x[3 * t + i] == 1.0 { on } else { 1.0 - on };
                }
            }
            p
        };
        let mut total = 0.0;
        for bits in 0..1 << (3 * steps) {
            let x: Vec<f64> = (0..3 * steps).map(|k| f64::from(bits >> k & 1)).collect();
            let p = roll.sequence_log_prob(&x, &[]).expect("a density").exp();
            total += p;
            if bits % 97 == 0 {
                let paths = (0..343).map(|k| [0, k / 49, k / 7 % 7, k % 7]);
                let sum: f64 = paths.map(|path| path_probability(&x, path)).sum();
                assert!((p / sum - 1.0).abs() < 1e-10, "{bits}: {p} {sum}");
            }
        }
        assert!((total - 1.0).abs() < 1e-10, "{total}");
        assert_eq!(roll.sequence_log_prob(&[0.5, 0.0, 1.0], &[]), Some(f64::NEG_INFINITY));
        assert_eq!(roll.sequence_log_prob(&[], &[]), Some(0.0));
    }

    #[test]
    fn more_rows_and_other_probabilities_change_no_other_chords() {
        let draw = |rows, roll: &PianoRoll| roll.draw_with_states(rows, &mut ChaCha8Rng::seed_from_u64(52));
        let roll = PianoRoll { length: 30, ..small() };
        let louder = PianoRoll {
            chord_tone: 0.9,
            hold: 0.0,
            ..roll.clone()
        };
        let (few, many, louder) = (draw(70, &roll), draw(100, &roll), draw(100, &louder));
        assert_eq!(
            (few.0.lengths, &many.0.lengths[..]),
            (vec![30, 30, 10], &[30, 30, 30, 10][..])
        );
        assert_eq!(
            (&few.0.observed[..], &few.1[..]),
            (&many.0.observed[..210], &many.1[..70])
        );
        assert_eq!(many.1, louder.1);
        assert!(many.0.observed != louder.0.observed);
    }

    #[test]
    fn the_highest_note_has_a_midi_number() {
        let high = PianoRoll {
            lowest: 100,
            ..PianoRoll::default()
        };
        assert!(high.check().expect_err("a fault").contains("try 28"));
        assert_eq!(PianoRoll::default().check(), Ok(()));
        let names = PianoRoll::default().observed();
        assert_eq!((names[0].as_str(), names[87].as_str()), ("note_21", "note_108"));
    }
}
