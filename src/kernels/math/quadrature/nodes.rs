//! Log joints of many rows and many nodes at once, as one matrix product.
//!
//! `log p(x_b, z_g) = φ(x_b) · θ_g + k_g`, where k holds `log p(z_g)` and all that does not depend on x:
//! - Bernoulli with logits l: `φ = x`, `θ = l`, `k = −Σ softplus(l)`;
//! - diagonal Gaussian: `φ = [x², x]`, `θ = [−1/(2σ²), μ/σ²]`, `k = −Σ [μ²/(2σ²) + log σ + ½ log 2π]`, with x and μ
//!   taken about the rows' mean: the squares cancel, so the loss is `ε (x − x̄)² / σ²`, about 1e-10 nats at a hundredth
//!   of the data's standard deviation and ten dimensions.

use crate::math::LN_2PI;
use crate::math::rows::Rows;
use crate::{Error, Result};

/// Rows of one tile: their features and results stay in cache.
const ROWS: usize = 64;
/// Nodes of one tile.
const NODES: usize = 256;

/// `log p(z_g)` and the parameters of `p(x | z_g)` at G nodes.
#[derive(Debug, Clone, PartialEq)]
pub struct Nodes {
    /// `log p(z_g)`, `[G]`, nats; −∞ where the prior vanishes.
    pub log_prior: Vec<f64>,
    /// `p(x | z_g)`.
    pub likelihood: Likelihood,
}

/// The parameters of `p(x | z_g)`, whose D dimensions are independent given z.
#[derive(Debug, Clone, PartialEq)]
pub enum Likelihood {
    /// x in {0, 1} (or between).
    Bernoulli {
        /// `log p(x_j = 1) − log p(x_j = 0)`, `[G, D]`.
        logits: Vec<f64>,
    },
    /// x real.
    Gaussian {
        /// `μ`, `[G, D]`.
        means: Vec<f64>,
        /// `σ`, `[G, D]`, or `[D]` where all nodes share them.
        deviations: Vec<f64>,
    },
}

/// `[r, g]` log joints of the rows from `first_row`, at `nodes`, `[g, Z]`.
pub(super) struct Tile<'a> {
    pub first_row: usize,
    pub nodes: &'a [f64],
    pub log_joint: &'a [f64],
}

/// Rows and nodes as the factors of a matrix product.
struct Factors {
    /// F.
    features: usize,
    /// `φ`, `[B, F]`.
    rows: Vec<f64>,
    /// `θ`, `[G, F]`.
    nodes: Vec<f64>,
    /// `k`, `[G]`.
    constants: Vec<f64>,
}

/// `log p(x_b, z_g)`, `[B, G]`, nats.
///
/// # Errors
/// If sizes do not fit or a parameter is not finite.
pub fn log_joint(x: Rows, nodes: &Nodes) -> Result<Vec<f64>> {
    let factors = Factors::new(x, nodes)?;
    let mut all = Vec::with_capacity(x.count() * nodes.log_prior.len());
    for rows in factors.rows.chunks(ROWS * factors.features) {
        let block = all.len();
        for _ in rows.chunks(factors.features) {
            all.extend_from_slice(&factors.constants);
        }
        add_product(&mut all[block..], rows, &factors.nodes, factors.features);
    }
    Ok(all)
}

/// Visits all rows at all `at` `[G, Z]` nodes, tile by tile.
pub(super) fn each_tile(x: Rows, at: &[f64], nodes: &Nodes, visit: &mut dyn FnMut(Tile)) -> Result<()> {
    let factors = Factors::new(x, nodes)?;
    let (f, z) = (factors.features, at.len() / nodes.log_prior.len());
    let mut log_joint = Vec::with_capacity(ROWS * NODES);
    let parameters = factors.nodes.chunks(NODES * f).zip(factors.constants.chunks(NODES));
    for ((theta, constants), nodes) in parameters.zip(at.chunks(NODES * z)) {
        for (block, phi) in factors.rows.chunks(ROWS * f).enumerate() {
            log_joint.clear();
            for _ in phi.chunks(f) {
                log_joint.extend_from_slice(constants);
            }
            add_product(&mut log_joint, phi, theta, f);
            visit(Tile {
                first_row: block * ROWS,
                nodes,
                log_joint: &log_joint,
            });
        }
    }
    Ok(())
}

impl Factors {
    fn new(x: Rows, nodes: &Nodes) -> Result<Self> {
        let (d, g) = (x.columns, nodes.log_prior.len());
        nodes.check(d)?;
        let mut constants = nodes.log_prior.clone();
        match &nodes.likelihood {
            Likelihood::Bernoulli { logits } => {
                for (k, l) in constants.iter_mut().zip(logits.chunks_exact(d)) {
                    *k -= l.iter().map(|l| l.max(0.0) + (-l.abs()).exp().ln_1p()).sum::<f64>();
                }
                Ok(Self {
                    features: d,
                    rows: x.values.to_vec(),
                    nodes: logits.clone(),
                    constants,
                })
            }
            Likelihood::Gaussian { means, deviations } => {
                let n = x.count() as f64;
                let mut centre = vec![0.0; d];
                for row in x.values.chunks_exact(d) {
                    centre.iter_mut().zip(row).for_each(|(c, x)| *c += x / n);
                }
                let mut rows = Vec::with_capacity(x.values.len() * 2);
                for row in x.values.chunks_exact(d) {
                    let centred = || row.iter().zip(&centre).map(|(x, c)| x - c);
                    rows.extend(centred().map(|x| x * x).chain(centred()));
                }
                let mut theta = vec![0.0; g * 2 * d];
                for (i, theta) in theta.chunks_exact_mut(2 * d).enumerate() {
                    for j in 0..d {
                        let sigma = deviations[(i * d + j) % deviations.len()];
                        let (mu, precision) = (means[i * d + j] - centre[j], sigma.powi(-2));
                        (theta[j], theta[d + j]) = (-0.5 * precision, mu * precision);
                        constants[i] -= 0.5 * mu * mu * precision + sigma.ln() + 0.5 * LN_2PI;
                    }
                }
                Ok(Self {
                    features: 2 * d,
                    rows,
                    nodes: theta,
                    constants,
                })
            }
        }
    }
}

impl Nodes {
    fn check(&self, d: usize) -> Result<()> {
        let g = self.log_prior.len();
        if d == 0 || g == 0 {
            return Err(Error::Data(format!(
                "{g} nodes and {d} columns of x: expected at least one of each"
            )));
        }
        let size = |name: &str, found: usize| match found == g * d {
            true => Ok(()),
            false => Err(Error::Data(format!(
                "{found} {name} for {g} nodes of {d} dimensions: expected {}",
                g * d
            ))),
        };
        let every = |name: &str, values: &[f64], good: fn(f64) -> bool| match values.iter().find(|v| !good(**v)) {
            None => Ok(()),
            Some(bad) => Err(Error::Data(format!("one of the {name} at the nodes is {bad}"))),
        };
        every("log priors", &self.log_prior, |v| v < f64::INFINITY)?;
        match &self.likelihood {
            Likelihood::Bernoulli { logits } => {
                size("logits", logits.len())?;
                every("logits", logits, f64::is_finite)
            }
            Likelihood::Gaussian { means, deviations } => {
                size("means", means.len())?;
                if deviations.len() != d {
                    size("standard deviations", deviations.len())?;
                }
                every("means", means, f64::is_finite)?;
                every("standard deviations", deviations, |v| v.is_normal() && v > 0.0)
            }
        }
    }
}

/// `out += rows nodesᵀ`: `[r, F] [g, F]ᵀ` onto `[r, g]`, on this thread.
fn add_product(out: &mut [f64], rows: &[f64], nodes: &[f64], features: usize) {
    let (m, n, k) = (rows.len() / features, nodes.len() / features, features);
    assert_eq!((out.len(), rows.len(), nodes.len()), (m * n, m * k, n * k));
    // SAFETY: the slices hold m × n, m × k and n × k elements, which is what these sizes and strides reach.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            n as isize,
            true,
            rows.as_ptr(),
            1,
            k as isize,
            nodes.as_ptr(),
            k as isize,
            1,
            1.0,
            1.0,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}
