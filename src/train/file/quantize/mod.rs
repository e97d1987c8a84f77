//! Static int8 quantisation: scales for activations from what training pictures make of them,
//! and weights rounded for each output channel.
//!
//! - Activations are u8 with a scale and zero point for each tensor.
//! - Weights are s8, symmetric, with a scale for each output channel.
//! - Biases are s32 in the product of the two scales.
//!
//! A number `q` of any of these stands for `(q - zero_point) * step`.

mod ranges;

use anyhow::{Context, Result, ensure};
use serde::Serialize;

use super::export;
use super::graph::{Activation, Graph, Node, NodeId, Op};
use crate::model::Preprocessing;
use crate::model::stock::StockNetwork;
use ranges::{Ranges, run_all};

/// Rules for the range of an activation, each tried.
const RULES: [RangeRule; 3] = [
    RangeRule::MinMax,
    RangeRule::Percentile(99.999),
    RangeRule::Percentile(99.99),
];

/// Pictures at most on which the rules are compared; the stock runtime takes some 50 ms for each.
const COMPARED: usize = 128;

/// Biases stay below this, so that the sum with all products fits 32 bits.
const MAX_BIAS: f32 = (1 << 29) as f32;

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

/// A u8 activation's step and zero point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scale {
    /// The value of one unit.
    pub step: f32,
    /// The unit that stands for zero.
    pub zero_point: u8,
}

/// Scales of a graph's results.
#[derive(Debug, Clone, PartialEq)]
pub struct Quantization {
    /// One for each node; `None` where the result stays float, as a linear layer's that is only an
    /// output.
    pub scales: Vec<Option<Scale>>,
}

/// The rules that were tried and the one that was taken.
#[derive(Debug, Clone, Serialize)]
pub struct Choice {
    /// The rule that lost least.
    pub rule: RangeRule,
    /// What each rule lost.
    pub candidates: Vec<Candidate>,
}

/// What a rule lost.
#[derive(Debug, Clone, Serialize)]
pub struct Candidate {
    /// The rule.
    pub rule: RangeRule,
    /// Root mean square difference of int8 from f32, as a share of the standard deviation of the
    /// f32 output; of several outputs the root of their mean square.
    pub relative_error: f64,
    /// Share of pictures for which the first output's greatest element is the same.
    pub top1_agreement: f64,
    /// Pictures compared.
    pub pictures: usize,
}

/// A layer's weights in integers.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// -127 to 127, in the order of the float weights.
    pub weight: Vec<i8>,
    /// Step of each output channel's weights.
    pub weight_steps: Vec<f32>,
    /// One for each output channel.
    pub bias: Vec<i32>,
    /// Step of each bias: the input's times the weights'.
    pub bias_steps: Vec<f32>,
}

impl Scale {
    /// The finest scale that spans `low..=high` and zero, which it hits exactly.
    pub fn spanning(low: f32, high: f32) -> Self {
        let (low, high) = (low.min(0.0), high.max(0.0));
        // Where all is zero, any step will do.
        let step = if high > low {
            (high - low) / 255.0
        } else {
            1.0 / 255.0
        };
        let step = step.max(f32::MIN_POSITIVE);
        Scale {
            step,
            zero_point: (-low / step).round_ties_even().clamp(0.0, 255.0) as u8,
        }
    }
}

impl Layer {
    /// Rounds a layer's weights, one row of `weight` for each element of `bias`, for an input of
    /// this step.
    ///
    /// A channel whose bias would not fit 32 bits beside its weights' step gets a coarser step:
    /// such weights are next to nothing beside the bias.
    pub fn quantize(weight: &[f32], bias: &[f32], input_step: f32) -> Self {
        let row = (weight.len() / bias.len().max(1)).max(1);
        let mut layer = Layer {
            weight: Vec::with_capacity(weight.len()),
            weight_steps: Vec::with_capacity(bias.len()),
            bias: Vec::with_capacity(bias.len()),
            bias_steps: Vec::with_capacity(bias.len()),
        };
        for (row, &bias) in weight.chunks(row).zip(bias) {
            let greatest = row.iter().fold(0.0f32, |max, w| max.max(w.abs()));
            let for_bias = bias.abs() / (input_step * MAX_BIAS);
            let step = (greatest / 127.0).max(for_bias);
            let step = if step.is_normal() { step } else { 1.0 };
            let round = |w: &f32| (w / step).round_ties_even().clamp(-127.0, 127.0) as i8;
            layer.weight.extend(row.iter().map(round));
            layer.weight_steps.push(step);
            let bias_step = input_step * step;
            layer.bias_steps.push(bias_step);
            layer.bias.push((bias / bias_step).round_ties_even() as i32);
        }
        layer
    }
}

/// Finds scales for a network from crops of training pictures (`size` x `size` RGB bytes each),
/// by every rule, and takes the rule whose outputs stay closest to the f32 network's.
///
/// # Errors
/// When there are no crops or one has another size, `preprocessing` does not fit the graph, or the
/// runtime cannot run the network.
pub fn quantize(
    graph: &Graph,
    crops: &[Vec<u8>],
    preprocessing: &Preprocessing,
) -> Result<(Quantization, Choice)> {
    let size = graph.input_size();
    ensure!(
        preprocessing.input_size == size,
        "the metadata say {} pixels, but the network takes {size}",
        preprocessing.input_size
    );
    ensure!(!crops.is_empty(), "there are no pictures to quantise with");
    for (at, crop) in crops.iter().enumerate() {
        ensure!(
            crop.len() == size * size * 3,
            "picture {at} to quantise with has {} bytes, but {size} x {size} RGB pixels have {}",
            crop.len(),
            size * size * 3
        );
    }
    let ranges = Ranges::measure(graph, crops, preprocessing)?;
    let stride = crops.len().div_ceil(COMPARED);
    let compared: Vec<&[u8]> = crops.iter().step_by(stride).map(Vec::as_slice).collect();
    let float = StockNetwork::load(&export::to_f32(graph, &[])?, size)?;
    let expected = run_all(&float, &compared, preprocessing)?;

    let mut candidates = Vec::new();
    let mut best: Option<(f64, Quantization, RangeRule)> = None;
    for rule in RULES {
        let quantization = scales(graph, &ranges, rule, preprocessing)?;
        let integer = export::to_qdq(graph, &quantization, &[])?;
        let integer = StockNetwork::load(&integer, size)?;
        let candidate = compare(
            rule,
            &expected,
            &run_all(&integer, &compared, preprocessing)?,
        );
        let error = candidate.relative_error;
        if best.as_ref().is_none_or(|(least, ..)| error < *least) {
            best = Some((error, quantization, rule));
        }
        candidates.push(candidate);
    }
    let (_, quantization, rule) = best.context("no rule for ranges gave a network")?;
    Ok((quantization, Choice { rule, candidates }))
}

/// The scale of each node's result by this rule.
fn scales(
    graph: &Graph,
    ranges: &Ranges,
    rule: RangeRule,
    preprocessing: &Preprocessing,
) -> Result<Quantization> {
    let mut spans: Vec<(f32, f32)> = Vec::new();
    for (at, node) in graph.nodes().iter().enumerate() {
        let (low, high) = ranges.span(at, rule);
        spans.push(match activation(node) {
            Activation::None => (low, high),
            Activation::Relu => (0.0, high),
            Activation::Relu6 => (0.0, high.min(6.0)),
        });
    }
    // What is only moved keeps its scale: joined maps and enlarged ones share their inputs'.
    let groups = shared(graph);
    let mut joined = spans.clone();
    for (at, &(low, high)) in spans.iter().enumerate() {
        let span = &mut joined[groups[at]];
        *span = (span.0.min(low), span.1.max(high));
    }
    ensure!(
        groups.iter().skip(1).all(|&group| group != 0),
        "a network that enlarges or joins its input as it is cannot be quantised"
    );
    let scales = (0..spans.len()).map(|at| {
        let (low, high) = joined[groups[at]];
        if at == 0 {
            return Ok(Some(input_scale(preprocessing)?));
        }
        Ok((!stays_float(graph, NodeId(at))).then(|| Scale::spanning(low, high)))
    });
    Ok(Quantization {
        scales: scales.collect::<Result<_>>()?,
    })
}

/// The input's scale, whose units are the picture's bytes.
fn input_scale(preprocessing: &Preprocessing) -> Result<Scale> {
    let zero_point = preprocessing.mean * 255.0;
    ensure!(
        (zero_point - zero_point.round()).abs() < 1e-3 && (0.0..=255.0).contains(&zero_point),
        "the mean {} is no whole byte, as an int8 input needs it",
        preprocessing.mean
    );
    Ok(Scale {
        step: preprocessing.input_scale(),
        zero_point: zero_point.round() as u8,
    })
}

fn activation(node: &Node) -> Activation {
    match &node.op {
        Op::Conv(conv) => conv.activation,
        Op::Dense(dense) => dense.activation,
        _ => Activation::None,
    }
}

/// Whether a result is a linear layer's that nothing reads: an output that a runtime gives in
/// float for free.
fn stays_float(graph: &Graph, id: NodeId) -> bool {
    matches!(graph.node(id).op, Op::Dense(_))
        && graph.nodes().iter().all(|node| !node.inputs.contains(&id))
}

/// For each node, the first of those whose results must share a scale.
fn shared(graph: &Graph) -> Vec<usize> {
    let mut groups: Vec<usize> = (0..graph.nodes().len()).collect();
    for (at, node) in graph.nodes().iter().enumerate() {
        if !matches!(node.op, Op::Upsample2x | Op::Concat) {
            continue;
        }
        for input in &node.inputs {
            let (from, to) = (groups[at], groups[input.0]);
            let (keep, replace) = (from.min(to), from.max(to));
            for group in &mut groups {
                if *group == replace {
                    *group = keep;
                }
            }
        }
    }
    groups
}

/// Compares two networks' outputs, given for each picture one after the other.
fn compare(rule: RangeRule, expected: &[Vec<Vec<f32>>], got: &[Vec<Vec<f32>>]) -> Candidate {
    let outputs = expected.first().map_or(0, Vec::len);
    let of = |outputs: &[Vec<Vec<f32>>], at: usize| -> Vec<f32> {
        outputs.iter().flat_map(|all| all[at].clone()).collect()
    };
    // Outputs have units of their own, so each counts by itself.
    let squares = (0..outputs).map(|at| relative_square(&of(expected, at), &of(got, at)));
    let mean_square = squares.sum::<f64>() / outputs.max(1) as f64;
    let top = |outputs: &Vec<Vec<f32>>| {
        let first = outputs.first()?.iter().enumerate();
        first.max_by(|a, b| a.1.total_cmp(b.1)).map(|(at, _)| at)
    };
    let pairs = expected.iter().zip(got);
    let agree = pairs.filter(|(a, b)| top(a) == top(b)).count();
    Candidate {
        rule,
        relative_error: mean_square.sqrt(),
        top1_agreement: agree as f64 / expected.len().max(1) as f64,
        pictures: expected.len(),
    }
}

/// The mean square difference of two lists of values, as a share of the variance of the first.
fn relative_square(expected: &[f32], got: &[f32]) -> f64 {
    let (mut sum, mut squares, mut errors) = (0.0, 0.0, 0.0);
    for (expected, got) in expected.iter().zip(got) {
        let (expected, got) = (f64::from(*expected), f64::from(*got));
        sum += expected;
        squares += expected * expected;
        errors += (got - expected).powi(2);
    }
    let count = expected.len().max(1) as f64;
    let variance = squares / count - (sum / count).powi(2);
    errors / count / variance.max(f64::MIN_POSITIVE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_hits_zero_and_spans_its_range() {
        for (low, high) in [
            (-1.0, 3.0),
            (0.0, 6.0),
            (-2.0, -1.0),
            (0.5, 0.7),
            (0.0, 0.0),
        ] {
            let Scale { step, zero_point } = Scale::spanning(low, high);
            let value = |unit: u8| (f32::from(unit) - f32::from(zero_point)) * step;
            assert!(value(0) <= low.min(0.0) + step, "{low} {high}");
            assert!(value(255) >= high.max(0.0) - step, "{low} {high}");
            assert!(step > 0.0);
        }
    }

    #[test]
    fn weights_are_within_half_a_step_and_each_channel_has_its_own() {
        let weight = [0.5, -1.27, 0.003, -0.0127];
        let layer = Layer::quantize(&weight, &[0.1, -0.2], 0.02);
        assert_eq!(layer.weight, [50, -127, 30, -127]);
        for (at, (&q, w)) in layer.weight.iter().zip(weight).enumerate() {
            let step = layer.weight_steps[at / 2];
            assert!((f32::from(q) * step - w).abs() <= step * 0.5001, "{at}");
        }
        for (c, bias) in [0.1, -0.2].into_iter().enumerate() {
            let restored = layer.bias[c] as f32 * layer.bias_steps[c];
            assert!((restored - bias).abs() <= layer.bias_steps[c], "{restored}");
        }
    }

    /// Dead channels of a pruned or folded network: next to no weights, but a bias.
    #[test]
    fn a_bias_that_dwarfs_its_weights_survives() {
        let layer = Layer::quantize(&[1e-20, -2e-20, 0.0, 0.0], &[1.5, 0.0], 0.02);
        let restored = layer.bias[0] as f32 * layer.bias_steps[0];
        assert!((restored - 1.5).abs() < 1e-3, "{restored}");
        assert!(layer.bias.iter().all(|b| b.unsigned_abs() <= 1 << 29));
        assert_eq!(layer.bias[1], 0);
        assert!(layer.weight_steps[1] > 0.0);
    }
}
