//! The library's side of `scripts/bench_peers`: does the requested work and reports how long it took.
//!
//! `peers serve` reads one request per line from standard input, a JSON object whose `job` names the work, and answers
//! each with one line of JSON: `seconds` of the work alone, without reading or preparing, and the results by which the
//! script checks that all peers did the same work. Any other call prints a hint and ends, so that all benchmarks can be
//! run together.

mod environments;
mod mixture;
mod network;
mod sequence;
mod state_space;
mod vae;

use latent_lab::{Error, Result};
use serde_json::{Value, json};
use std::io::{BufRead, Write};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    if std::env::args().nth(1).as_deref() != Some("serve") {
        eprintln!("this benchmark serves scripts/bench_peers: `peers serve` reads requests from standard input");
        return std::process::ExitCode::SUCCESS;
    }
    // As in the program: nothing inside one run is parallel.
    // SAFETY: no other thread exists yet, so nothing reads the environment meanwhile.
    unsafe {
        std::env::set_var("CANDLE_NUM_THREADS", "1");
        std::env::set_var("RAYON_NUM_THREADS", "1");
    }
    for line in std::io::stdin().lock().lines() {
        let answer = line.map_err(|error| Error::Other(error.to_string()));
        let answer = answer.and_then(|line| answer_to(&line));
        let answer = answer.unwrap_or_else(|error| json!({ "error": error.to_string() }));
        let mut out = std::io::stdout().lock();
        if writeln!(out, "{answer}").and_then(|()| out.flush()).is_err() {
            return std::process::ExitCode::FAILURE; // standard output is closed
        }
    }
    std::process::ExitCode::SUCCESS
}

fn answer_to(line: &str) -> Result<Value> {
    #[derive(serde::Deserialize)]
    #[serde(tag = "job", rename_all = "snake_case")]
    enum Request {
        Network(network::Request),
        Vae(vae::Request),
        Sequence(sequence::Request),
        Mixture(mixture::Request),
        Expectation(state_space::Request),
        CartPole(environments::Request),
        Pendulum(environments::Request),
        CartPoleBatch(environments::Request),
        CartPoleTransitions(environments::Request),
        PendulumTransitions(environments::Request),
        CartPoleBatchTransitions(environments::Request),
    }
    let request = serde_json::from_str(line).map_err(|error| Error::Other(format!("cannot read {line:?}: {error}")))?;
    match request {
        Request::Network(request) => request.answer(),
        Request::Vae(request) => request.answer(),
        Request::Sequence(request) => request.answer(),
        Request::Mixture(request) => request.answer(),
        Request::Expectation(request) => request.answer(),
        Request::CartPole(request) => Ok(request.cart_pole()),
        Request::Pendulum(request) => Ok(request.pendulum()),
        Request::CartPoleBatch(request) => Ok(request.cart_pole_batch()),
        Request::CartPoleTransitions(request) => Ok(request.cart_pole_transitions()),
        Request::PendulumTransitions(request) => Ok(request.pendulum_transitions()),
        Request::CartPoleBatchTransitions(request) => Ok(request.cart_pole_batch_transitions()),
    }
}

/// A pool of `threads` threads.
fn pool(threads: usize) -> Result<rayon::ThreadPool> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    pool.map_err(|error| Error::Other(format!("cannot start {threads} threads: {error}")))
}

/// The array `name` of the NPZ file `file`.
fn array(file: &candle_core::npy::NpzTensors, name: &str) -> Result<candle_core::Tensor> {
    file.get(name)?
        .ok_or_else(|| Error::Data(format!("no array `{name}` in the file of the benchmark")))
}
