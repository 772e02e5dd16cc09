//! Fused kernels against their composed references, against finite differences, and at the edges.

mod adam;
mod edges;
mod perceptron;
mod twins;

use crate::Result;
use crate::math::streams::Streams;
use crate::math::vectors::tests::on_every_set;
use crate::nn::with_composed;
use candle_core::{DType, Device, Shape, Tensor, Var};

/// Standard normal numbers, f64, reproducible by `name`.
fn normal(name: &str, shape: impl Into<Shape>) -> Tensor {
    crate::nn::normal(Streams::new(0).named(name).at(0), shape, DType::F64, &Device::Cpu).unwrap()
}

fn numbers(x: &Tensor) -> Vec<f64> {
    x.to_dtype(DType::F64)
        .unwrap()
        .flatten_all()
        .unwrap()
        .to_vec1()
        .unwrap()
}

#[track_caller]
fn close(got: &Tensor, want: &Tensor, tolerance: f64, what: &str) {
    assert_eq!(got.dims(), want.dims(), "{what}");
    for (got, want) in numbers(got).into_iter().zip(numbers(want)) {
        let near = got == want || (got - want).abs() <= tolerance * (1.0 + want.abs());
        assert!(near, "{what}: got {got}, want {want}");
    }
}

/// The value of `f`, and the gradients of `Σ weights * f` with respect to its arguments, which are stored transposed
/// and handed over as views where `strided`.
fn value_and_gradients(
    f: &dyn Fn(&[Tensor]) -> Result<Tensor>,
    arguments: &[Tensor],
    strided: bool,
) -> Result<(Tensor, Vec<Tensor>)> {
    let turned = |x: &Tensor| if strided && x.rank() == 2 { x.t() } else { Ok(x.clone()) };
    let vars = arguments
        .iter()
        .map(|x| Var::from_tensor(&turned(x)?.contiguous()?.copy()?))
        .collect::<candle_core::Result<Vec<_>>>()?;
    let views = vars
        .iter()
        .map(|var| turned(var))
        .collect::<candle_core::Result<Vec<_>>>()?;
    let value = f(&views)?;
    let weights = normal("weights", value.shape()).to_dtype(value.dtype())?;
    let store = (&value * weights)?.sum_all()?.backward()?;
    let gradients = vars
        .iter()
        .map(|var| turned(&store.get(var).cloned().unwrap_or(var.zeros_like()?)))
        .collect::<candle_core::Result<Vec<_>>>()?;
    Ok((value, gradients))
}

/// Asserts that `f` and its gradients are the same fused and composed, in f64 and f32, contiguous or not; that every
/// instruction set gives the same bytes, since no kernel fuses a multiplication and an addition; and that the gradients
/// are those of central differences.
#[track_caller]
fn agrees(what: &str, arguments: &[Tensor], f: impl Fn(&[Tensor]) -> Result<Tensor>) {
    for (dtype, tolerance) in [(DType::F64, 1e-11), (DType::F32, 2e-4)] {
        let arguments: Vec<_> = arguments.iter().map(|x| x.to_dtype(dtype).unwrap()).collect();
        for strided in [false, true] {
            let mut sets = on_every_set(|| value_and_gradients(&f, &arguments, strided).unwrap());
            let bytes = |(value, gradients): &(Tensor, Vec<Tensor>)| -> Vec<u64> {
                let all = [value].into_iter().chain(gradients);
                all.flat_map(numbers).map(f64::to_bits).collect()
            };
            for (set, found) in &sets {
                assert_eq!(bytes(found), bytes(&sets[0].1), "{what}, {dtype:?}, {set}");
            }
            let (_, (value, gradients)) = sets.remove(0);
            let (twin, twin_gradients) = with_composed(|| value_and_gradients(&f, &arguments, strided)).unwrap();
            close(&value, &twin, tolerance, what);
            for (i, (gradient, twin)) in gradients.iter().zip(&twin_gradients).enumerate() {
                close(gradient, twin, tolerance, &format!("{what}, gradient {i}, {dtype:?}"));
            }
        }
    }
    let (value, gradients) = value_and_gradients(&f, arguments, false).unwrap();
    let weights = normal("weights", value.shape());
    let total = |arguments: &[Tensor]| -> f64 {
        (f(arguments).unwrap() * &weights)
            .unwrap()
            .sum_all()
            .unwrap()
            .to_scalar()
            .unwrap()
    };
    let h = 1e-5;
    for (i, gradient) in gradients.iter().enumerate() {
        for (j, got) in numbers(gradient).into_iter().enumerate() {
            let moved = |h: f64| {
                let mut arguments = arguments.to_vec();
                let mut x = numbers(&arguments[i]);
                x[j] += h;
                arguments[i] = Tensor::from_vec(x, arguments[i].shape(), &Device::Cpu).unwrap();
                total(&arguments)
            };
            let want = (moved(h) - moved(-h)) / (2.0 * h);
            assert!(
                (got - want).abs() < 1e-6 * (1.0 + want.abs()),
                "{what}, argument {i}[{j}]: {got}, want {want}"
            );
        }
    }
}
