//! Figures of repeated runs: the median, and how far they spread.

use serde::Serialize;

/// Seconds of repeated runs of one stage.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Sample {
    /// In the order of the runs.
    pub seconds: Vec<f64>,
}

impl Sample {
    pub fn push(&mut self, seconds: f64) {
        self.seconds.push(seconds);
    }

    /// The middle run, or the mean of the two in the middle; 0 without runs.
    pub fn median_s(&self) -> f64 {
        let mut sorted = self.seconds.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        match (sorted.get(middle), sorted.len() % 2) {
            (Some(upper), 1) => *upper,
            (Some(upper), _) => (sorted.get(middle.wrapping_sub(1)).unwrap_or(upper) + upper) / 2.0,
            (None, _) => 0.0,
        }
    }

    /// Half the distance between the slowest and the fastest run, as a share of the median.
    pub fn spread(&self) -> f64 {
        let fastest = self.seconds.iter().copied().fold(f64::INFINITY, f64::min);
        let slowest = self.seconds.iter().copied().fold(0.0, f64::max);
        let median = self.median_s();
        if median > 0.0 { (slowest - fastest) / 2.0 / median } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::Sample;

    #[test]
    fn medians() {
        let sample = |seconds: &[f64]| Sample { seconds: seconds.to_vec() };
        assert_eq!(sample(&[]).median_s(), 0.0);
        assert_eq!(sample(&[3.0]).median_s(), 3.0);
        assert_eq!(sample(&[3.0, 1.0]).median_s(), 2.0);
        assert_eq!(sample(&[9.0, 1.0, 2.0]).median_s(), 2.0);
        assert_eq!(sample(&[3.0, 1.0, 2.0]).spread(), 0.5);
        assert_eq!(sample(&[]).spread(), 0.0);
    }
}
