use prost::Message;
use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{AttributeProto, ModelProto, NodeProto, TensorProto, tensor_shape_proto};

use super::*;
use crate::train::file::export::to_f32;
use crate::train::file::graph::{Activation, Graph};
use crate::train::file::sketch::Weights;

const SIZE: usize = 8;

/// A network of a few hundred weights.
fn network() -> Graph {
    let mut weights = Weights::seeded(1);
    let mut graph = Graph::new(SIZE).unwrap();
    let stem = weights.conv(4, 3, 3).stride(2).pad(1);
    let stem = stem.activation(Activation::Relu6);
    let x = graph.conv("stem", graph.image(), stem).unwrap();
    let x = graph.global_average_pool("pool", x).unwrap();
    let x = graph.dense("head", x, weights.dense(3, 4)).unwrap();
    graph.output("logits", x).unwrap();
    graph
}

/// As [`network`], with a second output.
fn with_output(name: &str, values: usize) -> Graph {
    let mut graph = network();
    let pool = graph.nodes().iter().position(|node| node.name == "pool");
    let layer = Weights::seeded(2).dense(values, 4);
    let pool = crate::train::file::graph::NodeId(pool.unwrap());
    let x = graph.dense("second", pool, layer).unwrap();
    graph.output(name, x).unwrap();
    graph
}

fn proto(labels: &[&str], size: usize) -> ModelProto {
    proto_of(&network(), labels, size)
}

fn proto_of(graph: &Graph, labels: &[&str], size: usize) -> ModelProto {
    let labels = labels.iter().map(|&label| label.into()).collect();
    let metadata = Metadata::new(labels, Preprocessing::new(size, 1.35));
    to_f32(graph, &metadata.to_props().unwrap()).unwrap()
}

fn valid() -> ModelProto {
    proto(&["A", "B", NOTHING], SIZE)
}

fn refusal(proto: &ModelProto) -> String {
    refusal_of(&proto.encode_to_vec())
}

fn refusal_of(bytes: &[u8]) -> String {
    let error = Model::from_bytes("test.onnx", bytes).expect_err("the model was accepted");
    format!("{error:#}")
}

#[track_caller]
fn assert_says(message: &str, parts: &[&str]) {
    for part in parts.iter().chain(&["test.onnx"]) {
        assert!(message.contains(part), "no {part:?} in {message:?}");
    }
}

#[test]
fn a_grey_crop_gives_the_biases_probabilities() {
    let mut model = Model::from_bytes("test.onnx", &valid().encode_to_vec()).unwrap();
    let mut out = [0.0; 3];
    model.read(&[114; SIZE * SIZE * 3], &mut out).unwrap();
    assert!((out.iter().sum::<f32>() - 1.0).abs() < 1e-6, "{out:?}");
    assert!(model.read(&[114; 5], &mut out).is_err());
    assert!(model.read(&[114; SIZE * SIZE * 3], &mut out[..2]).is_err());
}

#[test]
fn joints_are_given_by_networks_that_have_them_and_by_no_others() {
    let letters = ["A", "B", NOTHING];
    let crop = [90; SIZE * SIZE * 3];
    let mut plain = Model::from_bytes("test.onnx", &valid().encode_to_vec()).unwrap();
    let with = proto_of(&with_output(JOINTS_OUTPUT, JOINT_VALUES), &letters, SIZE);
    let mut with = Model::from_bytes("test.onnx", &with.encode_to_vec()).unwrap();
    let (mut read, mut also_read) = ([0.0; 3], [0.0; 3]);
    assert_eq!(plain.read(&crop, &mut read).unwrap(), None);
    let joints = with.read(&crop, &mut also_read).unwrap().unwrap();
    for (read, also_read) in read.iter().zip(also_read) {
        assert!((read - also_read).abs() < 1e-6, "{read} {also_read}");
    }
    assert!(!plain.has_joints() && with.has_joints());
    assert!(joints[20] != [0.0; 2] && joints[20] != joints[0]);
}

#[test]
fn a_second_output_that_is_no_joints_is_refused() {
    let letters = ["A", "B", NOTHING];
    let few = with_output(JOINTS_OUTPUT, 40);
    assert_says(&refusal(&proto_of(&few, &letters, SIZE)), &["joints", "40"]);
    let other = with_output("features", JOINT_VALUES);
    assert_says(&refusal(&proto_of(&other, &letters, SIZE)), &["features"]);
}

fn node(op: &str, inputs: &[&str], output: &str) -> NodeProto {
    NodeProto {
        name: output.into(),
        op_type: op.into(),
        input: inputs.iter().map(|&name| name.into()).collect(),
        output: vec![output.into()],
        ..Default::default()
    }
}

fn tensor(name: &str, values: &[f32]) -> TensorProto {
    TensorProto {
        name: name.into(),
        data_type: DataType::Float as i32,
        float_data: values.to_vec(),
        ..Default::default()
    }
}

/// What a model reads from a crop of many colours.
fn reading(proto: &ModelProto) -> Vec<f32> {
    let mut model = Model::from_bytes("test.onnx", &proto.encode_to_vec()).unwrap();
    let size = model.input_size();
    let crop: Vec<u8> = (0..size * size * 3)
        .map(|at| (at * 7 % 256) as u8)
        .collect();
    let mut out = vec![0.0; model.labels().len()];
    model.read(&crop, &mut out).unwrap();
    out
}

#[track_caller]
fn assert_reads_alike(proto: &ModelProto, expected: &[f32], tolerance: f32) {
    let read = reading(proto);
    let near = |(a, b): (&f32, &f32)| (a - b).abs() <= tolerance;
    assert!(
        read.iter().zip(expected).all(near),
        "{read:?}, not {expected:?}"
    );
}

/// A network's logits with these nodes behind them; the last one's result is its output.
fn ending_in(mut proto: ModelProto, nodes: Vec<NodeProto>) -> ModelProto {
    let graph = proto.graph.as_mut().unwrap();
    graph.output[0].name = nodes.last().unwrap().output[0].clone();
    graph.node.extend(nodes);
    graph.initializer.extend([
        tensor("step", &[1.0 / 255.0]),
        TensorProto {
            data_type: DataType::Uint8 as i32,
            raw_data: vec![0],
            ..tensor("zero", &[])
        },
        TensorProto {
            dims: vec![1],
            data_type: DataType::Int64 as i32,
            int64_data: vec![1],
            ..tensor("axes", &[])
        },
    ]);
    proto
}

#[test]
fn a_model_that_ends_in_softmax_reads_as_it_would_without() {
    let expected = reading(&valid());
    let plain = vec![node("Softmax", &["logits"], "p")];
    let renamed = vec![
        node("Softmax", &["logits"], "s"),
        node("Identity", &["s"], "p"),
    ];
    let reshaped = vec![
        node("Unsqueeze", &["logits", "axes"], "u"),
        node("Softmax", &["u"], "s"),
        node("Squeeze", &["s", "axes"], "p"),
    ];
    // 8 bits hold probabilities, but not logits.
    let quantised = vec![
        node("Softmax", &["logits"], "s"),
        node("QuantizeLinear", &["s", "step", "zero"], "q"),
        node("DequantizeLinear", &["q", "step", "zero"], "p"),
    ];
    let written_out = vec![
        node("Exp", &["logits"], "e"),
        node("ReduceSum", &["e", "axes"], "sum"),
        node("Div", &["e", "sum"], "p"),
    ];
    for nodes in [plain, renamed, reshaped, quantised, written_out] {
        assert_reads_alike(&ending_in(valid(), nodes), &expected, 1e-6);
    }
}

#[test]
fn softmax_at_the_end_leaves_an_int8_model_on_integers() {
    let embedded = ModelProto::decode(EMBEDDED).unwrap();
    let logits = embedded.graph.as_ref().unwrap().output[0].name.clone();
    let softmax = vec![node("Softmax", &[&logits], "p")];
    let ending = ending_in(embedded.clone(), softmax);
    let model = Model::from_bytes("test.onnx", &ending.encode_to_vec()).unwrap();
    assert!(matches!(model.engine, Engine::Int8(_)));
    assert_reads_alike(&ending, &reading(&embedded), 0.0);
}

#[test]
fn a_model_in_half_precision_is_read() {
    let expected = reading(&valid());
    let mut half = valid();
    let graph = half.graph.as_mut().unwrap();
    for (at, tensor) in graph.initializer.iter_mut().enumerate() {
        assert_eq!(tensor.data_type, DataType::Float as i32);
        let values = tensor.raw_data.chunks_exact(4);
        let values = values.map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
        let bits: Vec<u16> = values
            .map(|value| tract_onnx::prelude::f16::from_f32(value).to_bits())
            .collect();
        tensor.data_type = DataType::Float16 as i32;
        tensor.raw_data.clear();
        // Both ways in which a file may hold them.
        match at % 2 {
            0 => tensor.raw_data = bits.iter().flat_map(|bits| bits.to_le_bytes()).collect(),
            _ => tensor.int32_data = bits.iter().map(|&bits| bits.into()).collect(),
        }
    }
    let cast = |from: &str, to: &str, kind: DataType| NodeProto {
        attribute: vec![AttributeProto {
            name: "to".into(),
            r#type: AttributeType::Int as i32,
            i: kind as i64,
            ..Default::default()
        }],
        ..node("Cast", &[from], to)
    };
    let first = &mut graph.node[0].input[0];
    let image = std::mem::replace(first, "half".into());
    graph.output[0].name = "single".into();
    // Converters put both casts at the end, where the first stands behind its reader.
    graph.node.push(cast(&image, "half", DataType::Float16));
    graph.node.push(cast("logits", "single", DataType::Float));
    assert_reads_alike(&half, &expected, 1e-3);
}

#[test]
fn a_missing_file_is_named() {
    let error = Model::load(Path::new("no/such.onnx")).unwrap_err();
    let error = format!("{error:#}");
    assert!(
        error.contains("no/such.onnx") && error.contains("no such file"),
        "{error}"
    );
}

#[test]
fn what_is_no_model_is_refused() {
    assert_says(&refusal_of(b""), &["empty"]);
    assert_says(&refusal_of(b"Dear model, please load."), &["no ONNX file"]);
    assert_says(
        &refusal_of(&[0xff, 0xd8, 0xff, 0xe0, 0, 16]),
        &["no ONNX file"],
    );
}

#[test]
fn a_model_cut_short_anywhere_is_refused() {
    let whole = valid().encode_to_vec();
    for length in (1..whole.len()).step_by(7) {
        refusal_of(&whole[..length]);
    }
}

#[test]
fn labels_that_do_not_fit_the_output_are_refused() {
    assert_says(&refusal(&proto(&["A", "B"], SIZE)), &["2 labels", "[1, 3]"]);
}

#[test]
fn a_wrong_input_is_refused() {
    let sixteen = proto(&["A", "B", NOTHING], 16);
    assert_says(&refusal(&sixteen), &["[1, 3, 8, 8]", "[1, 3, 16, 16]"]);

    let mut two = valid();
    let graph = two.graph.as_mut().unwrap();
    let mut second = graph.input[0].clone();
    second.name = "second".into();
    graph.input.push(second);
    assert_says(&refusal(&two), &["2 inputs"]);
}

#[test]
fn all_missing_metadata_are_named_in_one_message() {
    let mut bare = valid();
    bare.metadata_props.clear();
    let message = refusal(&bare);
    let keys = ["labels", "input_size", "mean", "std", "crop_scale"];
    assert_says(&message, &keys);
    assert_says(&message, &["docs/models.md"]);
}

#[test]
fn missing_metadata_are_refused_by_key() {
    for key in ["labels", "input_size", "mean", "std", "crop_scale"] {
        let mut proto = valid();
        proto.metadata_props.retain(|entry| entry.key != key);
        assert_says(&refusal(&proto), &[key]);
    }
}

#[test]
fn absurd_sizes_are_refused_before_memory_is_taken_for_them() {
    let mut weights = valid();
    weights.graph.as_mut().unwrap().initializer[0].dims = vec![1 << 40, 1 << 20, 3, 3];
    assert_says(&refusal(&weights), &["stem.weight"]);

    let mut overflowing = valid();
    overflowing.graph.as_mut().unwrap().initializer[0].dims = vec![1 << 62, 1 << 62];
    assert_says(&refusal(&overflowing), &["stem.weight"]);

    let mut empty = valid();
    let weight = &mut empty.graph.as_mut().unwrap().initializer[0];
    weight.dims = vec![0, 1 << 40, 1 << 40];
    weight.raw_data.clear();
    assert_says(&refusal(&empty), &["stem.weight"]);

    let mut padded = valid();
    let conv = &mut padded.graph.as_mut().unwrap().node[0];
    let pads = conv
        .attribute
        .iter_mut()
        .find(|a| a.name == "pads")
        .unwrap();
    pads.ints = vec![1 << 20; 4];
    assert_says(&refusal(&padded), &["too large"]);
}

/// The stock runtime computes what it can while it loads.
#[test]
fn constants_that_grow_beyond_measure_are_refused_before_they_are_computed() {
    let raw = |values: &[i64]| values.iter().flat_map(|v| v.to_le_bytes()).collect();
    let shape = TensorProto {
        name: "shape".into(),
        dims: vec![2],
        data_type: DataType::Int64 as i32,
        raw_data: raw(&[1 << 20, 1 << 20]),
        ..Default::default()
    };
    let node = |op: &str, inputs: &[&str], output: &str| NodeProto {
        attribute: vec![AttributeProto {
            name: "axis".into(),
            r#type: AttributeType::Int as i32,
            ..Default::default()
        }],
        ..node(op, inputs, output)
    };
    let with = |nodes: Vec<NodeProto>| {
        let mut proto = valid();
        let graph = proto.graph.as_mut().unwrap();
        graph.initializer.push(shape.clone());
        graph.node.splice(0..0, nodes);
        proto
    };
    let filled = with(vec![node("ConstantOfShape", &["shape"], "terabyte")]);
    assert_says(&refusal(&filled), &["ConstantOfShape", "constants only"]);

    // Twice as long each time.
    let names: Vec<String> = (0..30).map(|at| format!("twice{at}")).collect();
    let mut doubled = vec![node("Concat", &["shape", "shape"], &names[0])];
    for pair in names.windows(2) {
        doubled.push(node("Concat", &[&pair[0], &pair[0]], &pair[1]));
    }
    assert_says(&refusal(&with(doubled)), &["Concat", "too large"]);

    // What files of other makers compute when they are loaded.
    let harmless = with(vec![
        node("Shape", &["image"], "size"),
        node("Concat", &["size", "shape"], "sizes"),
        node("Add", &["shape", "shape"], "sum"),
    ]);
    Model::from_bytes("test.onnx", &harmless.encode_to_vec()).unwrap();
}

#[test]
fn a_file_of_too_many_nodes_or_with_graphs_inside_is_refused() {
    let mut many = valid();
    let graph = many.graph.as_mut().unwrap();
    let node = NodeProto {
        op_type: "Identity".into(),
        input: vec![graph.input[0].name.clone()],
        ..Default::default()
    };
    graph.node.extend(vec![node; 20_001]);
    assert_says(&refusal(&many), &["nodes"]);

    let mut nested = valid();
    let graph = nested.graph.as_mut().unwrap();
    graph.node[0].attribute.push(AttributeProto {
        name: "body".into(),
        g: Some(Default::default()),
        ..Default::default()
    });
    assert_says(&refusal(&nested), &["graph of its own"]);
}

#[test]
fn a_graph_that_contradicts_itself_is_refused() {
    let mut dangling = valid();
    dangling.graph.as_mut().unwrap().node[0].input[1] = "elsewhere".into();
    assert_says(&refusal(&dangling), &["elsewhere"]);

    let mut no_output = valid();
    no_output.graph.as_mut().unwrap().output[0].name = "gone".into();
    assert_says(&refusal(&no_output), &["gone"]);

    let mut external = valid();
    let weight = &mut external.graph.as_mut().unwrap().initializer[0];
    weight.data_location = Some(1);
    weight.raw_data.clear();
    assert_says(&refusal(&external), &["another file"]);

    let mut unknown = valid();
    unknown.graph.as_mut().unwrap().node[0].op_type = "Teleport".into();
    assert_says(&refusal(&unknown), &["cannot load"]);
}

#[test]
fn an_input_of_open_batch_size_is_read() {
    let mut proto = valid();
    let input = &mut proto.graph.as_mut().unwrap().input[0];
    let Some(tract_onnx::pb::type_proto::Value::TensorType(tensor)) =
        &mut input.r#type.as_mut().unwrap().value
    else {
        panic!("the input is no tensor");
    };
    tensor.shape.as_mut().unwrap().dim[0].value = Some(
        tensor_shape_proto::dimension::Value::DimParam("batch".into()),
    );
    Model::from_bytes("test.onnx", &proto.encode_to_vec()).unwrap();
}

/// One byte after the other is damaged: whatever that makes, it is a model or an error.
#[test]
fn a_damaged_byte_never_ends_the_program() {
    let whole = valid().encode_to_vec();
    let mut out = [0.0; 3];
    for at in 0..whole.len() {
        for damage in [0xff, 0x01, 0x80] {
            let mut bytes = whole.clone();
            bytes[at] ^= damage;
            if let Ok(mut model) = Model::from_bytes("test.onnx", &bytes)
                && model.labels().len() == 3
                && model.input_size() == SIZE
            {
                let _ = model.read(&[90; SIZE * SIZE * 3], &mut out);
            }
        }
    }
}
