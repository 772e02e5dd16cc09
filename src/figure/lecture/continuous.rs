//! Queries of a trained model with a continuous latent for points of the plane, in the data's units: samples of `p(z)`
//! and `p(x|z)`, the density `p(x)`, the true posterior `p(z|x) ∝ p(x, z)` and the approximate posterior `q(z|x)`.

use crate::data::{Batch, Dataset, Source, Table};
use crate::figure::axis::Axis;
use crate::figure::chart::Panel;
use crate::figure::window::range;
use crate::math::streams::Generator;
use crate::model::{Joint, Latent, Latents};
use crate::posterior::PosteriorConfig;
use crate::runner::{PlannedRun, Reloaded, reload};
use crate::{Error, Result};
use candle_core::{DType, Tensor};

/// Points × latents that are decoded at once, which bounds the memory of a decoder.
const DECODED: usize = 50_000;

/// A point of the plane, in the data's units.
pub(super) type Place = (f64, f64);

/// One run.
pub(super) struct Continuous {
    pub run: Reloaded,
    pub posterior: PosteriorConfig,
    pub source: Source,
    /// The dimensions Z of its latent.
    pub dimensions: usize,
}

impl Continuous {
    /// From a finished run.
    ///
    /// # Errors
    /// If its latent is not continuous, or its data are not points of the plane with nothing given.
    pub fn of(planned: &PlannedRun) -> Result<Self> {
        let run = reload(planned)?;
        let columns = run.splits.train.observed.columns();
        match run.model.latent() {
            Latent::Continuous(dimensions) if columns == 2 && run.splits.train.given.is_none() => Ok(Self {
                posterior: planned.spec.posterior.clone(),
                source: planned.spec.data.source.clone(),
                dimensions,
                run,
            }),
            _ => Err(Error::Data(
                "the figure shows a continuous latent of points of the plane: expected `model.kind = \"latent_gaussian\"` \
                 and 2 observed columns, such as `data.source` = \"ring\""
                    .into(),
            )),
        }
    }

    /// The first rows of the test set, at most `most`.
    pub fn test_points(&self, most: usize) -> Vec<Place> {
        self.points(self.run.splits.test.as_ref().unwrap_or(&self.run.splits.train), most)
    }

    /// The first training rows, at most `most`.
    pub fn train_points(&self, most: usize) -> Vec<Place> {
        self.points(&self.run.splits.train, most)
    }

    fn points(&self, data: &Dataset, most: usize) -> Vec<Place> {
        let mut values = data.observed.values().to_vec();
        self.run.splits.standardization.observed.invert(&mut values);
        values.chunks_exact(2).take(most).map(|x| (x[0], x[1])).collect()
    }

    /// Points as rows of the model.
    fn batch(&self, points: &[Place]) -> Result<Batch> {
        let mut observed = Table::new(points.iter().flat_map(|p| [p.0, p.1]).collect(), 2);
        self.run.splits.standardization.observed.apply(&mut observed);
        let rows = Tensor::from_slice(observed.values(), (points.len(), 2), &self.run.theta.device())?;
        Ok(Batch {
            observed: rows.to_dtype(self.run.theta.dtype())?,
            given: None,
            weights: None,
            lengths: None,
        })
    }

    /// The result of `ask` for the joint of `points`.
    pub fn with_joint<T>(&self, points: &[Place], ask: impl FnOnce(&dyn Joint) -> Result<T>) -> Result<T> {
        let batch = self.batch(points)?;
        ask(self.run.model.joint(&self.run.theta, &batch)?.as_ref())
    }

    /// `log p(x)` of every point, in nats, per unit of area.
    pub fn log_prob(&self, points: &[Place]) -> Result<Vec<f64>> {
        let units = self.run.splits.standardization.observed.log_scale();
        let values = self.with_joint(points, |joint| numbers(&joint.log_prob()?))?;
        Ok(values.into_iter().map(|value| value - units).collect())
    }

    /// `log p(x, z)` and `log q(z|x)` of every point at the same latents `[G, Z]`, row-major, in nats. `[B, G]` each
    pub fn joint_and_approximate(&self, points: &[Place], latents: &[f64]) -> Result<[Vec<f64>; 2]> {
        let theta = &self.run.theta;
        let units = self.run.splits.standardization.observed.log_scale();
        let nodes = latents.len() / self.dimensions;
        let grid =
            Tensor::from_slice(latents, (1, nodes, self.dimensions), &theta.device())?.to_dtype(theta.dtype())?;
        let (mut log_joint, mut log_q) = (Vec::new(), Vec::new());
        for part in points.chunks((DECODED / nodes).max(1)) {
            let z = grid.broadcast_as((part.len(), nodes, self.dimensions))?.contiguous()?;
            let z = Latents::Continuous(z);
            self.with_joint(part, |joint| {
                log_joint.extend(numbers(&joint.log_joint(&z)?)?.into_iter().map(|value| value - units));
                log_q.extend(numbers(&self.posterior.log_q(joint, theta, &z)?)?);
                Ok(())
            })?;
        }
        Ok([log_joint, log_q])
    }

    /// `log p(x, z) − log q(z)` of `samples` draws for each point from `proposal`, in nats. `[B, S]`
    pub fn log_weights(
        &self,
        proposal: &PosteriorConfig,
        points: &[Place],
        samples: usize,
        generator: &mut Generator,
    ) -> Result<Vec<f64>> {
        let units = self.run.splits.standardization.observed.log_scale();
        let mut log_weights = Vec::new();
        for part in points.chunks((DECODED / samples).max(1)) {
            let weights = self.with_joint(part, |joint| {
                let draws = proposal.proposal(joint, &self.run.theta, samples, generator)?;
                numbers(&(joint.log_joint(&draws.latents)? - draws.log_q()?)?)
            })?;
            log_weights.extend(weights.into_iter().map(|weight| weight - units));
        }
        Ok(log_weights)
    }

    /// E[x|z] at latents `[G, Z]`, row-major.
    pub fn decoded(&self, latents: &[f64]) -> Result<Vec<Place>> {
        let theta = &self.run.theta;
        let shape = (1, latents.len() / self.dimensions, self.dimensions);
        let z = Tensor::from_slice(latents, shape, &theta.device())?.to_dtype(theta.dtype())?;
        let mean = self.with_joint(&[(0.0, 0.0)], |joint| joint.decoded_mean(&Latents::Continuous(z)))?;
        self.places(&mean)
    }

    /// `count` draws of z `[count, Z]`, row-major, and an x drawn at each.
    pub fn samples(&self, count: usize, generator: &mut Generator) -> Result<(Vec<f64>, Vec<Place>)> {
        let rows = vec![(0.0, 0.0); count];
        let (z, x) = self.with_joint(&rows, |joint| {
            let latents = joint.sample_latents(1, generator)?;
            let x = joint.sample_observed(&latents, generator)?;
            match latents {
                Latents::Continuous(z) => Ok((numbers(&z)?, x)),
                other => Err(other.unexpected("points of a continuous latent")),
            }
        })?;
        Ok((z, self.places(&x)?))
    }

    /// Rows of the model as points.
    fn places(&self, rows: &Tensor) -> Result<Vec<Place>> {
        let mut values = numbers(rows)?;
        self.run.splits.standardization.observed.invert(&mut values);
        Ok(values.chunks_exact(2).map(|x| (x[0], x[1])).collect())
    }

    /// `log p(x)` of the generator itself, if it has a tractable density.
    pub fn true_log_prob(&self, point: Place) -> Option<f64> {
        self.source.generator()?.log_prob(&[point.0, point.1], &[])
    }
}

/// All numbers of a tensor, row-major.
fn numbers(tensor: &Tensor) -> Result<Vec<f64>> {
    Ok(tensor.to_dtype(DType::F64)?.flatten_all()?.to_vec1()?)
}

/// Ranges of x₁ and x₂.
pub(super) type Limits = [(f64, f64); 2];

/// The rectangle that holds `points`, with a margin.
pub(super) fn limits<'a>(points: impl Iterator<Item = &'a Place> + Clone) -> Limits {
    let reach = |values: &mut dyn Iterator<Item = f64>| {
        let (low, high) = range(values).unwrap_or((0.0, 1.0));
        let room = 0.1 * (high - low);
        (low - room, high + room)
    };
    [
        reach(&mut points.clone().map(|p| p.0)),
        reach(&mut points.clone().map(|p| p.1)),
    ]
}

/// A panel of the plane within `limits`.
pub(super) fn plane(title: impl Into<String>, limits: Limits) -> Panel {
    let [x, y] = [("x₁", limits[0]), ("x₂", limits[1])].map(|(name, (low, high))| Axis::linear(name).limits(low, high));
    Panel::new(title, x, y).equal_units()
}
