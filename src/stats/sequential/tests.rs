//! Tests of the sequential sign-flip test: its errors over all patterns of signs, its findings, and its looks over files.

use super::*;
use crate::math::streams::Streams;
use rand_distr::{Distribution, StandardNormal};

fn plan(max_pairs: usize) -> SequentialPlan {
    SequentialPlan {
        level: 0.95,
        difference: None,
        max_pairs,
        comparisons: 1,
    }
}

fn pairs(values: &[f64]) -> Vec<(u64, f64)> {
    (0..).zip(values.iter().copied()).collect()
}

fn normal(n: usize, seed: u64, effect: f64) -> Vec<f64> {
    let generator = &mut Streams::new(seed).named("differences").at(0);
    let normal = StandardNormal.sample_iter(generator).take(n);
    normal.map(|x: f64| x + effect).collect()
}

/// The finding after looks at these numbers of pairs.
fn follow(plan: SequentialPlan, values: &[f64], looks: &[usize]) -> (Finding, usize) {
    let mut test = Sequential::new(plan);
    for &n in looks {
        if test.look(&pairs(&values[..n]), false).is_final() {
            break;
        }
    }
    (test.finding(), test.looks().last().map_or(0, |look| look.pairs))
}

/// Over all 2ⁿ patterns of signs of given sizes, the share that any look rejects is at most α, and nearly α.
#[test]
fn errors_are_bounded_over_all_patterns_of_signs() {
    let n = 12;
    let sizes: Vec<f64> = normal(n, 3, 0.0).iter().map(|d| d.abs()).collect();
    for level in [0.95, 0.8] {
        let plan = SequentialPlan { level, ..plan(n) };
        let rejected = (0..1u32 << n).filter(|signs| {
            let signed = sizes.iter().enumerate();
            let values: Vec<f64> = signed.map(|(i, d)| if signs >> i & 1 == 1 { *d } else { -d }).collect();
            matches!(follow(plan, &values, &[4, 8, 12]).0, Finding::Higher | Finding::Lower)
        });
        let rate = rejected.count() as f64 / f64::from(1u32 << n);
        let error = 1.0 - level;
        assert!(rate <= error + 1e-9 && rate > 0.9 * error, "{rate} against {error}");
    }
}

#[test]
fn a_single_look_is_the_fixed_test() {
    for seed in 0..40 {
        let values = normal(14, seed, 0.6);
        let p = crate::stats::sign_flip(&values).p_value;
        // Rounding to cells moves the p-value a little.
        if (p - 0.05).abs() > 0.004 {
            let decided = follow(plan(14), &values, &[14]).0 != Finding::Undecided;
            assert_eq!(decided, p <= 0.05, "p = {p}");
        }
    }
}

#[test]
fn a_large_difference_ends_early_and_keeps_its_finding() {
    let looks = [5, 10, 15, 20, 25, 30];
    let values = normal(30, 1, 3.0);
    assert_eq!(follow(plan(30), &values, &looks), (Finding::Higher, 10));
    let negative: Vec<f64> = values.iter().map(|d| -d).collect();
    assert_eq!(follow(plan(30), &negative, &looks), (Finding::Lower, 10));
    let mut test = Sequential::new(plan(30));
    test.look(&pairs(&values[..10]), false);
    let decided = test.clone();
    assert_eq!(test.look(&pairs(&[-100.0; 30]), true), Finding::Higher);
    assert_eq!(test, decided, "a decided comparison is never reopened");
}

#[test]
fn ends_undecided_negligible_or_the_same() {
    let looks = [10, 20, 30, 40];
    let values = normal(40, 5, 0.0);
    assert_eq!(follow(plan(40), &values, &looks), (Finding::Undecided, 40));
    let wide = SequentialPlan {
        difference: Some(2.0),
        ..plan(40)
    };
    assert_eq!(follow(wide, &values, &looks), (Finding::Negligible, 10));
    assert_eq!(follow(plan(40), &[0.0; 40], &looks), (Finding::Same, 10));
    assert_eq!(follow(plan(40), &[2.5; 40], &looks), (Finding::Same, 10));
    // Failed runs leave fewer pairs than planned: the last look spends the rest.
    let mut test = Sequential::new(plan(30));
    test.look(&pairs(&normal(6, 2, 4.0)), false);
    assert_eq!(test.finding(), Finding::Open);
    assert_eq!(test.look(&pairs(&normal(6, 2, 4.0)), true), Finding::Higher);
    assert_eq!(test.looks().len(), 1);
    assert_eq!(Sequential::new(plan(30)).look(&[], true), Finding::Undecided);
}

/// As with Holm's correction, a comparison that is decided leaves its error to the others; with none decided each
/// has α/m.
#[test]
fn comparisons_are_decided_together() {
    let plan = SequentialPlan {
        comparisons: 2,
        ..plan(12)
    };
    let clear = normal(12, 1, 3.0);
    // A comparison that needs the whole error.
    let weak = (0..).map(|seed| normal(12, seed, 0.6)).find(|weak| {
        let p = crate::stats::sign_flip(weak).p_value;
        (0.03..0.045).contains(&p)
    });
    let weak = weak.expect("such differences are common");
    let look = |first: &[f64]| {
        let mut tests = vec![Sequential::new(plan); 2];
        look_together(&mut tests, &[pairs(first), pairs(&weak)], true);
        [tests[0].finding(), tests[1].finding()].map(|finding| finding == Finding::Undecided)
    };
    assert_eq!(look(&clear), [false, false]);
    assert_eq!(look(&normal(12, 2, 0.0)), [true, true]);
}

/// A stopped process reads its looks back and goes on as if it had never stopped.
#[test]
fn looks_survive_a_file() {
    let values = normal(30, 9, 0.5);
    let mut test = Sequential::new(plan(30));
    let mut other = test.clone();
    for n in [7, 14, 21, 30] {
        test.look(&pairs(&values[..n]), false);
        other = serde_json::from_str(&serde_json::to_string(&other).unwrap()).unwrap();
        other.look(&pairs(&values[..n]), false);
        assert_eq!(test, other);
    }
    // The seeds keep the order of the looks.
    let mut late = Sequential::new(plan(30));
    late.look(&[(3, 1.0), (4, 2.0)], false);
    late.look(&[(0, 5.0), (3, 9.0), (4, 2.0)], false);
    assert_eq!(
        (late.seeds.as_slice(), late.differences[0]),
        ([3, 4, 0].as_slice(), 1.0)
    );
}

#[test]
fn the_repeated_interval_agrees_with_the_decision() {
    for (seed, effect) in [(0, 0.0), (1, 0.4), (2, 0.9), (3, -1.5)] {
        let values = normal(20, seed, effect);
        let mut test = Sequential::new(plan(20));
        for n in [10, 15, 20] {
            test.look(&pairs(&values[..n]), false);
        }
        let (low, high) = test.interval().expect("a bounded interval");
        assert!(low < test.looks().last().unwrap().mean && test.looks().last().unwrap().mean < high);
        match test.finding() {
            Finding::Higher => assert!(low > -1e-3),
            Finding::Lower => assert!(high < 1e-3),
            _ => assert!(low < 1e-3 && high > -1e-3),
        }
    }
    assert_eq!(Sequential::new(plan(20)).interval(), None);
}

#[test]
fn says_what_it_found() {
    let mut test = Sequential::new(SequentialPlan {
        comparisons: 2,
        ..plan(20)
    });
    test.look(&pairs(&normal(10, 1, 3.0)), false);
    let words = test.words(Some(false));
    assert!(
        words.starts_with("worse, after planned looks with 10 seeds")
            && words.contains("error 5 % over all looks of 2 comparisons"),
        "{words}"
    );
}
