//! *nile*: the level of a river as a latent state. The local level model `o_t = x_t + v_t`, `x_{t+1} = x_t + w_t` of Durbin &
//! Koopman (2012, section 2.2), fitted to a hundred years: level by filter and smoother with 95 % bands, and a forecast.

use super::shown::shown;
use super::trajectory::{Model, Moment, path, ribbon};
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
/// The first year of the measurements.
const FIRST: f64 = 1871.0;

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
        .map(|(t, o)| (FIRST + t as f64, model.data_units(*o)))
        .filter(|dot| dot.1.is_finite())
        .collect();
    let filtered = Filtered::new(&model.system, &sequences)?;
    let past = model.outputs(&filtered.beliefs(), &sequences, &[]);
    let smooth = model.outputs(&filtered.smooth(), &sequences, &[]);
    let fan = model.forecast(&filtered, sequences.lengths()[0], &[], AHEAD);
    let [past, smooth, fan] = [past, smooth, fan].map(in_years);
    // The first filtered levels still have nearly the variance of the wide p(x₁).
    let bands = [ribbon(&past[1..]), ribbon(&smooth), ribbon(&fan)];
    let panel = |title: &str| {
        let mut panel = Panel::new(title, Axis::years("year"), Axis::linear("flow (10⁸ m³ per year)"));
        // Both panels have the same axes.
        for (year, low, high) in bands.iter().flatten() {
            panel.include(Some(*year), Some(*low)).include(None, Some(*high));
        }
        panel.key("observed", OBSERVED).points(&dots, Dot::new(OBSERVED));
        panel
    };
    let mut left = panel("Filtered level (past years)");
    left.band(&bands[0], VARIANTS[1].alpha(0.2))
        .named_line("filter", &path(&past), Stroke::solid(VARIANTS[1]));
    let mut right = panel("Smoothed level (all years), and a forecast");
    right
        .band(&bands[1], MODEL.alpha(0.2))
        .named_line("smoother", &path(&smooth), Stroke::solid(MODEL))
        .band(&bands[2], VARIANTS[2].alpha(0.2))
        .named_line("forecast", &path(&fan), Stroke::solid(VARIANTS[2]));
    let total: f64 = filtered.log_likelihood().iter().sum();
    let caption = format!(
        "Bands hold 95 %. Fitted: observation variance {}, level variance {}, log-likelihood {} nats, with x₁ ~ N(0, 10⁷). In the diffuse limit of \
         ever wider p(x₁) they are 15099 and 1469.1 (Durbin & Koopman 2012).",
        fixed(model.system.emission_noise[(0, 0)], 3),
        fixed(model.system.transition_noise[(0, 0)], 3),
        fixed(total, 5),
    );
    Ok(Figure::new(&experiment.loaded.question, 2, vec![left, right])
        .caption(caption)
        .row_height(600.0))
}

/// Moments whose time is the calendar year.
fn in_years(moments: Vec<Moment>) -> Vec<Moment> {
    let in_years = |moment: Moment| Moment {
        time: FIRST + moment.time,
        ..moment
    };
    moments.into_iter().map(in_years).collect()
}
