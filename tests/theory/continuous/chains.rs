//! Hamiltonian chains against the posterior: in closed form, and by quadrature where it has two modes.

use crate::continuous::case::{Case, agrees, mean_and_error, numbers, rows};
use candle_core::{Device, Tensor};
use latent_lab::math::streams::Streams;
use latent_lab::model::Latents;

const SIGMA: f64 = 0.6;

/// The ends of the chains of every row, `[row][chain][dimension]`, and the acceptance rate over all.
fn ends(case: &Case) -> (Vec<Vec<Vec<f64>>>, f64) {
    let batch = case.batch();
    let joint = case.model.joint(&case.theta, &batch).expect("a joint");
    let draws = case.draws(joint.as_ref(), 0);
    let Latents::Continuous(z) = &draws.latents else {
        panic!("a continuous latent")
    };
    let (_, s, dims) = z.dims3().expect("[B, S, Z]");
    assert!(
        draws.log_q.is_none()
            && numbers(&draws.weights)
                .iter()
                .all(|w| (w * s as f64 - 1.0).abs() < 1e-12)
    );
    let rate = draws.acceptance_rate.expect("a chain's rate");
    assert!(!z.track_op() && rate.dims() == [batch.len()]);
    let rows = numbers(z)
        .chunks(s * dims)
        .map(|row| row.chunks(dims).map(<[f64]>::to_vec).collect())
        .collect();
    (rows, mean_and_error(&numbers(&rate)).0)
}

/// Moments of chains on a linear-Gaussian model, whose posterior to the power 1/T has T times the covariance.
fn moments_agree(posterior: &str, temperature: f64, rates: std::ops::Range<f64>) {
    let model = format!("kind = 'latent_gaussian'\nlatent_dimensions = 2\nhidden = []\nfixed_deviation = {SIGMA}");
    let posterior = format!("kind = 'hamiltonian'\nsamples = 3000\n{posterior}");
    let case = Case::new(&model, &posterior, rows(3, 3, 0, false, &Streams::new(7)), 7);
    let linear = case.linear(SIGMA);
    let (rows, rate) = ends(&case);
    assert!(rates.contains(&rate), "{posterior}: {rate}");
    for (row, chains) in rows.iter().enumerate() {
        let mean = linear.posterior_mean(case.data.observed.row(row));
        for i in 0..2 {
            let values: Vec<f64> = chains.iter().map(|z| z[i]).collect();
            agrees(&values, mean[i], &format!("{posterior}: mean"));
            for j in 0..=i {
                let products: Vec<f64> = chains.iter().map(|z| (z[i] - mean[i]) * (z[j] - mean[j])).collect();
                agrees(
                    &products,
                    temperature * linear.posterior[(i, j)],
                    &format!("{posterior}: covariance"),
                );
            }
        }
    }
}

#[test]
fn chains_end_at_the_linear_gaussian_posterior() {
    moments_agree("", 1.0, 0.9..1.0);
}

/// Without the accept/reject of each chain, steps this large would widen the posterior.
#[test]
fn large_steps_are_corrected() {
    moments_agree("step_size = 0.5\nleapfrog_steps = 3\nburn_in = 100", 1.0, 0.2..0.95);
}

#[test]
fn one_leapfrog_step_is_langevin() {
    moments_agree("step_size = 0.5\nleapfrog_steps = 1\nburn_in = 150", 1.0, 0.5..1.0);
}

#[test]
fn temperature_widens_the_posterior() {
    moments_agree("temperature = 2.0\nstep_size = 0.15", 2.0, 0.8..1.0);
}

#[test]
fn chains_find_both_modes_in_their_shares() {
    let model = "kind = 'latent_gaussian'\nlatent_dimensions = 1\nprior = 'mixture'\nprior_components = 2\nhidden = []\n\
                 fixed_deviation = 1.5";
    let posterior = "kind = 'hamiltonian'\nsamples = 4000\nburn_in = 80\nstep_size = 0.25";
    let case = Case::new(model, posterior, rows(3, 1, 0, false, &Streams::new(8)), 8);
    for (name, values) in [
        ("prior_logits", [0.3, -0.3]),
        ("prior_means", [-1.2, 1.2]),
        ("prior_deviations", [-0.9, -0.6]),
        ("decoder.0.weight", [0.8, 0.0]),
    ] {
        let (_, var) = case.theta.iter().find(|(one, _)| *one == name).expect("a parameter");
        let values = Tensor::from_slice(&values[..var.elem_count()], var.shape(), &Device::Cpu).expect("numbers");
        var.set(&values).expect("the same shape");
    }
    let (rows, _) = ends(&case);
    let grid: Vec<f64> = (-3000..=3000).map(|i| f64::from(i) / 500.0).collect();
    let points = Tensor::from_slice(&grid.repeat(3), (3, grid.len(), 1), &Device::Cpu).expect("points");
    let batch = case.batch();
    let joint = case.model.joint(&case.theta, &batch).expect("a joint");
    let log = numbers(&joint.log_joint(&Latents::Continuous(points)).expect("values"));
    for (log, chains) in log.chunks(grid.len()).zip(rows) {
        let total: f64 = log.iter().map(|l| l.exp()).sum();
        let expect = |f: &dyn Fn(f64) -> f64| grid.iter().zip(log).map(|(z, l)| f(*z) * l.exp()).sum::<f64>() / total;
        let [left, valley] = [
            |z: f64| f64::from(u8::from(z < 0.0)),
            |z: f64| f64::from(u8::from(z.abs() < 0.3)),
        ];
        assert!(
            (0.1..0.9).contains(&expect(&left)) && expect(&valley) < 0.15,
            "two modes"
        );
        for (f, what) in [
            (&left as &dyn Fn(f64) -> f64, "share of the left mode"),
            (&valley, "valley"),
            (&|z| z, "mean"),
            (&|z| z * z, "square"),
        ] {
            let values: Vec<f64> = chains.iter().map(|z| f(z[0])).collect();
            agrees(&values, expect(f), what);
        }
    }
}

#[test]
fn chains_are_reproducible_and_differ_by_stream() {
    let model = "kind = 'latent_gaussian'\nlatent_dimensions = 2\nhidden = [4]";
    let case = Case::new(
        model,
        "kind = 'hamiltonian'\nburn_in = 3",
        rows(4, 2, 0, false, &Streams::new(9)),
        9,
    );
    let batch = case.batch();
    let joint = case.model.joint(&case.theta, &batch).expect("a joint");
    let at = |index| match case.draws(joint.as_ref(), index).latents {
        Latents::Continuous(z) => numbers(&z),
        other => panic!("{other:?}"),
    };
    assert_eq!(at(0), at(0));
    assert_ne!(at(0), at(1));
}
