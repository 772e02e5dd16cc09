//! Gaussian recursions against their composed reference, finite differences, and written out.

use super::{agrees, close, normal, numbers};
use crate::Result;
use crate::nn::{
    Activation, GaussianPaths, GaussianRecursion, RecursionLayer, RecursionNetwork, backward, with_composed,
};
use candle_core::{DType, Device, Tensor, Var};

/// `[R, T, X + 1]`, all results of a recursion in one tensor.
fn joined(paths: Result<GaussianPaths>) -> Result<Tensor> {
    let paths = paths?;
    Ok(Tensor::cat(&[paths.states, paths.log_densities.unsqueeze(2)?], 2)?)
}

/// Weights from the state small enough that no path explodes.
fn from_state(name: &str, x: usize, columns: usize) -> Tensor {
    (normal(name, (x, columns)) / (4.0 * x as f64)).unwrap()
}

/// The recursion of context, A and, with a hidden layer, W and V.
fn recursion(a: &[Tensor], activation: Activation) -> GaussianRecursion {
    GaussianRecursion {
        hidden: a.get(2).map(|state| RecursionLayer {
            state: state.clone(),
            activation,
            output: a[3].clone(),
        }),
        direct: a[1].clone(),
        context: a[0].clone(),
        floor: 0.1,
    }
}

#[test]
fn recursions_with_a_hidden_layer() {
    use Activation::{Identity, Relu, Silu, Tanh};
    for (b, s, t, x, h, activation) in [
        (1, 1, 1, 1, 1, Tanh),
        (3, 1, 4, 2, 5, Relu),
        (2, 3, 3, 5, 17, Tanh),
        (1, 2, 5, 3, 4, Identity),
        (2, 2, 2, 1, 3, Silu),
    ] {
        let noise = normal("noise", (t, b * s, x));
        let arguments = [
            normal("initial", (b * s, x)),
            normal("context", (b, t, h + 2 * x)),
            from_state("direct", x, 2 * x),
            from_state("state", x, h),
            (normal("output", (h, 2 * x)) / (h as f64).sqrt()).unwrap(),
        ];
        agrees(&format!("{activation:?} {b} {s} {t} {x} {h}"), &arguments, |a| {
            joined(recursion(&a[1..], activation).paths(&a[0], &noise.to_dtype(a[0].dtype())?))
        });
    }
}

#[test]
fn linear_recursions() {
    for (b, s, t, x) in [(1, 1, 1, 1), (3, 1, 4, 2), (2, 3, 3, 5), (1, 4, 2, 17)] {
        let noise = normal("noise", (t, b * s, x));
        let arguments = [
            normal("initial", (b * s, x)),
            normal("context", (b, t, 2 * x)),
            from_state("direct", x, 2 * x),
        ];
        agrees(&format!("{b} {s} {t} {x}"), &arguments, |a| {
            joined(recursion(&a[1..], Activation::Tanh).paths(&a[0], &noise.to_dtype(a[0].dtype())?))
        });
    }
}

/// A gradient that arrives on one result alone is that of the composed reference.
#[test]
fn every_result_has_its_own_gradient() {
    let (b, s, t, x, h) = (2, 2, 4, 3, 5);
    let noise = normal("noise", (t, b * s, x));
    let arguments = [
        normal("initial", (b * s, x)),
        normal("context", (b, t, h + 2 * x)),
        from_state("direct", x, 2 * x),
        from_state("state", x, h),
        normal("output", (h, 2 * x)),
    ];
    for part in 0..2 {
        agrees(&format!("result {part}"), &arguments, |a| {
            let paths = recursion(&a[1..], Activation::Tanh).paths(&a[0], &noise.to_dtype(a[0].dtype())?)?;
            Ok([paths.states, paths.log_densities][part].clone())
        });
    }
}

fn tensor(values: &[f64], shape: &[usize]) -> Tensor {
    Tensor::from_slice(values, shape, &Device::Cpu).unwrap()
}

/// One dimension, two steps, by hand.
#[test]
fn a_linear_path_written_out() {
    let recursion = GaussianRecursion {
        hidden: None,
        direct: tensor(&[0.5, 0.0], &[1, 2]),
        context: tensor(&[1.0, 0.0, -2.0, 2f64.ln()], &[1, 2, 2]),
        floor: 0.25,
    };
    let paths = recursion
        .paths(&tensor(&[4.0], &[1, 1]), &tensor(&[2.0, -1.0], &[2, 1, 1]))
        .unwrap();
    // 0.5 * 4 + 1 = 3, 3 + 2 * 1.25 = 5.5; 0.5 * 5.5 - 2 = 0.75, 0.75 - 2.25 = -1.5
    close(&paths.states, &tensor(&[5.5, -1.5], &[1, 2, 1]), 1e-14, "states");
    let half = 0.5 * (2.0 * std::f64::consts::PI).ln();
    let logs = [-2.0 - 1.25f64.ln() - half, -0.5 - 2.25f64.ln() - half];
    close(&paths.log_densities, &tensor(&logs, &[1, 2]), 1e-14, "log-densities");
}

/// Raw numbers beyond their limits stay finite and have no gradient.
#[test]
fn raw_numbers_are_clamped() {
    for dtype in [DType::F32, DType::F64] {
        let tensor = |values: &[f64], shape: &[usize]| tensor(values, shape).to_dtype(dtype).unwrap();
        let context = Var::from_tensor(&tensor(&[0.0, -1e6], &[1, 1, 2])).unwrap();
        let recursion = GaussianRecursion {
            hidden: None,
            direct: tensor(&[0.5, 0.0], &[1, 2]),
            context: context.as_tensor().clone(),
            floor: 0.5,
        };
        let run = || {
            let paths = recursion
                .paths(&tensor(&[0.0], &[1, 1]), &tensor(&[1.0], &[1, 1, 1]))
                .unwrap();
            let gradients = backward(&paths.states.sum_all().unwrap()).unwrap();
            (numbers(&paths.states), numbers(gradients.get(&context).unwrap()))
        };
        let (fused, composed) = (run(), with_composed(run));
        assert_eq!(fused, (vec![0.5], vec![1.0, 0.0]));
        assert_eq!(fused, composed);
    }
}

/// A path cut in two, the second part from the last state of the first, is the whole path.
#[test]
fn a_path_cut_in_two() {
    let network = RecursionNetwork {
        hidden: Some(RecursionLayer {
            state: normal("state", (3, 6)),
            activation: Activation::Tanh,
            output: normal("output", (6, 6)),
        }),
        direct: from_state("direct", 3, 6),
        given: Some(normal("weight", (2, 12))),
        bias: normal("bias", 12),
    };
    let (given, noise, initial) = (
        normal("given", (2, 7, 2)),
        normal("noise", (7, 8, 3)),
        Var::from_tensor(&normal("initial", (8, 3))).unwrap(),
    );
    let part = |initial: &Tensor, start, len| {
        let given = given.narrow(1, start, len).unwrap();
        let recursion = network.recursion(Some(&given), (2, len), 0.1).unwrap();
        joined(recursion.paths(initial, &noise.narrow(0, start, len).unwrap())).unwrap()
    };
    let whole = part(&initial, 0, 7);
    let first = part(&initial, 0, 3);
    let last = first.narrow(2, 0, 3).unwrap().get_on_dim(1, 2).unwrap();
    let parts = Tensor::cat(&[&first, &part(&last, 3, 4)], 1).unwrap();
    close(&parts, &whole, 1e-13, "paths");
    let gradient = |x: &Tensor| {
        let gradients = backward(&x.sqr().unwrap().sum_all().unwrap()).unwrap();
        gradients.get(&initial).unwrap().clone()
    };
    close(&gradient(&parts), &gradient(&whole), 1e-12, "initial state");
    let recursion = network.recursion(Some(&given), (2, 7), 0.1).unwrap();
    let text = recursion
        .paths(&normal("initial", (8, 4)), &noise)
        .unwrap_err()
        .to_string();
    assert!(text.contains("[T, B·S, X]") && text.contains("[8, 4]"), "{text}");
}
