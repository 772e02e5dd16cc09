//! Densities of the plane in the data's own units: a mixture of Gaussians restored from a run, its points, and the
//! generator's own Gaussians as the oracle.
//!
//! A model may see standardised columns `u = (x − m)/s`. Then `μ_x = m + s μ_u`, `Σ_x = S Σ_u S` with `S = diag s`, and
//! `log p(x) = log p(u) − Σ_j log s_j`.

use super::shown::Shown;
use crate::data::standardize::Columns;
use crate::data::{Source, Table};
use crate::figure::axis::Axis;
use crate::figure::chart::{Panel, Stroke};
use crate::figure::theme::{Color, MODEL, mix, variant};
use crate::figure::window::range;
use crate::model::MixtureRows;
use crate::runner::{Reloaded, reload};
use crate::{Error, Result};
use latent_lab_envs::{GaussianBlob, ThreeClusters};

/// Ellipses are drawn at so many standard deviations.
pub(super) const DEVIATIONS: [f64; 2] = [1.0, 2.0];

/// A mixture of Gaussians of the plane with the points it was fitted to.
pub(super) struct Plane {
    /// The training points, in the data's units.
    pub points: Vec<[f64; 2]>,
    mixture: MixtureRows,
    units: Columns,
}

/// One Gaussian of the plane.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Gaussian {
    pub weight: f64,
    pub mean: [f64; 2],
    pub covariance: [[f64; 2]; 2],
}

impl Gaussian {
    /// The point of its ellipse of `r` standard deviations in the direction `angle` (rad) of a circle before stretching.
    pub fn at(&self, r: f64, angle: f64) -> [f64; 2] {
        let [[a, b], [_, d]] = self.covariance;
        let (sin, cos) = angle.sin_cos();
        let l = a.sqrt();
        let below = (d - b * b / a).max(0.0).sqrt();
        [
            self.mean[0] + r * l * cos,
            self.mean[1] + r * (b / l * cos + below * sin),
        ]
    }

    /// The direction, of length 1, in which the density falls fastest at `x`.
    pub fn outwards(&self, x: [f64; 2]) -> [f64; 2] {
        let [[a, b], [_, d]] = self.covariance;
        let (u, v) = (x[0] - self.mean[0], x[1] - self.mean[1]);
        let (p, q) = (d * u - b * v, a * v - b * u); // Σ⁻¹ (x − μ), up to det Σ
        [p / p.hypot(q), q / p.hypot(q)]
    }

    /// The distance of `x` from the mean, in standard deviations (Mahalanobis).
    pub fn deviations_to(&self, x: [f64; 2]) -> f64 {
        let [[a, b], [_, d]] = self.covariance;
        let (u, v) = (x[0] - self.mean[0], x[1] - self.mean[1]);
        ((d * u * u - 2.0 * b * u * v + a * v * v) / (a * d - b * b)).sqrt()
    }
}

impl Plane {
    /// From a run of a density with two columns.
    ///
    /// # Errors
    /// If the run has other columns.
    pub fn of(run: &Reloaded) -> Result<Self> {
        let (train, units) = (&run.splits.train, &run.splits.standardization.observed);
        let columns = train.observed.columns();
        if train.given.is_some() || columns != 2 {
            return Err(Error::Data(format!(
                "the figure shows points of the plane: expected 2 observed columns and none given, came {columns}; try \
                 `data.source` = \"gaussian_blob\" or \"three_clusters\""
            )));
        }
        let mut values = train.observed.values().to_vec();
        units.invert(&mut values);
        Ok(Self {
            points: values.chunks_exact(2).map(|x| [x[0], x[1]]).collect(),
            mixture: run.model.predict(&run.theta, None)?,
            units: units.as_ref().clone(),
        })
    }

    /// The components in the order of the model.
    pub fn gaussians(&self) -> Vec<Gaussian> {
        let s = |j: usize| self.units.scale().get(j).copied().unwrap_or(1.0);
        let component = |k: usize| {
            let mut mean = [0, 1].map(|j| self.mixture.component_mean(0, k)[j]);
            self.units.invert(&mut mean);
            let sigma = self.mixture.covariance(0, k);
            Gaussian {
                weight: self.mixture.log_weights(0)[k].exp(),
                mean,
                covariance: [0, 1].map(|i| [0, 1].map(|j| s(i) * sigma[2 * i + j] * s(j))),
            }
        };
        (0..self.mixture.components()).map(component).collect()
    }

    /// `p(x)`, per unit of area.
    pub fn density(&self, x: [f64; 2]) -> f64 {
        (self.mixture.log_prob(0, &self.seen(x)) - self.units.log_scale()).exp()
    }

    /// `p(z|x)`. `[K]`
    pub fn responsibilities(&self, x: [f64; 2]) -> Vec<f64> {
        self.mixture.responsibilities(0, &self.seen(x))
    }

    /// A point as the model sees it.
    fn seen(&self, x: [f64; 2]) -> Vec<f64> {
        let mut row = Table::new(x.to_vec(), 2);
        self.units.apply(&mut row);
        row.values().to_vec()
    }

    /// A panel with the points coloured by `p(z|x)`, the ellipses of all components, and those of `truth` dashed.
    /// `colors[k]` is that of component k.
    pub fn panel(&self, title: String, truth: &[Gaussian], colors: &[Color], [x, y]: [Axis; 2]) -> Panel {
        let mut panel = Panel::new(title, x, y).equal_units();
        let colored = self.points.iter().map(|x| {
            let color = mix(colors, &self.responsibilities(*x));
            ((x[0], x[1]), color.alpha(0.6))
        });
        panel.colored_points(&colored.collect::<Vec<_>>(), 5.5);
        for (gaussian, color) in self.gaussians().iter().zip(colors) {
            panel.gaussian(gaussian.mean, gaussian.covariance, &DEVIATIONS, *color);
        }
        draw_truth(&mut panel, truth);
        panel
    }
}

/// One panel for each shown run by `panel`, from the run, its plane, the generator's Gaussians and axes that all share.
pub(super) fn panels(
    shown: &[Shown],
    panel: impl Fn(&Shown, &Plane, &[Gaussian], [Axis; 2]) -> Panel,
) -> Result<Vec<Panel>> {
    let planes = shown
        .iter()
        .map(|shown| Plane::of(&reload(&shown.run)?))
        .collect::<Result<Vec<_>>>()?;
    let truth = shown
        .first()
        .map_or(Vec::new(), |shown| truth(&shown.run.spec.data.source));
    let axes = axes(&planes, &truth);
    let pairs = shown.iter().zip(&planes);
    Ok(pairs
        .map(|(shown, plane)| panel(shown, plane, &truth, axes.clone()))
        .collect())
}

/// Axes that hold the points and ellipses of all `planes`: panels beside each other share them.
pub(super) fn axes(planes: &[Plane], truth: &[Gaussian]) -> [Axis; 2] {
    let gaussians = || planes.iter().flat_map(Plane::gaussians).chain(truth.iter().copied());
    [("x₁", 0), ("x₂", 1)].map(|(name, i)| {
        let ellipses = gaussians().flat_map(|gaussian| {
            let reach = DEVIATIONS[1] * gaussian.covariance[i][i].sqrt();
            [gaussian.mean[i] - reach, gaussian.mean[i] + reach]
        });
        let points = planes.iter().flat_map(|plane| plane.points.iter().map(|x| x[i]));
        let (low, high) = range(points.chain(ellipses)).unwrap_or((0.0, 1.0));
        let room = 0.06 * (high - low);
        Axis::linear(name).limits(low - room, high + room)
    })
}

/// One colour per component, in the order of the model; a single Gaussian is the model itself.
pub(super) fn colors(components: usize) -> Vec<Color> {
    match components {
        1 => vec![MODEL],
        _ => (0..components).map(|k| variant(k).0).collect(),
    }
}

/// The generator's own Gaussians; none if its density is not a mixture of few Gaussians.
pub(super) fn truth(source: &Source) -> Vec<Gaussian> {
    if let Some(blob) = source.get::<GaussianBlob>() {
        return vec![Gaussian {
            weight: 1.0,
            mean: blob.mean,
            covariance: blob.covariance,
        }];
    }
    let Some(clusters) = source.get::<ThreeClusters>() else {
        return Vec::new();
    };
    let total: f64 = clusters.weights.iter().sum();
    let cluster = |k: usize| {
        let [d, e] = clusters.deviations[k];
        Gaussian {
            weight: clusters.weights[k] / total,
            mean: clusters.means[k],
            covariance: [[d * d, 0.0], [0.0, e * e]],
        }
    };
    (0..3).map(cluster).collect()
}

/// The ellipses of the generator's own Gaussians, dashed.
pub(super) fn draw_truth(panel: &mut Panel, truth: &[Gaussian]) {
    for gaussian in truth {
        panel.ellipses(gaussian.mean, gaussian.covariance, &DEVIATIONS, Stroke::oracle());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::DataConfig;
    use crate::math::streams::Streams;
    use crate::model::ModelConfig;
    use candle_core::{DType, Device};
    use std::path::Path;

    fn plane(standardize: bool) -> Plane {
        let data: DataConfig = toml::from_str(&format!(
            "source = \"gaussian_blob\"\ntrain = 50\ncovariance = [[9.0, 1.0], [1.0, 0.25]]\nstandardize = {standardize}"
        ))
        .unwrap();
        let streams = Streams::new(1);
        let splits = data.load(Path::new(""), &streams).unwrap();
        let model = toml::from_str::<ModelConfig>("kind = \"gaussian\"")
            .unwrap()
            .build(&splits.train)
            .unwrap();
        let theta = model
            .initial(&splits.train, &streams, 0, DType::F64, &Device::Cpu)
            .unwrap();
        Plane::of(&Reloaded {
            model,
            theta,
            splits,
            streams,
        })
        .unwrap()
    }

    /// One Gaussian fitted in closed form is the same density whether or not the columns were standardised.
    #[test]
    fn standardised_columns_come_back_in_the_units_of_the_data() {
        let (raw, scaled) = (plane(false), plane(true));
        let (a, b) = (raw.gaussians()[0], scaled.gaussians()[0]);
        for i in 0..2 {
            assert!((a.mean[i] - b.mean[i]).abs() < 1e-9);
            for j in 0..2 {
                assert!((a.covariance[i][j] - b.covariance[i][j]).abs() < 1e-9);
            }
        }
        for (p, q) in raw.points.iter().zip(&scaled.points) {
            assert!((p[0] - q[0]).abs() < 1e-9 && (p[1] - q[1]).abs() < 1e-9);
            assert!((raw.density(*p) / scaled.density(*p) - 1.0).abs() < 1e-9);
        }
    }

    #[test]
    fn ellipses_lie_at_their_number_of_standard_deviations() {
        let gaussian = Gaussian {
            weight: 1.0,
            mean: [1.0, -2.0],
            covariance: [[4.0, -1.5], [-1.5, 1.0]],
        };
        for step in 0..12 {
            let x = gaussian.at(1.7, f64::from(step));
            assert!((gaussian.deviations_to(x) - 1.7).abs() < 1e-12, "{x:?}");
        }
        // The outward direction is perpendicular to the ellipse.
        let ([x, y], [p, q]) = (gaussian.at(1.7, 1.0 + 1e-6), gaussian.at(1.7, 1.0 - 1e-6));
        let [u, v] = gaussian.outwards(gaussian.at(1.7, 1.0));
        assert!(((x - p) * u + (y - q) * v).abs() < 1e-10 && (u.hypot(v) - 1.0).abs() < 1e-12);
        // Along x₁ the ellipse reaches exactly r marginal standard deviations.
        assert!((gaussian.at(1.7, 0.0)[0] - (1.0 + 1.7 * 2.0)).abs() < 1e-12);
    }
}
