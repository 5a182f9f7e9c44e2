//! Bins of a channel: by quantiles of its records for the search, by single codes around a threshold afterwards.
//!
//! Key idea: a bin is a stretch of codes, so a threshold is an edge between two bins and means the same at any width.
//! Refining parts bins and keeps all edges. "Not available" is the last bin; no threshold looks at it.

use super::main_effects::{KNOTS, Levels};

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
    /// By edge: the last code before it that has records. A threshold there lies between that code and the edge's.
    pub last_before: Vec<u16>,
    /// Codes at quantiles of the records, between which a curve of the channel bends; the same however it is refined.
    knots: Vec<f64>,
}

impl Binning {
    /// A bin a code where there are few; else bins of about as many records each. `records`: by code, the last for
    /// "not available".
    pub fn by_quantiles(records: &[u64], most: usize) -> Self {
        let codes = records.len().saturating_sub(1);
        let seen: Vec<usize> = (0..codes).filter(|code| records[*code] > 0).collect();
        let mut edges = vec![0_u16];
        let mut left: u64 = records[..codes].iter().sum();
        let mut own = 0;
        for (place, code) in seen.iter().enumerate() {
            // A bin ends before the code that would bring it farther beyond its share of what is left than it lacks.
            let share = left as f64 / (most + 1 - edges.len()) as f64;
            let with = (own + records[*code]) as f64;
            let ends = seen.len() <= most || with - share > share - own as f64;
            if place > 0 && own > 0 && ends && edges.len() < most {
                edges.push(*code as u16);
                left -= own;
                own = 0;
            }
            own += records[*code];
        }
        let mut made = Self::with_edges(edges, records);
        made.knots = match made.bins() <= KNOTS {
            true => made.mean_code.clone(),
            false => knots(records, &seen),
        };
        made
    }

    /// The same bins, parted further around an edge: from `around` bins below it to as many above. Codes next to the
    /// edge are parted one by one, those farther away evenly, up to [`REFINED_BINS`].
    pub fn refined(&self, edge: usize, around: usize, records: &[u64]) -> Self {
        let (from, to) = (edge.saturating_sub(around), (edge + around).min(self.bins()));
        let inside = usize::from(self.edges[from])..usize::from(self.edges[to]);
        // Nothing lies below the first code that occurs: it is no edge.
        let first = records.iter().position(|count| *count > 0).unwrap_or(0);
        let is_edge = |code: usize| self.edges.binary_search(&(code as u16)).is_ok();
        let fresh = |code: &usize| records[*code] > 0 && *code > first && !is_edge(*code);
        let codes: Vec<usize> = inside.filter(fresh).collect();
        let room = REFINED_BINS - self.bins();
        let middle = codes.partition_point(|code| *code < usize::from(self.edges[edge]));
        let near = middle.saturating_sub(room / 4)..(middle + room / 4).min(codes.len());
        let step = (codes.len() - near.len()).div_ceil((room - near.len()).max(1)).max(1);
        let mut edges: Vec<u16> = self.edges[..self.bins()].to_vec();
        let taken = codes.iter().enumerate().filter(|(place, _)| near.contains(place) || place % step == 0);
        edges.extend(taken.map(|(_, code)| *code as u16).take(room));
        edges.sort_unstable();
        Self { knots: self.knots.clone(), ..Self::with_edges(edges, records) }
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
        let last_before =
            |edge: &u16| (0..usize::from(*edge)).rev().find(|code| records[*code] > 0).unwrap_or(0) as u16;
        Self { last_before: edges.iter().map(last_before).collect(), edges, bin_of, mean_code, knots: Vec::new() }
    }

    /// Bins, "not available" apart.
    pub fn bins(&self) -> usize {
        self.mean_code.len()
    }

    /// What is taken to be known of the levels of the bins.
    pub fn levels(&self) -> Levels {
        Levels::new(&self.mean_code, &self.knots)
    }
}

/// First and last code with records, and codes at quantiles between them.
fn knots(records: &[u64], seen: &[usize]) -> Vec<f64> {
    let total: u64 = seen.iter().map(|code| records[*code]).sum();
    let mut knots: Vec<f64> = seen.first().map(|code| *code as f64).into_iter().collect();
    let mut sum = 0;
    for code in seen {
        sum += records[*code];
        while knots.len() < KNOTS - 1 && sum * (KNOTS as u64 - 1) >= total * knots.len() as u64 {
            knots.push(*code as f64);
        }
    }
    knots.extend(seen.last().map(|code| *code as f64));
    knots.dedup();
    knots
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
        // Much in one code: it is a bin of its own, and what is left is shared by the others.
        assert_eq!(Binning::by_quantiles(&[5, 100, 5, 5, 85, 0], 4).edges, [0, 1, 2, 4, 5]);
        let mut skewed = vec![10_u64; 101];
        skewed[0] = 100_000;
        assert_eq!(Binning::by_quantiles(&skewed, 5).edges, [0, 1, 26, 51, 76, 100]);
        // Few codes: a bin each, however rare.
        let flag = Binning::by_quantiles(&[3, 99_999, 0], 31);
        assert_eq!((flag.edges.as_slice(), flag.bin_of.as_slice()), (&[0, 1, 2][..], &[0, 1, 2][..]));
        assert_eq!(Binning::by_quantiles(&[7, 0, 0, 2, 0, 1], 31).last_before, [0, 0, 3]);
        // A constant channel has one bin; so has one without records.
        assert_eq!(Binning::by_quantiles(&[0, 9, 0, 3], 31).bins(), 1);
        assert_eq!(Binning::by_quantiles(&[0, 0, 3], 31).bins(), 1);
    }

    #[test]
    fn refined_bins_are_single_codes_around_the_edge_and_keep_all_edges() {
        let mut records = vec![10_u64; 310];
        records.push(0);
        let binning = Binning::by_quantiles(&records, 31);
        let refined = binning.refined(10, 1, &records);
        assert_eq!(refined.edges[..10], binning.edges[..10]);
        let around: Vec<u16> = (90..110).collect();
        assert_eq!(refined.edges[9..29], around);
        assert_eq!(refined.edges[29..], binning.edges[11..]);
        // Too many for single codes: those next to the edge are, and no edge is lost.
        let wide = binning.refined(10, 4, &records);
        assert!(wide.bins() <= super::REFINED_BINS && binning.edges.iter().all(|edge| wide.edges.contains(edge)));
        assert!((94..=106).all(|edge| wide.edges.contains(&edge)), "{:?}", wide.edges);
        assert_eq!(wide.last_before[1..3], [9, 19]);
        // Two codes have one edge, between them.
        let two = [0, 0, 5, 0, 5, 0];
        assert_eq!(Binning::by_quantiles(&two, 31).refined(1, 2, &two).edges, [0, 4, 5]);
    }
}
