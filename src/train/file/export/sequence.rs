//! The network that reads sequences as an ONNX file: one step and the memory in, logits and the
//! memory out. Weights are kept in int8 with a scale for each output; a runtime restores them to
//! f32 when it loads the file, and computes in f32.
//!
//! The memory holds, for each convolution one below the other, the inputs of its last steps, as many
//! as its first tap reaches back.

use anyhow::{Result, ensure};
use tract_onnx::pb::{GraphProto, ModelProto, NodeProto, TensorProto};

use super::proto::{self, Elements, int, ints, node, tensor, value};

/// Added to a variance: PyTorch's and burn's 1e-5.
const EPSILON: f32 = 1e-5;

/// A linear layer: `weight` is `[inputs, outputs]`.
#[derive(Debug, Clone)]
pub struct Linear<'a> {
    /// Weights.
    pub weight: &'a [f32],
    /// One for each output.
    pub bias: &'a [f32],
}

/// A layer with its normalisation (factors and addends) and SiLU behind it.
#[derive(Debug, Clone)]
pub struct Block<'a> {
    /// The layer.
    pub linear: Linear<'a>,
    /// Factors, one for each channel.
    pub gamma: &'a [f32],
    /// Addends, one for each channel.
    pub beta: &'a [f32],
    /// Steps between the layer's three taps; 0 for a layer that reads the step alone.
    pub dilation: usize,
}

/// Writes a network of blocks, the first of which reads a step of `width` numbers.
///
/// # Errors
/// When the sizes of its layers do not fit each other.
pub fn to_sequence(
    width: usize,
    blocks: &[Block],
    output: &Linear,
    props: &[(&str, String)],
) -> Result<ModelProto> {
    let mut writer = Writer::default();
    let mut channels = width;
    let mut x = "step".to_owned();
    let rows: usize = blocks.iter().map(|block| 2 * block.dilation).sum();
    let mut row = 0;
    let mut kept = Vec::new();
    let mut memory_width = 0;
    for (at, block) in blocks.iter().enumerate() {
        let name = format!("block{at}");
        let outputs = block.linear.bias.len();
        ensure!(
            block.gamma.len() == outputs && block.beta.len() == outputs,
            "the normalisation of {name} does not fit its layer"
        );
        let read = if block.dilation == 0 {
            x.clone()
        } else {
            ensure!(outputs == channels, "{name} changes the number of channels");
            memory_width = channels;
            let (d, end) = (block.dilation, row + 2 * block.dilation);
            let oldest = writer.slice(&format!("{name}.oldest"), "memory", row, row + 1);
            let older = writer.slice(&format!("{name}.older"), "memory", row + d, row + d + 1);
            let rest = writer.slice(&format!("{name}.rest"), "memory", row + 1, end);
            kept.push(writer.push(
                "Concat",
                &format!("{name}.kept"),
                &[&rest, &x],
                vec![int("axis", 0)],
            ));
            row = end;
            let taps = [oldest.as_str(), &older, &x];
            writer.push(
                "Concat",
                &format!("{name}.taps"),
                &taps,
                vec![int("axis", 1)],
            )
        };
        let inputs = if block.dilation == 0 {
            channels
        } else {
            3 * channels
        };
        let y = writer.linear(&name, &read, &block.linear, inputs)?;
        let y = writer.norm(&name, &y, block);
        let gate = writer.push("Sigmoid", &format!("{name}.gate"), &[&y], vec![]);
        let y = writer.push("Mul", &format!("{name}.silu"), &[&y, &gate], vec![]);
        x = match block.dilation {
            0 => y,
            _ => writer.push("Add", &format!("{name}.sum"), &[&x, &y], vec![]),
        };
        channels = outputs;
    }
    let logits = writer.linear("head", &x, output, channels)?;
    writer.push("Identity", "logits", &[&logits], vec![]);
    let kept: Vec<&str> = kept.iter().map(String::as_str).collect();
    writer.push("Concat", "memory_next", &kept, vec![int("axis", 0)]);
    let graph = GraphProto {
        name: env!("CARGO_PKG_NAME").into(),
        node: writer.nodes,
        initializer: writer.weights,
        input: vec![
            value("step", &[1, width]),
            value("memory", &[rows, memory_width]),
        ],
        output: vec![
            value("logits", &[1, output.bias.len()]),
            value("memory_next", &[rows, memory_width]),
        ],
        ..GraphProto::default()
    };
    let doc = format!(
        "A network that reads sequences, one step after the other, written by {} {}. \
         metadata_props say what its outputs mean.",
        env!("CARGO_PKG_NAME"),
        env!("CARGO_PKG_VERSION"),
    );
    Ok(proto::model(graph, &doc, props))
}

#[derive(Default)]
struct Writer {
    nodes: Vec<NodeProto>,
    weights: Vec<TensorProto>,
}

impl Writer {
    fn push(
        &mut self,
        op_type: &str,
        name: &str,
        inputs: &[&str],
        attributes: Vec<tract_onnx::pb::AttributeProto>,
    ) -> String {
        self.nodes.push(node(op_type, name, inputs, attributes));
        name.to_owned()
    }

    /// Rows of a matrix.
    fn slice(&mut self, name: &str, from: &str, start: usize, end: usize) -> String {
        let (starts, ends, axes) = (
            format!("{name}.starts"),
            format!("{name}.ends"),
            format!("{name}.axes"),
        );
        for (name, at) in [(&starts, start), (&ends, end), (&axes, 0)] {
            self.weights
                .push(tensor(name, &[1], Elements::I32(&[at as i32])));
        }
        self.push("Slice", name, &[from, &starts, &ends, &axes], vec![])
    }

    fn linear(&mut self, name: &str, input: &str, layer: &Linear, inputs: usize) -> Result<String> {
        let outputs = layer.bias.len();
        ensure!(
            layer.weight.len() == inputs * outputs,
            "{name} has {} weights for {inputs} inputs and {outputs} outputs",
            layer.weight.len()
        );
        let mut steps = vec![f32::MIN_POSITIVE; outputs];
        for row in layer.weight.chunks_exact(outputs) {
            for (step, weight) in steps.iter_mut().zip(row) {
                *step = step.max(weight.abs() / 127.0);
            }
        }
        let rounded: Vec<i8> = (layer.weight.chunks_exact(outputs))
            .flat_map(|row| row.iter().zip(&steps))
            .map(|(weight, step)| (weight / step).round() as i8)
            .collect();
        let (w, b) = (format!("{name}.weight"), format!("{name}.bias"));
        let [quantized, scale, zero] =
            ["quantized", "scale", "zero_point"].map(|what| format!("{w}.{what}"));
        self.weights.extend([
            tensor(&quantized, &[inputs, outputs], Elements::I8(&rounded)),
            tensor(&scale, &[outputs], Elements::F32(&steps)),
            tensor(&zero, &[outputs], Elements::I8(&vec![0; outputs])),
            tensor(&b, &[1, outputs], Elements::F32(layer.bias)),
        ]);
        let names = [quantized.as_str(), &scale, &zero];
        self.push("DequantizeLinear", &w, &names, vec![int("axis", 1)]);
        let product = self.push("MatMul", &format!("{name}.product"), &[input, &w], vec![]);
        Ok(self.push("Add", &format!("{name}.linear"), &[&product, &b], vec![]))
    }

    fn norm(&mut self, name: &str, input: &str, block: &Block) -> String {
        let channels = block.gamma.len();
        let part = |what: &str| format!("{name}.norm.{what}");
        let mean = |of: &str, writer: &mut Writer, what: &str| {
            let along = vec![ints("axes", &[1]), int("keepdims", 1)];
            writer.push("ReduceMean", &part(what), &[of], along)
        };
        self.weights.extend([
            tensor(&part("epsilon"), &[1, 1], Elements::F32(&[EPSILON])),
            tensor(&part("gamma"), &[1, channels], Elements::F32(block.gamma)),
            tensor(&part("beta"), &[1, channels], Elements::F32(block.beta)),
        ]);
        let middle = mean(input, self, "mean");
        let centred = self.push("Sub", &part("centred"), &[input, &middle], vec![]);
        let squares = self.push("Mul", &part("squares"), &[&centred, &centred], vec![]);
        let variance = mean(&squares, self, "variance");
        let raised = self.push(
            "Add",
            &part("raised"),
            &[&variance, &part("epsilon")],
            vec![],
        );
        let spread = self.push("Sqrt", &part("spread"), &[&raised], vec![]);
        let even = self.push("Div", &part("even"), &[&centred, &spread], vec![]);
        let scaled = self.push("Mul", &part("scaled"), &[&even, &part("gamma")], vec![]);
        self.push("Add", &part("result"), &[&scaled, &part("beta")], vec![])
    }
}
