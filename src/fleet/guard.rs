//! Decoding behind a guard: a malformed file that makes a decoder panic becomes an error of that file.
//!
//! A panic is caught with its message. Rust's default hook would still print it; a program that installs its own hook
//! asks [`panic_is_caught`] there and stays silent where it says so.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Whether a panic on this thread, now, is caught and reported as the error of a file. For panic hooks.
pub fn panic_is_caught() -> bool {
    GUARDED.get()
}

/// Runs `decode`; a panic in it is returned as its message. What `decode` had borrowed must not be used after one.
pub fn guarded<T>(decode: impl FnOnce() -> T) -> Result<T, String> {
    let outer = GUARDED.replace(true);
    let outcome = catch_unwind(AssertUnwindSafe(decode));
    GUARDED.set(outer);
    outcome.map_err(|payload| {
        let message = payload
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| payload.downcast_ref::<&'static str>().copied())
            .unwrap_or("no message");
        format!("the decoder gave up: {message}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_its_message_and_the_guard_ends_with_it() {
        let outcome: Result<(), String> = guarded(|| {
            assert!(panic_is_caught());
            panic!("offset {} is outside", 7)
        });
        assert_eq!(outcome, Err("the decoder gave up: offset 7 is outside".to_string()));
        assert!(!panic_is_caught());
        assert_eq!(guarded(|| 3), Ok(3));
    }
}
