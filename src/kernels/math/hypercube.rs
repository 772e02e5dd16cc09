//! Latin hypercubes (McKay, Beckman & Conover 1979), and the normal quantile that maps their coordinates to normal
//! ones.
//!
//! Each coordinate of the n points is uniform within one of n equal strata. Every stratum is used once, in random
//! order. A single point is uniform; averages over all points are unbiased and vary less than over independent points.
//!
//! The quantile is that of Wichura (1988), algorithm AS 241, relative error about 1e-16.

use super::streams::Generator;
use rand::RngExt;
use rand::seq::SliceRandom;

/// `points` points of the unit cube of `dimensions` dimensions, row-major. `[N, D]`
pub fn latin_hypercube(points: usize, dimensions: usize, rng: &mut Generator) -> Vec<f64> {
    let mut cube = vec![0.0; points * dimensions];
    for j in 0..dimensions {
        let mut column: Vec<f64> = (0..points)
            .map(|i| (i as f64 + rng.random::<f64>()) / points as f64)
            .collect();
        column.shuffle(rng);
        for (i, value) in column.into_iter().enumerate() {
            cube[i * dimensions + j] = value;
        }
    }
    cube
}

/// Distance of u from ½ up to which the central approximation holds.
const CENTRE: f64 = 0.425;
/// √(−ln min(u, 1 − u)) up to which the tail's first approximation holds.
const TAIL: f64 = 5.0;

/// Numerator and denominator of a rational approximation, from the constant up.
type Ratio = [[f64; 8]; 2];

const CENTRAL: Ratio = [
    [
        3.387_132_872_796_366_6,
        1.331_416_678_917_843_8e2,
        1.971_590_950_306_551_3e3,
        1.373_169_376_550_946e4,
        4.592_195_393_154_987e4,
        6.726_577_092_700_87e4,
        3.343_057_558_358_813e4,
        2.509_080_928_730_122_7e3,
    ],
    [
        1.0,
        4.231_333_070_160_091e1,
        6.871_870_074_920_579e2,
        5.394_196_021_424_751e3,
        2.121_379_430_158_659_7e4,
        3.930_789_580_009_271e4,
        2.872_908_573_572_194_3e4,
        5.226_495_278_852_854e3,
    ],
];
const NEAR: Ratio = [
    [
        1.423_437_110_749_683_5,
        4.630_337_846_156_546,
        5.769_497_221_460_691,
        3.647_848_324_763_204_5,
        1.270_458_252_452_368_4,
        2.417_807_251_774_506e-1,
        2.272_384_498_926_918_4e-2,
        7.745_450_142_783_414e-4,
    ],
    [
        1.0,
        2.053_191_626_637_759,
        1.676_384_830_183_803_8,
        6.897_673_349_851e-1,
        1.481_039_764_274_800_8e-1,
        1.519_866_656_361_645_7e-2,
        5.475_938_084_995_345e-4,
        1.050_750_071_644_416_9e-9,
    ],
];
const FAR: Ratio = [
    [
        6.657_904_643_501_103,
        5.463_784_911_164_114,
        1.784_826_539_917_291_3,
        2.965_605_718_285_048_7e-1,
        2.653_218_952_657_612_4e-2,
        1.242_660_947_388_078_4e-3,
        2.711_555_568_743_487_6e-5,
        2.010_334_399_292_288_1e-7,
    ],
    [
        1.0,
        5.998_322_065_558_88e-1,
        1.369_298_809_227_358e-1,
        1.487_536_129_085_061_5e-2,
        7.868_691_311_456_133e-4,
        1.846_318_317_510_054_8e-5,
        1.421_511_758_316_446e-7,
        2.044_263_103_389_939_8e-15,
    ],
];

fn ratio(of: &Ratio, x: f64) -> f64 {
    let [above, below] = of.map(|p| p.iter().rev().fold(0.0, |sum, c| sum * x + c));
    above / below
}

/// The standard normal quantile of `uniform`. It is finite: `uniform` is clamped to `[ε/4, 1 − ε/2]` with ε of f64.
pub fn normal_quantile(uniform: f64) -> f64 {
    let u = uniform.clamp(f64::EPSILON / 4.0, 1.0 - f64::EPSILON / 2.0);
    let q = u - 0.5;
    if q.abs() <= CENTRE {
        return q * ratio(&CENTRAL, CENTRE * CENTRE - q * q);
    }
    let r = (-u.min(1.0 - u).ln()).sqrt();
    let size = match r <= TAIL {
        true => ratio(&NEAR, r - 1.6),
        false => ratio(&FAR, r - TAIL),
    };
    size.copysign(q)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::streams::Streams;

    /// P(0 < Z < z) by Simpson's rule, P(Z > z) beyond 2 by the continued fraction of Laplace.
    fn below(z: f64) -> f64 {
        let density = |x: f64| (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt();
        if z.abs() < 2.0 {
            let (n, h) = (2000, z / 2000.0);
            let weight = |i: i32| match (i == 0 || i == n, i % 2) {
                (true, _) => 1.0,
                (_, 1) => 4.0,
                _ => 2.0,
            };
            return 0.5 + (0..=n).map(|i| weight(i) * density(f64::from(i) * h)).sum::<f64>() * h / 3.0;
        }
        let size = z.abs();
        let fraction = (1..400).rev().fold(size, |f, k| size + f64::from(k) / f);
        let tail = density(size) / fraction;
        if z > 0.0 { 1.0 - tail } else { tail }
    }

    #[test]
    fn the_quantile_inverts_the_normal_distribution() {
        let mut last = f64::NEG_INFINITY;
        for u in [
            1e-14,
            1e-9,
            1e-4,
            0.01,
            0.074,
            0.076,
            0.3,
            0.5,
            0.6,
            0.924,
            0.926,
            0.999,
            1.0 - 1e-9,
        ] {
            let z = normal_quantile(u);
            assert!(z > last);
            last = z;
            let error = (below(z) - u).abs() / u.min(1.0 - u);
            assert!(error < if u < 0.999 { 1e-11 } else { 1e-6 }, "{u}: {z}, {error}");
        }
        assert!(normal_quantile(0.0) < -8.0 && normal_quantile(0.0).is_finite());
        assert!(normal_quantile(1.0) > 8.0 && normal_quantile(1.0).is_finite());
    }

    #[test]
    fn every_stratum_of_every_coordinate_has_one_point() {
        let rng = &mut Streams::new(0).named("cube").at(0);
        let cube = latin_hypercube(50, 3, rng);
        for j in 0..3 {
            let mut strata: Vec<usize> = (0..50).map(|i| (cube[3 * i + j] * 50.0) as usize).collect();
            assert!(!strata.is_sorted());
            strata.sort_unstable();
            assert_eq!(strata, (0..50).collect::<Vec<_>>());
        }
    }
}
