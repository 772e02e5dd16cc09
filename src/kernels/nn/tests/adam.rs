//! Adam against its equations written out for single numbers, its clipping, and exact continuation.

use super::{close, numbers};
use crate::nn::{Adam, AdamSettings, Parameters};
use candle_core::backprop::GradStore;
use candle_core::{DType, Device, Tensor};

const SETTINGS: AdamSettings = AdamSettings {
    first_decay: 0.8,
    second_decay: 0.95,
    epsilon: 1e-6,
    weight_decay: 0.1,
};

fn parameters(dtype: DType) -> Parameters {
    let mut parameters = Parameters::new();
    for (name, n) in [("b", 3), ("a.weight", 37), ("unused", 2)] {
        let value = super::normal(name, n).to_dtype(dtype).unwrap();
        parameters.insert(name, &value).unwrap();
    }
    parameters
}

/// Gradients of `Σ x³ / 3`, which are `x²`, for all but the unused parameter.
fn gradients(parameters: &Parameters) -> GradStore {
    let cube = |name| parameters.get(name).unwrap().powf(3.0).unwrap().sum_all().unwrap();
    ((cube("a.weight") + cube("b")).unwrap() / 3.0)
        .unwrap()
        .backward()
        .unwrap()
}

#[test]
fn steps_follow_the_equations() {
    for (dtype, tolerance) in [(DType::F64, 1e-12), (DType::F32, 1e-5)] {
        let parameters = parameters(dtype);
        let mut adam = Adam::new(&parameters, SETTINGS).unwrap();
        let read = || {
            ["a.weight", "b", "unused"]
                .map(|name| numbers(parameters.get(name).unwrap()))
                .concat()
        };
        let mut x = read();
        let (mut m, mut v) = (vec![0.0; x.len()], vec![0.0; x.len()]);
        for t in 1..=5 {
            let (rate, limit) = (0.01 * f64::from(t), 0.5);
            let mut g: Vec<f64> = x.iter().map(|x| x * x).collect();
            g[40..].fill(0.0);
            let norm = g.iter().map(|g| g * g).sum::<f64>().sqrt();
            let got = adam
                .step(&parameters, &gradients(&parameters), rate, Some(limit))
                .unwrap();
            assert!((got - norm).abs() < tolerance * norm);
            for (i, (((x, g), m), v)) in x.iter_mut().zip(g).zip(&mut m).zip(&mut v).enumerate() {
                let decay = if i < 37 { 0.1 } else { 0.0 };
                let g = g * (limit / norm).min(1.0);
                *m = 0.8 * *m + 0.2 * g;
                *v = 0.95 * *v + 0.05 * g * g;
                let (m, v) = (*m / (1.0 - 0.8f64.powi(t)), *v / (1.0 - 0.95f64.powi(t)));
                *x -= rate * (m / (v.sqrt() + 1e-6) + decay * *x);
            }
            for (got, want) in read().into_iter().zip(&x) {
                assert!((got - want).abs() < tolerance, "{got} {want}");
            }
        }
    }
}

/// What runs on a GPU: the composed step gives the same numbers.
#[test]
fn the_composed_step_is_the_same() {
    let (fused, composed) = (parameters(DType::F64), parameters(DType::F64));
    let mut one = Adam::new(&fused, SETTINGS).unwrap();
    let mut other = crate::nn::with_composed(|| Adam::new(&composed, SETTINGS)).unwrap();
    for _ in 0..3 {
        one.step(&fused, &gradients(&fused), 0.01, Some(1.0)).unwrap();
        other.step(&composed, &gradients(&composed), 0.01, Some(1.0)).unwrap();
    }
    for (name, var) in fused.iter() {
        close(var, composed.get(name).unwrap(), 1e-12, name);
    }
    for (name, moment) in one.state().unwrap() {
        close(&moment, &other.state().unwrap()[&name], 1e-12, &name);
    }
}

/// Restored moments continue bit for bit.
#[test]
fn a_restored_optimiser_continues_exactly() {
    let parameters = parameters(DType::F32);
    let mut adam = Adam::new(&parameters, SETTINGS).unwrap();
    let step = |adam: &mut Adam, parameters: &Parameters| {
        adam.step(parameters, &gradients(parameters), 0.01, None).unwrap();
    };
    (0..3).for_each(|_| step(&mut adam, &parameters));
    let (state, steps, copy) = (adam.state().unwrap(), adam.steps(), parameters.snapshot().unwrap());
    assert_eq!(state.keys().next().unwrap(), "first/a.weight");
    (0..3).for_each(|_| step(&mut adam, &parameters));
    let mut restored = Adam::new(&copy, SETTINGS).unwrap();
    restored.restore(&state, steps).unwrap();
    (0..3).for_each(|_| step(&mut restored, &copy));
    for (name, var) in parameters.iter() {
        assert_eq!(numbers(var), numbers(copy.get(name).unwrap()));
    }
}

/// A gradient that is not a number is reported and changes nothing.
#[test]
fn a_non_finite_gradient_changes_nothing() {
    let parameters = parameters(DType::F64);
    let before = numbers(parameters.get("a.weight").unwrap());
    let mut adam = Adam::new(&parameters, SETTINGS).unwrap();
    let mut store = gradients(&parameters);
    let bad = Tensor::new(&[f64::NAN, 0.0, 0.0], &Device::Cpu).unwrap();
    store.insert(parameters.get("b").unwrap(), bad);
    assert!(adam.step(&parameters, &store, 0.1, Some(1.0)).unwrap().is_nan());
    assert_eq!(
        (numbers(parameters.get("a.weight").unwrap()), adam.steps()),
        (before, 0)
    );
}

/// Without gradients the moments die out instead of becoming denormal.
#[test]
fn moments_become_zero_not_denormal() {
    let parameters = parameters(DType::F32);
    let mut adam = Adam::new(&parameters, AdamSettings::default()).unwrap();
    adam.step(&parameters, &gradients(&parameters), 0.0, None).unwrap();
    let none = GradStore::default();
    for _ in 0..1000 {
        adam.step(&parameters, &none, 0.0, None).unwrap();
    }
    assert!(
        numbers(&adam.state().unwrap()["first/a.weight"])
            .iter()
            .all(|&m| m == 0.0)
    );
}
