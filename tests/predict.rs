//! `signcam predict`, as a user meets it.

mod common;
mod qdq;

use common::{BLUE, GREEN, RED, case, colour_model, paint, signcam};
use predicates::prelude::*;
use predicates::str::contains;
use prost::Message;
use qdq::{Bound, Graph, attribute_int};
use signcam::model::stock::StockNetwork;
use signcam::model::{Metadata, Preprocessing};
use tract_onnx::pb::tensor_shape_proto::dimension;
use tract_onnx::pb::type_proto;
use tract_onnx::pb::{ModelProto, StringStringEntryProto};

#[test]
fn every_letter_of_every_picture_is_printed_best_first() {
    let folder = tempfile::tempdir().unwrap();
    let model = colour_model(folder.path());
    let (red, green) = (
        folder.path().join("red.png"),
        folder.path().join("green.png"),
    );
    paint(&red, RED, RED);
    paint(&green, GREEN, GREEN);
    let output = signcam()
        .arg("predict")
        .args([&red, &green])
        .args(["--box", "0.3,0.3,0.4,0.4"])
        .arg("--model")
        .arg(&model)
        .assert()
        .success()
        .stderr("");
    let text = String::from_utf8(output.get_output().stdout.clone()).unwrap();
    let order: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("  "))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert_eq!(order.len(), 6, "{text}");
    assert_eq!((order[0], order[3]), ("A", "B"), "{text}");
    assert!(
        text.contains("red.png: A") && text.contains("green.png: B"),
        "{text}"
    );
}

#[test]
fn the_box_says_where_to_look() {
    let folder = tempfile::tempdir().unwrap();
    let model = colour_model(folder.path());
    let picture = folder.path().join("hand.png");
    paint(&picture, GREEN, BLUE);
    let predicted = |hand: &str| {
        let mut command = signcam();
        command.arg("predict").arg(&picture).arg("--json");
        command.arg("--model").arg(&model);
        command.args(["--box", hand]);
        let output = command.assert().success().get_output().stdout.clone();
        serde_json::from_slice::<serde_json::Value>(&output).unwrap()
    };
    assert_eq!(predicted("0.55,0.35,0.25,0.3")[0]["letter"], "B");
    let whole = predicted("0,0,1,1");
    assert_eq!(whole[0]["letter"], serde_json::Value::Null);
    assert_eq!(whole[0]["probabilities"][0][0], "nothing");
    assert_eq!(whole[0]["probabilities"].as_array().unwrap().len(), 3);
}

#[test]
fn the_built_in_model_reads_without_further_files() {
    let folder = tempfile::tempdir().unwrap();
    let picture = folder.path().join("hand.png");
    paint(&picture, RED, BLUE);
    signcam()
        .arg("predict")
        .arg(&picture)
        .args(["--box", "0.5,0.25,0.375,0.5"])
        .assert()
        .success()
        .stdout(contains("nothing"));
    // A plain colour shows no hand.
    paint(&picture, BLUE, BLUE);
    signcam()
        .arg("predict")
        .arg(&picture)
        .assert()
        .success()
        .stdout(contains("no hand found"));
}

#[test]
fn an_unreadable_picture_fails_by_name_and_the_others_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let picture = |name: &str| folder.path().join(name);
    let model = colour_model(folder.path());
    paint(&picture("good.png"), RED, RED);
    paint(&picture("last.png"), GREEN, GREEN);
    paint(&picture("cut.jpg"), RED, RED);
    let whole = std::fs::read(picture("cut.jpg")).unwrap();
    std::fs::write(picture("cut.jpg"), &whole[..whole.len() / 2]).unwrap();
    let predict = |names: &[&str]| {
        let mut command = signcam();
        command
            .arg("predict")
            .arg("--json")
            .arg("--model")
            .arg(&model);
        command.args(["--box", "0.3,0.3,0.4,0.4"]);
        command.args(names.iter().map(|name| picture(name)));
        command.assert().code(1)
    };

    let mixed = predict(&["good.png", "cut.jpg", "missing.png", "last.png"])
        .stderr(contains("cut.jpg").and(contains("missing.png")))
        .stderr(contains("2 of 4 pictures cannot be read"))
        .stderr(contains("panicked").not());
    let json: serde_json::Value = serde_json::from_slice(&mixed.get_output().stdout).unwrap();
    let letters: Vec<_> = (0..).map_while(|at| json[at]["letter"].as_str()).collect();
    assert_eq!(letters, ["A", "B"]);

    predict(&["cut.jpg"])
        .stdout("")
        .stderr(contains("cut.jpg").and(contains("cut short")));
    predict(&["missing.png"]).stderr(contains("missing.png"));
}

/// Half of a drawn letter E: what is missing was grey, and the letter was read all the same.
#[test]
fn a_jpeg_picture_that_is_cut_off_is_an_error_that_names_it() {
    let mut command = signcam();
    command.arg("predict").arg(case("cut50.jpg"));
    let assert = command.assert().code(1).stdout("");
    assert.stderr(contains("cut50.jpg").and(contains("cut short")));
}

#[cfg(unix)]
#[test]
fn a_path_that_is_no_text_is_read_and_named_as_well_as_it_can_be() {
    use std::os::unix::ffi::OsStringExt;
    let folder = tempfile::tempdir().unwrap();
    let model = colour_model(folder.path());
    let name = std::ffi::OsString::from_vec(b"r\xe9d.png".to_vec());
    let path = folder.path().join(name);
    paint(&folder.path().join("red.png"), RED, RED);
    std::fs::rename(folder.path().join("red.png"), &path).unwrap();
    for arguments in [&["--json"][..], &[]] {
        let mut command = signcam();
        command.arg("predict").arg(&path).arg("--model").arg(&model);
        command.args(["--box", "0.3,0.3,0.4,0.4"]).args(arguments);
        command
            .assert()
            .success()
            .stdout(contains("r\u{fffd}d.png"));
    }
}

#[test]
fn a_box_that_is_none_is_wrong_usage() {
    for hand in [
        "",
        "1,2",
        "0,0,1,1,1",
        "a,b,c,d",
        "0,0,0,0.5",
        "0.5,0.5,-0.1,0.2",
        "NaN,0,1,1",
        "100,80,200,200",
    ] {
        signcam()
            .args(["predict", "hand.png"])
            .arg(format!("--box={hand}"))
            .assert()
            .code(2)
            .stderr(contains("--box"));
    }
}

#[test]
fn a_box_beside_the_picture_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let picture = folder.path().join("hand.png");
    paint(&picture, RED, BLUE);
    signcam()
        .arg("predict")
        .arg(&picture)
        .args(["--box", "1.5,1.5,0.1,0.1"])
        .assert()
        .code(1)
        .stderr(contains("hand.png").and(contains("outside")));
}

#[test]
fn a_model_that_cannot_be_read_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let picture = folder.path().join("hand.png");
    paint(&picture, RED, BLUE);
    let whole = std::fs::read(colour_model(folder.path())).unwrap();
    let short = folder.path().join("short.onnx");
    std::fs::write(&short, &whole[..whole.len() / 2]).unwrap();
    for (model, message) in [
        (short, "cut short"),
        (folder.path().join("none.onnx"), "no such file"),
    ] {
        let name = model.file_name().unwrap().to_string_lossy().into_owned();
        signcam()
            .arg("predict")
            .arg(&picture)
            .arg("--model")
            .arg(&model)
            .assert()
            .code(1)
            .stdout("")
            .stderr(contains(name).and(contains(message)));
    }
}

const SIZE: usize = 32;

/// A small letter network; `foreign` names what stands between its layers beside the usual operators.
fn letter_network(foreign: &[&str]) -> ModelProto {
    let (mut g, mut x) = Graph::new(SIZE, 21);
    x = g.conv(&x, 16, 3, 2, Bound::Folded);
    for &op in foreign {
        x = if op == "Conv" {
            let y = g.raw_conv(&x, 16, 3, 1, 4, [1; 4]);
            g.bounded(y, Bound::Folded)
        } else {
            let name = g.node(op, &[&x.name], vec![]);
            g.quantized(qdq::Value { name, ..x }, 0.05, 12)
        };
        x = g.depthwise(&x, 1, Bound::Folded);
    }
    let pooled = g.pool(&x);
    let logits = g.raw_dense(&pooled, 3);
    let mut model = g.finish(&[(&logits, &[1, 3])]);
    let labels = ["A", "B", "nothing"].map(String::from).to_vec();
    let metadata = Metadata::new(labels, Preprocessing::new(SIZE, 1.35));
    let entry = |(key, value): (&str, String)| StringStringEntryProto {
        key: key.into(),
        value,
    };
    model.metadata_props = metadata
        .to_props()
        .unwrap()
        .into_iter()
        .map(entry)
        .collect();
    model
}

/// Leaves the batch of a graph's input and output open.
fn with_open_batch(mut model: ModelProto) -> ModelProto {
    let graph = model.graph.as_mut().unwrap();
    for info in graph.input.iter_mut().chain(&mut graph.output) {
        let kind = info.r#type.as_mut().and_then(|kind| kind.value.as_mut());
        let Some(type_proto::Value::TensorType(tensor)) = kind else {
            panic!("{} is no tensor", info.name);
        };
        let batch = &mut tensor.shape.as_mut().unwrap().dim[0];
        batch.value = Some(dimension::Value::DimParam("batch".into()));
    }
    model
}

fn with_opset(mut model: ModelProto, version: i64) -> ModelProto {
    model.opset_import[0].version = version;
    model
}

#[test]
fn a_network_of_other_operators_reads_as_in_the_stock_runtime_and_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let picture = folder.path().join("red.png");
    paint(&picture, RED, RED);
    for (what, model, named) in [
        ("known operators", letter_network(&[]), None),
        (
            "one more",
            letter_network(&["HardSwish"]),
            Some("HardSwish"),
        ),
        (
            "several",
            letter_network(&["LeakyRelu", "HardSwish", "Elu"]),
            Some("LeakyRelu"),
        ),
        (
            "a convolution in groups",
            letter_network(&["Conv", "Tanh"]),
            Some("Conv"),
        ),
        (
            "an open batch",
            with_open_batch(letter_network(&["Elu"])),
            Some("Elu"),
        ),
        (
            "an open batch of known operators",
            with_open_batch(letter_network(&[])),
            None,
        ),
        (
            "an old opset",
            with_opset(letter_network(&["Elu"]), 13),
            Some("Elu"),
        ),
        (
            "a new opset",
            with_opset(letter_network(&["Elu"]), 21),
            Some("Elu"),
        ),
        (
            "an old opset of known operators",
            with_opset(letter_network(&[]), 13),
            None,
        ),
    ] {
        let path = folder.path().join("letters.onnx");
        std::fs::write(&path, model.encode_to_vec()).unwrap();
        let mut planes = vec![0.0; 3 * SIZE * SIZE];
        Preprocessing::new(SIZE, 1.35).normalise(&RED.repeat(SIZE * SIZE), &mut planes);
        let mut logits = Vec::new();
        let stock = StockNetwork::load(&model, SIZE).unwrap();
        stock
            .run(&planes, |_, values| logits = values.to_vec())
            .unwrap();
        let total: f32 = logits.iter().map(|l| l.exp()).sum();

        let mut command = signcam();
        command
            .arg("predict")
            .arg(&picture)
            .args(["--json", "--box", "0.3,0.3,0.4,0.4"]);
        let output = command.arg("--model").arg(&path).assert().success();
        let output = output.get_output();
        let read: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        for (label, logit) in ["A", "B", "nothing"].into_iter().zip(&logits) {
            let pairs = read[0]["probabilities"].as_array().unwrap();
            let pair = pairs.iter().find(|pair| pair[0] == label).unwrap();
            let apart = pair[1].as_f64().unwrap() - f64::from(logit.exp() / total);
            assert!(apart.abs() < 0.02, "{what}: {label} is off by {apart}");
        }
        let warned = String::from_utf8_lossy(&output.stderr).into_owned();
        match named {
            None => assert_eq!(warned, "", "{what}"),
            Some(op) => {
                let graph = model.graph.as_ref().unwrap();
                let first = graph.node.iter().find(|node| {
                    node.op_type == op
                        && (op != "Conv" || node.attribute.contains(&attribute_int("group", 4)))
                });
                let node = &first.unwrap().name;
                assert!(
                    warned.contains("stock runtime") && warned.contains(node),
                    "{what}: {warned}"
                );
            }
        }
    }
}

/// What `predict` says of a picture and a model that lie beside the tests.
fn read_case(model: &str) -> serde_json::Value {
    let cases = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/models");
    let mut command = signcam();
    command.arg("predict").arg(cases.join("red.png"));
    command.args(["--json", "--box", "0,0,1,1", "--model"]);
    command.arg(cases.join(model));
    let output = command.assert().success().get_output().stdout.clone();
    serde_json::from_slice::<serde_json::Value>(&output).unwrap()[0].clone()
}

#[test]
fn a_model_that_ends_in_softmax_is_as_sure_as_it_says() {
    let (softmax, logits) = (read_case("softmax.onnx"), read_case("logits.onnx"));
    assert_eq!(softmax["letter"], "A");
    assert_eq!(softmax["probabilities"][0], serde_json::json!(["A", 1.0]));
    assert_eq!(softmax["probabilities"], logits["probabilities"]);
}

#[test]
fn a_model_in_half_precision_is_read_in_whatever_order_its_nodes_are() {
    let (sorted, unsorted) = (read_case("fp16_sorted.onnx"), read_case("fp16_io32.onnx"));
    assert_eq!(sorted["probabilities"].as_array().unwrap().len(), 5);
    assert_eq!(sorted["probabilities"], unsorted["probabilities"]);
}

/// The letters of a picture of one colour, best first, by a network of these properties.
fn read_with(props: &[(&str, &str)], colour: [u8; 3]) -> assert_cmd::assert::Assert {
    let folder = tempfile::tempdir().unwrap();
    let picture = folder.path().join("plain.png");
    paint(&picture, colour, colour);
    let mut model = letter_network(&[]);
    for (key, value) in props {
        let entries = &mut model.metadata_props;
        entries.retain(|entry| entry.key != *key);
        entries.extend((!value.is_empty()).then(|| StringStringEntryProto {
            key: (*key).into(),
            value: (*value).into(),
        }));
    }
    let path = folder.path().join("letters.onnx");
    std::fs::write(&path, model.encode_to_vec()).unwrap();
    let mut command = signcam();
    command.arg("predict").arg(&picture).arg("--json");
    command.args(["--box", "0.3,0.3,0.4,0.4", "--model"]);
    command.arg(&path).assert()
}

#[test]
fn a_model_that_says_nothing_about_itself_is_refused_with_all_that_is_missing() {
    let keys = ["labels", "input_size", "mean", "std", "crop_scale"];
    let mut assert = read_with(&keys.map(|key| (key, "")), RED)
        .code(1)
        .stdout("");
    for key in keys {
        assert = assert.stderr(contains(key));
    }
}

/// What a channel's own mean takes away is the same as what is not there.
#[test]
fn each_channel_may_have_a_mean_and_deviation_of_its_own() {
    let read = |mean: &str, std: &str, colour: [u8; 3]| {
        let assert = read_with(&[("mean", mean), ("std", std)], colour).success();
        let json: serde_json::Value = serde_json::from_slice(&assert.get_output().stdout).unwrap();
        let pairs = json[0]["probabilities"].as_array().unwrap().clone();
        let of = |label: &str| pairs.iter().find(|pair| pair[0] == label).unwrap()[1].as_f64();
        ["A", "B", "nothing"].map(|label| of(label).unwrap())
    };
    let mean = serde_json::to_string(&RED.map(|level| f32::from(level) / 255.0)).unwrap();
    let plain = read("0", "0.5", [0; 3]);
    let own = read(&mean, "[0.3, 0.4, 0.5]", RED);
    let bright = read("0", "0.5", RED);
    let apart = |a: [f64; 3], b: [f64; 3]| (0..3).map(|at| (a[at] - b[at]).abs()).sum::<f64>();
    assert!(apart(own, plain) < 1e-3, "{own:?} {plain:?}");
    assert!(apart(own, bright) > 0.01, "{own:?} {bright:?}");
}
