//! Oracles: the dense joint Gaussian of a whole sequence, with missing entries removed; finite differences; moments of
//! draws; the plain recursion without sharing.

use super::*;
use crate::math::LN_2PI;
use crate::math::linear_algebra::{cholesky, inverse_lower};
use crate::math::streams::Streams;
use crate::math::vectors::tests::on_every_set;
use nalgebra::{DMatrix, DVector};
use rand::{Rng, RngExt};
use rand_distr::{Distribution, StandardNormal};

pub(in crate::math) fn normal(rng: &mut dyn Rng) -> f64 {
    StandardNormal.sample(rng)
}

fn random_matrix(rows: usize, columns: usize, scale: f64, rng: &mut dyn Rng) -> DMatrix<f64> {
    DMatrix::from_fn(rows, columns, |_, _| scale * normal(rng))
}

fn random_covariance(size: usize, scale: f64, rng: &mut dyn Rng) -> DMatrix<f64> {
    let root = random_matrix(size, size, scale, rng);
    &root * root.transpose() + DMatrix::identity(size, size) * (0.3 * scale * scale)
}

pub(in crate::math) fn random_system(x: usize, o: usize, u: usize, rng: &mut dyn Rng) -> System {
    let a = random_matrix(x, x, 1.0, rng);
    let system = System {
        initial_mean: random_matrix(x, 1, 1.0, rng).column(0).into_owned(),
        initial_covariance: random_covariance(x, 1.0, rng),
        transition: a,
        transition_input: random_matrix(x, u, 0.7, rng),
        transition_offset: random_matrix(x, 1, 0.3, rng).column(0).into_owned(),
        transition_noise: random_covariance(x, 0.5, rng),
        emission: random_matrix(o, x, 1.0, rng),
        emission_input: random_matrix(o, u, 0.5, rng),
        emission_offset: random_matrix(o, 1, 1.0, rng).column(0).into_owned(),
        emission_noise: random_covariance(o, 0.6, rng),
    };
    let radius = system.spectral_radius();
    System {
        transition: &system.transition * (0.9 / radius),
        ..system
    }
}

/// Observations and inputs of one draw, row-major over all sequences.
pub(in crate::math) struct Data {
    observed: Vec<f64>,
    inputs: Vec<f64>,
    lengths: Vec<usize>,
}

impl Data {
    pub fn sequences(&self, system: &System) -> Sequences {
        Sequences::new(
            &self.observed,
            system.outputs(),
            &self.inputs,
            system.inputs(),
            &self.lengths,
        )
        .expect("sequences")
    }
}

pub(in crate::math) fn simulate(system: &System, lengths: &[usize], missing: f64, rng: &mut dyn Rng) -> Data {
    let (mut observed, mut inputs) = (Vec::new(), Vec::new());
    let draw = |covariance: &DMatrix<f64>, rng: &mut dyn Rng| {
        let l = cholesky(covariance.clone()).expect("positive definite");
        l * DVector::from_fn(covariance.nrows(), |_, _| normal(rng))
    };
    for &length in lengths {
        let mut x = &system.initial_mean + draw(&system.initial_covariance, rng);
        for _ in 0..length {
            let u = DVector::from_fn(system.inputs(), |_, _| normal(rng));
            let noise = draw(&system.emission_noise, rng);
            let o = &system.emission * &x + &system.emission_input * &u + &system.emission_offset + noise;
            let whole = rng.random::<f64>() < missing / 2.0;
            observed.extend(o.iter().map(|o| {
                if whole || rng.random::<f64>() < missing {
                    f64::NAN
                } else {
                    *o
                }
            }));
            inputs.extend(u.iter());
            let noise = draw(&system.transition_noise, rng);
            x = &system.transition * &x + &system.transition_input * &u + &system.transition_offset + noise;
        }
    }
    Data {
        observed,
        inputs,
        lengths: lengths.to_vec(),
    }
}

/// Mean and covariance of x_1 … x_T and the observed entries of o_1 … o_T, stacked: `x = F⁻¹ (drive + noise)`,
/// `o = C x + …`.
struct Dense {
    mean: DVector<f64>,
    covariance: DMatrix<f64>,
    values: DVector<f64>,
    latent: usize,
}

fn dense(system: &System, observed: &[f64], inputs: &[f64]) -> Dense {
    let (x, o, u) = (system.states(), system.outputs(), system.inputs());
    let steps = observed.len() / o;
    let n = steps * x;
    let mut shift = DMatrix::identity(n, n);
    let mut drive = DVector::zeros(n);
    let mut noise = DMatrix::zeros(n, n);
    drive.rows_mut(0, x).copy_from(&system.initial_mean);
    noise.view_mut((0, 0), (x, x)).copy_from(&system.initial_covariance);
    for t in 1..steps {
        let input = DVector::from_column_slice(&inputs[(t - 1) * u..t * u]);
        shift
            .view_mut((t * x, (t - 1) * x), (x, x))
            .copy_from(&-&system.transition);
        let push = &system.transition_input * input + &system.transition_offset;
        drive.rows_mut(t * x, x).copy_from(&push);
        noise
            .view_mut((t * x, t * x), (x, x))
            .copy_from(&system.transition_noise);
    }
    let inverse = shift.try_inverse().expect("unit lower triangular");
    let mean = &inverse * drive;
    let covariance = &inverse * noise * inverse.transpose();
    let mut emission = DMatrix::zeros(steps * o, n);
    let mut extra = DMatrix::zeros(steps * o, steps * o);
    let mut offset = DVector::zeros(steps * o);
    for t in 0..steps {
        let input = DVector::from_column_slice(&inputs[t * u..(t + 1) * u]);
        emission.view_mut((t * o, t * x), (o, x)).copy_from(&system.emission);
        extra.view_mut((t * o, t * o), (o, o)).copy_from(&system.emission_noise);
        offset
            .rows_mut(t * o, o)
            .copy_from(&(&system.emission_input * input + &system.emission_offset));
    }
    let present: Vec<usize> = (0..steps * o).filter(|&i| !observed[i].is_nan()).collect();
    let (emission, extra) = (
        emission.select_rows(&present),
        extra.select_rows(&present).select_columns(&present),
    );
    let (k, cross) = (present.len(), &emission * &covariance);
    let mut all = DMatrix::zeros(n + k, n + k);
    all.view_mut((0, 0), (n, n)).copy_from(&covariance);
    all.view_mut((n, 0), (k, n)).copy_from(&cross);
    all.view_mut((0, n), (n, k)).copy_from(&cross.transpose());
    all.view_mut((n, n), (k, k))
        .copy_from(&(&cross * emission.transpose() + extra));
    let mut means = DVector::zeros(n + k);
    means.rows_mut(0, n).copy_from(&mean);
    means
        .rows_mut(n, k)
        .copy_from(&(&emission * &mean + offset.select_rows(&present)));
    Dense {
        mean: means,
        covariance: all,
        values: DVector::from_iterator(k, present.iter().map(|&i| observed[i])),
        latent: n,
    }
}

impl Dense {
    fn log_likelihood(&self) -> f64 {
        let (n, k) = (self.latent, self.values.len());
        let l = cholesky(self.covariance.view((n, n), (k, k)).into_owned()).expect("positive definite");
        let e = inverse_lower(&l) * (&self.values - self.mean.rows(n, k));
        -0.5 * (e.norm_squared() + k as f64 * LN_2PI) - l.diagonal().map(f64::ln).sum()
    }

    /// Mean and covariance of all latents given the observed.
    fn posterior(&self) -> (DVector<f64>, DMatrix<f64>) {
        let (n, k) = (self.latent, self.values.len());
        let l = cholesky(self.covariance.view((n, n), (k, k)).into_owned()).expect("positive definite");
        let half = inverse_lower(&l) * self.covariance.view((n, 0), (k, n)); // [k, n]
        let e = inverse_lower(&l) * (&self.values - self.mean.rows(n, k));
        (
            self.mean.rows(0, n) + half.transpose() * e,
            self.covariance.view((0, 0), (n, n)) - half.transpose() * &half,
        )
    }
}

const SIZES: [(usize, usize, usize); 6] = [(1, 1, 0), (2, 1, 1), (3, 2, 2), (2, 4, 0), (4, 3, 1), (1, 3, 2)];
/// Beyond one vector.
const LARGE: (usize, usize, usize) = (9, 10, 1);

#[test]
fn filter_smoother_and_lag_one_covariances_are_those_of_the_dense_joint() {
    let streams = Streams::new(1);
    for (case, (x, o, u)) in SIZES.into_iter().chain([LARGE]).enumerate() {
        for missing in [0.0, 0.4] {
            let rng = &mut streams.named("case").at(case as u64);
            let system = random_system(x, o, u, rng);
            let data = simulate(&system, &[7, 1, 12, 7, 3], missing, rng);
            let sequences = data.sequences(&system);
            let filtered = Filtered::new(&system, &sequences).expect("a filter");
            let smoothed = filtered.smooth();
            let past = filtered.beliefs();
            let mut start = 0;
            for (i, &length) in data.lengths.iter().enumerate() {
                let part = |values: &[f64], width: usize, steps: usize| {
                    values[start * width..(start + steps) * width].to_vec()
                };
                let all = dense(
                    &system,
                    &part(&data.observed, o, length),
                    &part(&data.inputs, u, length),
                );
                let found = filtered.log_likelihood()[i];
                let expected = all.log_likelihood();
                assert!(
                    (found - expected).abs() < 1e-9 * expected.abs().max(1.0),
                    "{found} {expected}"
                );
                let (mean, covariance) = all.posterior();
                for t in 0..length {
                    let (p, lag) = smoothed.covariances(&sequences, i, t);
                    let close =
                        |a: &DMatrix<f64>, b: DMatrix<f64>| assert!((a - b).amax() < 1e-9, "{x} {o} {u}: step {t}");
                    assert!((smoothed.mean(&sequences, i, t) - mean.rows(t * x, x)).amax() < 1e-9);
                    close(&p, covariance.view((t * x, t * x), (x, x)).into_owned());
                    if t + 1 < length {
                        close(&lag, covariance.view(((t + 1) * x, t * x), (x, x)).into_owned());
                    }
                    let (mean, covariance) =
                        dense(&system, &part(&data.observed, o, t + 1), &part(&data.inputs, u, t + 1)).posterior();
                    assert!((past.mean(&sequences, i, t) - mean.rows(t * x, x)).amax() < 1e-9);
                    let own = covariance.view((t * x, t * x), (x, x)).into_owned();
                    close(&past.covariances(&sequences, i, t).0, own);
                }
                start += length;
            }
        }
    }
}

#[test]
fn sharing_and_the_steady_state_change_no_number() {
    let streams = Streams::new(2);
    for (case, (x, o, u)) in SIZES.into_iter().chain([LARGE]).enumerate() {
        let rng = &mut streams.named("case").at(case as u64);
        let mut system = random_system(x, o, u, rng);
        // The dynamics of one system decay slowly.
        if case == 4 {
            system.transition *= 0.999 / system.spectral_radius();
            system.transition_noise *= 1e-4;
        }
        for (lengths, missing) in [(vec![400, 400, 250, 399, 1], 0.0), (vec![200, 200], 0.02)] {
            let data = simulate(&system, &lengths, missing, rng);
            let sequences = data.sequences(&system);
            let shared = Filtered::new(&system, &sequences).expect("a filter");
            let plain = Filtered::with_sharing(&system, &sequences, false).expect("a filter");
            assert!(shared.gains.steps.len() < plain.gains.steps.len() / 2 || missing > 0.0 || case == 4);
            let relative = |a: f64, b: f64| (a - b).abs() / b.abs().max(1.0);
            for (a, b) in shared.log_likelihood().iter().zip(plain.log_likelihood()) {
                assert!(relative(*a, *b) < 1e-10, "{a} {b}");
            }
            let (a, b) = (shared.smooth(), plain.smooth());
            for (i, &length) in lengths.iter().enumerate() {
                for t in 0..length {
                    let (p, q) = (a.covariances(&sequences, i, t), b.covariances(&sequences, i, t));
                    let mean = (a.mean(&sequences, i, t) - b.mean(&sequences, i, t)).amax();
                    let differences = [mean, (p.0 - q.0).amax(), (p.1 - q.1).amax()];
                    assert!(differences.iter().all(|d| *d < 1e-10), "{case}: {differences:?}");
                }
            }
        }
    }
}

/// The fused pass gives the results of its parts, and the same bytes for any number of threads.
#[test]
fn an_expectation_step_is_filter_smoother_and_moments() {
    let streams = Streams::new(11);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().expect("a pool");
    for (case, (x, o, u)) in SIZES.into_iter().enumerate() {
        let rng = &mut streams.named("case").at(case as u64);
        let system = random_system(x, o, u, rng);
        let lengths: Vec<usize> = (0..70).map(|i| 1 + i * 7 % 31).collect();
        for missing in [0.0, 0.2] {
            let sequences = simulate(&system, &lengths, missing, rng).sequences(&system);
            let filtered = Filtered::new(&system, &sequences).expect("a filter");
            let parts = Statistics::new(&sequences, &filtered.smooth(), None).expect("statistics");
            let of = |threads| pool.install(|| expectation(&system, &sequences, threads).expect("a step"));
            let (each, whole) = of(1);
            assert_eq!(each, filtered.log_likelihood());
            assert_eq!(whole.emission.len(), parts.emission.len());
            let moments = |s: &Statistics| {
                let all = [&s.initial, &s.transition].into_iter().chain(s.emission.values());
                all.flat_map(|m| m.second.iter().copied().chain([m.count]))
                    .collect::<Vec<f64>>()
            };
            for (a, b) in moments(&whole).into_iter().zip(moments(&parts)) {
                assert!((a - b).abs() <= 1e-12 * b.abs().max(1.0), "{a} {b}");
            }
            for threads in [2, 3, 8] {
                let (own, shared) = of(threads);
                assert_eq!((own, moments(&shared)), (each.clone(), moments(&whole)));
            }
        }
    }
}

/// Products that moments share are summed once; here every step sums its own.
#[test]
fn moments_are_sums_over_steps() {
    let streams = Streams::new(13);
    let lengths = [vec![1], vec![2, 2], vec![3; 9], vec![1, 2, 7, 30, 30], vec![40; 18]];
    for (case, (x, o, u)) in SIZES.into_iter().chain([LARGE]).enumerate() {
        let rng = &mut streams.named("case").at(case as u64);
        let system = random_system(x, o, u, rng);
        for (lengths, missing) in lengths
            .iter()
            .zip([0.0, 0.0, 0.0, 0.0, 0.0])
            .chain([(&lengths[3], 0.2)])
        {
            let sequences = simulate(&system, lengths, missing, rng).sequences(&system);
            let beliefs = Filtered::new(&system, &sequences).expect("a filter").smooth();
            let found = Statistics::new(&sequences, &beliefs, None).expect("statistics");
            let mut sums = Statistics::none(&sequences, x);
            // Adds E[v vᵀ]; `spreads` holds the covariances of its entries and their places.
            let add = |moments: &mut Moments, v: Vec<f64>, spreads: &[((usize, usize), &DMatrix<f64>)]| {
                let v = DVector::from_vec(v);
                moments.count += 1.0;
                moments.second += &v * v.transpose();
                for &((row, column), part) in spreads {
                    let mut to = moments.second.view_mut((row, column), part.shape());
                    to += part;
                }
            };
            for (i, &length) in lengths.iter().enumerate() {
                let (observed, inputs) = sequences.rows(i);
                for t in 0..length {
                    let mean = |t: usize| beliefs.mean(&sequences, i, t).as_slice().to_vec();
                    let regressors = [mean(t), inputs[t * u..(t + 1) * u].to_vec(), vec![1.0]].concat();
                    let (p, lag) = beliefs.covariances(&sequences, i, t);
                    if t == 0 {
                        add(&mut sums.initial, [mean(0), vec![1.0]].concat(), &[((0, 0), &p)]);
                    }
                    if t + 1 < length {
                        let next = beliefs.covariances(&sequences, i, t + 1).0;
                        let spreads = [
                            ((0, 0), &next),
                            ((x, x), &p),
                            ((0, x), &lag),
                            ((x, 0), &lag.transpose()),
                        ];
                        add(
                            &mut sums.transition,
                            [mean(t + 1), regressors.clone()].concat(),
                            &spreads,
                        );
                    }
                    let mask: Vec<usize> = (0..o).filter(|j| !observed[t * o + j].is_nan()).collect();
                    if let k @ 1.. = mask.len() {
                        let seen = mask.iter().map(|j| observed[t * o + j]).collect();
                        let moments = sums
                            .emission
                            .entry(mask)
                            .or_insert_with(|| Moments::zeros(k + x + u + 1));
                        add(moments, [seen, regressors].concat(), &[((k, k), &p)]);
                    }
                }
            }
            let all = |s: &Statistics| {
                let own = [&s.initial, &s.transition].map(Clone::clone).into_iter();
                own.chain(s.emission.values().cloned()).collect::<Vec<_>>()
            };
            assert_eq!(
                found.emission.keys().collect::<Vec<_>>(),
                sums.emission.keys().collect::<Vec<_>>()
            );
            for (a, b) in all(&found).into_iter().zip(all(&sums)) {
                assert_eq!(a.count, b.count);
                assert!((a.second - &b.second).amax() <= 1e-12 * b.second.amax().max(1.0));
            }
        }
    }
}

/// Widths on either side of a vector, by every instruction set.
#[test]
fn every_instruction_set_computes_the_same() {
    let streams = Streams::new(12);
    for (case, (x, o, u)) in SIZES.into_iter().chain([(9, 3, 1), (16, 9, 0)]).enumerate() {
        let rng = &mut streams.named("case").at(case as u64);
        let system = random_system(x, o, u, rng);
        let sequences = simulate(&system, &[40, 40, 31, 7, 40, 1, 2, 40, 40, 12, 40], 0.1, rng).sequences(&system);
        let complete = simulate(&system, &[25; 19], 0.0, rng).sequences(&system);
        let numbers = || {
            let mut all = Vec::new();
            for sequences in [&sequences, &complete] {
                let (each, statistics) = expectation(&system, sequences, 1).expect("a step");
                all.extend(each);
                all.extend(statistics.transition.second.iter());
                statistics
                    .emission
                    .values()
                    .for_each(|moments| all.extend(moments.second.iter()));
            }
            all
        };
        let sets = on_every_set(numbers);
        for (name, found) in &sets {
            for (a, b) in found.iter().zip(&sets[0].1) {
                assert!((a - b).abs() < 1e-9 * b.abs().max(1.0), "{name}, {x} {o} {u}: {a} {b}");
            }
        }
    }
}

fn expected_log_at(system: &System, sequences: &Sequences) -> Statistics {
    let filtered = Filtered::new(system, sequences).expect("a filter");
    Statistics::new(sequences, &filtered.smooth(), None).expect("statistics")
}

#[test]
fn em_never_lowers_the_likelihood() {
    let streams = Streams::new(3);
    let forms = [NoiseForm::Full, NoiseForm::Diagonal, NoiseForm::Spherical];
    for case in 0..24u64 {
        let rng = &mut streams.named("case").at(case);
        let (x, o, u) = SIZES[case as usize % SIZES.len()];
        let truth = random_system(x, o, u, rng);
        let missing = [0.0, 0.25][case as usize % 2];
        let data = simulate(&truth, &[30, 12, 30, 1, 2, 17], missing, rng);
        let sequences = data.sequences(&truth);
        let form = forms[case as usize / 2 % 3];
        let mut learning = Learning {
            initial: Regression::everything(x, 1, form),
            transition: Regression::everything(x, x + u + 1, form),
            emission: Regression::everything(o, x + u + 1, form),
        };
        let mut system = random_system(x, o, u, rng);
        let diagonal = |m: &DMatrix<f64>| DMatrix::from_diagonal(&m.diagonal());
        let flat = |m: &DMatrix<f64>| DMatrix::identity(m.nrows(), m.nrows()) * (m.trace() / m.nrows() as f64);
        for noise in [
            &mut system.initial_covariance,
            &mut system.transition_noise,
            &mut system.emission_noise,
        ] {
            *noise = match form {
                NoiseForm::Full => noise.clone(),
                NoiseForm::Diagonal => diagonal(noise),
                NoiseForm::Spherical => flat(noise),
            };
        }
        // A third of the cases keep some entries.
        let keep = case % 3 == 0;
        let first = system.clone();
        if keep {
            learning.transition.free[(0, 0)] = false;
            learning.emission.free[(o - 1, x + u)] = false;
            learning.initial.noise.free.fill(false);
        }
        let mut before = f64::NEG_INFINITY;
        for sweep in 0..200 {
            let filtered = Filtered::new(&system, &sequences).expect("a filter");
            let value: f64 = filtered.log_likelihood().iter().sum();
            assert!(value.is_finite(), "case {case}, sweep {sweep}");
            assert!(
                value >= before - 1e-8 * value.abs(),
                "case {case}, sweep {sweep}: {before} then {value}"
            );
            before = value;
            let statistics = Statistics::new(&sequences, &filtered.smooth(), None).expect("statistics");
            system = learning.maximize(&system, &statistics).expect("a maximum").0;
        }
        if keep {
            assert_eq!(system.transition[(0, 0)], first.transition[(0, 0)]);
            assert_eq!(system.emission_offset[o - 1], first.emission_offset[o - 1]);
            assert_eq!(system.initial_covariance, first.initial_covariance);
        }
    }
}

/// Every entry of a system, for finite differences.
fn entries(system: &mut System) -> Vec<&mut f64> {
    let System {
        initial_mean,
        initial_covariance,
        transition,
        transition_input,
        transition_offset,
        transition_noise,
        emission,
        emission_input,
        emission_offset,
        emission_noise,
    } = system;
    let matrices = [
        initial_covariance,
        transition,
        transition_input,
        transition_noise,
        emission,
        emission_input,
        emission_noise,
    ];
    let vectors = [initial_mean, transition_offset, emission_offset];
    let matrices = matrices.into_iter().flat_map(|m| m.as_mut_slice().iter_mut());
    matrices
        .chain(vectors.into_iter().flat_map(|v| v.as_mut_slice().iter_mut()))
        .collect()
}

#[test]
fn fisher_the_gradient_of_the_expected_log_joint_is_that_of_the_log_likelihood() {
    let streams = Streams::new(4);
    for (case, (x, o, u)) in SIZES.into_iter().enumerate() {
        let rng = &mut streams.named("case").at(case as u64);
        let mut system = random_system(x, o, u, rng);
        let data = simulate(&system, &[9, 4, 9, 1], 0.3, rng);
        let sequences = data.sequences(&system);
        let mut gradient = expected_log_at(&system, &sequences).gradient(&system);
        let gradient: Vec<f64> = entries(&mut gradient).into_iter().map(|g| *g).collect();
        let norm = gradient.iter().map(|g| g * g).sum::<f64>().sqrt();
        let value = |system: &System| -> f64 {
            let filtered = Filtered::new(system, &sequences).expect("a filter");
            filtered.log_likelihood().iter().sum()
        };
        // Entry by entry. Both halves of a covariance move together to keep it symmetric; their gradients add.
        for at in 0..gradient.len() {
            let twin = twin(&system, at);
            let step = 1e-5;
            let slope = {
                let mut nudged = |amount: f64| {
                    for &at in twin.iter() {
                        *entries(&mut system)[at] += amount;
                    }
                    let value = value(&system);
                    for &at in twin.iter() {
                        *entries(&mut system)[at] -= amount;
                    }
                    value
                };
                (nudged(step) - nudged(-step)) / (2.0 * step)
            };
            let expected: f64 = twin.iter().map(|&at| gradient[at]).sum();
            assert!(
                (slope - expected).abs() < 1e-6 * norm.max(1.0),
                "case {case}, entry {at}: {slope} {expected}"
            );
        }
    }
}

/// The entry itself and, in a covariance, its mirror image.
fn twin(system: &System, at: usize) -> Vec<usize> {
    let (x, o, u) = (system.states(), system.outputs(), system.inputs());
    let sizes = [
        (x * x, x),
        (x * x, 0),
        (x * u, 0),
        (x * x, x),
        (o * x, 0),
        (o * u, 0),
        (o * o, o),
    ];
    let mut start = 0;
    for (size, side) in sizes {
        if at < start + size {
            if side == 0 {
                return vec![at];
            }
            let (column, row) = ((at - start) / side, (at - start) % side);
            let mirror = start + row * side + column;
            return if mirror == at { vec![at] } else { vec![at, mirror] };
        }
        start += size;
    }
    vec![at]
}

#[test]
fn draws_have_the_moments_of_the_smoother() {
    const DRAWS: u64 = 4000;
    let streams = Streams::new(5);
    for (case, (x, o, u)) in [(1, 1, 0), (3, 2, 1)].into_iter().enumerate() {
        let rng = &mut streams.named("case").at(case as u64);
        let system = random_system(x, o, u, rng);
        let data = simulate(&system, &[5, 3, 5], 0.2, rng);
        let sequences = data.sequences(&system);
        let filtered = Filtered::new(&system, &sequences).expect("a filter");
        let smoothed = filtered.smooth();
        let draws: Vec<Beliefs> = (0..DRAWS)
            .map(|n| filtered.draw(&mut streams.named("draws").at(n)))
            .collect();
        for (i, &length) in data.lengths.iter().enumerate() {
            for t in 0..length {
                let (p, lag) = smoothed.covariances(&sequences, i, t);
                let centre = smoothed.mean(&sequences, i, t);
                let next = (t + 1 < length).then(|| smoothed.mean(&sequences, i, t + 1));
                for a in 0..x {
                    let mean = draws.iter().map(|d| d.mean(&sequences, i, t)[a]).sum::<f64>() / DRAWS as f64;
                    assert!((mean - centre[a]).abs() < 6.0 * (p[(a, a)] / DRAWS as f64).sqrt());
                    for b in 0..x {
                        let product = |d: &Beliefs| {
                            let own = d.mean(&sequences, i, t) - &centre;
                            let later = next.as_ref().map(|next| d.mean(&sequences, i, t + 1) - next);
                            (own[a] * own[b], later.map(|later| later[a] * own[b]))
                        };
                        let found = draws.iter().map(product);
                        let (same, after) = found.fold((0.0, 0.0), |s, v| (s.0 + v.0, s.1 + v.1.unwrap_or(0.0)));
                        // Var[ab] = σ_a² σ_b² + cov² for centred Gaussians.
                        let error = |va: f64, vb: f64, c: f64| 6.0 * ((va * vb + c * c) / DRAWS as f64).sqrt();
                        assert!((same / DRAWS as f64 - p[(a, b)]).abs() < error(p[(a, a)], p[(b, b)], p[(a, b)]));
                        if next.is_some() {
                            let q = smoothed.covariances(&sequences, i, t + 1).0;
                            let bound = error(q[(a, a)], p[(b, b)], lag[(a, b)]);
                            assert!((after / DRAWS as f64 - lag[(a, b)]).abs() < bound);
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn weights_are_repetitions() {
    let streams = Streams::new(6);
    let rng = &mut streams.named("case").at(0);
    let system = random_system(3, 2, 1, rng);
    let data = simulate(&system, &[6, 4, 6], 0.2, rng);
    let sequences = data.sequences(&system);
    let beliefs = Filtered::new(&system, &sequences).expect("a filter").smooth();
    let weighted = Statistics::new(&sequences, &beliefs, Some(&[2.0, 0.0, 1.0])).expect("statistics");
    let (o, u) = (system.outputs(), system.inputs());
    let pick =
        |values: &[f64], width: usize| [&values[..6 * width], &values[..6 * width], &values[10 * width..]].concat();
    let repeated = Data {
        observed: pick(&data.observed, o),
        inputs: pick(&data.inputs, u),
        lengths: vec![6, 6, 6],
    };
    let repeated = expected_log_at(&system, &repeated.sequences(&system));
    let (a, b) = (weighted.expected_log(&system), repeated.expected_log(&system));
    assert!((a.total() - b.total()).abs() < 1e-9 * b.total().abs());
}

#[test]
fn expected_logs_by_sequence_sum_to_those_of_the_moments_and_bound_the_likelihood() {
    let streams = Streams::new(12);
    for (case, (x, o, u)) in SIZES.into_iter().enumerate() {
        let rng = &mut streams.named("case").at(case as u64);
        let system = random_system(x, o, u, rng);
        let data = simulate(&system, &[8, 5, 8, 1], 0.3, rng);
        let sequences = data.sequences(&system);
        let filtered = Filtered::new(&system, &sequences).expect("a filter");
        for beliefs in [filtered.smooth(), filtered.beliefs(), filtered.draw(rng)] {
            let own = expected_logs(&system, &sequences, &beliefs);
            let moments = Statistics::new(&sequences, &beliefs, None).expect("statistics");
            let all = moments.expected_log(&system);
            for (pick, whole) in [
                ((|e| e.initial) as fn(&ExpectedLog) -> f64, all.initial),
                (|e| e.transition, all.transition),
                (|e| e.emission, all.emission),
            ] {
                let sum: f64 = own.iter().map(pick).sum();
                assert!((sum - whole).abs() < 1e-9 * whole.abs().max(1.0), "{sum} {whole}");
            }
        }
        // E_q[log p(x, o)] + H(q) ≤ log p(o) for the filter's independent beliefs.
        let own = expected_logs(&system, &sequences, &filtered.beliefs());
        for (i, entropy) in filtered.entropy().into_iter().enumerate() {
            assert!(own[i].total() + entropy <= filtered.log_likelihood()[i] + 1e-9);
        }
        // A selection keeps every value and every gap.
        let some = sequences.select(&[2, 0]).expect("sequences");
        let again = Filtered::new(&system, &some).expect("a filter");
        assert!((again.log_likelihood()[0] - filtered.log_likelihood()[2]).abs() < 1e-10);
        assert!((again.log_likelihood()[1] - filtered.log_likelihood()[0]).abs() < 1e-10);
    }
}

#[test]
fn a_known_system_is_recovered_up_to_similarity_from_fifty_sequences() {
    let streams = Streams::new(7);
    let rng = &mut streams.named("case").at(0);
    let truth = System {
        initial_mean: DVector::zeros(2),
        initial_covariance: DMatrix::identity(2, 2),
        transition: DMatrix::from_row_slice(2, 2, &[0.8, 0.4, -0.4, 0.8]),
        transition_input: DMatrix::from_row_slice(2, 1, &[1.0, 0.0]),
        transition_offset: DVector::zeros(2),
        transition_noise: DMatrix::identity(2, 2) * 0.05,
        emission: DMatrix::from_row_slice(2, 2, &[1.0, 0.3, 0.0, 1.0]),
        emission_input: DMatrix::zeros(2, 1),
        emission_offset: DVector::from_vec(vec![1.0, -2.0]),
        emission_noise: DMatrix::identity(2, 2) * 0.1,
    };
    let data = simulate(&truth, &[60; 50], 0.1, rng);
    let sequences = data.sequences(&truth);
    let mut learning = Learning {
        initial: Regression::everything(2, 1, NoiseForm::Full),
        transition: Regression::everything(2, 4, NoiseForm::Full),
        emission: Regression::everything(2, 4, NoiseForm::Full),
    };
    learning.transition.free.column_mut(3).fill(false); // b = 0: redundant beside d.
    let mut system = System::by_subspace(&sequences, &data.observed, &data.inputs, 2).expect("initial values");
    system.transition_offset.fill(0.0);
    for _ in 0..60 {
        let statistics = expected_log_at(&system, &sequences);
        system = learning.maximize(&system, &statistics).expect("a maximum").0;
    }
    // Eigenvalues 0.8 ± 0.4i, a modulus of √0.8; and the response to an impulse.
    assert!(
        (system.spectral_radius() - 0.8f64.sqrt()).abs() < 0.01,
        "{}",
        system.spectral_radius()
    );
    let (found, expected) = (system.markov_parameters(10), truth.markov_parameters(10));
    for (found, expected) in found.iter().zip(&expected) {
        assert!((found - expected).amax() < 0.05, "{found} {expected}");
    }
    // At least as likely as the truth, and no more than its 21 free parameters explain.
    let value = |system: &System| -> f64 {
        let filtered = Filtered::new(system, &sequences).expect("a filter");
        filtered.log_likelihood().iter().sum()
    };
    let gain = value(&system) - value(&truth);
    assert!(gain > 0.0 && gain < 40.0, "{gain}");
}

#[test]
fn a_change_of_latent_coordinates_changes_no_likelihood() {
    let rng = &mut Streams::new(8).named("case").at(0);
    let system = random_system(3, 2, 1, rng);
    let data = simulate(&system, &[20, 5], 0.2, rng);
    let sequences = data.sequences(&system);
    let other = system.transformed(&random_matrix(3, 3, 1.0, rng)).expect("invertible");
    let value = |system: &System| Filtered::new(system, &sequences).expect("a filter").log_likelihood()[0];
    assert!((value(&system) - value(&other)).abs() < 1e-8);
}

#[test]
fn predictions_are_conditional_means_of_the_dense_joint() {
    let rng = &mut Streams::new(9).named("case").at(0);
    let (x, o, u) = (3, 2, 1);
    let system = random_system(x, o, u, rng);
    let data = simulate(&system, &[10], 0.15, rng);
    let sequences = data.sequences(&system);
    let filtered = Filtered::new(&system, &sequences).expect("a filter");
    // Expected o_t with only the first `seen` observations: the latent's conditional mean through the emission.
    let oracle = |t: usize, seen: usize| {
        let mut observed = data.observed.clone();
        observed[seen * o..].fill(f64::NAN);
        let (mean, _) = dense(&system, &observed, &data.inputs).posterior();
        let input = DVector::from_column_slice(&data.inputs[t * u..(t + 1) * u]);
        &system.emission * mean.rows(t * x, x) + &system.emission_input * input + &system.emission_offset
    };
    for (horizon, seen) in [
        (Horizon::Steps(1), Box::new(|t: usize| t) as Box<dyn Fn(usize) -> usize>),
        (Horizon::Steps(3), Box::new(|t: usize| (t + 1).saturating_sub(3))),
        (Horizon::FreeRun { warm_up: 4 }, Box::new(|t: usize| t.min(4))),
    ] {
        let expected = filtered.expected(horizon);
        for t in 0..10 {
            let oracle = oracle(t, seen(t));
            for j in 0..o {
                assert!(
                    (expected[0][t * o + j] - oracle[j]).abs() < 1e-9,
                    "{horizon:?}, step {t}"
                );
            }
        }
    }
}

#[test]
fn a_hundred_thousand_steps_and_a_system_known_for_certain_stay_finite() {
    let rng = &mut Streams::new(10).named("case").at(0);
    let system = random_system(2, 1, 0, rng);
    let data = simulate(&system, &[100_000], 0.0, rng);
    let value: f64 = Filtered::new(&system, &data.sequences(&system))
        .expect("a filter")
        .log_likelihood()[0];
    assert!(value.is_finite());
    // Neither the first state nor the transitions have noise: the smoother is the deterministic path.
    let certain = System {
        initial_covariance: DMatrix::zeros(2, 2),
        transition_noise: DMatrix::zeros(2, 2),
        ..system.clone()
    };
    certain.check().expect("a semidefinite covariance is valid");
    let data = simulate(&system, &[50], 0.3, rng);
    let sequences = data.sequences(&certain);
    let smoothed = Filtered::new(&certain, &sequences).expect("a filter").smooth();
    let mut x = certain.initial_mean.clone();
    for t in 0..50 {
        assert!((smoothed.mean(&sequences, 0, t) - &x).amax() < 1e-9);
        assert!(smoothed.covariances(&sequences, 0, t).0.amax() < 1e-12);
        x = &certain.transition * x + &certain.transition_offset;
    }
}

#[test]
fn faults_are_errors_that_name_their_matrix() {
    let rng = &mut Streams::new(11).named("case").at(0);
    let good = random_system(2, 2, 1, rng);
    let fault = |change: &dyn Fn(&mut System)| {
        let mut system = good.clone();
        change(&mut system);
        system.check().expect_err("a fault").to_string()
    };
    assert!(fault(&|s| s.emission_noise = DMatrix::zeros(2, 2)).contains("`emission_noise` is not positive definite"));
    assert!(fault(&|s| s.transition_noise[(0, 0)] = -1.0).contains("`transition_noise` is not positive semidefinite"));
    assert!(fault(&|s| s.transition_noise[(0, 1)] += 1.0).contains("not symmetric"));
    assert!(fault(&|s| s.emission = DMatrix::zeros(2, 3)).contains("`emission` has the shape [2, 3], expected [2, 2]"));
    assert!(fault(&|s| s.transition[(1, 1)] = f64::NAN).contains("`transition` holds NaN"));
    let mut rule = Regression::everything(2, 3, NoiseForm::Full);
    rule.noise.free[0] = false;
    assert!(rule.check().is_err());
    assert!(Sequences::new(&[1.0, f64::INFINITY], 1, &[], 0, &[2]).is_err());
    assert!(Sequences::new(&[1.0, 2.0], 1, &[0.0, f64::NAN], 1, &[2]).is_err());
    assert!(Sequences::new(&[1.0, 2.0], 1, &[], 0, &[2, 0]).is_err());
}
