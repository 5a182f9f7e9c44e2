//! Start, run, exit code.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    return_memory_soon();
    quiet_display_probe();
    raise_file_limit();
    fleetwear::cli::main()
}

/// Milliseconds after which freed memory may go back to the system, at the next occasion that the allocator takes,
/// unless `MIMALLOC_PURGE_DELAY` says otherwise.
/// mimalloc's own second is longer than a fleet's sums take to move from the threads' ranges to one place, and they
/// would be held twice; below some tens, memory that is in use all the time comes and goes.
const PURGE_DELAY_MS: std::ffi::c_long = 100;

/// `mi_option_purge_delay` in `mimalloc.h`.
const PURGE_DELAY: std::ffi::c_int = 15;

unsafe extern "C" {
    fn mi_option_set_default(option: std::ffi::c_int, value: std::ffi::c_long);
}

fn return_memory_soon() {
    // SAFETY: nothing else has run yet; an option is a number that the allocator reads.
    unsafe { mi_option_set_default(PURGE_DELAY, PURGE_DELAY_MS) }
}

/// Vulkan drivers look for a Wayland display, and the library that they ask prints an error of its own where this
/// variable is missing, as it is in most containers. With a folder that holds no display they find none in silence.
fn quiet_display_probe() {
    const FOLDER: &str = "XDG_RUNTIME_DIR";
    if cfg!(target_os = "linux") && std::env::var_os(FOLDER).is_none() {
        // SAFETY: nothing else has run yet, so no other thread can be reading the environment.
        unsafe { std::env::set_var(FOLDER, std::env::temp_dir()) }
    }
}

/// Sorting rows on disk keeps some hundreds of files open, more than shells allow unless asked (1,024 on Linux, 256 on
/// macOS), but not more than they may allow. Where that fails, the error of the file that cannot be opened says so.
fn raise_file_limit() {
    #[cfg(unix)]
    {
        use nix::sys::resource::{Resource, getrlimit, setrlimit};
        const WANTED: u64 = 10_240;
        if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
            && soft < WANTED.min(hard)
        {
            let _ = setrlimit(Resource::RLIMIT_NOFILE, WANTED.min(hard), hard);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    unsafe extern "C" {
        fn mi_option_get(option: std::ffi::c_int) -> std::ffi::c_long;
    }

    #[test]
    fn the_option_is_the_one_that_is_meant() {
        // SAFETY: as in `return_memory_soon`; no other test touches options.
        let get = || unsafe { mi_option_get(PURGE_DELAY) };
        assert_eq!(get(), 1000, "no longer mimalloc 3's own: see its mimalloc.h");
        return_memory_soon();
        assert_eq!(get(), PURGE_DELAY_MS);
    }
}
