//! Short ways to write ONNX's protobuf messages.

use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::tensor_shape_proto::{Dimension, dimension};
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, StringStringEntryProto,
    TensorProto, TensorShapeProto, TypeProto, ValueInfoProto, type_proto,
};

/// Per-axis (de)quantisation came with this version of the standard operators.
const OPERATOR_SET: i64 = 13;

/// The format version that goes with [`OPERATOR_SET`].
const IR_VERSION: i64 = 7;

/// A tensor's elements.
pub(super) enum Elements<'a> {
    F32(&'a [f32]),
    I32(&'a [i32]),
    I8(&'a [i8]),
    U8(&'a [u8]),
}

/// A tensor with a name, its elements as raw little-endian bytes.
pub(super) fn tensor(name: &str, dims: &[usize], elements: Elements<'_>) -> TensorProto {
    let (data_type, raw_data) = match elements {
        Elements::F32(v) => (
            DataType::Float,
            v.iter().flat_map(|x| x.to_le_bytes()).collect(),
        ),
        Elements::I32(v) => (
            DataType::Int32,
            v.iter().flat_map(|x| x.to_le_bytes()).collect(),
        ),
        Elements::I8(v) => (
            DataType::Int8,
            v.iter().map(|&x| x.cast_unsigned()).collect(),
        ),
        Elements::U8(v) => (DataType::Uint8, v.to_vec()),
    };
    TensorProto {
        name: name.into(),
        dims: dims.iter().map(|&dim| dim as i64).collect(),
        data_type: data_type as i32,
        raw_data,
        ..TensorProto::default()
    }
}

/// An operator of the standard set, named like its only output.
pub(super) fn node(
    op_type: &str,
    name: &str,
    inputs: &[&str],
    attribute: Vec<AttributeProto>,
) -> NodeProto {
    NodeProto {
        op_type: op_type.into(),
        name: name.into(),
        input: inputs.iter().map(|&input| input.into()).collect(),
        output: vec![name.into()],
        attribute,
        ..NodeProto::default()
    }
}

pub(super) fn int(name: &str, value: usize) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        r#type: AttributeType::Int as i32,
        i: value as i64,
        ..AttributeProto::default()
    }
}

pub(super) fn ints(name: &str, values: &[usize]) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        r#type: AttributeType::Ints as i32,
        ints: values.iter().map(|&value| value as i64).collect(),
        ..AttributeProto::default()
    }
}

pub(super) fn string(name: &str, value: &str) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        r#type: AttributeType::String as i32,
        s: value.into(),
        ..AttributeProto::default()
    }
}

/// An f32 input or output of a graph.
pub(super) fn value(name: &str, dims: &[usize]) -> ValueInfoProto {
    let dim = dims.iter().map(|&dim| Dimension {
        value: Some(dimension::Value::DimValue(dim as i64)),
        ..Dimension::default()
    });
    let tensor = type_proto::Tensor {
        elem_type: DataType::Float as i32,
        shape: Some(TensorShapeProto { dim: dim.collect() }),
    };
    ValueInfoProto {
        name: name.into(),
        r#type: Some(TypeProto {
            value: Some(type_proto::Value::TensorType(tensor)),
            ..TypeProto::default()
        }),
        ..ValueInfoProto::default()
    }
}

/// A file's content around a graph.
pub(super) fn model(graph: GraphProto, doc: &str, props: &[(&str, String)]) -> ModelProto {
    ModelProto {
        ir_version: IR_VERSION,
        producer_name: env!("CARGO_PKG_NAME").into(),
        producer_version: env!("CARGO_PKG_VERSION").into(),
        doc_string: doc.into(),
        graph: Some(graph),
        opset_import: vec![OperatorSetIdProto {
            domain: String::new(),
            version: OPERATOR_SET,
        }],
        metadata_props: props
            .iter()
            .map(|(key, value)| StringStringEntryProto {
                key: (*key).into(),
                value: value.clone(),
            })
            .collect(),
        ..ModelProto::default()
    }
}
