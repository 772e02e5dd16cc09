//! A mixture of Student-t distributions with axes of their own: `log p(x, z) = log π_z + Σ_d log t_ν(x_d; μ_zd, σ_zd)`
//! (Peel & McLachlan 2000), by plain tensor operations.

use candle_core::{D, DType, Device, Tensor};
use latent_lab::Result;
use latent_lab::data::{Batch, Dataset, file::Asked, source::Widths};
use latent_lab::error::Fault;
use latent_lab::kind::{Declared, Example};
use latent_lab::math::streams::Streams;
use latent_lab::model::{
    Abilities, ExactPosterior, Joint, Latent, LatentKind, Latents, LikelihoodKind, Marginal, Model, ModelKind,
};
use latent_lab::nn::{self, Parameters};
use rand::RngExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Keys of `kind = "student_t_mixture"`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct StudentTMixture {
    /// The number of components K.
    #[schemars(range(min = 2, max = 1000))]
    pub components: usize,
    /// Degrees of freedom ν, above 0.
    #[schemars(range(min = 0.1, max = 1000.0))]
    pub degrees: f64,
}

impl Default for StudentTMixture {
    fn default() -> Self {
        Self {
            components: 3,
            degrees: 5.0,
        }
    }
}

impl Declared for StudentTMixture {
    const NAME: &'static str = "student_t_mixture";
    const SUMMARY: &'static str = "A mixture of Student-t distributions, robust against outliers.";
    const EQUATION: &'static str = "log p(x, z) = log π_z + Σ_d log t_ν(x_d; μ_zd, σ_zd)";
    const EXAMPLE: Example<'static> = Example {
        model: "kind = \"student_t_mixture\"",
        ..Example::USUAL
    };
}

impl ModelKind for StudentTMixture {
    fn abilities(&self) -> Abilities {
        Abilities {
            density: true,
            exact_likelihood: true,
            exact_posterior: true,
            learns_prior: true,
            ..Abilities::none(LatentKind::Finite, Asked::Varying)
        }
    }

    fn likelihood(&self, _is_given: bool) -> LikelihoodKind {
        LikelihoodKind::Exact
    }

    fn check(&self, _widths: Widths) -> Vec<Fault> {
        Vec::new()
    }

    fn build(&self, _train: &Dataset) -> Result<Box<dyn Model>> {
        Ok(Box::new(self.clone()))
    }
}

impl Model for StudentTMixture {
    fn latent(&self) -> Latent {
        Latent::Finite(self.components)
    }

    fn likelihood(&self) -> LikelihoodKind {
        LikelihoodKind::Exact
    }

    fn initial(
        &self,
        data: &Dataset,
        streams: &Streams,
        start: u64,
        dtype: DType,
        device: &Device,
    ) -> Result<Parameters> {
        let generator = &mut streams.named("initial/student_t").at(start);
        let (k, d) = (self.components, data.observed.columns());
        let rows = data.observed.rows();
        let means: Vec<f64> = (0..k)
            .flat_map(|_| data.observed.row(generator.random_range(0..rows)).to_vec())
            .collect();
        let mut theta = Parameters::new();
        let insert = |theta: &mut Parameters, name: &str, values: Vec<f64>, shape: (usize, usize)| -> Result<()> {
            theta.insert(name, &Tensor::from_vec(values, shape, device)?.to_dtype(dtype)?)?;
            Ok(())
        };
        insert(&mut theta, "logits", vec![0.0; k], (1, k))?;
        insert(&mut theta, "means", means, (k, d))?;
        insert(&mut theta, "log_scales", vec![0.0; k * d], (k, d))?;
        Ok(theta)
    }

    fn joint<'a>(&'a self, theta: &'a Parameters, batch: &'a Batch) -> Result<Box<dyn Joint + 'a>> {
        let x = batch.observed.unsqueeze(1)?; // [B, 1, D]
        let means = theta.get("means")?.unsqueeze(0)?; // [1, K, D]
        let log_scales = theta.get("log_scales")?.unsqueeze(0)?;
        let u = x.broadcast_sub(&means)?.broadcast_div(&log_scales.exp()?)?; // [B, K, D]
        let nu = self.degrees;
        let constant = log_gamma((nu + 1.0) / 2.0) - log_gamma(nu / 2.0) - 0.5 * (nu * std::f64::consts::PI).ln();
        let tail = (((u.sqr()? / nu)? + 1.0)?.log()? * (-(nu + 1.0) / 2.0))?;
        let likelihood = (tail.broadcast_sub(&log_scales)? + constant)?.sum(D::Minus1)?; // [B, K]
        let prior = nn::log_softmax(theta.get("logits")?)?.broadcast_as(likelihood.shape())?;
        Ok(Box::new(StudentTJoint {
            components: self.components,
            batch,
            prior,
            likelihood,
        }))
    }

    fn natural(&self, _theta: &Parameters) -> Result<BTreeMap<String, Tensor>> {
        Ok(BTreeMap::new())
    }

    fn free_parameters(&self, theta: &Parameters) -> usize {
        theta.count() - 1
    }
}

/// log Γ(x) for x > 0, by Stirling's series after shifting x above 10.
fn log_gamma(x: f64) -> f64 {
    let mut shift = 0.0;
    let mut x = x;
    while x < 10.0 {
        shift -= x.ln();
        x += 1.0;
    }
    let series = 1.0 / (12.0 * x) - 1.0 / (360.0 * x.powi(3)) + 1.0 / (1260.0 * x.powi(5));
    shift + (x - 0.5) * x.ln() - x + 0.5 * (2.0 * std::f64::consts::PI).ln() + series
}

struct StudentTJoint<'a> {
    components: usize,
    batch: &'a Batch,
    prior: Tensor,      // [B, K]
    likelihood: Tensor, // [B, K]
}

fn at(all: &Tensor, latents: &Latents) -> Result<Tensor> {
    match latents {
        Latents::All => Ok(all.clone()),
        Latents::Index(index) => Ok(all.contiguous()?.gather(index, 1)?),
        other => Err(other.unexpected("values of a finite latent")),
    }
}

impl Joint for StudentTJoint<'_> {
    fn latent(&self) -> Latent {
        Latent::Finite(self.components)
    }

    fn log_joint(&self, latents: &Latents) -> Result<Tensor> {
        at(&(&self.prior + &self.likelihood)?, latents)
    }

    fn terms(&self, latents: &Latents) -> Result<Vec<(&'static str, Tensor)>> {
        Ok(vec![
            ("prior", at(&self.prior, latents)?),
            ("likelihood", at(&self.likelihood, latents)?),
        ])
    }

    fn log_prior(&self, latents: &Latents) -> Result<Tensor> {
        at(&self.prior, latents)
    }

    fn observed(&self) -> &Tensor {
        &self.batch.observed
    }

    fn given(&self) -> Option<&Tensor> {
        None
    }

    fn marginal(&self) -> Option<&dyn Marginal> {
        Some(self)
    }

    fn exact_posterior(&self) -> Option<ExactPosterior<'_>> {
        Some(ExactPosterior::Enumerable)
    }
}

impl Marginal for StudentTJoint<'_> {
    fn log_prob(&self) -> Result<Tensor> {
        nn::log_sum_exp(&self.log_joint(&Latents::All)?)
    }

    fn log_prob_error(&self) -> Result<Option<Vec<f64>>> {
        Ok(None)
    }
}
