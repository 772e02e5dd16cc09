//! Gated recurrent units against their composed reference, finite differences, and what a sweep must satisfy.

use super::{close, normal, numbers};
use crate::math::streams::Streams;
use crate::math::vectors::tests::on_every_set;
use crate::nn::{Direction, GatedRecurrent, Parameters, backward, with_composed};
use candle_core::{DType, Device, Tensor, Var};

const DIRECTIONS: [Direction; 2] = [Direction::Forward, Direction::Backward];

/// A network with its parameters, biases not 0.
fn example(inputs: usize, units: usize, dtype: DType) -> (GatedRecurrent, Parameters) {
    let network = GatedRecurrent::new(inputs, units).unwrap();
    let mut parameters = Parameters::new();
    let stream = Streams::new(1).named("weights");
    network
        .initial("encoder", &mut parameters, dtype, &Device::Cpu, &stream)
        .unwrap();
    for (name, var) in parameters.iter().filter(|(name, _)| name.ends_with("bias")) {
        var.set(&normal(name, var.shape()).to_dtype(dtype).unwrap()).unwrap();
    }
    (network, parameters)
}

/// Lengths from 0 or 1 up to `steps`.
fn ragged(rows: usize, steps: usize) -> Vec<usize> {
    (0..rows).map(|row| (3 * row + steps) % (steps + 1)).collect()
}

/// `Σ weights * x`, so that every element has a gradient of its own.
fn loss(x: &Tensor) -> Tensor {
    let weights = normal("weights", x.shape()).to_dtype(x.dtype()).unwrap();
    (x * weights).unwrap().sum_all().unwrap()
}

/// A sweep's value, and the gradients of its loss: of inputs and initial state, then of the parameters by name.
fn value_and_gradients(
    (network, parameters): &(GatedRecurrent, Parameters),
    [x, initial]: [&Tensor; 2],
    lengths: Option<&[usize]>,
    direction: Direction,
) -> Vec<Tensor> {
    let value = network
        .sweep(parameters, "encoder", x, Some(initial), lengths, direction)
        .unwrap();
    let gradients = backward(&loss(&value)).unwrap();
    let vars = [x, initial]
        .into_iter()
        .chain(parameters.iter().map(|(_, var)| var.as_tensor()));
    let gradients: Vec<_> = vars.map(|var| gradients.get(var).unwrap().clone()).collect();
    [vec![value], gradients].concat()
}

#[test]
fn fused_sweeps_are_composed_ones() {
    for (dtype, tolerance) in [(DType::F64, 1e-11), (DType::F32, 2e-4)] {
        for (b, t, i, h) in [(1, 1, 1, 1), (3, 1, 2, 5), (1, 7, 3, 16), (5, 4, 7, 19), (4, 9, 33, 35)] {
            let network = example(i, h, dtype);
            let var = |name, shape: &[usize]| Var::from_tensor(&normal(name, shape).to_dtype(dtype).unwrap()).unwrap();
            let (x, initial) = (var("x", &[b, t, i]), var("initial", &[b, h]));
            let lengths = ragged(b, t);
            for (direction, lengths) in DIRECTIONS
                .into_iter()
                .flat_map(|d| [(d, None), (d, Some(&lengths[..]))])
            {
                let run = || value_and_gradients(&network, [&x, &initial], lengths, direction);
                let what = format!("{dtype:?} {b} {t} {i} {h} {direction:?} {lengths:?}");
                let (sets, composed) = (on_every_set(run), with_composed(run));
                for (set, found) in sets {
                    for (k, (fused, composed)) in found.iter().zip(&composed).enumerate() {
                        close(fused, composed, tolerance, &format!("{what}, {set}, tensor {k}"));
                    }
                }
            }
        }
    }
}

#[test]
fn gradients_are_central_differences() {
    let network = example(3, 4, DType::F64);
    let (b, t) = (3, 4);
    let var = |name, shape: &[usize]| Var::from_tensor(&normal(name, shape)).unwrap();
    let (x, initial) = (var("x", &[b, t, 3]), var("initial", &[b, 4]));
    let lengths = ragged(b, t);
    for direction in DIRECTIONS {
        let run = || value_and_gradients(&network, [&x, &initial], Some(&lengths), direction);
        let gradients = run();
        let vars = [&x, &initial].into_iter().chain(network.1.iter().map(|(_, var)| var));
        for (var, gradient) in vars.zip(&gradients[1..]) {
            let values = numbers(var);
            for (j, got) in numbers(gradient).into_iter().enumerate() {
                let total = |h: f64| {
                    let mut moved = values.clone();
                    moved[j] += h;
                    var.set(&Tensor::from_vec(moved, var.shape(), &Device::Cpu).unwrap())
                        .unwrap();
                    loss(&run()[0]).to_scalar::<f64>().unwrap()
                };
                let want = (total(1e-5) - total(-1e-5)) / 2e-5;
                total(0.0);
                assert!(
                    (got - want).abs() < 1e-7 * (1.0 + want.abs()),
                    "{direction:?} {j}: {got}, want {want}"
                );
            }
        }
    }
}

#[test]
fn a_sweep_cut_in_two_is_the_whole_sweep() {
    let (b, t, cut) = (5, 9, 4);
    let lengths = [9, 2, 4, 6, 0];
    let (network, parameters) = example(3, 6, DType::F64);
    let x = normal("x", (b, t, 3));
    let initial = Var::from_tensor(&normal("initial", (b, 6))).unwrap();
    let sweep = |x: &Tensor, initial: &Tensor, lengths: &[usize], direction| {
        network
            .sweep(&parameters, "encoder", x, Some(initial), Some(lengths), direction)
            .unwrap()
    };
    let [early, late] = [(0, cut), (cut, t - cut)].map(|(start, len)| {
        let lengths: Vec<usize> = lengths
            .iter()
            .map(|&length: &usize| length.saturating_sub(start).min(len))
            .collect();
        (x.narrow(1, start, len).unwrap(), lengths)
    });
    for direction in DIRECTIONS {
        let whole = sweep(&x, &initial, &lengths, direction);
        let step = |states: &Tensor, t| states.narrow(1, t, 1).unwrap().squeeze(1).unwrap();
        let parts = match direction {
            Direction::Forward => {
                let first = sweep(&early.0, &initial, &early.1, direction);
                let second = sweep(&late.0, &step(&first, cut - 1), &late.1, direction);
                [first, second]
            }
            Direction::Backward => {
                let second = sweep(&late.0, &initial, &late.1, direction);
                let first = sweep(&early.0, &step(&second, 0), &early.1, direction);
                [first, second]
            }
        };
        let parts = Tensor::cat(&parts, 1).unwrap();
        close(&parts, &whole, 1e-14, "states");
        let (got, want) = (backward(&loss(&parts)).unwrap(), backward(&loss(&whole)).unwrap());
        let vars = parameters.iter().map(|(_, var)| var).chain([&initial]);
        for var in vars {
            close(got.get(var).unwrap(), want.get(var).unwrap(), 1e-12, "gradient");
        }
    }
}

#[test]
fn a_backward_sweep_is_a_forward_sweep_over_the_reversed_sequence() {
    let (network, parameters) = example(3, 6, DType::F64);
    let (x, initial) = (normal("x", (4, 7, 3)), normal("initial", (4, 6)));
    let reversed = |x: &Tensor| {
        let steps: Vec<_> = (0..x.dim(1).unwrap())
            .rev()
            .map(|t| x.narrow(1, t, 1).unwrap())
            .collect();
        Tensor::cat(&steps, 1).unwrap()
    };
    let sweep = |x: &Tensor, direction| {
        network
            .sweep(&parameters, "encoder", x, Some(&initial), None, direction)
            .unwrap()
    };
    let backward = sweep(&x, Direction::Backward);
    close(
        &reversed(&backward),
        &sweep(&reversed(&x), Direction::Forward),
        0.0,
        "states",
    );
}

/// Every sequence of a padded batch has the states and gradients that it has alone, whatever the padding holds.
#[test]
fn padding_is_never_read() {
    let (b, t, lengths) = (3, 5, [5, 2, 0]);
    for (dtype, direction) in DIRECTIONS.into_iter().flat_map(|d| [(DType::F32, d), (DType::F64, d)]) {
        let network = example(3, 18, dtype);
        let initial = Var::from_tensor(&normal("initial", (b, 18)).to_dtype(dtype).unwrap()).unwrap();
        let filled = |padding: f64| {
            let mut x = numbers(&normal("x", (b, t, 3)));
            for (row, length) in lengths.into_iter().enumerate() {
                x[(row * t + length) * 3..(row + 1) * t * 3].fill(padding);
            }
            let x = Tensor::from_vec(x, (b, t, 3), &Device::Cpu).unwrap();
            Var::from_tensor(&x.to_dtype(dtype).unwrap()).unwrap()
        };
        let run = |x: &Var| value_and_gradients(&network, [x, &initial], Some(&lengths), direction);
        let (clean, spoilt) = (run(&filled(0.0)), run(&filled(f64::NAN)));
        for (spoilt, clean) in spoilt.iter().zip(&clean) {
            close(spoilt, clean, 0.0, "NaN in padding");
        }
        close(
            &with_composed(|| run(&filled(f64::NAN)))[0],
            &clean[0],
            1e-5,
            "composed, NaN in padding",
        );
        for (row, length) in lengths.into_iter().enumerate() {
            let [x, initial] =
                [filled(f64::NAN).as_tensor(), initial.as_tensor()].map(|x| x.narrow(0, row, 1).unwrap());
            let states = clean[0].narrow(0, row, 1).unwrap();
            let before = match (direction, length) {
                (Direction::Forward, 1..) => states.narrow(1, length - 1, 1).unwrap(),
                _ => initial.unsqueeze(1).unwrap(),
            };
            for step in length..t {
                close(
                    &states.narrow(1, step, 1).unwrap(),
                    &before,
                    0.0,
                    "padding hands on the state",
                );
            }
            close(
                &clean[1].get(row).unwrap().narrow(0, length, t - length).unwrap(),
                &Tensor::zeros((t - length, 3), dtype, &Device::Cpu).unwrap(),
                0.0,
                "gradient of padding",
            );
            if length > 0 {
                let x = x.narrow(1, 0, length).unwrap();
                let alone = network
                    .0
                    .sweep(&network.1, "encoder", &x, Some(&initial), None, direction)
                    .unwrap();
                close(&states.narrow(1, 0, length).unwrap(), &alone, 1e-6, "a sequence alone");
            }
        }
    }
}

#[test]
fn no_initial_state_is_a_state_of_zeros() {
    let (network, parameters) = example(2, 5, DType::F32);
    let x = normal("x", (3, 4, 2)).to_dtype(DType::F32).unwrap();
    let zeros = Tensor::zeros((3, 5), DType::F32, &Device::Cpu).unwrap();
    let sweep = |initial| {
        network
            .sweep(&parameters, "encoder", &x, initial, None, Direction::Forward)
            .unwrap()
    };
    close(&sweep(None), &sweep(Some(&zeros)), 0.0, "states");
}

/// A second pass computes the consumed values again; constant parameters get no gradient but pass one on.
#[test]
fn backward_passes_repeat_and_constants_get_nothing() {
    let (network, parameters) = example(2, 5, DType::F32);
    let x = Var::from_tensor(&normal("x", (3, 4, 2)).to_dtype(DType::F32).unwrap()).unwrap();
    let sweep = |parameters: &Parameters| {
        loss(
            &network
                .sweep(parameters, "encoder", &x, None, None, Direction::Forward)
                .unwrap(),
        )
    };
    let value = sweep(&parameters);
    let (first, second) = (backward(&value).unwrap(), backward(&value).unwrap());
    let constant = backward(&sweep(&parameters.constant())).unwrap();
    close(constant.get(&x).unwrap(), first.get(&x).unwrap(), 0.0, "inputs");
    for (name, var) in parameters.iter() {
        close(second.get(var).unwrap(), first.get(var).unwrap(), 0.0, name);
        assert!(constant.get(var).is_none(), "{name}");
    }
    let text = value.backward().unwrap_err().to_string();
    assert!(text.contains("nn::backward"), "{text}");
}

#[test]
fn initial_recurrent_weights_are_orthogonal() {
    let network = GatedRecurrent::new(2, 7).unwrap();
    let mut parameters = Parameters::new();
    let stream = Streams::new(1).named("weights");
    network
        .initial("encoder", &mut parameters, DType::F64, &Device::Cpu, &stream)
        .unwrap();
    let weight = parameters.get("encoder.recurrent.weight").unwrap();
    for gate in 0..3 {
        let w = weight.narrow(1, 7 * gate, 7).unwrap().contiguous().unwrap();
        let identity = Tensor::eye(7, DType::F64, &Device::Cpu).unwrap();
        close(&w.matmul(&w.t().unwrap()).unwrap(), &identity, 1e-13, "U U'");
        let next = weight.narrow(1, 7 * ((gate + 1) % 3), 7).unwrap();
        assert_ne!(numbers(&w), numbers(&next));
    }
    assert_eq!(parameters.count(), 2 * 21 + 21 + 7 * 21 + 7);
}

#[test]
fn faults_name_the_sizes() {
    let (network, parameters) = example(2, 5, DType::F64);
    let sweep = |x: &Tensor, lengths: Option<&[usize]>| {
        let sweep = network.sweep(&parameters, "encoder", x, None, lengths, Direction::Forward);
        sweep.unwrap_err().to_string()
    };
    let text = sweep(&normal("x", (3, 4, 7)), None);
    assert!(text.contains("[B, T, 2]") && text.contains("[3, 4, 7]"), "{text}");
    let text = sweep(&normal("x", (3, 4, 2)), Some(&[4, 5, 1]));
    assert!(text.contains("[4, 5, 1]"), "{text}");
    assert!(GatedRecurrent::new(0, 3).is_err());
}
