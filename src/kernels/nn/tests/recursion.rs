//! Gaussian recursions against their composed reference, finite differences, and written out.

use super::{agrees, close, normal, numbers};
use crate::Result;
use crate::math::streams::Streams;
use crate::nn::{GaussianPaths, GaussianRecursion, Parameters, RecursionWeights, backward, with_composed};
use candle_core::{DType, Device, Tensor, Var};

/// `[3, B, S, T, X]`, all results of a recursion in one tensor.
fn stacked(paths: Result<GaussianPaths>) -> Result<Tensor> {
    let paths = paths?;
    Ok(Tensor::stack(&[paths.states, paths.means, paths.deviations], 0)?)
}

/// Both forms, with and without a hidden layer.
fn forms(x: usize, hidden: Option<usize>) -> [GaussianRecursion; 2] {
    let plain = GaussianRecursion::new(x, hidden, 0.1).unwrap();
    [plain, plain.residual()]
}

/// Weights of the state small enough that no path explodes.
fn state_weight(x: usize, columns: usize) -> Tensor {
    (normal("state", (x, columns)) / (2.0 * x as f64)).unwrap()
}

#[test]
fn recursions_with_a_hidden_layer() {
    for (b, s, t, x, h) in [(1, 1, 1, 1, 1), (3, 1, 4, 2, 5), (2, 3, 3, 5, 17), (1, 2, 5, 3, 4)] {
        let noise = normal("noise", (b, s, t, x));
        let output = (normal("output", (h, 2 * x)) / (h as f64).sqrt()).unwrap();
        let fixed = [
            normal("context", (b, t, h)),
            state_weight(x, h),
            output,
            normal("bias", 2 * x),
        ];
        for recursion in forms(x, Some(h)) {
            for initial in [normal("initial", x), normal("initial", (b, s, x))] {
                let what = format!("{recursion:?} {b} {s} {t}, initial {:?}", initial.dims());
                let arguments = [&fixed[..], &[initial]].concat();
                agrees(&what, &arguments, |a| {
                    let weights = RecursionWeights {
                        state: &a[1],
                        output: Some((&a[2], &a[3])),
                    };
                    stacked(recursion.paths(&weights, &a[0], &a[4], &noise.to_dtype(a[0].dtype())?))
                });
            }
        }
    }
}

#[test]
fn linear_recursions() {
    for (b, s, t, x) in [(1, 1, 1, 1), (3, 1, 4, 2), (2, 3, 3, 5), (1, 4, 2, 17)] {
        let noise = normal("noise", (b, s, t, x));
        let arguments = [
            normal("context", (b, t, 2 * x)),
            state_weight(x, x),
            normal("initial", (b, s, x)),
        ];
        for recursion in forms(x, None) {
            agrees(&format!("{recursion:?} {b} {s} {t}"), &arguments, |a| {
                let weights = RecursionWeights {
                    state: &a[1],
                    output: None,
                };
                stacked(recursion.paths(&weights, &a[0], &a[2], &noise.to_dtype(a[0].dtype())?))
            });
        }
    }
}

/// A gradient that arrives on one result alone is that of the composed reference.
#[test]
fn every_result_has_its_own_gradient() {
    let (b, s, t, x, h) = (2, 2, 4, 3, 5);
    let recursion = GaussianRecursion::new(x, Some(h), 0.1).unwrap();
    let noise = normal("noise", (b, s, t, x));
    let arguments = [
        normal("context", (b, t, h)),
        state_weight(x, h),
        normal("output", (h, 2 * x)),
        normal("bias", 2 * x),
        normal("initial", (b, s, x)),
    ];
    for part in 0..3 {
        agrees(&format!("result {part}"), &arguments, |a| {
            let weights = RecursionWeights {
                state: &a[1],
                output: Some((&a[2], &a[3])),
            };
            let paths = recursion.paths(&weights, &a[0], &a[4], &noise.to_dtype(a[0].dtype())?)?;
            Ok([paths.states, paths.means, paths.deviations][part].clone())
        });
    }
}

/// One dimension, two steps, by hand.
#[test]
fn a_linear_path_written_out() {
    let recursion = GaussianRecursion::new(1, None, 0.25).unwrap();
    let tensor = |values: &[f64], shape: &[usize]| Tensor::from_slice(values, shape, &Device::Cpu).unwrap();
    let context = tensor(&[1.0, 0.0, -2.0, 2f64.ln()], &[1, 2, 2]);
    let (state, initial) = (tensor(&[0.5], &[1, 1]), tensor(&[4.0], &[1]));
    let noise = tensor(&[2.0, -1.0], &[1, 1, 2, 1]);
    let weights = RecursionWeights {
        state: &state,
        output: None,
    };
    let paths = recursion.paths(&weights, &context, &initial, &noise).unwrap();
    // 0.5 * 4 + 1 = 3, 3 + 2 * 1.25 = 5.5; 0.5 * 5.5 - 2 = 0.75, 0.75 - 2.25 = -1.5
    close(
        &paths.means.flatten_all().unwrap(),
        &tensor(&[3.0, 0.75], &[2]),
        1e-14,
        "means",
    );
    close(
        &paths.deviations.flatten_all().unwrap(),
        &tensor(&[1.25, 2.25], &[2]),
        1e-14,
        "deviations",
    );
    close(
        &paths.states.flatten_all().unwrap(),
        &tensor(&[5.5, -1.5], &[2]),
        1e-14,
        "states",
    );
}

/// Raw numbers beyond their limits stay finite and have no gradient.
#[test]
fn raw_numbers_are_clamped() {
    let recursion = GaussianRecursion::new(1, None, 0.5).unwrap();
    for dtype in [DType::F32, DType::F64] {
        let tensor = |values: &[f64], shape: &[usize]| {
            Tensor::from_slice(values, shape, &Device::Cpu)
                .unwrap()
                .to_dtype(dtype)
                .unwrap()
        };
        let context = Var::from_tensor(&tensor(&[0.0, -1e6], &[1, 1, 2])).unwrap();
        let (state, initial, noise) = (
            tensor(&[0.5], &[1, 1]),
            tensor(&[0.0], &[1]),
            tensor(&[1.0], &[1, 1, 1, 1]),
        );
        let weights = RecursionWeights {
            state: &state,
            output: None,
        };
        let run = || {
            let paths = recursion.paths(&weights, &context, &initial, &noise).unwrap();
            let gradients = backward(&paths.states.sum_all().unwrap()).unwrap();
            (numbers(&paths.deviations), numbers(gradients.get(&context).unwrap()))
        };
        let (fused, composed) = (run(), with_composed(run));
        assert_eq!(fused, (vec![0.5], vec![1.0, 0.0]));
        assert_eq!(fused, composed);
    }
}

/// A path cut in two, the second part from the last state of the first, is the whole path.
#[test]
fn parameters_by_name_and_a_path_cut_in_two() {
    let recursion = GaussianRecursion::new(3, Some(6), 0.1).unwrap().residual();
    let mut parameters = Parameters::new();
    let stream = Streams::new(1).named("weights");
    recursion
        .initial("transition", &mut parameters, DType::F64, &Device::Cpu, &stream)
        .unwrap();
    assert_eq!(
        parameters.names(),
        [
            "transition.output.bias",
            "transition.output.weight",
            "transition.state.weight"
        ]
    );
    let weights = recursion.weights(&parameters, "transition").unwrap();
    let (context, noise, initial) = (
        normal("context", (2, 7, 6)),
        normal("noise", (2, 4, 7, 3)),
        normal("initial", 3),
    );
    let whole = stacked(recursion.paths(&weights, &context, &initial, &noise)).unwrap();
    let part = |initial: &Tensor, start, len| {
        let (context, noise) = (
            context.narrow(1, start, len).unwrap(),
            noise.narrow(2, start, len).unwrap(),
        );
        stacked(recursion.paths(&weights, &context, initial, &noise)).unwrap()
    };
    let first = part(&initial, 0, 3);
    let last = first.get(0).unwrap().narrow(2, 2, 1).unwrap().squeeze(2).unwrap();
    let parts = Tensor::cat(&[&first, &part(&last, 3, 4)], 3).unwrap();
    close(&parts, &whole, 1e-14, "paths");
    let (got, want) = [&parts, &whole]
        .map(|x| backward(&x.sqr().unwrap().sum_all().unwrap()).unwrap())
        .into();
    for (name, var) in parameters.iter() {
        close(got.get(var).unwrap(), want.get(var).unwrap(), 1e-12, name);
    }
    let text = recursion
        .paths(&weights, &context, &normal("initial", 4), &noise)
        .unwrap_err()
        .to_string();
    assert!(text.contains("[B, T, 6]") && text.contains("[4]"), "{text}");
}
