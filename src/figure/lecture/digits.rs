//! Digits from a latent variable: the 64 pixels are independent given z, but p(x) = ∫ p(x|z) p(z) dz models whole
//! digits.
//!
//! | row | image | at |
//! |---|---|---|
//! | test images | x itself | |
//! | reconstructed | `E[x given z]` | the mean of q(z given x) of the image above |
//! | first → second | `E[x given z]` | equal steps along the line between the means of two test images |
//! | sampled | `E[x given z]` | z ~ p(z) |
//!
//! Beside them, `E[x|z]` on a grid over the plane of a two-dimensional latent.

use super::shown::{Shown, nats, shown};
use super::{sentence_case, unexpected};
use crate::Result;
use crate::data::Batch;
use crate::figure::axis::Axis;
use crate::figure::chart::Panel;
use crate::figure::layout::Figure;
use crate::figure::theme::ColorMap;
use crate::model::{Joint, Latents};
use crate::runner::{Experiment, Reloaded, reload, summarize};
use candle_core::{DType, Tensor};

/// Side of an image, pixels.
const SIDE: usize = 8;
/// The same with a blank margin.
const CELL: usize = SIDE + 2;
/// Images in a row of the montage.
const COLUMNS: usize = 8;
/// Rows of sampled images.
const SAMPLED: usize = 4;
/// Images along each side of the plane.
const PLANE: usize = 12;
/// How far the plane reaches along each axis, in standard deviations of p(z).
const REACH: f64 = 2.4;

/// The expected pixels, row by row from the top left.
type Image = Vec<f64>;

/// Draws the figure from finished runs.
pub fn draw(experiment: &Experiment) -> Result<Figure> {
    let summary = summarize(experiment)?;
    let shown = shown(experiment, &summary)?;
    let [many, two] = &shown[..] else {
        return Err(unexpected(
            "digits",
            "two variants: a latent of many dimensions, then one of two",
        ));
    };
    let metric = |shown: &Shown| {
        let exact = "test/log_likelihood_grid";
        match shown.variant.summary.contains_key(exact) {
            true => format!("log p(x) {}", nats(shown.variant, exact)),
            false => format!("log p(x) above {}", nats(shown.variant, "test/log_likelihood_bound")),
        }
    };
    let seeds = many.variant.seeds.len();
    Ok(Figure::new(&summary.question, 2, vec![montage(many)?, plane(two)?])
        .caption(format!(
            "{}: {}. {}: {}. Per image of the test set, mean over {seeds} seeds with 95 % interval; drawn is seed {}. \
                 Ink is the probability of a dark pixel.",
            sentence_case(&many.variant.name),
            metric(many),
            sentence_case(&two.variant.name),
            metric(two),
            many.run.address.seed
        ))
        .row_height(760.0))
}

/// A trained run with some of its test images.
struct Trained<'a> {
    shown: &'a Shown<'a>,
    loaded: Reloaded,
    /// The first test images. `[COLUMNS, 64]`
    rows: Batch,
}

impl<'a> Trained<'a> {
    fn new(shown: &'a Shown<'a>) -> Result<Self> {
        let loaded = reload(&shown.run)?;
        let test = loaded.splits.test.as_ref();
        let images = test.filter(|test| test.observed.columns() == SIDE * SIDE && test.len() >= COLUMNS);
        let images = images.ok_or_else(|| unexpected("digits", "eight test images of 8×8 pixels"))?;
        let rows = Batch::whole(images, loaded.theta.dtype(), &loaded.theta.device())?.narrow(0, COLUMNS)?;
        Ok(Self { shown, loaded, rows })
    }

    fn joint(&self) -> Result<Box<dyn Joint + '_>> {
        self.loaded.model.joint(&self.loaded.theta, &self.rows)
    }

    /// The mean of q(z|x) of every test image. `[COLUMNS, Z]`
    fn encoded(&self) -> Result<Tensor> {
        let generator = &mut self.loaded.streams.named("figure/encoded").at(0);
        let draws = (self.shown.run.spec.posterior).draws(self.joint()?.as_ref(), &self.loaded.theta, 0, generator)?;
        match draws.q.as_ref().and_then(|q| q.mean()) {
            Some(mean) => Ok(mean.clone()),
            None => Err(unexpected("digits", "`posterior.kind = \"amortised\"`")),
        }
    }

    /// E[x|z] at points `[N, Z]`.
    fn decoded(&self, z: &Tensor) -> Result<Vec<Image>> {
        let points = Latents::Continuous(z.unsqueeze(0)?); // [1, N, Z]
        let images = self.joint()?.decoded_mean(&points)?.squeeze(0)?; // [N, 64]
        Ok(images.to_dtype(DType::F64)?.to_vec2()?)
    }

    /// Samples from the prior. `[count, Z]`
    fn imagined(&self, count: usize) -> Result<Tensor> {
        let generator = &mut self.loaded.streams.named("figure/imagined").at(0);
        match self.joint()?.sample_latents(count, generator)? {
            Latents::Continuous(z) => Ok(z.get(0)?),
            _ => Err(unexpected("digits", "a continuous latent")),
        }
    }
}

/// Test images, their reconstructions, interpolations between two of them, and samples.
fn montage(shown: &Shown) -> Result<Panel> {
    let trained = Trained::new(shown)?;
    let encoded = trained.encoded()?;
    let between = |from: usize, to: usize| -> Result<Vec<Image>> {
        let (a, b) = (encoded.get(from)?, encoded.get(to)?);
        let step = |i: usize| -> Result<Tensor> {
            let share = i as f64 / (COLUMNS - 1) as f64;
            Ok(((&a * (1.0 - share))? + (&b * share)?)?)
        };
        let line = (0..COLUMNS).map(step).collect::<Result<Vec<_>>>()?;
        trained.decoded(&Tensor::stack(&line, 0)?)
    };
    let mut rows = vec![
        ("test images", trained.rows.observed.to_dtype(DType::F64)?.to_vec2()?),
        ("reconstructed", trained.decoded(&encoded)?),
        ("first → second", between(0, 1)?),
        ("third → fourth", between(2, 3)?),
    ];
    let sampled = trained.decoded(&trained.imagined(SAMPLED * COLUMNS)?)?;
    rows.extend(sampled.chunks(COLUMNS).map(|row| ("sampled", row.to_vec())));
    let names = rows.iter().map(|(name, _)| (*name).to_owned()).collect();
    let mut panel = Panel::new(
        sentence_case(&shown.variant.name),
        Axis::names(Vec::new()).limits(0.0, COLUMNS as f64),
        Axis::names(names),
    )
    .equal_units();
    let ink = |x: f64, y: f64| {
        // Rows of images are labelled at their middle.
        let (across, down) = ((x * CELL as f64) as usize, ((y + 0.5) * CELL as f64) as usize);
        pixel(&rows[down / CELL].1[across / CELL], across % CELL, down % CELL)
    };
    let (x, y) = ((0.0, COLUMNS as f64), (-0.5, rows.len() as f64 - 0.5));
    let cells = (CELL * COLUMNS, CELL * rows.len());
    panel.heat_to(ink, x, y, cells, 1.0, ColorMap::Density);
    Ok(panel)
}

/// The ink at a place of an image's cell; its margin is blank.
fn pixel(image: &Image, across: usize, down: usize) -> f64 {
    let margin = (CELL - SIDE) / 2;
    let inside = |place: usize| (margin..margin + SIDE).contains(&place);
    match inside(across) && inside(down) {
        true => image[(down - margin) * SIDE + across - margin],
        false => 0.0,
    }
}

/// E[x|z] on a grid of the plane.
fn plane(shown: &Shown) -> Result<Panel> {
    let trained = Trained::new(shown)?;
    if trained.encoded()?.dim(1)? != 2 {
        return Err(unexpected("digits", "a second variant with two latent dimensions"));
    }
    let middle = |i: usize| REACH * (2.0 * (i as f64 + 0.5) / PLANE as f64 - 1.0);
    // From the bottom left, row by row.
    let points = (0..PLANE * PLANE).flat_map(|i| [middle(i % PLANE), middle(i / PLANE)]);
    let theta = &trained.loaded.theta;
    let z = Tensor::from_iter(points, &theta.device())?.to_dtype(theta.dtype())?;
    let images = trained.decoded(&z.reshape((PLANE * PLANE, 2))?)?;
    let place = |v: f64| ((v / REACH + 1.0) / 2.0 * (PLANE * CELL) as f64) as usize;
    let ink = |x: f64, y: f64| {
        let (across, up) = (place(x), place(y));
        let image = &images[up / CELL * PLANE + across / CELL];
        pixel(image, across % CELL, CELL - 1 - up % CELL)
    };
    let limits = (-REACH, REACH);
    let mut panel = Panel::new(
        format!("{}: E[x|z] at each z", sentence_case(&shown.variant.name)),
        Axis::linear("z₁").limits(-REACH, REACH),
        Axis::linear("z₂").limits(-REACH, REACH),
    )
    .equal_units();
    let cells = (PLANE * CELL, PLANE * CELL);
    panel.heat_to(ink, limits, limits, cells, 1.0, ColorMap::Density);
    Ok(panel)
}
