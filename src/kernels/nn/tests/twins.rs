//! Values and gradients over odd sizes: fused = composed = finite differences.

use super::{agrees, normal, numbers};
use crate::Result;
use crate::nn::{
    Activation, ConditionalCovariance, Head, MixtureShape, bernoulli_log_density, convolution, dense,
    gaussian_log_density, log_softmax, log_sum_exp, mean, mixture_log_joint, mixture_log_prob, mixture_mean,
    mixture_terms, probabilities, reparameterised, select_rows, unstack, weighted_sum, with_composed,
};
use candle_core::{DType, Device, Tensor};

#[test]
fn dense_layers() {
    for activation in [
        Activation::Identity,
        Activation::Tanh,
        Activation::Relu,
        Activation::Silu,
    ] {
        for (b, i, o) in [(1, 1, 1), (3, 2, 5), (17, 7, 1), (5, 1, 19), (16, 16, 16)] {
            let arguments = [normal("x", (b, i)), normal("w", (i, o)), normal("b", o)];
            agrees(&format!("dense {activation:?} {b} {i} {o}"), &arguments, |a| {
                dense(&a[0], &a[1], &a[2], activation)
            });
        }
    }
}

#[test]
fn convolutions() {
    for (n, h, w, c, o) in [(1, 1, 1, 1, 1), (2, 3, 4, 2, 3), (3, 2, 1, 3, 1), (1, 5, 3, 1, 4)] {
        for is_doubled in [false, true] {
            let arguments = [normal("x", (n, h, w, c)), normal("w", (9 * c, o)), normal("b", o)];
            agrees(
                &format!("convolution {n} {h} {w} {c} {o} {is_doubled}"),
                &arguments,
                |a| convolution(&a[0], &a[1], &a[2], is_doubled),
            );
        }
    }
    let [x, w, b] = [normal("x", (1, 2, 2, 1)), normal("w", (8, 1)), normal("b", 1)];
    assert!(convolution(&x, &w, &b, false).is_err());
}

#[test]
fn log_sum_exp_and_log_softmax() {
    for (n, k) in [(1, 1), (1, 7), (5, 3), (16, 2), (17, 5), (33, 1), (2, 40)] {
        let x = [normal("x", (n, k))];
        agrees(&format!("log_sum_exp {n} {k}"), &x, |a| log_sum_exp(&a[0]));
        agrees(&format!("log_softmax {n} {k}"), &x, |a| log_softmax(&a[0]));
    }
    agrees("log_sum_exp, rank 3", &[normal("x", (2, 3, 4))], |a| log_sum_exp(&a[0]));
}

/// No gradient: the values alone, among them the negligible ones, the infinities and NaN.
#[test]
fn probabilities_leave_out_what_is_negligible() {
    for dtype in [DType::F32, DType::F64] {
        let edges = [
            0.0,
            -1e-3,
            -27.7,
            -69.0,
            -69.2,
            -200.0,
            f64::NEG_INFINITY,
            f64::INFINITY,
            f64::NAN,
        ];
        let edges = Tensor::new(&edges, &Device::Cpu).unwrap().to_dtype(dtype).unwrap();
        let random = (normal("x", (5, 7)).to_dtype(dtype).unwrap() * 30.0).unwrap();
        for x in [edges, random.t().unwrap(), random] {
            let fused = numbers(&probabilities(&x, 1e-30).unwrap());
            let twin = numbers(&with_composed(|| probabilities(&x, 1e-30)).unwrap());
            let x = numbers(&x);
            for ((fused, twin), x) in fused.into_iter().zip(twin).zip(x) {
                let close = fused == twin || (fused - twin).abs() < 1e-5 * twin || (fused.is_nan() && twin.is_nan());
                assert!(
                    close && (x.is_nan() || x >= -69.1 || fused == 0.0),
                    "exp {x}: {fused} {twin}"
                );
            }
        }
    }
}

/// Rows picked by the kernel and by candle, of widths that have a kernel and of one that has not.
#[test]
fn rows_are_picked_by_number() {
    let indices = Tensor::new(&[3u32, 0, 3, 4, 1], &Device::Cpu).unwrap();
    for (dtype, columns) in
        (1..=6).flat_map(|columns| [(DType::F32, columns), (DType::F64, columns), (DType::U8, columns)])
    {
        let table = (normal("x", (5, columns)) * 50.0)
            .unwrap()
            .abs()
            .unwrap()
            .to_dtype(dtype)
            .unwrap();
        let narrowed = table.narrow(1, 0, columns.div_ceil(2)).unwrap();
        for table in [table, narrowed] {
            let rows = |t: Tensor| t.to_dtype(DType::F64).unwrap().to_vec2::<f64>().unwrap();
            let expected = table.contiguous().unwrap().index_select(&indices, 0).unwrap();
            assert_eq!(rows(select_rows(&table, &indices).unwrap()), rows(expected));
        }
    }
    let one = normal("x", 4);
    assert_eq!(
        select_rows(&one, &Tensor::new(&[2u32], &Device::Cpu).unwrap())
            .unwrap()
            .dims(),
        [1]
    );
    assert!(select_rows(&one, &Tensor::new(&[4u32], &Device::Cpu).unwrap()).is_err());
}

/// Steps that are used twice, once and never.
#[test]
fn steps_of_a_tensor() {
    for (b, t, c) in [(1, 1, 1), (3, 4, 2), (17, 3, 5), (2, 9, 1)] {
        agrees(&format!("unstack {b} {t} {c}"), &[normal("x", (b, t, c))], |a| {
            let steps = unstack(&a[0])?;
            let first = steps[0].sqr()?;
            let middle = steps[t / 2].exp()?;
            Ok(((first * middle)? + &steps[t / 2])?)
        });
    }
    assert!(unstack(&normal("x", (2, 3))).is_err());
}

#[test]
fn means() {
    for b in [1, 3, 16, 37] {
        agrees(&format!("mean {b}"), &[normal("x", b)], |a| mean(&a[0]));
    }
}

#[test]
fn weighted_sums() {
    for (b, s) in [(1, 1), (3, 5), (17, 16), (2, 37)] {
        let weights = normal("w", (b, s)).abs().unwrap();
        agrees(&format!("weighted_sum {b} {s}"), &[normal("x", (b, s))], |a| {
            weighted_sum(&a[0], &weights.to_dtype(a[0].dtype())?)
        });
    }
}

#[test]
fn densities() {
    for (b, r, s, d) in [
        (1, 1, 1, 1),
        (5, 5, 5, 3),
        (5, 1, 5, 3),
        (4, 4, 1, 17),
        (18, 1, 1, 2),
        (2, 2, 2, 35),
    ] {
        let arguments = [normal("x", (b, d)), normal("mean", (r, d)), normal("raw", (s, d))];
        for floor in [0.0, 0.1] {
            agrees(&format!("gaussian {b} {r} {s} {d}"), &arguments, |a| {
                gaussian_log_density(&a[0], &a[1], &a[2], floor)
            });
        }
        let x = normal("x", (b, d)).tanh().unwrap().affine(0.5, 0.5).unwrap();
        agrees(&format!("bernoulli {b} {r} {d}"), &arguments[1..2], |a| {
            bernoulli_log_density(&x.to_dtype(a[0].dtype())?, &a[0])
        });
    }
}

#[test]
fn draws_with_a_gradient() {
    for (b, s, z) in [(1, 1, 1), (5, 1, 3), (3, 4, 17), (18, 2, 2)] {
        let (noise, arguments) = (
            normal("noise", (b, s, z)),
            [normal("mean", (b, z)), normal("raw", (b, z))],
        );
        agrees(&format!("draws {b} {s} {z}"), &arguments, |a| {
            reparameterised(&a[0], &a[1], &noise.to_dtype(a[0].dtype())?, 0.1)
        });
    }
}

/// Every function of a mixture's arguments, `y` in the type of the heads.
type OfMixture = fn(&Tensor, Head, Head, Head, &MixtureShape) -> Result<Tensor>;
const OF_MIXTURE: [(&str, OfMixture); 5] = [
    ("log joint", mixture_log_joint),
    ("log prob", mixture_log_prob),
    ("mean", mixture_mean),
    ("prior", |y, l, m, s, shape| Ok(mixture_terms(y, l, m, s, shape)?.0)),
    (
        "likelihood",
        |y, l, m, s, shape| Ok(mixture_terms(y, l, m, s, shape)?.1),
    ),
];

/// Every covariance, with heads in one tensor, in two and in three, with rows of their own or shared.
#[test]
fn mixtures() {
    for (name, f) in OF_MIXTURE {
        mixture_agrees(name, |shape, y, [logits, means, scales]| {
            f(&y.to_dtype(logits.values.dtype())?, logits, means, scales, shape)
        });
    }
}

fn mixture_agrees(name: &str, of: impl Fn(&MixtureShape, &Tensor, [Head; 3]) -> Result<Tensor>) {
    use ConditionalCovariance::{Diagonal, Full, Spherical};
    for covariance in [Spherical, Diagonal, Full] {
        for (b, k, d) in [(1, 1, 1), (3, 2, 1), (17, 3, 2), (5, 2, 4), (33, 1, 3)] {
            let shape = MixtureShape {
                components: k,
                dimension: d,
                covariance,
                // Wide enough that no responsibility is negligible: of those, only the composed one keeps the gradient.
                deviation_floor: 1.0,
            };
            let f = covariance.raw_count(d);
            let y = normal("y", (b, d));
            let what = format!("{name} of {shape:?}, {b} rows");
            // Side by side in the order of the arguments, and in another.
            let behind = 2 + k * d + k * f;
            for offsets in [[1, 1 + k, 1 + k + k * d], [behind, 1, 1 + k * d]] {
                agrees(
                    &format!("{what}, one tensor, heads at {offsets:?}"),
                    &[normal("all", (b, shape.columns() + 3))],
                    |a| of(&shape, &y, offsets.map(|offset| Head { values: &a[0], offset })),
                );
            }
            for (r, q) in [(b, b), (b, 1), (1, b), (1, 1)] {
                let two = [normal("left", (r, k)), normal("right", (q, k * d + k * f))];
                agrees(&format!("{what}, two tensors of {r} and {q} rows"), &two, |a| {
                    let head = |(i, offset): (usize, usize)| Head { values: &a[i], offset };
                    of(&shape, &y, [(0, 0), (1, 0), (1, k * d)].map(head))
                });
                let three = [normal("l", (b, k)), normal("m", (r, k * d)), normal("s", (q, k * f))];
                agrees(&format!("{what}, three tensors of {b}, {r}, {q} rows"), &three, |a| {
                    let head = |i: usize| Head {
                        values: &a[i],
                        offset: 0,
                    };
                    of(&shape, &y, [0, 1, 2].map(head))
                });
            }
        }
    }
}
