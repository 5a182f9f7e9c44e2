//! Bins of a channel: by quantiles of its records for the search, by single codes around a threshold afterwards.
//!
//! Key idea: a bin is a stretch of codes, so a threshold is an edge between two bins and means the same at any width.
//! "Not available" is the last bin; no threshold looks at it.

use std::ops::Range;

/// Bins of the search at most, besides "not available": with it a pair has at most 1,024 cells.
pub const SEARCH_BINS: usize = 31;
/// Bins of a refined channel at most, besides "not available".
pub const REFINED_BINS: usize = 63;

/// A channel's bins.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Binning {
    /// First code of each bin, rising from 0; then the code "not available".
    pub edges: Vec<u16>,
    /// The bin of each code, that of "not available" included.
    pub bin_of: Vec<u8>,
    /// Mean code of each bin's records, rising.
    pub mean_code: Vec<f64>,
}

impl Binning {
    /// Bins of about as many records each. `records`: by code, the last for "not available".
    pub fn by_quantiles(records: &[u64], most: usize) -> Self {
        let codes = records.len().saturating_sub(1);
        let total: u64 = records[..codes].iter().sum();
        let (mut edges, mut sum) = (vec![0_u16], 0_u64);
        let mut reached = 0;
        for (code, own) in records[..codes].iter().enumerate() {
            // A bin ends before the code with which the next share of the records begins.
            let share = (u128::from(sum) * most as u128 / u128::from(total.max(1))) as u64;
            if *own > 0 && sum > 0 && share > reached {
                edges.push(code as u16);
                reached = share;
            }
            sum += own;
        }
        Self::with_edges(edges, records)
    }

    /// The same bins with single codes, or as few a bin as fit, around an edge: from `around` bins below it to as many
    /// above.
    pub fn refined(&self, edge: usize, around: usize, records: &[u64]) -> Self {
        let codes = records.len().saturating_sub(1);
        let bins = self.bins();
        let (from, to) = (edge.saturating_sub(around), (edge + around).min(bins));
        let edge_at = |bin: usize| if bin < bins { usize::from(self.edges[bin]) } else { codes };
        let seen = |range: Range<usize>| range.filter(|code| records[*code] > 0).collect::<Vec<usize>>();
        let inside = seen(edge_at(from)..edge_at(to));
        let room = REFINED_BINS - (from + bins - to);
        let step = inside.len().div_ceil(room.max(1)).max(1);
        let mut edges: Vec<u16> = self.edges[..from].to_vec();
        // The edge itself stays one, so that nothing found is lost.
        let middle = inside.partition_point(|code| *code < edge_at(edge)) % step;
        for (place, code) in inside.iter().enumerate() {
            if place == 0 || place % step == middle {
                edges.push(if place == 0 { edge_at(from) } else { *code } as u16);
            }
        }
        edges.extend((to..bins).map(|bin| self.edges[bin]));
        edges.truncate(REFINED_BINS);
        Self::with_edges(edges, records)
    }

    fn with_edges(mut edges: Vec<u16>, records: &[u64]) -> Self {
        edges.dedup();
        let codes = records.len().saturating_sub(1);
        let bins = edges.len();
        edges.push(codes as u16);
        let mut bin_of = Vec::with_capacity(records.len());
        let mut mean_code = Vec::with_capacity(bins);
        for bin in 0..bins {
            let range = usize::from(edges[bin])..usize::from(edges[bin + 1]);
            let own: u64 = records[range.clone()].iter().sum();
            let sum: f64 = range.clone().map(|code| code as f64 * records[code] as f64).sum();
            let middle = 0.5 * (range.start + range.end.max(range.start + 1) - 1) as f64;
            mean_code.push(if own > 0 { sum / own as f64 } else { middle });
            bin_of.extend(range.map(|_| bin as u8));
        }
        bin_of.push(bins as u8);
        Self { edges, bin_of, mean_code }
    }

    /// Bins, "not available" apart.
    pub fn bins(&self) -> usize {
        self.mean_code.len()
    }
}

#[cfg(test)]
mod tests {
    use super::Binning;

    #[test]
    fn bins_share_the_records_and_codes_keep_together() {
        let mut records = vec![10_u64; 100];
        records.push(77);
        let binning = Binning::by_quantiles(&records, 4);
        assert_eq!(binning.edges, [0, 25, 50, 75, 100]);
        assert_eq!((binning.bins(), binning.bin_of[24], binning.bin_of[25], binning.bin_of[100]), (4, 0, 1, 4));
        assert_eq!(binning.mean_code, [12.0, 37.0, 62.0, 87.0]);
        // Half of all in one code: a bin ends with it.
        let binning = Binning::by_quantiles(&[5, 100, 5, 5, 85, 0], 4);
        assert_eq!(binning.edges, [0, 2, 5]);
        // A constant channel has one bin; so has one without records.
        assert_eq!(Binning::by_quantiles(&[0, 9, 0, 3], 31).bins(), 1);
        assert_eq!(Binning::by_quantiles(&[0, 0, 3], 31).bins(), 1);
    }

    #[test]
    fn refined_bins_are_single_codes_around_the_edge() {
        let mut records = vec![10_u64; 310];
        records.push(0);
        let binning = Binning::by_quantiles(&records, 31);
        let refined = binning.refined(10, 1, &records);
        assert_eq!(refined.edges[..10], binning.edges[..10]);
        let around: Vec<u16> = (90..110).collect();
        assert_eq!(refined.edges[9..29], around);
        assert_eq!(refined.edges[29..], binning.edges[11..]);
        // Too many for single codes: the edge itself is kept.
        let wide = binning.refined(10, 4, &records);
        assert!(wide.bins() <= super::REFINED_BINS && wide.edges.contains(&100) && wide.edges.contains(&98));
    }
}
