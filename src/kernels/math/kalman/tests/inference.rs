//! Filter, smoother, moments, draws and predictions against the dense joint.

use super::*;
use crate::math::vectors::tests::on_every_set;

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
