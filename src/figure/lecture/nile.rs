//! *nile*: the level of a river as a latent state. The local level model `o_t = x_t + v_t`, `x_{t+1} = x_t + w_t` of Durbin &
//! Koopman (2012, section 2.2), fitted to a hundred years: level by filter and smoother with 95 % bands, and a forecast.

use super::shown::shown;
use super::trajectory::{Model, path, ribbon};
use crate::data::Source;
use crate::figure::axis::Axis;
use crate::figure::chart::{Dot, Panel, Stroke};
use crate::figure::frame::Point;
use crate::figure::layout::Figure;
use crate::figure::number::fixed;
use crate::figure::theme::{MODEL, OBSERVED, VARIANTS};
use crate::math::kalman::Filtered;
use crate::runner::{Experiment, reload, summarize};
use crate::{Error, Result};

/// Years of forecast.
const AHEAD: usize = 20;

/// Draws the two panels of the first variant.
pub fn draw(experiment: &Experiment) -> Result<Figure> {
    let summary = summarize(experiment)?;
    let shown = shown(experiment, &summary)?;
    let run = match shown.first() {
        Some(shown) if matches!(shown.run.spec.data.source, Source::File(_)) => &shown.run,
        _ => return Err(Error::Data("expected a finished run on the years of the Nile".into())),
    };
    let loaded = reload(run)?;
    let model = Model::new(&loaded)?;
    let sequences = loaded.splits.train.sequences()?;
    let (observed, _) = sequences.rows(0);
    let dots: Vec<Point> = observed
        .iter()
        .enumerate()
        .map(|(t, o)| (t as f64, model.data_units(*o)))
        .filter(|dot| dot.1.is_finite())
        .collect();
    let filtered = Filtered::new(&model.system, &sequences)?;
    let past = model.outputs(&filtered.beliefs(), &sequences, &[]);
    let smooth = model.outputs(&filtered.smooth(), &sequences, &[]);
    let fan = model.forecast(&filtered, sequences.lengths()[0], &[], AHEAD);
    let axes = || (Axis::linear("years since 1871"), Axis::linear("flow (10⁸ m³ per year)"));
    let panel = |title: &str| {
        let (x, y) = axes();
        let mut panel = Panel::new(title, x, y);
        panel.key("observed", OBSERVED).points(&dots, Dot::new(OBSERVED));
        panel
    };
    let mut left = panel("the level, from the years up to then");
    // The first filtered levels still carry the wide p(x₁).
    left.band(&ribbon(&past[1..]), VARIANTS[1].alpha(0.2)).named_line(
        "filter",
        &path(&past),
        Stroke::solid(VARIANTS[1]),
    );
    let mut right = panel("from all years, and a forecast");
    right
        .band(&ribbon(&smooth), MODEL.alpha(0.2))
        .named_line("smoother", &path(&smooth), Stroke::solid(MODEL))
        .band(&ribbon(&fan), VARIANTS[2].alpha(0.2))
        .named_line("forecast", &path(&fan), Stroke::solid(VARIANTS[2]));
    let total: f64 = filtered.log_likelihood().iter().sum();
    let caption = format!(
        "Fitted: observation variance {}, level variance {}, log-likelihood {} nats, with x₁ ~ N(0, 10⁷). In the diffuse limit of \
         ever wider p(x₁) they are 15099 and 1469.1 (Durbin & Koopman 2012).",
        fixed(model.system.emission_noise[(0, 0)], 3),
        fixed(model.system.transition_noise[(0, 0)], 3),
        fixed(total, 5),
    );
    Ok(Figure::new(&experiment.loaded.question, 2, vec![left, right])
        .caption(caption)
        .row_height(600.0))
}
