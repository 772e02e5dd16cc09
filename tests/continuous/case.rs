//! A model with a continuous latent in f64 with perturbed initial values, its posterior, and small statistics.

use candle_core::{DType, Device, Tensor};
use latent_lab::data::{Batch, Dataset, Table};
use latent_lab::math::streams::Streams;
use latent_lab::model::{Joint, Model, ModelConfig};
use latent_lab::nn::{Parameters, backward, normal};
use latent_lab::objective::ObjectiveConfig;
use latent_lab::posterior::{Draws, PosteriorConfig};
use nalgebra::{DMatrix, DVector};
use rand::RngExt;
use rand_distr::StandardNormal;

/// A model, its posterior, and parameters of both.
pub struct Case {
    pub name: String,
    pub model: Box<dyn Model>,
    pub posterior: PosteriorConfig,
    pub theta: Parameters,
    pub data: Dataset,
    pub streams: Streams,
}

/// Rows of noise: continuous, or of 0 and 1, with as many columns given.
pub fn rows(count: usize, observed: usize, given: usize, binary: bool, streams: &Streams) -> Dataset {
    let rng = &mut streams.named("rows").at(0);
    let mut table = |columns: usize, binary: bool| {
        let value = |_| match binary {
            true => f64::from(u8::from(rng.random::<f64>() < 0.4)),
            false => rng.sample::<f64, _>(StandardNormal),
        };
        Table::new((0..count * columns).map(value).collect(), columns)
    };
    Dataset {
        observed: table(observed, binary).into(),
        given: (given > 0).then(|| table(given, false).into()),
        ..Dataset::default()
    }
}

impl Case {
    /// `[model]` and `[posterior]` as an experiment file has them, on `data`; initial values perturbed by noise of
    /// standard deviation 0.3.
    pub fn new(model: &str, posterior: &str, data: Dataset, seed: u64) -> Self {
        let streams = Streams::new(seed);
        let config: ModelConfig = toml::from_str(model).expect("a model");
        let posterior: PosteriorConfig = toml::from_str(posterior).expect("a posterior");
        let model = config.build(&data).expect("a model for the rows");
        let mut theta = model
            .initial(&data, &streams, 0, DType::F64, &Device::Cpu)
            .expect("first parameters");
        posterior
            .initial(model.latent(), &data, &streams, &mut theta)
            .expect("a network");
        let noise = &mut streams.named("noise").at(0);
        for (_, var) in theta.iter() {
            let noise = normal(&mut *noise, var.shape(), DType::F64, &Device::Cpu).expect("noise");
            let moved = (noise * 0.3).and_then(|noise| var.as_tensor() + noise).expect("a sum");
            var.set(&moved).expect("the same shape");
        }
        Self {
            name: format!("{config:?} with {posterior:?}"),
            model,
            posterior,
            theta,
            data,
            streams,
        }
    }

    pub fn batch(&self) -> Batch {
        Batch::whole(&self.data, DType::F64, &Device::Cpu).expect("rows")
    }

    pub fn draws(&self, joint: &dyn Joint, index: u64) -> Draws {
        let generator = &mut self.streams.named("guesses").at(index);
        self.posterior.draws(joint, &self.theta, 0, generator).expect("draws")
    }

    /// The gradient of the mean of `values` with respect to the parameters whose names `keep` keeps, in one row.
    pub fn gradient(&self, values: &Tensor, keep: impl Fn(&str) -> bool) -> Vec<f64> {
        let gradients = backward(&values.mean_all().expect("a mean")).expect("gradients");
        let kept = self.theta.iter().filter(|(name, _)| keep(name));
        kept.flat_map(|(_, var)| match gradients.get(var) {
            Some(gradient) => numbers(gradient),
            None => vec![0.0; var.elem_count()],
        })
        .collect()
    }

    /// The same with a linear network that depends weakly on x, `q = N(0.1 Σ_j x_j, 1.2² I)`: wider than the posterior
    /// of any model with much noise, so that no importance weight is huge.
    pub fn with_wide_network(self) -> Self {
        for (name, var) in self.theta.iter().filter(|(name, _)| name.starts_with("posterior")) {
            let outputs = var.dims()[var.rank() - 1];
            let value = |i: usize| match (i % outputs < outputs / 2, name.ends_with("bias")) {
                (true, false) => 0.1,
                (false, true) => 1.2f64.ln(),
                _ => 0.0,
            };
            let values = (0..var.elem_count()).map(value).collect();
            let values = Tensor::from_vec(values, var.shape(), &Device::Cpu).expect("numbers");
            var.set(&values).expect("the same shape");
        }
        self
    }

    /// p(x) and p(z|x) in closed form, of a linear model with `fixed_deviation = sigma` and nothing given.
    pub fn linear(&self, sigma: f64) -> Linear {
        let get = |name: &str| self.theta.get(name).expect("a parameter");
        let (z, d) = get("decoder.0.weight").dims2().expect("a matrix");
        let w = DMatrix::from_row_slice(z, d, &numbers(get("decoder.0.weight"))).transpose(); // [D, Z]
        let b = DVector::from_vec(numbers(get("decoder.0.bias")));
        let precision = DMatrix::identity(z, z) + w.transpose() * &w / sigma.powi(2);
        Linear {
            covariance: &w * w.transpose() + DMatrix::identity(d, d) * sigma.powi(2),
            posterior: precision.try_inverse().expect("a covariance"),
            w,
            b,
            sigma,
        }
    }
}

/// A linear-Gaussian latent variable: x = W z + b + σ ε (Bishop 2006, section 12.2).
pub struct Linear {
    pub w: DMatrix<f64>,
    pub b: DVector<f64>,
    pub sigma: f64,
    /// Of x.
    pub covariance: DMatrix<f64>,
    /// Of z given x, the same for every x.
    pub posterior: DMatrix<f64>,
}

impl Linear {
    /// E[z|x].
    pub fn posterior_mean(&self, x: &[f64]) -> DVector<f64> {
        &self.posterior * self.w.transpose() * (DVector::from_row_slice(x) - &self.b) / self.sigma.powi(2)
    }

    /// log p(x), nats.
    pub fn log_prob(&self, x: &[f64]) -> f64 {
        let error = DVector::from_row_slice(x) - &self.b;
        let inverse = self.covariance.clone().try_inverse().expect("a covariance");
        let square = (error.transpose() * inverse * &error)[0];
        -0.5 * (square + self.covariance.determinant().ln() + x.len() as f64 * std::f64::consts::TAU.ln())
    }
}

pub fn objective(text: &str) -> ObjectiveConfig {
    toml::from_str(text).expect("an objective")
}

/// All numbers of a tensor, row-major.
pub fn numbers(tensor: &Tensor) -> Vec<f64> {
    tensor
        .flatten_all()
        .and_then(|t| t.to_vec1::<f64>())
        .expect("numbers in f64")
}

/// Mean and standard error of the mean.
pub fn mean_and_error(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0);
    (mean, (variance / n).sqrt())
}

/// The mean of `values` is `expected` within 6 standard errors.
#[track_caller]
pub fn agrees(values: &[f64], expected: f64, what: &str) {
    let (mean, error) = mean_and_error(values);
    assert!(
        (mean - expected).abs() <= 6.0 * error + 1e-9,
        "{what}: {mean} ± {error}, expected {expected}"
    );
}

#[track_caller]
pub fn close(a: &[f64], b: &[f64], tolerance: f64, what: &str) {
    assert_eq!(a.len(), b.len(), "{what}");
    let scale = a.iter().chain(b).fold(1.0, |most: f64, v| most.max(v.abs()));
    for (a, b) in a.iter().zip(b) {
        assert!((a - b).abs() <= tolerance * scale, "{what}: {a} {b}");
    }
}
