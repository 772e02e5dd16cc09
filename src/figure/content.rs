//! What figures show, read back from their SVG: texts, and data at the places that the axes say.

use proptest::prelude::*;

use super::axis::Axis;
use super::chart::{Dot, Panel, Stroke};
use super::comparison::{Comparison, Row};
use super::curves::{Curve, Labels, learning_curves};
use super::drawn::{Drawn, Label, hex};
use super::frame::Point;
use super::gallery::{NAMES, TITLE, comparison, curves, interval, labels, row, rows};
use super::layout::Figure;
use super::sheet::Anchor;
use super::theme::{ColorMap, FAILED, LINE, MODEL, OBSERVED, Page, VARIANTS};

/// Whether two lists of places agree, in units of which a quarter of a pixel is at most `within`.
fn agree(shown: &[Point], expected: &[Point], within: Point) {
    assert_eq!(shown.len(), expected.len(), "{shown:?} {expected:?}");
    for (p, q) in shown.iter().zip(expected) {
        let near = (p.0 - q.0).abs() < within.0 && (p.1 - q.1).abs() < within.1;
        assert!(near, "{p:?} for {q:?}");
    }
}

/// Places as text, three decimals.
fn written(name: &str, places: &[Point]) -> String {
    let places: Vec<String> = places.iter().map(|(x, y)| format!("({x:.3}, {y:.3})")).collect();
    format!("{name}: {}\n", places.join(" "))
}

/// Three variants of three seeds, an oracle on the axis and a baseline beyond it.
fn three_variants() -> Vec<Row> {
    let scores = [[1.200, 1.210, 1.205], [1.220, 1.229, 1.224], [1.240, 1.251, 1.244]];
    let named = scores.iter().zip(NAMES);
    named.map(|(values, name)| row(name, values, 0)).collect()
}

#[test]
fn a_comparison_shows_scores_means_and_intervals_where_its_axis_says() {
    let content = comparison(three_variants(), Some(1.26), Some(0.1));
    let drawn = Drawn::read(&content.draw().unwrap().svg().unwrap());
    // The left panel; a row stands at its name, in equal distances.
    let axes = drawn.axes(0.0, 900.0);
    let x = |pixel: f64| axes.read(0, false, pixel);
    let left = |shape: &&super::drawn::Shape| shape.points[0].0 < 900.0;
    let discs = |radius: f64| {
        drawn
            .discs
            .iter()
            .filter(left)
            .filter(move |disc| (disc.radius - radius).abs() < 0.2)
    };
    let seeds: Vec<f64> = discs(5.5).map(|disc| x(disc.points[0].0)).collect();
    let means: Vec<f64> = discs(9.5).map(|disc| x(disc.points[0].0)).collect();
    let bars = drawn.lines.iter().filter(left).filter(|line| line.color == hex(MODEL));
    let bars: Vec<Point> = bars.map(|line| (x(line.points[0].0), x(line.points[1].0))).collect();
    let scores: Vec<f64> = content
        .rows
        .iter()
        .flat_map(|row| row.scores.iter().map(|score| score.1))
        .collect();
    let flat = |values: &[f64]| -> Vec<Point> { values.iter().map(|value| (*value, 0.0)).collect() };
    agree(&flat(&seeds), &flat(&scores), (1e-4, 1.0));
    let expected: Vec<f64> = content.rows.iter().filter_map(|row| row.mean).collect();
    agree(&flat(&means), &flat(&expected), (1e-4, 1.0));
    let expected: Vec<Point> = content.rows.iter().filter_map(|row| row.interval).collect();
    agree(&bars, &expected, (1e-4, 1e-4));
    let text = drawn.words()
        + &written("seeds", &flat(&seeds))
        + &written("means", &flat(&means))
        + &written("intervals", &bars);
    insta::assert_snapshot!("comparison", text);
}

#[test]
fn learning_curves_pass_through_the_means_of_their_seeds() {
    let content = &curves(3, 4, 1.0);
    let figure = learning_curves(content, Some(1.28236), None, &interval, &labels(TITLE)).unwrap();
    let drawn = Drawn::read(&figure.svg().unwrap());
    let axes = drawn.axes(0.0, 1600.0);
    let mut text = drawn.words();
    for (curve, color) in content.iter().zip(VARIANTS) {
        let longest = drawn
            .lines
            .iter()
            .filter(|line| line.color == hex(color) && line.radius == LINE);
        let longest = longest
            .max_by_key(|line| line.points.len())
            .expect("the curve is drawn");
        let shown: Vec<Point> = longest.points.iter().map(|p| axes.data(*p)).collect();
        let at = |step: usize| -> Vec<f64> { curve.values.iter().map(|seed| seed[step]).collect() };
        let means = (0..curve.steps.len()).map(|i| (curve.steps[i], at(i).iter().sum::<f64>() / 4.0));
        agree(&shown, &means.collect::<Vec<_>>(), (2.0, 5e-4));
        let band = drawn
            .areas
            .iter()
            .find(|area| area.color == hex(color))
            .expect("the band is drawn");
        assert_eq!(band.opacity, 0.18);
        // Along its lower ends and back along its upper ones.
        let ends = (0..curve.steps.len()).map(|i| (curve.steps[i], interval(&at(i)).expect("four seeds")));
        let lower = ends.clone().map(|(step, (low, _))| (step, low));
        let upper = ends.rev().map(|(step, (_, high))| (step, high));
        let shown_band: Vec<Point> = band.points.iter().map(|p| axes.data(*p)).collect();
        agree(&shown_band, &lower.chain(upper).collect::<Vec<_>>(), (2.0, 5e-4));
        text += &written(&curve.name, &shown.into_iter().step_by(10).collect::<Vec<_>>());
    }
    insta::assert_snapshot!("learning_curves", text);
}

#[test]
fn points_and_bars_on_logarithmic_axes_stand_at_their_values() {
    let mut panel = Panel::new("Spread", Axis::log("samples S"), Axis::log("standard error (nats)"));
    let places = [(1.0, 2e-1), (4.0, 9e-2), (16.0, 5e-2), (64.0, 2.4e-2), (1000.0, 6e-3)];
    panel.points(&places, Dot::new(OBSERVED));
    panel.error_bar(250.0, 1.2e-2, Some((1e-2, 1.5e-2)), MODEL);
    panel.line(
        &[(1.0, 2e-1), (1000.0, 2e-1 / 1000f64.sqrt())],
        Stroke::solid(VARIANTS[1]),
    );
    let figure = Figure::new("One over the root", 1, vec![panel]).note("A note.");
    let drawn = Drawn::read(&figure.svg().unwrap());
    let axes = drawn.axes(0.0, 1600.0);
    let read = |p: &Point| (axes.read(0, true, p.0), axes.read(1, true, p.1));
    let of = |shapes: &[super::drawn::Shape], color| -> Vec<Point> {
        let own = shapes.iter().filter(|shape| shape.color == hex(color));
        own.flat_map(|shape| &shape.points).map(read).collect()
    };
    let logs = |places: &[Point]| -> Vec<Point> { places.iter().map(|p| (p.0.log10(), p.1.log10())).collect() };
    agree(&of(&drawn.discs, OBSERVED), &logs(&places), (2e-3, 2e-3));
    agree(&of(&drawn.discs, MODEL), &logs(&[(250.0, 1.2e-2)]), (2e-3, 2e-3));
    agree(
        &of(&drawn.lines, MODEL),
        &logs(&[(250.0, 1e-2), (250.0, 1.5e-2)]),
        (2e-3, 2e-3),
    );
    let line = of(&drawn.lines, VARIANTS[1]);
    agree(
        &line,
        &logs(&[(1.0, 2e-1), (1000.0, 2e-1 / 1000f64.sqrt())]),
        (2e-3, 2e-3),
    );
    let text = drawn.words() + &written("log10 of points", &of(&drawn.discs, OBSERVED));
    insta::assert_snapshot!("logarithmic", text);
}

#[test]
fn the_variants_set_the_axis_of_scores_and_far_references_stand_at_its_edge() {
    let drawn = Drawn::read(
        &comparison(three_variants(), Some(1.26), Some(0.1))
            .draw()
            .unwrap()
            .svg()
            .unwrap(),
    );
    for expected in [
        "← baseline 0.1",
        "oracle 1.26",
        "no difference",
        "reference",
        "test log-likelihood (nats per datum)",
        "difference (nats per datum): better →",
    ] {
        assert!(drawn.says(expected), "{expected}: {}", drawn.words());
    }
    assert!(
        drawn.words().contains("Paired difference from “exact"),
        "{}",
        drawn.words()
    );
    // The means of the left panel fill its axis: a third of the page at least. Means are the larger discs.
    let means = drawn.discs.iter().filter(|disc| disc.radius > 9.0);
    let means: Vec<f64> = means.map(|disc| disc.points[0].0).collect();
    assert_eq!(means.len(), 3 + 2);
    assert!(means[2] - means[0] > 200.0, "{means:?}");
}

#[test]
fn rows_without_a_score_or_an_interval_say_why() {
    let unmeasured = |name: &str, finished| Row {
        name: name.into(),
        finished,
        ..Row::default()
    };
    let rows = vec![
        row("one", &[1.0], 0),
        row("two", &[1.0, 1.1], 2),
        row("same", &[1.5, 1.5, 1.5 + 1e-13], 0),
        row("failed", &[], 3),
        unmeasured("other metric", 3),
        unmeasured("new", 0),
    ];
    let drawn = Drawn::read(&comparison(rows, None, None).draw().unwrap().svg().unwrap());
    for expected in [
        "one seed",
        "2 seeds",
        "2 of 4 seeds failed",
        "same in all 3",
        "all 3 seeds failed",
        "not measured",
        "no finished run",
    ] {
        assert!(drawn.says(expected), "{expected}: {}", drawn.words());
    }
}

#[test]
fn a_diverged_seed_is_named_at_the_edge_of_the_comparison() {
    let rows = vec![row("good", &[1.0, 1.1, 1.2], 0), row("bad", &[1.0, -2e31, 1.2], 0)];
    let drawn = Drawn::read(&comparison(rows, None, None).draw().unwrap().svg().unwrap());
    let note = drawn.labels.iter().find(|label| label.text == "← seed 1: −2×10³¹");
    assert_eq!(note.map(|label| label.fill.as_str()), Some(hex(FAILED.text()).as_str()));
    let seeds = drawn
        .discs
        .iter()
        .filter(|disc| disc.radius < 6.0)
        .map(|disc| disc.points[0].0);
    let (low, high) = super::window::range(seeds.take(5)).unwrap();
    assert!(high - low > 100.0, "{low} {high}");
}

#[test]
fn errors_that_span_decades_have_a_logarithmic_axis() {
    let rows = vec![row("small", &[1e-4, 2e-4], 0), row("large", &[0.9, 1.0], 0)];
    let errors = Comparison {
        larger_is_better: Some(false),
        ..comparison(rows, None, None)
    };
    let drawn = Drawn::read(&errors.draw().unwrap().svg().unwrap());
    assert!(
        drawn.says("10⁻⁴") && drawn.words().contains("← better: difference"),
        "{}",
        drawn.words()
    );
    let axes = drawn.axes(0.0, 900.0);
    let scores = drawn
        .discs
        .iter()
        .filter(|disc| (disc.radius - 5.5).abs() < 0.2)
        .take(4);
    let scores: Vec<Point> = scores.map(|disc| (axes.read(0, true, disc.points[0].0), 0.0)).collect();
    let expected = [1e-4f64, 2e-4, 0.9, 1.0].map(|score| (score.log10(), 0.0));
    agree(&scores, &expected, (5e-3, 1.0));
}

/// In print the text has 7 points or more, keeps apart, and stays on the page; title and caption stand beside it.
#[test]
fn figures_for_print_are_laid_out_anew() {
    let folder = tempfile::tempdir().unwrap();
    let compared = comparison(rows(&curves(5, 10, 0.2)), Some(1.28236), Some(0.655))
        .draw()
        .unwrap();
    let learnt = learning_curves(&curves(6, 10, 0.2), Some(1.28236), None, &interval, &labels(TITLE)).unwrap();
    for figure in [compared, learnt] {
        for (page, inches) in [(Page::Column, 3.3), (Page::Text, 6.75)] {
            let files = figure.clone().page(page).write(&folder.path().join("figure")).unwrap();
            let extensions: Vec<_> = files.iter().filter_map(|file| file.extension()?.to_str()).collect();
            assert_eq!(extensions, ["svg", "png", "txt"]);
            let svg = std::fs::read_to_string(&files[0]).unwrap();
            assert!(svg.starts_with(&format!("<svg width=\"{inches}in\"")), "{}", &svg[..80]);
            assert!(std::fs::read_to_string(&files[2]).unwrap().starts_with(TITLE));
            let points_per_pixel = 72.0 * inches / page.width();
            let drawn = Drawn::read(&svg);
            let readable = |label: &Label| label.size * points_per_pixel > 6.99;
            let inside = |label: &Label| {
                let (start, end) = label.reach();
                label.upwards || start > -0.5 && end < page.width() + 0.5
            };
            assert!(
                drawn.labels.iter().all(|label| readable(label) && inside(label)),
                "{:?}",
                drawn.labels
            );
            assert!(!drawn.words().contains("How close"), "{}", drawn.words());
            let png = std::fs::read(&files[1]).unwrap();
            let width = u32::from_be_bytes([png[16], png[17], png[18], png[19]]);
            assert_eq!(f64::from(width), 300.0 * inches);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Any numbers, even degenerate ones, give a well-formed figure.
    #[test]
    fn no_number_panics(
        values in prop::collection::vec(prop::collection::vec(any::<f64>(), 0..5), 0..4),
        steps in prop::collection::vec(any::<f64>(), 0..5),
        oracle in any::<Option<f64>>(),
        name in "\\PC{0,60}",
        log in any::<bool>(),
    ) {
        let curve = Curve { name: name.clone(), steps, values: values.clone(), failed: 2 };
        let text = Labels { title: name.clone(), caption: name.clone(), x: name.clone(), y: name };
        Drawn::read(&learning_curves(&[curve.clone(), curve], oracle, oracle, &interval, &text).unwrap().svg().unwrap());
        let rows: Vec<Row> = values.iter().map(|values| row(&text.x, values, 0)).collect();
        if !rows.is_empty() {
            Drawn::read(&comparison(rows, oracle, None).draw().unwrap().svg().unwrap());
        }
        let flat: Vec<f64> = values.into_iter().flatten().collect();
        let pairs: Vec<(f64, f64)> = flat.windows(2).map(|w| (w[0], w[1])).collect();
        let axis = || if log { Axis::log("x") } else { Axis::linear("x") };
        let mut panel = Panel::new("t", axis(), axis()).equal_units();
        panel.points(&pairs, Dot::new(MODEL)).line(&pairs, Stroke::oracle()).area(&pairs, MODEL).bars(&flat, &flat, MODEL);
        if let [a, b, c, d, ..] = flat[..] {
            panel.gaussian([a, b], [[c, d], [d, c]], &[1.0], MODEL).circle((a, b), c, MODEL).arrow((a, b), (c, d), Stroke::oracle());
            panel.heat(|x, y| x * y + c, (a, b), (c, d), (3, 4), ColorMap::Viridis).text((a, b), "t", Anchor::End, MODEL);
        }
        Drawn::read(&Figure::new("f", 1, vec![panel]).svg().unwrap());
    }
}
