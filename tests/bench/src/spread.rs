//! How long things took.

use std::time::Duration;

/// Durations, to be asked which share of them was not longer than what.
#[derive(Clone, Debug, Default)]
pub struct Spread(Vec<Duration>);

impl Spread {
    /// Half took no longer, in milliseconds.
    pub fn p50_ms(&self) -> f64 {
        self.at_ms(0.5)
    }

    /// 99 of 100 took no longer, in milliseconds.
    pub fn p99_ms(&self) -> f64 {
        self.at_ms(0.99)
    }

    fn at_ms(&self, share: f64) -> f64 {
        let at = (self.0.len() as f64 * share) as usize;
        self.0.get(at).map_or(f64::NAN, |duration| duration.as_secs_f64() * 1e3)
    }
}

impl FromIterator<Duration> for Spread {
    fn from_iter<I: IntoIterator<Item = Duration>>(durations: I) -> Spread {
        let mut durations: Vec<Duration> = durations.into_iter().collect();
        durations.sort();
        Spread(durations)
    }
}
