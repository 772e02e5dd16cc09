//! Infinities and huge numbers: limits instead of NaN.

use super::{close, normal, numbers, value_and_gradients};
use crate::math::LN_2PI;
use crate::math::streams::Streams;
use crate::nn::{
    Activation, ConditionalCovariance, Head, MixtureShape, Parameters, Perceptron, bernoulli_log_density, dense,
    gaussian_log_density, log_softmax, log_sum_exp, mixture_log_joint, mixture_log_prob, mixture_terms, weighted_sum,
    with_composed,
};
use candle_core::{DType, Device, Tensor};

const INF: f64 = f64::INFINITY;
const TYPES: [DType; 2] = [DType::F32, DType::F64];

fn tensor(rows: &[&[f64]], dtype: DType) -> Tensor {
    let columns = rows[0].len();
    Tensor::from_vec(rows.concat(), (rows.len(), columns), &Device::Cpu)
        .unwrap()
        .to_dtype(dtype)
        .unwrap()
}

#[test]
fn log_sum_exp_knows_the_infinities() {
    let rows: [&[f64]; 5] = [
        &[-INF, -INF, -INF],
        &[-INF, 0.0, 0.0],
        &[1e30, -1e30, 0.0],
        &[INF, 0.0, -INF],
        &[-1e30, -INF, -1e30],
    ];
    for dtype in TYPES {
        let x = tensor(&rows, dtype);
        let run = || value_and_gradients(&|a| log_sum_exp(&a[0]), std::slice::from_ref(&x), false).unwrap();
        for (value, gradients) in [run(), with_composed(run)] {
            let value = numbers(&value);
            assert_eq!((value[0], value[3]), (-INF, INF));
            assert!((value[1] - 2f64.ln()).abs() < 1e-6 && (value[2] / 1e30 - 1.0).abs() < 1e-6);
            let gradient = numbers(&gradients[0]);
            assert!(gradient.iter().all(|g| g.is_finite()), "{gradient:?}");
            assert_eq!(gradient[..3], [0.0; 3]);
        }
    }
}

#[test]
fn log_softmax_of_minus_infinity_is_minus_infinity_without_gradient() {
    let rows: [&[f64]; 3] = [&[-INF, -INF], &[-INF, 3.0], &[1e30, -1e30]];
    for dtype in TYPES {
        let x = tensor(&rows, dtype);
        let run = || value_and_gradients(&|a| log_softmax(&a[0]), std::slice::from_ref(&x), false).unwrap();
        let (value, gradients) = run();
        assert_eq!(numbers(&value)[..4], [-INF, -INF, -INF, 0.0]);
        let gradient = numbers(&gradients[0]);
        assert_eq!(gradient[..3], [0.0; 3]);
        assert!(gradient.iter().all(|g| g.is_finite()), "{gradient:?}");
        let (twin, _) = with_composed(run);
        assert_eq!(numbers(&twin), numbers(&value));
    }
}

#[test]
fn a_weight_of_zero_silences_minus_infinity() {
    for dtype in TYPES {
        let (x, w) = (
            tensor(&[&[-INF, 2.0], &[-INF, 1.0]], dtype),
            tensor(&[&[0.0, 3.0], &[0.5, 0.5]], dtype),
        );
        let run = || value_and_gradients(&|a| weighted_sum(&a[0], &w), std::slice::from_ref(&x), false).unwrap();
        for (value, gradients) in [run(), with_composed(run)] {
            assert_eq!(numbers(&value), [6.0, -INF]);
            assert_eq!(numbers(&gradients[0])[0], 0.0);
        }
    }
}

#[test]
fn certain_bernoulli_predictions_cost_nothing_or_everything() {
    for dtype in TYPES {
        let x = tensor(&[&[0.0], &[1.0], &[1.0], &[0.0], &[1.0]], dtype);
        let logits = tensor(&[&[-INF], &[INF], &[-INF], &[INF], &[1e30]], dtype);
        let (value, gradients) = value_and_gradients(&|a| bernoulli_log_density(&x, &a[0]), &[logits], false).unwrap();
        assert_eq!(numbers(&value), [0.0, 0.0, -INF, -INF, 0.0]);
        assert!(numbers(&gradients[0]).iter().all(|g| g.is_finite()));
    }
}

#[test]
fn activations_at_infinity() {
    let (w, b) = (
        Tensor::ones((1, 1), DType::F64, &Device::Cpu).unwrap(),
        normal("zero", 1).zeros_like().unwrap(),
    );
    let x = tensor(&[&[-INF], &[-1e30], &[1e30], &[INF]], DType::F64);
    let value = |activation| numbers(&dense(&x, &w, &b, activation).unwrap());
    assert_eq!(value(Activation::Tanh), [-1.0, -1.0, 1.0, 1.0]);
    assert_eq!(value(Activation::Relu), [0.0, 0.0, 1e30, INF]);
    assert_eq!(value(Activation::Silu), [0.0, 0.0, 1e30, INF]);
}

/// A unit behind inactive ones, with bias 0, gets gradient 0; NaN stays NaN.
#[test]
fn the_gradient_of_relu_at_0_is_0() {
    for dtype in TYPES {
        let w = tensor(&[&[1.0]], dtype);
        let x = tensor(&[&[-1.0], &[0.0], &[2.0], &[f64::NAN]], dtype);
        let b = tensor(&[&[0.0]], dtype).squeeze(0).unwrap();
        let relu = |a: &[Tensor]| dense(&a[0], &w, &b, Activation::Relu);
        let run = || value_and_gradients(&relu, std::slice::from_ref(&x), false).unwrap();
        for (value, gradients) in [run(), with_composed(run)] {
            let (value, gradients) = (numbers(&value), numbers(&gradients[0]));
            assert_eq!(value[..3], [0.0, 0.0, 2.0]);
            assert!(value[3].is_nan());
            assert_eq!(gradients[..2], [0.0, 0.0]);
            assert_ne!(gradients[2], 0.0);
        }
    }
}

/// Where `exp(-x)` is still finite and `x exp(-x)` no longer, and below: the gradient of `x σ(x)` there is negligible.
#[test]
fn the_gradient_of_silu_is_finite_at_the_edge_of_overflow() {
    for (dtype, edge) in [(DType::F32, 88.7), (DType::F64, 709.7)] {
        let x: Vec<f64> = (0..400).map(|i| -edge - 1.0 + 0.02 * f64::from(i)).collect();
        let x = Tensor::from_vec(x, (400, 1), &Device::Cpu)
            .unwrap()
            .to_dtype(dtype)
            .unwrap();
        let gradients = || {
            let silu = |a: &[Tensor]| crate::nn::activation::silu(&a[0]);
            value_and_gradients(&silu, std::slice::from_ref(&x), false).unwrap().1
        };
        for gradients in [gradients(), with_composed(gradients)] {
            assert!(numbers(&gradients[0]).iter().all(|gradient| gradient.abs() < 1e-30));
        }
    }
}

/// Logits of minus infinity, extreme means, raw standard deviations far outside their limits: the marginal likelihood
/// keeps a finite gradient, to which unused components do not contribute.
#[test]
fn a_mixture_survives_extreme_heads() {
    for dtype in TYPES {
        for covariance in [
            ConditionalCovariance::Spherical,
            ConditionalCovariance::Diagonal,
            ConditionalCovariance::Full,
        ] {
            for floor in [0.0, 1e-3] {
                let shape = MixtureShape {
                    components: 3,
                    dimension: 2,
                    covariance,
                    deviation_floor: floor,
                };
                let f = covariance.raw_count(2);
                let heads = normal("heads", (3, shape.columns()));
                let mut rows = heads.to_vec2::<f64>().unwrap();
                rows[0][0] = -INF; // component 0 is impossible
                rows[0][3] = 1e30; // and its mean absurd
                rows[1][3] = 1e30; // component 0 cannot explain y
                rows[1][9 + f] = -1e30; // component 1 has the smallest standard deviation
                rows[2][9 + 2 * f] = 1e30; // component 2 the largest
                rows[2][1] = -1e30;
                let rows: Vec<&[f64]> = rows.iter().map(Vec::as_slice).collect();
                let (x, y) = (tensor(&rows, dtype), normal("y", (3, 2)).to_dtype(dtype).unwrap());
                for in_one_pass in [false, true] {
                    let marginal = |a: &[Tensor]| {
                        let [logits, means, scales] = [0, 3, 9].map(|offset| Head { values: &a[0], offset });
                        match in_one_pass {
                            true => mixture_log_prob(&y, logits, means, scales, &shape),
                            false => log_sum_exp(&mixture_log_joint(&y, logits, means, scales, &shape)?),
                        }
                    };
                    let run = || value_and_gradients(&marginal, std::slice::from_ref(&x), false).unwrap();
                    // Without a floor, the composed quotients divide by the square of a standard deviation that f32
                    // cannot square.
                    let twin = (floor > 0.0).then(|| with_composed(run));
                    for (value, gradients) in [run()].into_iter().chain(twin) {
                        assert!(numbers(&value).iter().all(|v| v.is_finite()), "{shape:?} {value}");
                        let gradient = numbers(&gradients[0]);
                        assert!(gradient.iter().all(|g| g.is_finite()), "{shape:?} {gradient:?}");
                        assert_eq!((gradient[0], gradient[3], gradient[4]), (0.0, 0.0, 0.0));
                    }
                }
            }
        }
    }
}

/// `log N` by the closed form with an explicit 2 x 2 covariance `T⁻¹ D T⁻ᵀ`, `T = [[1, 0], [c, 1]]`.
#[test]
fn a_full_covariance_is_the_modified_cholesky_one() {
    let (y, mean, raw, c) = ([0.3, -1.2], [0.1, 0.4], [0.2, -0.5], 0.7);
    let [v1, v2] = raw.map(|r: f64| (2.0 * r).exp());
    let (s11, s12, s22) = (v1, -c * v1, v2 + c * c * v1);
    let (e1, e2): (f64, f64) = (y[0] - mean[0], y[1] - mean[1]);
    let determinant = s11 * s22 - s12 * s12;
    let distance = (s22 * e1 * e1 - 2.0 * s12 * e1 * e2 + s11 * e2 * e2) / determinant;
    let want = -0.5 * distance - 0.5 * determinant.ln() - LN_2PI;
    let shape = MixtureShape {
        components: 1,
        dimension: 2,
        covariance: ConditionalCovariance::Full,
        deviation_floor: 0.0,
    };
    let y = tensor(&[&y], DType::F64);
    let heads = tensor(&[&[5.0, mean[0], mean[1], raw[0], raw[1], c]], DType::F64);
    let [logits, means, scales] = [0, 1, 3].map(|offset| Head { values: &heads, offset });
    let joint = mixture_log_joint(&y, logits, means, scales, &shape).unwrap();
    assert!((numbers(&joint)[0] - want).abs() < 1e-12);
    let (prior, likelihood) = mixture_terms(&y, logits, means, scales, &shape).unwrap();
    close(&(prior + likelihood).unwrap(), &joint, 1e-12, "terms");
}

#[test]
fn standard_deviations_keep_their_limits() {
    let x = tensor(&[&[1.0], &[1.0]], DType::F64);
    let raw = tensor(&[&[-1e30], &[1e30]], DType::F64);
    let value = numbers(&gaussian_log_density(&x, &x, &raw, 0.5).unwrap());
    let half = 0.5 * LN_2PI;
    assert!((value[0] - (2f64.ln() - half)).abs() < 1e-12 && (value[1] - (-80.0 - half)).abs() < 1e-12);
}

#[test]
fn faults_name_the_shapes() {
    let x = normal("x", (3, 2));
    let text = |result: crate::Result<Tensor>| result.unwrap_err().to_string();
    assert!(text(dense(&x, &x, &normal("b", 2), Activation::Tanh)).contains("[3, 2]"));
    assert!(text(log_sum_exp(&normal("none", (3, 0)))).contains("[3, 0]"));
    assert!(text(weighted_sum(&x, &normal("w", (2, 3)))).contains("[2, 3]"));
    assert!(text(bernoulli_log_density(&x, &normal("l", (2, 2)))).contains("[2, 2]"));
    let shape = MixtureShape {
        components: 2,
        dimension: 2,
        covariance: ConditionalCovariance::Diagonal,
        deviation_floor: 0.0,
    };
    let head = Head { values: &x, offset: 1 };
    assert!(text(mixture_log_joint(&x, head, head, head, &shape)).contains("columns 1..3"));
}

/// LeCun's variance, and the same numbers in both types.
#[test]
fn initial_weights_have_variance_one_over_inputs() {
    let network = Perceptron::new(50, &[400], 3, Activation::Tanh)
        .unwrap()
        .with_output_scale(0.0);
    let draw = |dtype| {
        let mut parameters = Parameters::new();
        let stream = Streams::new(1).named("weights");
        network
            .initial("net", &mut parameters, dtype, &Device::Cpu, &stream)
            .unwrap();
        parameters
    };
    let (wide, narrow) = (draw(DType::F64), draw(DType::F32));
    let w = numbers(wide.get("net.0.weight").unwrap());
    let variance = w.iter().map(|w| w * w).sum::<f64>() / w.len() as f64;
    // The standard error of the variance of n normal numbers is sqrt(2/n) of it: 1 % here.
    assert!((variance * 50.0 - 1.0).abs() < 0.06, "{variance}");
    close(
        narrow.get("net.0.weight").unwrap(),
        wide.get("net.0.weight").unwrap(),
        1e-7,
        "types",
    );
    assert!(numbers(wide.get("net.1.weight").unwrap()).iter().all(|&w| w == 0.0));
    assert!(numbers(wide.get("net.0.bias").unwrap()).iter().all(|&b| b == 0.0));
}
