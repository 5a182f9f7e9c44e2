//! Bounds of a count whose law is known on paths: weather drawn, and parameters with it.
//!
//! Two neighbouring paths share each weather and differ in parameters; their means tell the two apart, as the variance of
//! counts does. What the parameters do to a pair is the ratio of its means, whose logarithm is spread by √2 too much; what
//! the weather does is a pair's geometric mean, whose logarithm holds half the parameters' variance besides. Both are
//! brought to their own spread. The plug-in law is then the mixture over weathers at the parameters as fitted; with each
//! pair's parameters instead it is what else could have been stated, and [`super::prediction`] calibrates by it.
//!
//! The law about each mean keeps the exact part of a few overdue parts ([`crate::simulate::large_parts`]): their odds are raised
//! until they add up to their share of it.
//!
//! Without drawn parameters nothing is calibrated: the model's parameters are taken as known, and that is told.

use super::prediction::{Bounds, calibrated};
use crate::simulate::count_law::{CountLaw, Moments};
use crate::simulate::large_parts::LargeParts;

/// Weathers, and draws of the parameters, that replicates are made of at most: evenly chosen, as their laws go by the product.
const MOST_PAIRS: usize = 256;
/// Means below this have no logarithm worth taking.
const LEAST_MEAN: f64 = 1e-9;

/// The law of a count, and the laws by which it is calibrated.
#[derive(Clone, Debug)]
pub struct Futures {
    /// A mixture over weathers.
    pub plug_in: Vec<CountLaw>,
    /// Of each draw of the parameters; empty: they are taken as known.
    pub replicates: Vec<Vec<CountLaw>>,
    /// Over everything that was drawn.
    pub predictive: Vec<CountLaw>,
    pub expected: f64,
}

impl Futures {
    /// Of laws on paths, equally likely; `large`: the parts that stand by themselves in them;
    /// `pairs`: two neighbours share each weather.
    pub fn of(on_paths: &[CountLaw], large: &LargeParts, pairs: bool) -> Self {
        let moments: Vec<Moments> = on_paths.iter().map(CountLaw::moments).collect();
        let expected = moments.iter().map(|one| one.mean).sum::<f64>() / moments.len().max(1) as f64;
        let known =
            || Self { plug_in: on_paths.to_vec(), replicates: Vec::new(), predictive: on_paths.to_vec(), expected };
        if !pairs || moments.len() < 4 || moments.iter().any(|one| one.mean <= LEAST_MEAN) {
            return known();
        }
        let pairs: Vec<[Moments; 2]> = moments.chunks_exact(2).map(|pair| [pair[0], pair[1]]).collect();
        let count = pairs.len() as f64;
        let halves: Vec<f64> = pairs.iter().map(|[a, b]| 0.5 * (libm::log(a.mean) - libm::log(b.mean))).collect();
        let middles: Vec<f64> = pairs.iter().map(|[a, b]| 0.5 * (libm::log(a.mean) + libm::log(b.mean))).collect();
        let centre = middles.iter().sum::<f64>() / count;
        // Half the difference has half the parameters' variance, and so has the middle beside the weather's.
        let of_halves = halves.iter().map(|half| half * half).sum::<f64>() / count;
        let of_middles = middles.iter().map(|one| (one - centre) * (one - centre)).sum::<f64>() / (count - 1.0);
        let shrink = if of_middles > 0.0 { libm::sqrt(((of_middles - of_halves) / of_middles).max(0.0)) } else { 0.0 };
        let squares_per_mean_squared =
            moments.iter().map(|one| one.squares / (one.mean * one.mean)).sum::<f64>() / moments.len() as f64;
        let sum_of_large = large.sum();
        let law = |moments: Moments| match large.is_empty() {
            true => CountLaw::of(moments),
            false => large.law(sum_of_large * moments.mean / expected, moments),
        };
        let mixture = |shift: f64, thinned: usize| -> Vec<CountLaw> {
            middles
                .iter()
                .step_by(thinned)
                .map(|middle| {
                    let mean = libm::exp(centre + shrink * (middle - centre) + shift);
                    law(Moments { mean, squares: (squares_per_mean_squared * mean * mean).min(mean) })
                })
                .collect()
        };
        let widen = std::f64::consts::SQRT_2;
        let thinned = pairs.len().div_ceil(MOST_PAIRS);
        let shifts = halves.iter().step_by(thinned).flat_map(|half| [widen * half, -widen * half]);
        Self {
            plug_in: mixture(0.0, 1),
            replicates: shifts.map(|shift| mixture(shift, thinned)).collect(),
            predictive: on_paths.to_vec(),
            expected,
        }
    }

    /// One-sided bounds of a level; without draws of the parameters those of the law as it is.
    pub fn bounds(&self, confidence: f64) -> Bounds {
        match self.replicates.is_empty() {
            true => calibrated(&self.plug_in, std::slice::from_ref(&self.plug_in), confidence),
            false => calibrated(&self.plug_in, &self.replicates, confidence),
        }
    }

    pub fn is_calibrated(&self) -> bool {
        !self.replicates.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixed::threefry::threefry2x32;
    use crate::model::normal;

    fn deviate(key: u32, at: u32) -> f64 {
        normal::quantile((f64::from(threefry2x32([key, 4], [at, 0])[0]) + 0.5) / 4_294_967_296.0)
    }

    fn poisson(mean: f64) -> CountLaw {
        CountLaw::of(Moments { mean, squares: 0.0 })
    }

    /// ln mean = ln 40 + weather (sd 0.2, by pairs) + parameters (sd 0.3).
    fn paths(count: u32) -> Vec<CountLaw> {
        let mean = |path: u32| 40.0 * libm::exp(0.2 * deviate(1, path / 2) + 0.3 * deviate(2, path));
        (0..count).map(|path| poisson(mean(path))).collect()
    }

    #[test]
    fn weather_and_parameters_are_told_apart() {
        let futures = Futures::of(&paths(2_000), &LargeParts::default(), true);
        let spread = |means: &[f64]| {
            let logs: Vec<f64> = means.iter().map(|mean| libm::log(*mean)).collect();
            let mean = logs.iter().sum::<f64>() / logs.len() as f64;
            (logs.iter().map(|one| (one - mean) * (one - mean)).sum::<f64>() / logs.len() as f64).sqrt()
        };
        let weather: Vec<f64> = futures.plug_in.iter().map(|law| law.moments().mean).collect();
        let parameters: Vec<f64> = futures.replicates.iter().map(|laws| laws[0].moments().mean).collect();
        assert!((spread(&weather) - 0.2).abs() < 0.02, "{}", spread(&weather));
        // Of 250 draws: three standard errors.
        assert!((spread(&parameters) - 0.3).abs() < 0.04 && parameters.len() == 500, "{}", spread(&parameters));
    }

    /// The calibrated bound lies beyond the plug-in one, and near the bound over everything that was drawn.
    #[test]
    fn unknown_parameters_widen_the_bounds() {
        let futures = Futures::of(&paths(256), &LargeParts::default(), true);
        let bounds = futures.bounds(0.95);
        assert!(
            bounds.upper.bound > bounds.upper.plug_in + 5 && bounds.lower.bound < bounds.lower.plug_in - 3,
            "{bounds:?}"
        );
        assert!(bounds.upper.plug_in_cover < 0.93 && bounds.upper.cover >= 0.95, "{bounds:?}");
        let drawn = crate::simulate::count_law::quantile(&futures.predictive, 0.95);
        assert!((bounds.upper.bound - drawn).abs() <= 12, "{} {drawn}", bounds.upper.bound);
        let known = Futures::of(&paths(256), &LargeParts::default(), false);
        assert!(!known.is_calibrated());
        let bounds = known.bounds(0.95);
        assert_eq!(bounds.upper.bound, bounds.upper.plug_in);
    }

    /// Three parts that are long overdue among 300 that hardly ever fail: moments alone put a tenth of the chance elsewhere.
    #[test]
    fn overdue_parts_keep_their_exact_law() {
        use crate::simulate::count_law::exact;
        let mut large = LargeParts::default();
        [0.999; 3].into_iter().for_each(|chance| large.add(chance));
        let all: Vec<f64> = [0.999; 3].into_iter().chain([0.002; 300]).collect();
        let moments = Moments { mean: all.iter().sum(), squares: all.iter().map(|p| p * p).sum() };
        let on_paths = vec![large.law(large.sum(), moments); 8];
        let law = exact(&all);
        let off = |laws: &[CountLaw]| {
            let mut up_to = 0.0;
            let off = law.iter().enumerate().map(|(k, p)| {
                up_to += p;
                (laws[0].at_most(k as i64) - up_to).abs()
            });
            off.fold(0.0, f64::max)
        };
        let kept = Futures::of(&on_paths, &large, true);
        assert!(off(&kept.plug_in) < 1e-3 && off(&kept.replicates[0]) < 1e-3, "{}", off(&kept.plug_in));
        assert!(off(&Futures::of(&on_paths, &LargeParts::default(), true).plug_in) > 0.1, "moments would do");
        assert_eq!(kept.bounds(0.95).lower.bound, 3, "all three are as good as sure");
    }

    #[test]
    fn nothing_to_come_is_nothing() {
        let futures = Futures::of(&vec![poisson(0.0); 8], &LargeParts::default(), true);
        let bounds = futures.bounds(0.95);
        assert_eq!((futures.expected, bounds.lower.bound, bounds.upper.bound), (0.0, 0, 0));
        let futures = Futures::of(&vec![poisson(3.0); 8], &LargeParts::default(), true);
        assert_eq!(futures.bounds(0.95).upper.bound, 6, "parameters that do nothing change nothing");
    }
}
