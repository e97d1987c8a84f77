//! An ONNX file, checked as far as can be told without running it: the runtime takes memory for
//! what a file declares and trusts names to resolve, so neither may be left to it unseen.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use prost::Message;
use tract_onnx::pb::tensor_proto::{DataLocation, DataType};
use tract_onnx::pb::tensor_shape_proto::dimension::Value as Dim;
use tract_onnx::pb::type_proto::Value as TypeValue;
use tract_onnx::pb::{GraphProto, ModelProto, TensorProto, ValueInfoProto};

use super::normal_form;

/// Larger files are refused unread, in bytes. A float MobileNetV2 has 14 MB.
const MAX_FILE: u64 = 256 << 20;

/// Files of more nodes are refused. A MobileNetV2 in int8 has about 500.
const MAX_NODES: usize = 20_000;

/// A decoded ONNX file whose names resolve and whose tensors hold as much as they declare.
#[derive(Debug, Clone)]
pub struct OnnxFile {
    /// The file's path or what else it is, for messages.
    pub name: String,
    /// Its content.
    pub proto: ModelProto,
    /// Its `metadata_props`.
    pub props: BTreeMap<String, String>,
}

impl OnnxFile {
    /// Reads a file.
    ///
    /// # Errors
    /// When it is missing, unreadable or too large, and as [`OnnxFile::parse`].
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = read_bounded(path)?;
        Self::parse(&path.display().to_string(), &bytes)
    }

    /// Decodes and checks a file's content. Nodes are put in order, and half precision is
    /// widened to single.
    ///
    /// # Errors
    /// When it is no ONNX file, is cut short, keeps weights in other files, or contradicts itself.
    pub fn parse(name: &str, bytes: &[u8]) -> Result<Self> {
        ensure!(!bytes.is_empty(), "the file is empty");
        let mut proto = ModelProto::decode(bytes).map_err(|error| {
            // Every ONNX file starts with the tag of its `ir_version`.
            let kind = if bytes[0] == 0x08 {
                "the file is damaged or cut short"
            } else {
                "this is no ONNX file"
            };
            anyhow::anyhow!("{kind} ({error})")
        })?;
        ensure!(
            proto.functions.is_empty(),
            "it brings functions of its own, which cannot be read"
        );
        let graph = proto
            .graph
            .as_mut()
            .context("this is no ONNX file, or one cut short: it holds no graph")?;
        normal_form::sort_nodes(graph);
        check_graph(graph)?;
        normal_form::widen(graph);
        let props = proto
            .metadata_props
            .iter()
            .map(|entry| (entry.key.clone(), entry.value.clone()))
            .collect();
        Ok(OnnxFile {
            name: name.to_owned(),
            proto,
            props,
        })
    }

    /// The names of its outputs, in order.
    pub fn outputs(&self) -> impl Iterator<Item = &str> {
        let graph = self.proto.graph.iter();
        graph.flat_map(|graph| graph.output.iter().map(|output| output.name.as_str()))
    }

    /// Checks that the only input is a batch of one RGB picture, `[1, 3, size, size]`.
    ///
    /// # Errors
    /// When it is not, with what it is instead.
    pub fn check_input(&self, size: usize) -> Result<()> {
        let graph = self.proto.graph.as_ref().context("it holds no graph")?;
        let weights: HashSet<&str> = graph.initializer.iter().map(|t| t.name.as_str()).collect();
        let inputs: Vec<&ValueInfoProto> = graph
            .input
            .iter()
            .filter(|input| !weights.contains(input.name.as_str()))
            .collect();
        let [input] = inputs[..] else {
            bail!("it has {} inputs, but one picture is given", inputs.len());
        };
        let (element, dims) = tensor_type(input).context("its input is no tensor of a shape")?;
        let expected = [1, 3, size as i64, size as i64];
        let fits = dims.len() == expected.len()
            && dims
                .iter()
                .zip(expected)
                .all(|(dim, expected)| dim.is_none_or(|dim| dim == expected));
        ensure!(
            fits && element == DataType::Float as i32,
            "its input {} takes {}, but the metadata's input_size {size} asks for \
             {} of float",
            input.name,
            describe(element, &dims),
            describe_dims(&expected.map(Some)),
        );
        Ok(())
    }
}

fn read_bounded(path: &Path) -> Result<Vec<u8>> {
    let file = fs::File::open(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => anyhow::anyhow!(
            "there is no such file; name another, or none to use the built-in model"
        ),
        _ => error.into(),
    })?;
    ensure!(file.metadata()?.is_file(), "this is no file");
    let mut bytes = Vec::new();
    file.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    ensure!(
        bytes.len() as u64 <= MAX_FILE,
        "the file has more than {} MiB, too much for a model of this program",
        MAX_FILE >> 20
    );
    Ok(bytes)
}

fn check_graph(graph: &GraphProto) -> Result<()> {
    ensure!(
        graph.sparse_initializer.is_empty(),
        "its weights are sparse, which cannot be read"
    );
    ensure!(
        graph.node.len() <= MAX_NODES,
        "it has {} nodes, more than {MAX_NODES}",
        graph.node.len()
    );
    for tensor in &graph.initializer {
        check_tensor(tensor)?;
    }
    let mut known: HashSet<&str> = graph
        .initializer
        .iter()
        .map(|tensor| tensor.name.as_str())
        .chain(graph.input.iter().map(|input| input.name.as_str()))
        .collect();
    for node in &graph.node {
        let what = format!("its node {} ({})", node.name, node.op_type);
        for attribute in &node.attribute {
            ensure!(
                attribute.g.is_none()
                    && attribute.graphs.is_empty()
                    && attribute.sparse_tensor.is_none()
                    && attribute.sparse_tensors.is_empty(),
                "{what} holds a graph of its own or sparse values, which cannot be read"
            );
            for tensor in attribute.t.iter().chain(&attribute.tensors) {
                check_tensor(tensor).with_context(|| what.clone())?;
            }
        }
        for input in node.input.iter().filter(|input| !input.is_empty()) {
            ensure!(
                known.contains(input.as_str()),
                "{what} reads {input:?}, which nothing before it gives"
            );
        }
        for output in node.output.iter().filter(|output| !output.is_empty()) {
            ensure!(
                known.insert(output),
                "{what} gives {output:?}, which something else gives already"
            );
        }
    }
    ensure!(!graph.output.is_empty(), "it has no output");
    for output in &graph.output {
        ensure!(
            known.contains(output.name.as_str()),
            "its output {:?} is given by nothing",
            output.name
        );
    }
    Ok(())
}

fn check_tensor(tensor: &TensorProto) -> Result<()> {
    let name = &tensor.name;
    ensure!(
        tensor.data_location != Some(DataLocation::External as i32)
            && tensor.external_data.is_empty(),
        "its weights {name} lie in another file; save the model as one file"
    );
    // Sizes that only a zero among them keeps from being absurd are refused, too.
    let dims = tensor.dims.iter();
    let dims: Option<Vec<u64>> = dims.map(|&dim| u64::try_from(dim).ok()).collect();
    let count = dims.and_then(|dims| {
        let sides = dims
            .iter()
            .try_fold(1u64, |n, &dim| n.checked_mul(dim.max(1)));
        sides.filter(|&sides| sides <= MAX_FILE)?;
        Some(dims.iter().product::<u64>())
    });
    let count =
        count.with_context(|| format!("its weights {name} have the size {:?}", tensor.dims))?;
    let element: u64 = match DataType::try_from(tensor.data_type) {
        Ok(DataType::Float | DataType::Int32 | DataType::Uint32) => 4,
        Ok(DataType::Uint8 | DataType::Int8 | DataType::Bool) => 1,
        Ok(DataType::Uint16 | DataType::Int16 | DataType::Float16) => 2,
        Ok(DataType::Int64 | DataType::Uint64 | DataType::Double) => 8,
        _ => bail!(
            "its weights {name} are of type {}, which cannot be read",
            tensor.data_type
        ),
    };
    let held = [
        tensor.raw_data.len() as u64 / element,
        tensor.float_data.len() as u64,
        tensor.int32_data.len() as u64,
        tensor.int64_data.len() as u64,
        tensor.double_data.len() as u64,
        tensor.uint64_data.len() as u64,
    ]
    .into_iter()
    .max()
    .unwrap_or(0);
    ensure!(
        held == count && (tensor.raw_data.len() as u64).is_multiple_of(element),
        "its weights {name} declare {count} elements, but hold {held}: \
         the file is damaged or cut short"
    );
    Ok(())
}

/// Element type and dimensions of a graph's input or output; `None` for a dimension left open.
fn tensor_type(info: &ValueInfoProto) -> Option<(i32, Vec<Option<i64>>)> {
    let TypeValue::TensorType(tensor) = info.r#type.as_ref()?.value.as_ref()?;
    let dims = tensor.shape.as_ref()?.dim.iter();
    let dims = dims.map(|dim| match dim.value {
        Some(Dim::DimValue(value)) => Some(value),
        _ => None,
    });
    Some((tensor.elem_type, dims.collect()))
}

fn describe(element: i32, dims: &[Option<i64>]) -> String {
    let element = DataType::try_from(element).map_or("unknown type".to_owned(), |element| {
        format!("{element:?}").to_lowercase()
    });
    format!("{} of {element}", describe_dims(dims))
}

fn describe_dims(dims: &[Option<i64>]) -> String {
    let dims = dims
        .iter()
        .map(|dim| dim.map_or("?".to_owned(), |dim| dim.to_string()));
    format!("[{}]", dims.collect::<Vec<_>>().join(", "))
}
