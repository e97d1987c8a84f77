//! A trained network to start from: a file that this program wrote, or a run's checkpoint.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use burn::tensor::Device;

use super::course::Kept;
use super::description::Description;
use super::fit::Trained;
use super::trainer;
use crate::model::file::OnnxFile;
use crate::model::{Metadata, Preprocessing};
use crate::train::file::import::Written;
use crate::train::network::letter::{HeadOptions, LetterNet};
use crate::train::network::points::Points;

/// A trained network, not yet in a device's memory.
#[derive(Debug, Clone)]
pub struct Origin {
    path: PathBuf,
    network: Description,
    file: Option<OnnxFile>,
}

impl Origin {
    /// Reads what the file or the checkpoint's folder at `path` is.
    ///
    /// # Errors
    /// When it is neither, is damaged, or prepares pictures as no network made here does.
    pub fn read(path: &Path) -> Result<Origin> {
        let read = || match path.is_dir() {
            true => Origin::read_checkpoint(path),
            false => Origin::read_file(path),
        };
        read().with_context(|| cannot_start(path))
    }

    fn read_checkpoint(path: &Path) -> Result<Origin> {
        let kept: Kept<Trained> = Kept::read(path)?;
        Ok(Origin {
            path: path.to_owned(),
            network: kept.network.network,
            file: None,
        })
    }

    fn read_file(path: &Path) -> Result<Origin> {
        let file = OnnxFile::read(path)?;
        let Metadata {
            labels,
            preprocessing,
            reads,
            ..
        } = Metadata::from_props(&file.props)?;
        let Preprocessing {
            input_size: size,
            crop_scale,
            ..
        } = preprocessing;
        ensure!(
            preprocessing == Preprocessing::new(size, crop_scale),
            "it normalises pictures with a mean of {:?} and a deviation of {:?}, not as this program does",
            preprocessing.mean,
            preprocessing.std
        );
        file.check_input(size)?;
        let written = Written::of(&file)?;
        let hidden = match written.has("hidden") {
            true => Some(written.layer("hidden")?.1.len()),
            false => None,
        };
        let network = Description {
            labels,
            hidden,
            points: Points::are_in(&written),
            size,
            crop_scale,
            reads,
        };
        Ok(Origin {
            path: path.to_owned(),
            network,
            file: Some(file),
        })
    }

    /// What the network is.
    pub fn network(&self) -> &Description {
        &self.network
    }

    /// Whether its normalisation's statistics are kept apart from its weights, as in a checkpoint,
    /// so that a batch's own can take their place.
    pub fn has_statistics(&self) -> bool {
        self.file.is_none()
    }

    /// The network in the memory of `device`, for `labels`: those that it knew are read as before,
    /// new ones start at random. Of `head`, the hidden layer is the network's own.
    ///
    /// # Errors
    /// When the file holds another network than its metadata say or than this program trains, or
    /// the checkpoint is damaged.
    pub fn net(&self, labels: &[String], head: HeadOptions, device: &Device) -> Result<LetterNet> {
        let build = || -> Result<LetterNet> {
            let own = HeadOptions {
                hidden: self.network.hidden,
                points: self.network.points,
                ..head
            };
            let net = LetterNet::new(self.network.labels.len(), own, device);
            let net = match &self.file {
                None => trainer::fill_average(net, &self.path)?,
                Some(file) => {
                    let written = Written::of(file)?;
                    let net = net.restore(&written, device)?;
                    written.check(&net.graph(self.network.size, 1.0)?)?;
                    net
                }
            };
            let net = net.relabelled(&self.network.labels, labels, device)?;
            Ok(net.with_head(head, device))
        };
        build().with_context(|| cannot_start(&self.path))
    }
}

fn cannot_start(path: &Path) -> String {
    format!("cannot start from {}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Reads;
    use crate::model::stock::StockNetwork;
    use crate::train::file::export::to_f32;
    use crate::train::file::graph::{Graph, Op};
    use crate::train::file::sketch::{Weights, mobilenet_v2};
    use crate::train::file::write::write_models;
    use crate::train::network::block::Mode;
    use crate::train::network::points::CENTRE;
    use crate::train::network::values;
    use crate::train::run::course::Course;
    use crate::train::run::fit::normalised;
    use crate::train::run::trainer::{Schedule, Trainer, TrainerOptions, ids};
    use burn::module::Module;
    use burn::tensor::{Distribution, Tensor};
    use prost::Message;
    use std::fs;
    use std::time::Duration;

    const SIZE: usize = 32;

    const HEAD: HeadOptions = HeadOptions {
        hidden: None,
        dropout: 0.0,
        points: false,
    };

    fn labels(labels: &[&str]) -> Vec<String> {
        labels.iter().map(|label| (*label).to_string()).collect()
    }

    /// A network whose statistics are those of the pictures it saw.
    fn net(head: HeadOptions, device: &Device) -> LetterNet {
        device.seed(4);
        let net = LetterNet::new(3, head, device);
        for _ in 0..20 {
            net.forward(noise(8, device), Mode::Train, 0);
        }
        net
    }

    fn noise(pictures: usize, device: &Device) -> Tensor<4> {
        let range = Distribution::Uniform(-1.5, 2.0);
        Tensor::random([pictures, SIZE, SIZE, 3], range, device)
    }

    /// Pictures that differ in light and contrast.
    fn crops(count: usize) -> Vec<Vec<u8>> {
        let mut chance = Weights::seeded(99);
        (0..count)
            .map(|_| {
                let (base, slope) = (chance.uniform() * 150.0, chance.uniform() * 100.0);
                (0..SIZE * SIZE * 3)
                    .map(|i| (base + slope * chance.uniform() + (i / 3 % SIZE) as f32) as u8)
                    .collect()
            })
            .collect()
    }

    fn metadata() -> Metadata {
        let labels = labels(&["A", "B", "nothing"]);
        Metadata::new(labels, Preprocessing::new(SIZE, 1.35))
    }

    fn logits(net: &LetterNet, images: Tensor<4>) -> Vec<f32> {
        values(net.forward(images, Mode::Infer, 0).logits).unwrap()
    }

    /// What a file says of each picture in the network's stead: logits, and points from the
    /// crop's corner.
    fn outputs(net: &LetterNet, images: Tensor<4>) -> Vec<f32> {
        let output = net.forward(images, Mode::Infer, 0);
        let all = match output.points {
            None => output.logits,
            Some(points) => Tensor::cat(vec![output.logits, points + CENTRE], 1),
        };
        values(all).unwrap()
    }

    /// What the file says of `images`.
    fn read_by_file(path: &Path, images: &Tensor<4>) -> Vec<f32> {
        let file = OnnxFile::read(path).unwrap();
        let network = StockNetwork::load(&file.proto, SIZE).unwrap();
        let channels_first = values(images.clone().permute([0, 3, 1, 2])).unwrap();
        let mut logits = Vec::new();
        for picture in channels_first.chunks_exact(3 * SIZE * SIZE) {
            let take = |_, values: &[f32]| logits.extend_from_slice(values);
            network.run(picture, take).unwrap();
        }
        logits
    }

    fn greatest_difference(a: &[f32], b: &[f32]) -> f32 {
        assert_eq!(a.len(), b.len());
        let differences = a.iter().zip(b).map(|(a, b)| (a - b).abs());
        differences.fold(0.0, f32::max)
    }

    /// The weights and the bias of every layer's every output channel.
    fn channels(graph: &Graph) -> Vec<(&[f32], f32)> {
        (graph.nodes().iter())
            .filter_map(|node| match &node.op {
                Op::Conv(conv) => Some((&conv.weight, &conv.bias)),
                Op::Dense(dense) => Some((&dense.weight, &dense.bias)),
                _ => None,
            })
            .flat_map(|(weight, bias)| {
                let rows = weight.chunks(weight.len() / bias.len());
                rows.zip(bias.iter().copied())
            })
            .collect()
    }

    #[test]
    fn a_network_read_back_gives_what_its_file_gives() {
        let device = Device::flex();
        let folder = tempfile::tempdir().unwrap();
        for (hidden, points) in [(None, false), (Some(24), false), (None, true)] {
            let head = HeadOptions {
                hidden,
                points,
                ..HEAD
            };
            let graph = net(head, &device).graph(SIZE, 1.7).unwrap();
            let metadata = metadata();
            let props = metadata.to_props().unwrap();
            let crops = crops(40);
            let int8 = folder.path().join("letters.onnx");
            let preprocessing = &metadata.preprocessing;
            let files = write_models(&graph, &crops, preprocessing, &props, &int8).unwrap();
            let read_back = |path: &Path| {
                let origin = Origin::read(path).unwrap();
                assert_eq!(origin.network().hidden, hidden);
                assert_eq!(origin.network().points, points);
                assert!(!origin.has_statistics());
                origin.net(&metadata.labels, head, &device).unwrap()
            };
            let images = normalised(&crops[..6].concat(), 6, SIZE, &device);
            let ours = outputs(&read_back(&files.f32), images.clone());
            let theirs = read_by_file(&files.f32, &images);
            assert!(
                greatest_difference(&ours, &theirs) < 1e-3,
                "{ours:?} {theirs:?}"
            );

            let int8 = read_back(&files.int8).graph(SIZE, 1.0).unwrap();
            let (ours, theirs) = (channels(&int8), channels(&graph));
            assert_eq!(ours.len(), theirs.len());
            for ((ours, our_bias), (theirs, their_bias)) in ours.into_iter().zip(theirs) {
                // A bias has a finer step than its weights: theirs times the input's.
                let step = theirs.iter().fold(0f32, |most, w| most.max(w.abs())) / 127.0;
                let difference =
                    greatest_difference(ours, theirs).max((our_bias - their_bias).abs());
                assert!(difference <= 0.51 * step, "{difference}, step {step}");
            }
        }
    }

    #[test]
    fn known_labels_are_read_as_before_whatever_their_new_places() {
        let device = Device::flex();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("letters.f32.onnx");
        let props = metadata().to_props().unwrap();
        let file = to_f32(&net(HEAD, &device).graph(SIZE, 1.0).unwrap(), &props).unwrap();
        fs::write(&path, file.encode_to_vec()).unwrap();
        let origin = Origin::read(&path).unwrap();
        let wanted = labels(&["B", "wave", "A", "nothing"]);
        let net = origin.net(&wanted, HEAD, &device).unwrap();
        let images = noise(2, &device);
        let ours = logits(&net, images.clone());
        let before = read_by_file(&path, &images);
        for (ours, before) in ours.chunks(4).zip(before.chunks(3)) {
            let known = [ours[2], ours[0], ours[3]];
            assert!(
                greatest_difference(&known, before) < 1e-3,
                "{ours:?} {before:?}"
            );
            assert!(ours[1].is_finite() && !before.contains(&ours[1]));
        }
    }

    #[test]
    fn a_checkpoint_is_a_start_with_its_labels_and_averaged_weights() {
        let device = Device::flex().autodiff();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("letters.checkpoint");
        let head = HeadOptions {
            points: true,
            ..HEAD
        };
        let net = net(head, &device);
        let options = TrainerOptions {
            schedule: Schedule {
                steps: 2,
                warmup: 0,
                backbone: 1e-3,
                head: 1e-3,
            },
            weight_decay: 0.0,
            average: 0.5,
            keep: 0.0,
        };
        let backbone = ids(&net.backbone);
        let mut trainer = Trainer::new(net, backbone, options);
        let network = Trained {
            network: Description {
                labels: metadata().labels,
                hidden: None,
                points: true,
                size: SIZE,
                crop_scale: 1.35,
                reads: Reads::Hand,
            },
            epochs: Vec::new(),
        };
        let kept = Kept {
            course: Course::default(),
            learned: Duration::ZERO,
            network,
        };
        trainer.set_note(serde_json::to_string(&kept).unwrap());
        trainer.save(&path).unwrap();
        let origin = Origin::read(&path).unwrap();
        assert!(origin.has_statistics());
        let images = noise(2, &device);
        let same = origin.net(&metadata().labels, HEAD, &device).unwrap();
        let expected = logits(&trainer.averaged(), images.clone().inner());
        let got = logits(&same.valid(), images.inner());
        assert!(greatest_difference(&got, &expected) < 1e-6);
    }

    #[test]
    fn what_is_no_network_of_this_program_is_refused_by_its_path() {
        let folder = tempfile::tempdir().unwrap();
        let empty = folder.path().join("empty");
        fs::create_dir(&empty).unwrap();
        let text = folder.path().join("text.onnx");
        fs::write(&text, "no network").unwrap();
        let other = folder.path().join("other.onnx");
        let graph = mobilenet_v2(SIZE, 1.0, 3, 5).unwrap();
        let props = metadata().to_props().unwrap();
        fs::write(&other, to_f32(&graph, &props).unwrap().encode_to_vec()).unwrap();
        for (path, told) in [
            (&empty, "progress.json"),
            (&text, "no ONNX file"),
            (&folder.path().join("missing"), "no such file"),
        ] {
            let error = format!("{:#}", Origin::read(path).unwrap_err());
            assert!(error.contains(&path.display().to_string()), "{error}");
            assert!(error.contains(told), "{error}");
        }
        let origin = Origin::read(&other).unwrap();
        let error = origin.net(&metadata().labels, HEAD, &Device::flex());
        let error = format!("{:#}", error.unwrap_err());
        assert!(
            error.contains("other.onnx") && error.contains("stem"),
            "{error}"
        );
    }
}
