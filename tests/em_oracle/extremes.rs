//! Extreme data: huge and tiny scales, rows far from every component, constant columns, components without rows.

use super::*;
use latent_lab::math::initial::reseed;

#[test]
fn extremes_stay_finite() {
    let mut rng = generator(9);
    let floor = Floor::default();
    for covariance in KINDS {
        // More components than points; all but one point the same; one point far away; fifty columns of six rows.
        let few = Tables {
            y: vec![0.0, 1.0, 3.0],
            x: vec![],
            w: vec![1.0; 3],
            c: 0,
            d: 1,
        };
        let same = Tables {
            y: vec![2.0; 40].into_iter().chain([3.0]).collect(),
            x: vec![],
            w: vec![1.0; 41],
            c: 0,
            d: 1,
        };
        let mut far = Tables::random(50, 0, 2, &mut rng);
        far.y[0] = 1e12;
        let wide = Tables {
            y: uniform(300, -1.0, 1.0, &mut rng),
            x: vec![],
            w: vec![1.0; 6],
            c: 0,
            d: 50,
        };
        for (tables, k) in [(few, 5), (same, 3), (far, 3), (wide, 2)] {
            let data = tables.observations();
            let start = initial(&data, k, covariance, &floor, &mut rng).unwrap();
            let (s, _) = climb(&data, start, &floor, Fixed::default(), 20);
            assert!(s.log_likelihood.is_finite() && s.moments.iter().all(|m| m.is_finite()));
        }
    }
}

#[test]
fn a_point_far_from_every_component_has_finite_responsibilities() {
    let tables = Tables {
        y: vec![0.0, 1.0, 1e150],
        x: vec![],
        w: vec![1.0; 3],
        c: 0,
        d: 1,
    };
    let mut mixture = random_mixture(&tables, 2, Covariance::Full, &mut generator(10));
    mixture.covariances.fill(1e-20);
    let s = sweep(&tables.observations(), &mixture, EStep::Exact, 1).unwrap();
    assert!(s.moments.iter().all(|m| m.is_finite()));
    approx::assert_relative_eq!(s.counts.iter().sum::<f64>(), 3.0, epsilon = 1e-12);
    assert_eq!(s.log_likelihood, f64::NEG_INFINITY);
}

#[test]
fn constant_columns_are_named_and_an_absolute_floor_admits_them() {
    let tables = Tables {
        y: vec![0.1, 0.3, 0.2, 0.3, 0.4, 0.3],
        x: vec![],
        w: vec![1.0; 3],
        c: 0,
        d: 2,
    };
    let data = tables.observations();
    for covariance in KINDS {
        let start = |floor: &Floor| initial(&data, 2, covariance, floor, &mut generator(12));
        let fault = start(&Floor::default()).unwrap_err().to_string();
        assert!(fault.contains("observed column 1 is constant at 0.3"), "{fault}");
        let floor = Floor {
            absolute: 1e-4,
            ..Floor::default()
        };
        let (s, _) = climb(&data, start(&floor).unwrap(), &floor, Fixed::default(), 10);
        assert!(s.log_likelihood.is_finite());
    }
    // A constant input column is harmless: its coefficient is 0.
    let tables = Tables {
        y: vec![0.0, 1.0, 3.0, 2.0],
        x: vec![0.3; 4],
        w: vec![1.0; 4],
        c: 1,
        d: 1,
    };
    let one = initial(
        &tables.observations(),
        1,
        Covariance::Full,
        &Floor::default(),
        &mut generator(13),
    )
    .unwrap();
    assert_eq!(one.coefficients[0], 0.0);
    approx::assert_relative_eq!(one.coefficients[1], 1.5);
}

#[test]
fn dead_components_are_reported_and_reset() {
    let mut rng = generator(14);
    let tables = Tables::random(200, 0, 2, &mut rng);
    let data = tables.observations();
    let floor = Floor::default();
    let mut mixture = initial(&data, 3, Covariance::Full, &floor, &mut rng).unwrap();
    // Component 1 explains nothing; component 2 sits on a single point.
    mixture.coefficients[2..4].fill(1e6);
    mixture.coefficients[4..6].copy_from_slice(&tables.y[..2]);
    mixture.covariances[8..12].copy_from_slice(&[1e-9, 0.0, 0.0, 1e-9]);
    let s = sweep(&data, &mixture, EStep::Exact, 1).unwrap();
    let update = maximize(&s, &mixture, Fixed::default(), &floor).unwrap();
    assert_eq!(
        update.events,
        [Event::Empty { component: 1 }, Event::Collapsed { component: 2 }]
    );
    let mut again = update.mixture;
    reseed(&data, &mut again, &update.events, &floor, &mut rng).unwrap();
    approx::assert_relative_eq!(again.weights.iter().sum::<f64>(), 1.0, epsilon = 1e-12);
    let (s, events) = climb(&data, again, &floor, Fixed::default(), 10);
    assert!(
        events.is_empty() && s.counts.iter().all(|n| *n > 3.0),
        "{events:?} {:?}",
        s.counts
    );
}
