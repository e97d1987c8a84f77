use super::*;

const LABELS: usize = 5;

fn metadata() -> SequenceMetadata {
    let names = |count: usize| (0..count).map(|at| format!("L{at}")).collect();
    SequenceMetadata {
        labels: names(LABELS),
        letters: names(4),
        rate: RATE,
        caution: 0.0,
        license: String::new(),
        training_commit: String::new(),
        data: String::new(),
    }
}

fn rows(steps: usize) -> Vec<f32> {
    let number = |at: usize| ((at * 7919 % 1013) as f32 / 1013.0 - 0.5) * 2.0;
    (0..steps * width(LABELS)).map(number).collect()
}

#[test]
fn the_file_says_step_by_step_what_the_network_says_of_the_whole() {
    let device = Device::flex();
    let net = SequenceNet::new(width(LABELS), 16, 5, &device);
    let bytes = encode(&net.layers().unwrap(), &metadata()).unwrap();
    let model = SequenceModel::from_bytes("a network", &bytes, width).unwrap();
    let steps = 40;
    let input = TensorData::new(rows(steps), [1, steps, width(LABELS)]);
    let whole = values(net.forward(Tensor::<3>::from_data(input, &device))).unwrap();
    let mut memory = model.fresh_memory();
    let mut logits = Vec::new();
    let rows = rows(steps);
    for (at, row) in rows.chunks_exact(width(LABELS)).enumerate() {
        model.step(row, &mut memory, &mut logits).unwrap();
        let sum: f32 = logits.iter().map(|logit| logit.exp()).sum();
        for (said, expected) in logits.iter().zip(&whole[5 * at..]) {
            let said = said - sum.ln();
            // Weights in the file are rounded to int8.
            assert!(
                (said - expected).abs() < 0.05,
                "step {at}: {said} {expected}"
            );
        }
    }
}

#[test]
fn a_network_learns_to_tell_two_letters_apart_in_a_sequence() {
    let device = Device::flex().autodiff();
    device.seed(1);
    let mut net = Trainer::new(
        SequenceNet::new(width(LABELS), 8, 5, &device),
        Vec::new(),
        TrainerOptions {
            schedule: Schedule {
                steps: 60,
                warmup: 5,
                backbone: 1e-2,
                head: 1e-2,
            },
            weight_decay: 0.0,
            average: 0.0,
            keep: 0.0,
        },
    );
    // A letter is what its own number says for some steps; the first one has none at all.
    let example = |letters: &[usize]| {
        let mut values = vec![0.0; 4 * width(LABELS)];
        for letter in letters {
            let mut step = vec![0.0; width(LABELS)];
            step[1 + letter] = 2.0;
            values.extend(step.repeat(3));
            values.extend(vec![0.0; 2 * width(LABELS)]);
        }
        Example {
            steps: values.len() / width(LABELS),
            values,
            letters: letters.to_vec(),
        }
    };
    let batch = [
        example(&[0, 1]),
        example(&[1, 0, 0]),
        example(&[]),
        example(&[2]),
    ];
    let mut losses = Vec::new();
    for _ in 0..60 {
        let (value, loss) = loss(net.net(), &batch, width(LABELS), &device).unwrap();
        losses.push(value);
        net.step(loss);
    }
    assert!(losses.iter().all(|loss| loss.is_finite()), "{losses:?}");
    assert!(losses[59] < 0.3 * losses[0], "{losses:?}");
}

#[test]
fn a_file_for_another_letter_network_is_refused_by_name() {
    let device = Device::flex();
    let net = SequenceNet::new(width(LABELS), 8, 5, &device);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sequence.onnx");
    std::fs::write(&path, encode(&net.layers().unwrap(), &metadata()).unwrap()).unwrap();
    let own: Vec<std::sync::Arc<str>> = metadata()
        .labels
        .iter()
        .map(|label| label.as_str().into())
        .collect();
    SequenceReader::load(&path, &own).unwrap();
    let error = SequenceReader::load(&path, &own[1..]).unwrap_err();
    assert!(format!("{error:#}").contains("sequence.onnx"), "{error:#}");
    std::fs::write(&path, b"no network").unwrap();
    let error = SequenceReader::load(&path, &own).unwrap_err();
    assert!(format!("{error:#}").contains("sequence.onnx"), "{error:#}");
}
