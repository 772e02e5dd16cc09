//! The `latent-lab` program.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    // One run is one thread. Candle would start threads of its own inside a run (a spinning pool for large element-wise
    // operations, rayon for matrix products) and reads how many from these variables.
    // SAFETY: no other thread exists yet, so nothing reads the environment meanwhile.
    unsafe {
        std::env::set_var("CANDLE_NUM_THREADS", "1");
        std::env::set_var("RAYON_NUM_THREADS", "1");
    }
    latent_lab::cli::main()
}
