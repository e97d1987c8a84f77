//! Reads an ONNX graph's constants and attributes; outside data, so nothing here trusts a length.

use tract_onnx::pb::tensor_proto::{DataLocation, DataType};
use tract_onnx::pb::{NodeProto, TensorProto, ValueInfoProto, tensor_shape_proto, type_proto};

use super::unsupported::Why;

/// A constant tensor of the types that quantised graphs use.
#[derive(Debug, Clone)]
pub struct Constant {
    /// The shape; empty for a scalar.
    pub dims: Vec<usize>,
    /// The values, last dimension fastest.
    pub data: Data,
}

/// A constant's values.
#[derive(Debug, Clone)]
pub enum Data {
    F32(Vec<f32>),
    U8(Vec<u8>),
    I8(Vec<i8>),
    I32(Vec<i32>),
    I64(Vec<i64>),
}

impl Data {
    fn len(&self) -> usize {
        match self {
            Self::F32(v) => v.len(),
            Self::U8(v) => v.len(),
            Self::I8(v) => v.len(),
            Self::I32(v) => v.len(),
            Self::I64(v) => v.len(),
        }
    }
}

impl Constant {
    /// Reads a tensor that is stored inside the file.
    pub fn read(proto: &TensorProto) -> Result<Self, Why> {
        if proto.data_location == Some(DataLocation::External as i32) {
            return Err(format!("constant {} lies outside the file", proto.name));
        }
        let dims: Vec<usize> = proto
            .dims
            .iter()
            .map(|&d| usize::try_from(d))
            .collect::<Result<_, _>>()
            .map_err(|_| format!("constant {} has a negative dimension", proto.name))?;
        let raw = &proto.raw_data;
        let kind = DataType::try_from(proto.data_type)
            .map_err(|_| format!("constant {} has an unknown type", proto.name))?;
        let data = match kind {
            DataType::Float if raw.is_empty() => Data::F32(proto.float_data.clone()),
            DataType::Float => Data::F32(chunks(raw, f32::from_le_bytes)),
            DataType::Uint8 if raw.is_empty() => {
                Data::U8(proto.int32_data.iter().map(|&v| v as u8).collect())
            }
            DataType::Uint8 => Data::U8(raw.clone()),
            DataType::Int8 if raw.is_empty() => {
                Data::I8(proto.int32_data.iter().map(|&v| v as i8).collect())
            }
            DataType::Int8 => Data::I8(raw.iter().map(|&v| v as i8).collect()),
            DataType::Int32 if raw.is_empty() => Data::I32(proto.int32_data.clone()),
            DataType::Int32 => Data::I32(chunks(raw, i32::from_le_bytes)),
            DataType::Int64 if raw.is_empty() => Data::I64(proto.int64_data.clone()),
            DataType::Int64 => Data::I64(chunks(raw, i64::from_le_bytes)),
            other => {
                return Err(format!(
                    "constant {} is of type {}",
                    proto.name,
                    other.as_str_name()
                ));
            }
        };
        let expected = dims.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
        if expected != Some(data.len()) {
            return Err(format!(
                "constant {} has {} values for shape {dims:?}",
                proto.name,
                data.len()
            ));
        }
        Ok(Self { dims, data })
    }

    /// The values as f32, where they are.
    pub fn f32s(&self) -> Result<&[f32], Why> {
        match &self.data {
            Data::F32(v) => Ok(v),
            _ => Err("a constant isn't f32 where one should be".into()),
        }
    }

    /// The values as i64, where they are.
    pub fn i64s(&self) -> Result<&[i64], Why> {
        match &self.data {
            Data::I64(v) => Ok(v),
            _ => Err("a constant isn't i64 where one should be".into()),
        }
    }

    /// The value, where there is exactly one and it is f32.
    pub fn f32(&self) -> Result<f32, Why> {
        match self.f32s()? {
            [v] => Ok(*v),
            _ => Err("a constant isn't one f32 where it should be".into()),
        }
    }
}

fn chunks<T, const N: usize>(raw: &[u8], read: fn([u8; N]) -> T) -> Vec<T> {
    raw.as_chunks::<N>()
        .0
        .iter()
        .map(|&bytes| read(bytes))
        .collect()
}

/// An integer attribute, or its default.
pub fn int(node: &NodeProto, name: &str, default: i64) -> i64 {
    node.attribute
        .iter()
        .find(|a| a.name == name)
        .map_or(default, |a| a.i)
}

/// An f32 attribute, or its default.
pub fn float(node: &NodeProto, name: &str, default: f32) -> f32 {
    node.attribute
        .iter()
        .find(|a| a.name == name)
        .map_or(default, |a| a.f)
}

/// A text attribute, or its default.
pub fn text<'n>(node: &'n NodeProto, name: &str, default: &'n str) -> &'n str {
    node.attribute
        .iter()
        .find(|a| a.name == name)
        .map_or(default, |a| std::str::from_utf8(&a.s).unwrap_or(""))
}

/// A list of integers, where the node has it.
pub fn ints<'n>(node: &'n NodeProto, name: &str) -> Option<&'n [i64]> {
    node.attribute
        .iter()
        .find(|a| a.name == name)
        .map(|a| a.ints.as_slice())
}

/// A graph input's shape; `None` for a dimension that has no fixed size.
pub fn shape(info: &ValueInfoProto) -> Option<Vec<Option<usize>>> {
    let type_proto::Value::TensorType(tensor) = info.r#type.as_ref()?.value.as_ref()?;
    if tensor.elem_type != DataType::Float as i32 {
        return None;
    }
    let dims = tensor.shape.as_ref()?.dim.iter().map(|d| match d.value {
        Some(tensor_shape_proto::dimension::Value::DimValue(v)) if v > 0 => usize::try_from(v).ok(),
        _ => None,
    });
    Some(dims.collect())
}
