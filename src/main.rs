//! Start, run, exit code.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    quiet_display_probe();
    raise_file_limit();
    fleetwear::cli::main()
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
