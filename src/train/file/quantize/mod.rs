//! Static int8 quantisation: finds the scales of a network's activations from what training
//! pictures make of them.

mod ranges;

use anyhow::{Context, Result, ensure};
use serde::Serialize;

use super::export;
use super::graph::{Activation, Graph, Node, NodeId, Op};
use super::integers::{Quantization, Scale};
use crate::model::Preprocessing;
use crate::model::stock::StockNetwork;
pub use ranges::RangeRule;
use ranges::{Ranges, run_all};

/// Rules for the range of an activation, each tried.
const RULES: [RangeRule; 3] = [
    RangeRule::MinMax,
    RangeRule::Percentile(99.999),
    RangeRule::Percentile(99.99),
];

/// Pictures at most on which the rules are compared; the stock runtime takes some 50 ms for each.
const COMPARED: usize = 128;

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
    let (mean, std) = (preprocessing.mean[0], preprocessing.std[0]);
    let zero_point = mean * 255.0;
    ensure!(
        preprocessing.mean == [mean; 3] && preprocessing.std == [std; 3],
        "the channels have means or deviations of their own, but an int8 input has one scale"
    );
    ensure!(
        (zero_point - zero_point.round()).abs() < 1e-3 && (0.0..=255.0).contains(&zero_point),
        "the mean {mean} is no whole byte, as an int8 input needs it"
    );
    Ok(Scale {
        step: 1.0 / (255.0 * std),
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
