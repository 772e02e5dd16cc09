//! *latent state from images*: what each variant's posterior makes of images, one variant per row.
//!
//! | panel | shows |
//! |---|---|
//! | film strip | the images of a test sequence; E[o given x] at the means of q of the whole sequence; the same where q sees the first steps only and the model's own transition goes on, without noise, under the true inputs |
//! | map | the means of q of all test sequences in the plane of their two leading principal axes, coloured by one number of the true state |
//!
//! A state that holds all that is needed goes on dreaming the right images; and its map is not folded.

use super::shown::{Shown, shown};
use super::{sentence_case, unexpected};
use crate::Result;
use crate::data::{Batch, Dataset, Splits};
use crate::error::provided;
use crate::figure::axis::Axis;
use crate::figure::chart::{Panel, Stroke};
use crate::figure::layout::Figure;
use crate::figure::theme::ColorMap;
use crate::model::{Carried, Latents};
use crate::runner::{Experiment, Reloaded, reload, summarize};
use candle_core::{DType, Device, Tensor};
use latent_lab_envs::ImageShape;
use nalgebra::{DMatrix, SymmetricEigen};
use std::sync::Arc;

/// The figure's name.
const NAME: &str = "latent_state_from_images";
/// Variants that are drawn, at most.
const VARIANTS: usize = 4;
/// Steps of a test sequence that are drawn, at most.
const STEPS: usize = 24;
/// Images of a film strip, at most: evenly spaced steps.
const IMAGES: usize = 8;
/// The share of the steps that a dream sees.
const SEEN: f64 = 1.0 / 3.0;
/// Draws of q whose mean is shown.
const DRAWS: usize = 64;
/// Dots of a map, at most.
const DOTS: usize = 2500;
/// Blank pixels around an image.
const MARGIN: usize = 1;

/// Draws two panels for each variant.
pub fn draw(experiment: &Experiment) -> Result<Figure> {
    let summary = summarize(experiment)?;
    let shown = shown(experiment, &summary)?;
    let mut panels = Vec::new();
    let (mut coloured, mut length) = (String::new(), 1);
    for shown in shown.iter().take(VARIANTS) {
        let trained = Trained::new(shown)?;
        panels.push(trained.strip()?);
        let (map, name) = trained.map()?;
        panels.push(map);
        (coloured, length) = (name, trained.length);
    }
    let first = shown.first().ok_or_else(|| unexpected(NAME, "a variant"))?;
    Ok(Figure::new(&summary.question, 2, panels)
        .caption(format!(
            "Film strips: {} a test sequence, its images from the mean of q, and a dream: q sees the steps before the line, then the \
             model's transition goes on without noise under the true inputs. Maps: means of q of the test sequences along their two \
             leading principal axes, coloured by {coloured} of the true state, which training never sees. Seed {}.",
            match stride(length) {
                1 => "all steps of".to_owned(),
                stride => format!("every {} step of", ordinal(stride)),
            },
            first.run.address.seed
        ))
        .row_height(420.0))
}

/// Steps from one image of a film strip to the next.
fn stride(length: usize) -> usize {
    length.div_ceil(IMAGES).max(1)
}

/// A number as a rank.
fn ordinal(number: usize) -> String {
    match number {
        2 => "second".to_owned(),
        3 => "third".to_owned(),
        _ => format!("{number}th"),
    }
}

/// A trained run with its test sequences.
struct Trained<'a> {
    shown: &'a Shown<'a>,
    loaded: Reloaded,
    original: Splits,
    shape: ImageShape,
    /// Steps of the first test sequence that are drawn.
    length: usize,
}

impl<'a> Trained<'a> {
    fn new(shown: &'a Shown<'a>) -> Result<Self> {
        let needs = || unexpected(NAME, "test sequences of images whose true states are known");
        let loaded = reload(&shown.run)?;
        let original = shown.run.load_data(&loaded.streams)?;
        let generator = shown.run.spec.data.source.generator();
        let shape = generator
            .and_then(|generator| generator.image_shape())
            .ok_or_else(needs)?;
        let test = original
            .test
            .as_ref()
            .filter(|test| test.states.is_some())
            .ok_or_else(needs)?;
        let first = test
            .lengths
            .as_ref()
            .and_then(|lengths| lengths.first())
            .ok_or_else(needs)?;
        Ok(Self {
            length: (*first).min(STEPS),
            shown,
            loaded,
            original,
            shape,
        })
    }

    fn test(&self) -> Result<&Dataset> {
        provided(self.loaded.splits.test.as_ref(), "test sequences")
    }

    /// The means of q of the sequences of `batch`. `[B, 1, T, X]`
    fn means(&self, batch: &Batch) -> Result<Tensor> {
        let Reloaded {
            model, theta, streams, ..
        } = &self.loaded;
        let joint = model.joint(theta, batch)?;
        let generator = &mut streams.named("figure/images").at(0);
        let draws = self
            .shown
            .run
            .spec
            .posterior
            .draws(joint.as_ref(), theta, 0, generator)?;
        let q = provided(draws.q, "a recognition network")?;
        match q.draw(DRAWS, generator)? {
            Latents::Paths(paths) => Ok(paths.mean_keepdim(1)?),
            other => Err(other.unexpected("paths of states")),
        }
    }

    /// The first steps of the first test sequence.
    fn steps(&self, count: usize) -> Result<Batch> {
        let whole = Batch::whole(self.test()?, self.loaded.theta.dtype(), &Device::Cpu)?.narrow(0, 1)?;
        let part = |tensor: &Tensor| tensor.narrow(0, 0, count);
        Ok(Batch {
            observed: part(&whole.observed)?,
            given: whole.given.as_ref().map(part).transpose()?,
            weights: None,
            lengths: Some(Arc::from([count])),
        })
    }

    /// E[o|x] along a path `[1, 1, T, X]` of the first test sequence: pixels of every step.
    fn decoded(&self, path: &Tensor) -> Result<Vec<Vec<f64>>> {
        let batch = self.steps(path.dim(2)?)?;
        let joint = self.loaded.model.joint(&self.loaded.theta, &batch)?;
        let images = joint.decoded_mean(&Latents::Paths(path.clone()))?; // [1, 1, T, D]
        Ok(images.squeeze(0)?.squeeze(0)?.to_dtype(DType::F64)?.to_vec2()?)
    }

    /// The mean path of q of the first `seen` steps, continued by the transition's means. `[1, 1, T, X]`
    fn dream(&self, seen: usize) -> Result<Tensor> {
        let (head, all) = (self.steps(seen)?, self.steps(self.length)?);
        let (model, theta) = (&self.loaded.model, &self.loaded.theta);
        let begun = self.means(&head)?;
        let joint = model.joint(theta, &head)?;
        let before = provided(joint.sequential(), "paths of states")?.carried(&begun)?;
        let joint = model.joint(theta, &all)?;
        let dynamics = provided(joint.sequential(), "paths of states")?;
        let last = |rows: &Tensor| rows.narrow(0, seen - 1, 1)?.contiguous();
        let mut carried = Carried {
            state: last(&before.state)?,
            deterministic: before.deterministic.as_ref().map(last).transpose()?,
        };
        let mut path = vec![begun.squeeze(0)?.squeeze(0)?];
        for t in seen..self.length {
            let (next, deterministic) = dynamics.transition(t - 1, &carried)?;
            carried = Carried {
                state: next.mean,
                deterministic,
            };
            path.push(carried.state.clone());
        }
        Ok(Tensor::cat(&path, 0)?.unsqueeze(0)?.unsqueeze(0)?)
    }

    /// The last frame of the images of evenly spaced steps: observed, reconstructed, dreamt.
    fn strip(&self) -> Result<Panel> {
        let seen = ((self.length as f64 * SEEN) as usize).clamp(1, self.length);
        let observed = provided(self.original.test.as_ref(), "test sequences")?;
        let observed: Vec<Vec<f64>> = (0..self.length)
            .map(|t| {
                (0..observed.observed.columns())
                    .map(|j| observed.observed.value(t, j))
                    .collect()
            })
            .collect();
        let rows = [
            ("observed", observed),
            ("reconstructed", self.decoded(&self.means(&self.steps(self.length)?)?)?),
            ("dreamt", self.decoded(&self.dream(seen)?)?),
        ];
        let ImageShape { height, width, frames } = self.shape;
        let (across, down) = (width + 2 * MARGIN, height + 2 * MARGIN);
        let names = rows.iter().map(|(name, _)| (*name).to_owned()).collect();
        let steps: Vec<usize> = (0..self.length).step_by(stride(self.length)).collect();
        let count = steps.len();
        let mut panel = Panel::new(
            sentence_case(&self.shown.variant.name),
            Axis::names(Vec::new()).limits(-0.5, count as f64 - 0.5),
            Axis::names(names),
        )
        .equal_units();
        let ink = |x: f64, y: f64| {
            let (column, row) = (((x + 0.5) * across as f64) as usize, ((y + 0.5) * down as f64) as usize);
            let (i, j) = (row % down, column % across);
            let is_inside = (MARGIN..MARGIN + height).contains(&i) && (MARGIN..MARGIN + width).contains(&j);
            let image = rows
                .get(row / down)
                .and_then(|(_, images)| images.get(*steps.get(column / across)?));
            let pixel = ((i.max(MARGIN) - MARGIN) * width + j.max(MARGIN) - MARGIN) * frames + frames - 1;
            match image.filter(|_| is_inside) {
                Some(image) => image.get(pixel).map_or(0.0, |v| v.clamp(0.0, 1.0)),
                None => 0.0,
            }
        };
        let (x, y) = ((-0.5, count as f64 - 0.5), (-0.5, rows.len() as f64 - 0.5));
        let cells = (across * count, down * rows.len());
        panel.heat_to(ink, x, y, cells, 1.0, ColorMap::Density);
        let before = steps.iter().filter(|t| **t < seen).count();
        panel.vertical_line(before as f64 - 0.5, "dreams from here", Stroke::baseline());
        Ok(panel)
    }

    /// The means of q of the test sequences along their two leading principal axes, and the name of what they are coloured by.
    fn map(&self) -> Result<(Panel, String)> {
        let test = self.test()?;
        let states = provided(test.states.as_ref(), "true states")?;
        let batch = Batch::whole(test, self.loaded.theta.dtype(), &Device::Cpu)?;
        let means = self.means(&batch)?.squeeze(1)?.to_dtype(DType::F64)?.to_vec3::<f64>()?; // [B, T, X]
        let lengths = provided(test.lengths.as_ref(), "sequences")?;
        let own = means.into_iter().zip(lengths);
        let rows: Vec<Vec<f64>> = own
            .flat_map(|(steps, length)| steps.into_iter().take(*length))
            .collect();
        let axes = leading(&rows);
        let generator = self.shown.run.spec.data.source.generator();
        let names = generator.map(|generator| generator.state_names()).unwrap_or_default();
        let name = names.first().cloned().unwrap_or_else(|| "the first number".to_owned());
        let values: Vec<f64> = (0..states.rows()).map(|i| states.value(i, 0)).collect();
        let (low, high) = values
            .iter()
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| {
                (low.min(*v), high.max(*v))
            });
        let is_line = rows.first().is_some_and(|row| row.len() == 1);
        let second = if is_line { "—" } else { "second principal axis" };
        let mut panel = Panel::new("Means of q", Axis::linear("first principal axis"), Axis::linear(second));
        let every = rows.len().div_ceil(DOTS).max(1);
        let dots = rows.iter().zip(&values).step_by(every).map(|(row, value)| {
            let along = |axis: &Vec<f64>| axis.iter().zip(row).map(|(a, x)| a * x).sum::<f64>();
            let share = (value - low) / (high - low).max(f64::MIN_POSITIVE);
            ((along(&axes[0]), along(&axes[1])), ColorMap::Viridis.at(share))
        });
        panel.colored_points(&dots.collect::<Vec<_>>(), 3.0);
        Ok((panel, name))
    }
}

/// The two leading eigenvectors of the covariance of rows; the second is 0 where there is one column.
fn leading(rows: &[Vec<f64>]) -> [Vec<f64>; 2] {
    let columns = rows.first().map_or(0, Vec::len);
    let count = rows.len().max(1) as f64;
    let mean = |j: usize| rows.iter().map(|row| row[j]).sum::<f64>() / count;
    let means: Vec<f64> = (0..columns).map(mean).collect();
    let covariance = DMatrix::from_fn(columns, columns, |i, j| {
        rows.iter()
            .map(|row| (row[i] - means[i]) * (row[j] - means[j]))
            .sum::<f64>()
            / count
    });
    if covariance.iter().any(|v| !v.is_finite()) {
        return [vec![0.0; columns], vec![0.0; columns]];
    }
    let eigen = SymmetricEigen::new(covariance);
    let mut order: Vec<usize> = (0..columns).collect();
    order.sort_by(|a, b| eigen.eigenvalues[*b].total_cmp(&eigen.eigenvalues[*a]));
    [0, 1].map(|at| match order.get(at) {
        Some(j) => eigen.eigenvectors.column(*j).iter().copied().collect(),
        None => vec![0.0; columns],
    })
}
