//! The `latent-lab` program.

use libmimalloc_sys::{mi_option_set, mi_option_t};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `mi_option_purge_delay` of mimalloc 2 and 3, which the binding leaves out.
const PURGE_DELAY: mi_option_t = 15;

fn main() -> std::process::ExitCode {
    // One run is one thread, so candle must not start its own for large element-wise operations and matrix products; it
    // reads how many from these variables.
    // SAFETY: no other thread exists yet, so nothing reads the environment meanwhile.
    unsafe {
        std::env::set_var("CANDLE_NUM_THREADS", "1");
        std::env::set_var("RAYON_NUM_THREADS", "1");
    }
    // Freed memory goes back to the system after 1 s (mimalloc multiplies the 100 ms by ten), because after the usual 10 s
    // evaluations and figures hold twice what is ever in use, and sooner wide layers lose a twentieth of their time.
    // SAFETY: sets one number inside the allocator.
    unsafe { mi_option_set(PURGE_DELAY, 100) };
    // Huge pages are disabled because they added 2 MB per thread and size class and made no step faster; a system without
    // this switch loses nothing.
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    latent_lab::cli::main()
}
