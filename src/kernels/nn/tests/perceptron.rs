//! Perceptrons against the chain of their layers, and their gradients at any place in a graph.

use super::{close, normal};
use crate::math::streams::Streams;
use crate::nn::{Activation, Parameters, Perceptron, backward, dense, with_composed};
use candle_core::{DType, Device, Tensor, Var};

/// A network of 4 inputs and 5 outputs with its parameters, biases not 0.
fn example(hidden: &[usize], activation: Activation, dtype: DType) -> (Perceptron, Parameters) {
    let network = Perceptron::new(4, hidden, 5, activation).unwrap();
    let mut parameters = Parameters::new();
    let stream = Streams::new(1).named("weights");
    network
        .initial("policy", &mut parameters, dtype, &Device::Cpu, &stream)
        .unwrap();
    for (name, var) in parameters.iter().filter(|(name, _)| name.ends_with("bias")) {
        var.set(&normal(name, var.shape()).to_dtype(dtype).unwrap()).unwrap();
    }
    (network, parameters)
}

/// The values fed through [`dense`], layer by layer.
fn chain(parameters: &Parameters, layers: usize, activation: Activation, x: &Tensor) -> Tensor {
    (0..layers).fold(x.clone(), |h, i| {
        let get = |kind| parameters.get(&format!("policy.{i}.{kind}")).unwrap();
        let f = if i + 1 == layers {
            Activation::Identity
        } else {
            activation
        };
        dense(&h, get("weight"), get("bias"), f).unwrap()
    })
}

fn loss(out: &Tensor) -> Tensor {
    out.sqr().unwrap().sum_all().unwrap()
}

/// Values and gradients, of the input too where it is a variable: those of the chain to the last bit, those of the
/// composed network up to rounding.
#[test]
fn a_perceptron_is_the_chain_of_its_layers() {
    use Activation::{Identity, Relu, Silu, Tanh};
    for (dtype, tolerance) in [(DType::F64, 1e-11), (DType::F32, 2e-4)] {
        for activation in [Identity, Tanh, Relu, Silu] {
            for hidden in [&[][..], &[7], &[7, 3, 17]] {
                let (network, parameters) = example(hidden, activation, dtype);
                let data = normal("x", (6, 4)).to_dtype(dtype).unwrap();
                let var = Var::from_tensor(&data).unwrap();
                for x in [
                    &data,
                    var.as_tensor(),
                    &data.t().unwrap().contiguous().unwrap().t().unwrap(),
                ] {
                    let run = || {
                        let out = network.forward(&parameters, "policy", x).unwrap();
                        (backward(&loss(&out)).unwrap(), out)
                    };
                    let ((gradients, value), (twin_gradients, twin)) = (run(), with_composed(run));
                    let links = chain(&parameters, network.layers(), activation, x);
                    let link_gradients = loss(&links).backward().unwrap();
                    let what = format!("{activation:?} {hidden:?} {dtype:?}");
                    close(&value, &links, 0.0, &what);
                    close(&value, &twin, tolerance, &what);
                    let vars = parameters.iter().map(|(_, var)| var.as_tensor());
                    for var in vars.chain(x.is_variable().then_some(x)) {
                        let gradient = gradients.get(var).unwrap();
                        close(gradient, link_gradients.get(var).unwrap(), 0.0, &what);
                        close(gradient, twin_gradients.get(var).unwrap(), tolerance, &what);
                    }
                    assert_eq!(gradients.get(x).is_some(), x.is_variable(), "{what}");
                }
            }
        }
    }
}

/// A network applied twice, to data and to its own output, gets the sum of both gradients; as does one whose parameters
/// the loss also reads directly.
#[test]
fn gradients_of_shared_parameters_add_up() {
    let (network, parameters) = example(&[6], Activation::Tanh, DType::F64);
    let x = normal("x", (3, 4));
    let total = |forward: &dyn Fn(&Tensor) -> Tensor| {
        let once = forward(&x);
        let twice = forward(&once.narrow(1, 0, 4).unwrap());
        let penalty = loss(parameters.get("policy.0.weight").unwrap());
        ((loss(&once) + loss(&twice)).unwrap() + penalty).unwrap()
    };
    let got = backward(&total(&|x| network.forward(&parameters, "policy", x).unwrap())).unwrap();
    let want = total(&|x| chain(&parameters, 2, Activation::Tanh, x))
        .backward()
        .unwrap();
    for (name, var) in parameters.iter() {
        close(got.get(var).unwrap(), want.get(var).unwrap(), 1e-14, name);
    }
}

#[test]
fn a_second_backward_pass_gives_the_same() {
    let (network, parameters) = example(&[6, 5], Activation::Tanh, DType::F32);
    let value = loss(
        &network
            .forward(
                &parameters,
                "policy",
                &normal("x", (3, 4)).to_dtype(DType::F32).unwrap(),
            )
            .unwrap(),
    );
    let (first, second) = (backward(&value).unwrap(), backward(&value).unwrap());
    for (name, var) in parameters.iter() {
        close(second.get(var).unwrap(), first.get(var).unwrap(), 0.0, name);
    }
}

/// Gradients are never lost silently, not even after a pass that collected them.
#[test]
fn candles_own_backward_pass_is_an_error() {
    let (network, parameters) = example(&[6], Activation::Tanh, DType::F64);
    let value = loss(&network.forward(&parameters, "policy", &normal("x", (3, 4))).unwrap());
    backward(&value).unwrap();
    let text = value.backward().unwrap_err().to_string();
    assert!(text.contains("nn::backward"), "{text}");
}

#[test]
fn faults_name_the_sizes() {
    let (network, parameters) = example(&[6], Activation::Tanh, DType::F64);
    let fault = network.forward(&parameters, "policy", &normal("x", (3, 7)));
    let text = fault.unwrap_err().to_string();
    assert!(text.contains("[4, 6, 5]") && text.contains("[3, 7]"), "{text}");
}
