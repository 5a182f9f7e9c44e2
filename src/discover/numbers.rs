//! Numbers as people and model files read them.

/// Six digits that count.
pub fn rounded(value: f64) -> f64 {
    format!("{value:.5e}").parse().unwrap_or(value)
}
