//! How long one step of gradients through a whole sequence takes, on one thread, f32: the fused operations against the
//! composed references of the same functions.
//!
//! ```text
//! cargo bench --bench sequences
//! ```

use candle_core::{DType, Device, Shape, Tensor, Var};
use criterion::{BenchmarkId, Criterion};
use latent_lab::Result;
use latent_lab::math::streams::Streams;
use latent_lab::nn::{
    self, Activation, Direction, GatedRecurrent, GaussianRecursion, Parameters, RecursionLayer, backward, with_composed,
};
use std::hint::black_box;
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const BATCH: usize = 64;
const STEPS: [usize; 2] = [25, 100];

fn normal(name: &str, shape: impl Into<Shape>) -> Result<Tensor> {
    nn::normal(Streams::new(0).named(name).at(0), shape, DType::F32, &Device::Cpu)
}

/// Times `gradients`, fused and composed.
fn both(criterion: &mut Criterion, name: &str, steps: usize, gradients: impl Fn() -> Result<()>) {
    let mut group = criterion.benchmark_group(name);
    group
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(3))
        .sample_size(10);
    let size = format!("T={steps}");
    group.bench_function(BenchmarkId::new("fused", &size), |bencher| {
        bencher.iter(|| gradients().expect("sizes agree"));
    });
    group.bench_function(BenchmarkId::new("composed", &size), |bencher| {
        bencher.iter(|| with_composed(&gradients).expect("sizes agree"));
    });
    group.finish();
}

/// Inputs of 32 numbers, 32 units; gradients of inputs and parameters.
fn gated_recurrent(criterion: &mut Criterion, steps: usize) -> Result<()> {
    let network = GatedRecurrent::new(32, 32)?;
    let mut parameters = Parameters::new();
    let stream = Streams::new(0).named("weights");
    network.initial("encoder", &mut parameters, DType::F32, &Device::Cpu, &stream)?;
    let inputs = Var::from_tensor(&normal("inputs", (BATCH, steps, 32))?)?;
    let weights = normal("gradient", (BATCH, steps, 32))?;
    both(criterion, "gated recurrent units", steps, || {
        let states = network.sweep(&parameters, "encoder", &inputs, None, None, Direction::Forward)?;
        black_box(backward(&(states * &weights)?.sum_all()?)?);
        Ok(())
    });
    Ok(())
}

/// States of 8 numbers, 64 hidden units, one sample; gradients of context and weights, from states and log-densities.
fn gaussian_recursion(criterion: &mut Criterion, steps: usize) -> Result<()> {
    let var =
        |name: &str, shape: &[usize]| Ok::<_, latent_lab::Error>(Var::from_tensor(&(normal(name, shape)? * 0.1)?)?);
    let (context, direct) = (var("context", &[BATCH, steps, 64 + 16])?, var("direct", &[8, 16])?);
    let (state, output) = (var("state", &[8, 64])?, var("output", &[64, 16])?);
    let recursion = GaussianRecursion {
        hidden: Some(RecursionLayer {
            state: state.as_tensor().clone(),
            activation: Activation::Tanh,
            output: output.as_tensor().clone(),
        }),
        direct: direct.as_tensor().clone(),
        context: context.as_tensor().clone(),
        floor: 0.1,
    };
    let (initial, noise) = (normal("initial", (BATCH, 8))?, normal("noise", (steps, BATCH, 8))?);
    let weights = normal("gradient", (BATCH, steps, 8))?;
    both(criterion, "Gaussian recursion", steps, || {
        let paths = recursion.paths(&initial, &noise)?;
        let loss = ((paths.states * &weights)?.sum_all()? + paths.log_densities.sum_all()?)?;
        black_box(backward(&loss)?);
        Ok(())
    });
    Ok(())
}

fn main() -> Result<()> {
    // As in the program: nothing inside one run is parallel.
    // SAFETY: no other thread runs yet.
    unsafe {
        std::env::set_var("RAYON_NUM_THREADS", "1");
        std::env::set_var("CANDLE_NUM_THREADS", "1");
    }
    let mut criterion = Criterion::default().configure_from_args();
    for steps in STEPS {
        gated_recurrent(&mut criterion, steps)?;
        gaussian_recursion(&mut criterion, steps)?;
    }
    criterion.final_summary();
    Ok(())
}
