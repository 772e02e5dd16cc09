//! The `latent-lab` program.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

unsafe extern "C" {
    /// A function of mimalloc that its crate does not bind.
    fn mi_option_set(option: std::ffi::c_int, value: std::ffi::c_long);
}

/// `mi_option_purge_delay` of mimalloc 2 and 3.
const PURGE_DELAY: std::ffi::c_int = 15;

#[cfg(target_os = "linux")]
unsafe extern "C" {
    /// A function of the system.
    fn prctl(option: std::ffi::c_int, ...) -> std::ffi::c_int;
}

/// `PR_SET_THP_DISABLE` of Linux.
#[cfg(target_os = "linux")]
const DISABLE_HUGE_PAGES: std::ffi::c_int = 41;

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
    // Disable huge pages: they added 2 MB per thread and size class, and made no step faster.
    #[cfg(target_os = "linux")]
    // SAFETY: sets a flag of this process; a system without this flag returns an error and changes nothing.
    unsafe {
        let [yes, unused]: [std::ffi::c_ulong; 2] = [1, 0];
        prctl(DISABLE_HUGE_PAGES, yes, unused, unused, unused);
    }
    latent_lab::cli::main()
}
