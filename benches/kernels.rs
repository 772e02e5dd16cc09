//! How long the fused kernels take, and a whole training step of a mixture density network made of them.
//!
//! The network is 4 → h → h → 5 components of 2 dimensions, tanh, trained by Adam on the exact marginal likelihood of a
//! batch of b rows, f32. `one seed` is a step on one thread; `eight seeds` the time per step and seed when two threads
//! train eight of them, which is what a comparison over seeds costs.
//!
//! What bounds a step now, by samples of `perf` on one thread of a Zen 5 core: at b = 64, h = 64, matrix products 43 %, the
//! mixture 13 %, tanh 9 %, Adam 5 %, the graph and its allocations most of the rest; at b = 256, h = 64, matrix products
//! 50 % (near the core's arithmetic limit), the mixture 16 %, tanh 12 %. A third of the mixture is turning rows into lanes
//! and back.

use candle_core::{DType, Device, Tensor, Var};
use criterion::{BenchmarkId, Criterion, Throughput};
use latent_lab::Result;
use latent_lab::math::streams::Streams;
use latent_lab::nn::{
    Activation, Adam, AdamSettings, ConditionalCovariance, Head, MixtureShape, Parameters, Perceptron, backward,
    bernoulli_log_density, dense, gaussian_log_density, log_softmax, log_sum_exp, mean, mixture_log_joint,
    mixture_log_prob, weighted_sum,
};
use rand_distr::{Distribution, StandardNormal};
use std::hint::black_box;
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SIZES: [(usize, usize); 4] = [(64, 64), (256, 64), (256, 128), (1024, 256)];
const MIXTURE: MixtureShape = MixtureShape {
    components: 5,
    dimension: 2,
    covariance: ConditionalCovariance::Diagonal,
    deviation_floor: 1e-3,
};

fn normal(name: &str, shape: (usize, usize)) -> Tensor {
    let numbers = StandardNormal
        .sample_iter(Streams::new(0).named(name).at(0))
        .take(shape.0 * shape.1);
    let numbers = numbers.map(|x: f64| x as f32).collect::<Vec<_>>();
    Tensor::from_vec(numbers, shape, &Device::Cpu).expect("sizes agree")
}

/// One seed's network, data and optimiser.
struct Job {
    network: Perceptron,
    parameters: Parameters,
    adam: Adam,
    x: Tensor, // [B, 4]
    y: Tensor, // [B, 2]
}

impl Job {
    fn new(seed: u64, batch: usize, hidden: usize) -> Result<Self> {
        let network = Perceptron::new(4, &[hidden, hidden], MIXTURE.columns(), Activation::Tanh)?;
        let mut parameters = Parameters::new();
        let stream = Streams::new(seed).named("weights");
        network.initial("network", &mut parameters, DType::F32, &Device::Cpu, &stream)?;
        Ok(Self {
            adam: Adam::new(&parameters, AdamSettings::default())?,
            network,
            parameters,
            x: normal("x", (batch, 4)),
            y: normal("y", (batch, 2)),
        })
    }

    fn step(&mut self) -> Result<f64> {
        let values = self.network.forward(&self.parameters, "network", &self.x)?; // [B, 25]
        let [logits, means, scales] = [0, 5, 15].map(|offset| Head {
            values: &values,
            offset,
        });
        let log_prob = mixture_log_prob(&self.y, logits, means, scales, &MIXTURE)?; // [B]
        let loss = mean(&log_prob)?.neg()?;
        self.adam.step(&self.parameters, &backward(&loss)?, 1e-3, None)
    }
}

fn training_steps(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("mixture density network");
    group
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3))
        .sample_size(10);
    for (batch, hidden) in SIZES {
        let size = format!("b={batch} h={hidden}");
        group.bench_function(BenchmarkId::new("one seed", &size), |bencher| {
            let mut job = Job::new(0, batch, hidden).expect("sizes agree");
            bencher.iter(|| job.step().expect("sizes agree"));
        });
        group.bench_function(BenchmarkId::new("eight seeds", &size), |bencher| {
            let mut jobs: Vec<_> = (0..8)
                .map(|seed| Job::new(seed, batch, hidden).expect("sizes agree"))
                .collect();
            bencher.iter_custom(|steps| {
                let start = Instant::now();
                std::thread::scope(|scope| {
                    for jobs in jobs.chunks_mut(4) {
                        scope.spawn(move || {
                            for job in jobs {
                                for _ in 0..steps {
                                    black_box(job.step().expect("sizes agree"));
                                }
                            }
                        });
                    }
                });
                start.elapsed() / 8
            });
        });
    }
    group.finish();
}

/// The values of `f`, then its values and the gradients of their sum.
fn both_ways(criterion: &mut Criterion, name: &str, arguments: &[Tensor], f: impl Fn(&[Tensor]) -> Result<Tensor>) {
    let mut group = criterion.benchmark_group(name);
    group
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .sample_size(10);
    group.throughput(Throughput::Elements(arguments[0].elem_count() as u64));
    group.bench_function("forward", |bencher| bencher.iter(|| f(arguments).expect("sizes agree")));
    let vars: Vec<Var> = arguments.iter().map(|x| Var::from_tensor(x).expect("a copy")).collect();
    let views: Vec<Tensor> = vars.iter().map(|var| var.as_tensor().clone()).collect();
    group.bench_function("forward and backward", |bencher| {
        bencher.iter(|| {
            f(&views)
                .expect("sizes agree")
                .backward()
                .expect("every operation has a gradient")
        });
    });
    group.finish();
}

fn kernels(criterion: &mut Criterion) {
    for (b, h) in SIZES {
        let arguments = [
            normal("x", (b, h)),
            normal("w", (h, h)),
            normal("b", (1, h)).squeeze(0).expect("one row"),
        ];
        both_ways(criterion, &format!("dense tanh b={b} h={h}"), &arguments, |a| {
            dense(&a[0], &a[1], &a[2], Activation::Tanh)
        });
    }
    let b = 1024;
    let x = [normal("x", (b, 5))];
    both_ways(criterion, "log_sum_exp b=1024 k=5", &x, |a| log_sum_exp(&a[0]));
    both_ways(criterion, "log_softmax b=1024 k=5", &x, |a| log_softmax(&a[0]));
    let weights = normal("w", (b, 5)).abs().expect("finite");
    both_ways(criterion, "weighted_sum b=1024 s=5", &x, |a| {
        weighted_sum(&a[0], &weights)
    });
    for covariance in [ConditionalCovariance::Diagonal, ConditionalCovariance::Full] {
        let shape = MixtureShape { covariance, ..MIXTURE };
        let y = normal("y", (b, 2));
        let name = format!("mixture_log_joint {covariance:?} b=1024");
        both_ways(criterion, &name, &[normal("heads", (b, shape.columns()))], |a| {
            let [logits, means, scales] = [0, 5, 15].map(|offset| Head { values: &a[0], offset });
            mixture_log_joint(&y, logits, means, scales, &shape)
        });
    }
    let arguments = ["x", "mean", "raw"].map(|name| normal(name, (b, 16)));
    both_ways(criterion, "gaussian_log_density b=1024 d=16", &arguments, |a| {
        gaussian_log_density(&a[0], &a[1], &a[2], 1e-3)
    });
    let pixels = normal("pixels", (128, 784))
        .ge(0.0)
        .and_then(|x| x.to_dtype(DType::F32))
        .expect("finite");
    both_ways(
        criterion,
        "bernoulli_log_density b=128 d=784",
        &[normal("logits", (128, 784))],
        |a| bernoulli_log_density(&pixels, &a[0]),
    );
}

fn main() {
    // Seeds are parallel here, so nothing inside one may be: candle would start threads that spin at a barrier.
    // SAFETY: no other thread runs yet.
    unsafe {
        std::env::set_var("RAYON_NUM_THREADS", "1");
        std::env::set_var("CANDLE_NUM_THREADS", "1");
    }
    let mut criterion = Criterion::default().configure_from_args();
    training_steps(&mut criterion);
    kernels(&mut criterion);
    criterion.final_summary();
}
