//! What a client sees of a cluster over time: how often it was served, and the longest it was not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How often the counters are read: the error of every span that is measured.
pub const RESOLUTION: Duration = Duration::from_millis(10);

/// A counter of what was done, which any thread may read.
pub type Counter = Box<dyn Fn() -> u64 + Send>;

/// How counters went up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Timeline {
    /// The name of each counter.
    pub names: Vec<&'static str>,
    /// When they were read, and what they were at, one each.
    pub samples: Vec<(Duration, Vec<u64>)>,
}

impl Timeline {
    /// The longest span within `from..until` in which `series` did not go up: all of it, if it never did.
    pub fn silence(&self, series: usize, from: Duration, until: Duration) -> Duration {
        let mut longest = Duration::ZERO;
        let mut last_served = from;
        for pair in self.samples.windows(2) {
            let (at, served) = (pair[1].0, pair[1].1[series] > pair[0].1[series]);
            if served && at >= from && at <= until {
                longest = longest.max(at - last_served);
                last_served = at;
            }
        }
        longest.max(until.saturating_sub(last_served))
    }

    /// How often a second `series` went up, for each `span` from the beginning on.
    pub fn rates(&self, series: usize, span: Duration) -> Vec<f64> {
        let mut rates = Vec::new();
        let Some((end, _)) = self.samples.last() else { return rates };
        let spans = end.as_nanos().div_ceil(span.as_nanos().max(1)) as usize;
        rates.resize(spans, 0.0);
        for pair in self.samples.windows(2) {
            let index = (pair[1].0.as_nanos().saturating_sub(1) / span.as_nanos().max(1)) as usize;
            let more = pair[1].1[series].saturating_sub(pair[0].1[series]);
            if let Some(rate) = rates.get_mut(index) {
                *rate += more as f64 / span.as_secs_f64();
            }
        }
        rates
    }
}

/// A thread that reads counters.
pub struct Recorder {
    began: Instant,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Timeline>,
}

impl Recorder {
    /// Starts to read them.
    pub fn start(counters: Vec<(&'static str, Counter)>) -> Recorder {
        let (began, stop) = (Instant::now(), Arc::new(AtomicBool::new(false)));
        let stopped = stop.clone();
        let read = move || {
            let names = counters.iter().map(|(name, _)| *name).collect();
            let mut timeline = Timeline { names, samples: Vec::new() };
            loop {
                let ended = stopped.load(Ordering::Relaxed);
                let values = counters.iter().map(|(_, counter)| counter()).collect();
                timeline.samples.push((began.elapsed(), values));
                if ended {
                    return timeline;
                }
                std::thread::sleep(RESOLUTION);
            }
        };
        Recorder { began, stop, thread: std::thread::spawn(read) }
    }

    /// The time since it began.
    pub fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// Ends it.
    ///
    /// # Panics
    /// If the thread did.
    pub fn finish(self) -> Timeline {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("the recorder ends in order")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    fn timeline(values: &[(u64, u64)]) -> Timeline {
        let samples = values.iter().map(|(at, value)| (seconds(*at), vec![*value])).collect();
        Timeline { names: vec!["one"], samples }
    }

    #[test]
    fn silence_is_the_longest_span_without_service() {
        let line = timeline(&[(0, 0), (1, 3), (2, 3), (4, 4), (5, 5), (9, 5)]);
        assert_eq!(line.silence(0, seconds(0), seconds(5)), seconds(3));
        assert_eq!(line.silence(0, seconds(2), seconds(5)), seconds(2), "only within");
        assert_eq!(line.silence(0, seconds(0), seconds(9)), seconds(4), "to the end");
        assert_eq!(line.silence(0, seconds(6), seconds(9)), seconds(3), "all of it");
        assert_eq!(timeline(&[]).silence(0, seconds(1), seconds(2)), seconds(1));
    }

    #[test]
    fn rates_are_by_the_second() {
        let line = timeline(&[(0, 0), (1, 4), (2, 4), (4, 8)]);
        assert_eq!(line.rates(0, seconds(2)), [2.0, 2.0]);
        assert_eq!(timeline(&[]).rates(0, seconds(2)), [0.0; 0]);
    }
}
