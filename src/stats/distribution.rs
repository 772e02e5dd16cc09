//! The normal and Student's t distribution, in f64.
//!
//! Student's t is needed for whole degrees of freedom alone, for which its distribution function is a finite sum
//! (Abramowitz and Stegun 1964, equations 26.7.3 and 26.7.4). The normal one is the power series of Marsaglia (2004),
//! "Evaluating the normal distribution". Absolute errors are about 1e-15, so smaller tail probabilities are not
//! accurate.

use std::f64::consts::{FRAC_2_PI, TAU};

/// Beyond this the normal tail is below 1e-15.
const FAR: f64 = 8.0;

/// `P(Z ≤ z)` for a standard normal Z; NaN of NaN.
pub fn normal_probability(z: f64) -> f64 {
    if z.is_nan() {
        return z;
    }
    if z.abs() > FAR {
        return f64::from(z > 0.0);
    }
    // Φ(z) = ½ + φ(z) (z + z³/3 + z⁵/(3·5) + …)
    let (mut sum, mut term, mut odd) = (0.0, z, 1.0);
    while sum + term != sum {
        sum += term;
        odd += 2.0;
        term *= z * z / odd;
    }
    0.5 + sum * (-0.5 * z * z).exp() / TAU.sqrt()
}

/// `P(|T| ≤ t)` for Student's t with `freedom` ≥ 1 degrees of freedom and t ≥ 0.
pub fn student_inside(t: f64, freedom: usize) -> f64 {
    let nu = freedom as f64;
    let angle = (t / nu.sqrt()).atan();
    let (sine, square) = (angle.sin(), angle.cos().powi(2));
    // sin θ Σ_k c_k cos^{2k} θ, where c_k/c_{k−1} is (2k − 1)/2k for an even, 2k/(2k + 1) for an odd number.
    let odd = freedom % 2;
    let (mut sum, mut term) = (0.0, if odd == 1 { angle.cos() } else { 1.0 });
    for k in 0..(freedom - odd) / 2 {
        if k > 0 {
            let twice = 2.0 * k as f64;
            term *= square
                * if odd == 1 {
                    twice / (twice + 1.0)
                } else {
                    (twice - 1.0) / twice
                };
        }
        sum += term;
    }
    let inside = match odd {
        1 => FRAC_2_PI * (angle + sine * sum),
        _ => sine * sum,
    };
    inside.clamp(0.0, 1.0)
}

/// The t with `P(|T| ≤ t) = level`, for `freedom` ≥ 1 degrees of freedom and a level in (0, 1).
pub fn student_quantile(level: f64, freedom: usize) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    while student_inside(high, freedom) < level && high < 1e12 {
        (low, high) = (high, 2.0 * high);
    }
    // Bisection to the last bit: an interval needs only one quantile, and bisection needs no derivative.
    loop {
        let middle = 0.5 * (low + high);
        if middle <= low || middle >= high {
            return middle;
        }
        match student_inside(middle, freedom) < level {
            true => low = middle,
            false => high = middle,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::normal_quantile;
    use approx::assert_relative_eq;

    #[test]
    fn the_normal_probability_inverts_its_quantile() {
        for i in 1..200 {
            let u = f64::from(i) / 200.0;
            assert_relative_eq!(normal_probability(normal_quantile(u)), u, epsilon = 1e-14);
        }
        assert_eq!((normal_probability(-40.0), normal_probability(40.0)), (0.0, 1.0));
        assert!(normal_probability(f64::NAN).is_nan());
    }

    #[test]
    fn quantiles_are_those_of_the_tables() {
        // Abramowitz and Stegun (1964), table 26.10, A(t|ν) = 0.95 and 0.99, three decimals.
        let table = [
            (1, 12.706, 63.657),
            (2, 4.303, 9.925),
            (3, 3.182, 5.841),
            (4, 2.776, 4.604),
            (9, 2.262, 3.250),
            (10, 2.228, 3.169),
            (30, 2.042, 2.750),
            (120, 1.980, 2.617),
        ];
        for (freedom, at_95, at_99) in table {
            assert_relative_eq!(student_quantile(0.95, freedom), at_95, epsilon = 5.1e-4);
            assert_relative_eq!(student_quantile(0.99, freedom), at_99, epsilon = 5.1e-4);
        }
        // With many degrees of freedom it is the normal quantile and its first correction, z + (z³ + z)/4ν.
        let z = normal_quantile(0.975);
        let corrected = z + (z.powi(3) + z) / 40_000.0;
        assert_relative_eq!(student_quantile(0.95, 10_000), corrected, epsilon = 1e-7);
    }

    #[test]
    fn the_distribution_function_integrates_the_density() {
        // The density is proportional to (1 + t²/ν)^{−(ν + 1)/2}; Simpson's rule to t, over the rule to 3000.
        let integral = |to: f64, nu: f64| {
            let n = 200_000;
            let h = to / f64::from(n);
            let f = |i: i32| (1.0 + (f64::from(i) * h).powi(2) / nu).powf(-0.5 * (nu + 1.0));
            let weight = |i: i32| {
                if i == 0 || i == n {
                    1.0
                } else {
                    f64::from(2 + 2 * (i % 2))
                }
            };
            (0..=n).map(|i| weight(i) * f(i)).sum::<f64>() * h / 3.0
        };
        for freedom in [4, 5, 6, 7] {
            let nu = freedom as f64;
            let ratio = integral(1.7, nu) / integral(3000.0, nu);
            assert_relative_eq!(student_inside(1.7, freedom), ratio, epsilon = 1e-9);
        }
    }
}
