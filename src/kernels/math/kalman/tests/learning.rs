//! The M-step, gradients and initial values: the likelihood never falls, Fisher's identity, a known system recovered.

use super::*;

impl System {
    /// The same model with latents `M x`; the likelihood of every observation is unchanged.
    fn transformed(&self, m: &DMatrix<f64>) -> Self {
        let inverse = m.clone().try_inverse().expect("an invertible matrix");
        Self {
            initial_mean: m * &self.initial_mean,
            initial_covariance: m * &self.initial_covariance * m.transpose(),
            transition: m * &self.transition * &inverse,
            transition_input: m * &self.transition_input,
            transition_offset: m * &self.transition_offset,
            transition_noise: m * &self.transition_noise * m.transpose(),
            emission: &self.emission * &inverse,
            emission_input: self.emission_input.clone(),
            emission_offset: self.emission_offset.clone(),
            emission_noise: self.emission_noise.clone(),
        }
    }

    /// The response of o to an impulse of u, which does not depend on the latent coordinates: D, C B, C A B, C A² B, …
    fn markov_parameters(&self, count: usize) -> Vec<DMatrix<f64>> {
        let mut response = self.transition_input.clone();
        let mut all = vec![self.emission_input.clone()];
        while all.len() < count {
            all.push(&self.emission * &response);
            response = &self.transition * response;
        }
        all.truncate(count);
        all
    }
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
            initial: everything(x, 1, form),
            transition: everything(x, x + u + 1, form),
            emission: everything(o, x + u + 1, form),
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
        initial: everything(2, 1, NoiseForm::Full),
        transition: everything(2, 4, NoiseForm::Full),
        emission: everything(2, 4, NoiseForm::Full),
    };
    learning.transition.free.column_mut(3).fill(false); // b = 0: redundant beside d.
    let mut system = System::by_subspace(&sequences, &data.observed, &data.inputs, 2, 0).expect("initial values");
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
    let other = system.transformed(&random_matrix(3, 3, 1.0, rng));
    let value = |system: &System| Filtered::new(system, &sequences).expect("a filter").log_likelihood()[0];
    assert!((value(&system) - value(&other)).abs() < 1e-8);
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
    let mut rule = everything(2, 3, NoiseForm::Full);
    rule.noise.free[0] = false;
    assert!(rule.check().is_err());
    assert!(Sequences::new(&[1.0, f64::INFINITY], 1, &[], 0, &[2]).is_err());
    assert!(Sequences::new(&[1.0, 2.0], 1, &[0.0, f64::NAN], 1, &[2]).is_err());
    assert!(Sequences::new(&[1.0, 2.0], 1, &[], 0, &[2, 0]).is_err());
}
