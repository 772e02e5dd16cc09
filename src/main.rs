//! The `latent-lab` program.

use libmimalloc_sys::{mi_option_set, mi_option_t};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `mi_option_purge_delay` of mimalloc 2 and 3, which the binding leaves out.
const PURGE_DELAY: mi_option_t = 15;

fn main() -> std::process::ExitCode {
    // One run is one thread. Candle would start threads of its own inside a run (a spinning pool for large element-wise
    // operations, rayon for matrix products) and reads how many from these variables.
    // SAFETY: no other thread exists yet, so nothing reads the environment meanwhile.
    unsafe {
        std::env::set_var("CANDLE_NUM_THREADS", "1");
        std::env::set_var("RAYON_NUM_THREADS", "1");
    }
    // Return freed memory to the system after ten times this delay, 1 s, instead of after the default 10 s. With the
    // default, the batches of evaluations and the pixels of figures add up to twice the memory in use. With a shorter
    // delay, wide layers spend a twentieth of their time on getting memory back.
    // SAFETY: sets one number inside the allocator.
    unsafe { mi_option_set(PURGE_DELAY, 100) };
    // Disable huge pages: they added 2 MB per thread and size class, and made no step faster. A system without this flag
    // returns an error and changes nothing.
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    latent_lab::cli::main()
}
