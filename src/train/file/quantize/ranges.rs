//! What values a network's results take on pictures.

use std::thread;

use anyhow::{Result, anyhow};
use serde::Serialize;

use crate::model::Preprocessing;
use crate::model::stock::StockNetwork;
use crate::train::file::export;
use crate::train::file::graph::Graph;

/// Bins of a result's histogram between its least and its greatest value.
const BINS: usize = 4096;

/// How an activation's range follows from its values on training pictures.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RangeRule {
    /// From the least to the greatest.
    MinMax,
    /// This percentage of the values: as many are cut off above as below, or all above where no
    /// value is negative. What is cut off saturates; the rest gets finer steps.
    Percentile(f64),
}

/// Least and greatest value of each of a graph's results, and how the others lie between.
#[derive(Debug)]
pub(super) struct Ranges {
    /// One for each node; nothing for the input.
    results: Vec<Values>,
}

/// The values of one result.
#[derive(Debug, Clone)]
struct Values {
    min: f32,
    max: f32,
    counts: Vec<u64>,
}

impl Ranges {
    /// Runs all crops through the f32 network twice: for the extremes, then for the histograms.
    pub(super) fn measure(
        graph: &Graph,
        crops: &[Vec<u8>],
        preprocessing: &Preprocessing,
    ) -> Result<Self> {
        let network = export::to_f32_with_all_results(graph)?;
        let network = StockNetwork::load(&network, graph.input_size())?;
        let crops: Vec<&[u8]> = crops.iter().map(Vec::as_slice).collect();
        let unseen = Values {
            min: f32::INFINITY,
            max: f32::NEG_INFINITY,
            counts: Vec::new(),
        };
        let count = graph.nodes().len();
        let extremes = on_all_cores(&crops, |crops| {
            let mut results = vec![unseen.clone(); count];
            for_each(&network, crops, preprocessing, |at, values| {
                results[at + 1].extend(values);
            })?;
            Ok(results)
        })?;
        let mut results = merged(extremes);
        let histograms = on_all_cores(&crops, |crops| {
            let mut results = results.clone();
            for_each(&network, crops, preprocessing, |at, values| {
                results[at + 1].count(values);
            })?;
            Ok(results)
        })?;
        results = merged(histograms);
        Ok(Ranges { results })
    }

    /// The range of a node's result by this rule; zero and zero for the input.
    pub(super) fn span(&self, node: usize, rule: RangeRule) -> (f32, f32) {
        let values = &self.results[node];
        if values.min > values.max {
            return (0.0, 0.0);
        }
        match rule {
            RangeRule::MinMax => (values.min, values.max),
            RangeRule::Percentile(percent) => values.within(1.0 - percent / 100.0),
        }
    }
}

impl Values {
    fn extend(&mut self, values: &[f32]) {
        for &value in values {
            self.min = self.min.min(value);
            self.max = self.max.max(value);
        }
    }

    fn count(&mut self, values: &[f32]) {
        self.counts.resize(BINS, 0);
        let bins = BINS as f32 / (self.max - self.min).max(f32::MIN_POSITIVE);
        for &value in values {
            let bin = ((value - self.min) * bins) as usize;
            self.counts[bin.min(BINS - 1)] += 1;
        }
    }

    /// The range without a share of the values: half of it at each end, or all of it at the upper
    /// end where no value is negative.
    fn within(&self, share: f64) -> (f32, f32) {
        let total: u64 = self.counts.iter().sum();
        let (below, above) = if self.min < 0.0 {
            (share / 2.0, share / 2.0)
        } else {
            (0.0, share)
        };
        let bin = (self.max - self.min) / BINS as f32;
        let skipped = |share: f64, counts: &mut dyn Iterator<Item = &u64>| {
            let budget = (share * total as f64) as u64;
            let mut seen = 0;
            let bins = counts.take_while(|&&count| {
                seen += count;
                seen <= budget
            });
            bins.count().min(BINS - 1) as f32 * bin
        };
        let low = self.min + skipped(below, &mut self.counts.iter());
        let high = self.max - skipped(above, &mut self.counts.iter().rev());
        (low, high.max(low))
    }
}

/// The sum of what the threads saw; the same whatever their number.
fn merged(parts: Vec<Vec<Values>>) -> Vec<Values> {
    let mut parts = parts.into_iter();
    let mut all = parts.next().unwrap_or_default();
    for part in parts {
        for (all, part) in all.iter_mut().zip(part) {
            all.min = all.min.min(part.min);
            all.max = all.max.max(part.max);
            all.counts.resize(part.counts.len(), 0);
            for (all, part) in all.counts.iter_mut().zip(part.counts) {
                *all += part;
            }
        }
    }
    all
}

/// Each picture's outputs, in order.
pub(super) fn run_all(
    network: &StockNetwork,
    crops: &[&[u8]],
    preprocessing: &Preprocessing,
) -> Result<Vec<Vec<Vec<f32>>>> {
    let parts = on_all_cores(crops, |crops| {
        let mut outputs: Vec<Vec<Vec<f32>>> = Vec::new();
        for_each(network, crops, preprocessing, |at, values| {
            if at == 0 {
                outputs.push(Vec::new());
            }
            if let Some(last) = outputs.last_mut() {
                last.push(values.to_vec());
            }
        })?;
        Ok(outputs)
    })?;
    Ok(parts.into_iter().flatten().collect())
}

/// Runs crops one after the other and hands over each output.
fn for_each(
    network: &StockNetwork,
    crops: &[&[u8]],
    preprocessing: &Preprocessing,
    mut take: impl FnMut(usize, &[f32]),
) -> Result<()> {
    let mut input = Vec::new();
    for crop in crops {
        input.resize(crop.len(), 0.0);
        preprocessing.normalise(crop, &mut input);
        network.run(&input, &mut take)?;
    }
    Ok(())
}

/// What `work` gives for a part of the crops on each core, in the crops' order.
fn on_all_cores<T: Send>(
    crops: &[&[u8]],
    work: impl Fn(&[&[u8]]) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let part = crops.len().div_ceil(cores).max(1);
    thread::scope(|scope| {
        let threads: Vec<_> = crops
            .chunks(part)
            .map(|crops| scope.spawn(|| work(crops)))
            .collect();
        threads
            .into_iter()
            .map(|thread| {
                let result = thread.join();
                result.map_err(|_| anyhow!("a thread that runs the network gave up"))?
            })
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(values: &[f32]) -> Values {
        let mut all = Values {
            min: f32::INFINITY,
            max: f32::NEG_INFINITY,
            counts: Vec::new(),
        };
        all.extend(values);
        all.count(values);
        all
    }

    #[test]
    fn a_percentile_cuts_off_outliers_and_nothing_else() {
        let mut values: Vec<f32> = (0..10_000).map(|i| i as f32 / 10_000.0).collect();
        values.push(50.0);
        let (low, high) = seen(&values).within(0.001);
        assert_eq!(low, 0.0);
        assert!((0.98..1.1).contains(&high), "{high}");
    }

    #[test]
    fn a_signed_range_is_cut_at_both_ends() {
        let mut values: Vec<f32> = (0..10_000).map(|i| i as f32 / 5_000.0 - 1.0).collect();
        values.extend([-40.0, 40.0]);
        let (low, high) = seen(&values).within(0.001);
        assert!((-1.1..-0.95).contains(&low), "{low}");
        assert!((0.95..1.1).contains(&high), "{high}");
    }

    #[test]
    fn a_constant_is_its_own_range() {
        assert_eq!(seen(&[0.25; 8]).within(0.001), (0.25, 0.25));
    }
}
