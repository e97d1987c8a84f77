use std::collections::HashSet;
use std::path::Path;

use super::*;
use crate::base::picture::Picture;
use crate::recognize::crop::Cropper;
use crate::train::data::dataset::{DataSource, NOTHING};
use crate::train::data::drawn::{self, Drawn};

const SIZE: usize = 24;

fn options(balance: Balance) -> LoaderOptions {
    LoaderOptions {
        batch: 8,
        size: SIZE,
        reads: Reads::Hand,
        crop_scale: 1.35,
        recipe: Recipe::ROOMS,
        balance,
        seed: 3,
        nothing: NothingShares {
            surroundings: 0.0,
            gestures: 0.0,
        },
        threads: 2,
    }
}

/// A loader over drawn hands; the folder holds the pictures.
fn loader(drawn: &Drawn, options: LoaderOptions) -> (tempfile::TempDir, Arc<Loader>) {
    let folder = tempfile::tempdir().unwrap();
    drawn::write_hands(folder.path(), drawn).unwrap();
    let source = DataSource {
        path: folder.path().to_path_buf(),
        ..DataSource::default()
    };
    let dataset = Arc::new(Dataset::open(&source).unwrap());
    let pictures = Arc::new(store(&dataset, options.size, options.crop_scale, 1 << 24));
    let loader = Loader::new(dataset, pictures, options).unwrap();
    (folder, Arc::new(loader))
}

fn drawn() -> Drawn {
    Drawn {
        labels: vec!["A".into(), "B".into(), "C".into()],
        train_signers: vec![("ann".into(), 2), ("bob".into(), 8)],
        val_signers: vec![("eve".into(), 3)],
        size: 48,
        seed: 1,
    }
}

#[test]
fn a_step_gives_the_same_batch_whatever_came_before_it() {
    let (_folder, first) = loader(&drawn(), options(Balance::Root));
    let straight: Vec<Batch> = (0..6).map(|step| first.batch(step).unwrap()).collect();
    let (_folder, resumed) = loader(&drawn(), options(Balance::Root));
    let same = resumed.batch(5).unwrap();
    assert!(same == straight[5]);
    assert!(straight[4].images != straight[5].images);
}

#[test]
fn a_stream_gives_the_steps_in_order_and_then_ends() {
    let (_folder, loader) = loader(&drawn(), options(Balance::Signers));
    let streamed: Vec<Batch> = loader
        .stream(2, 7, 2)
        .unwrap()
        .collect::<Result<_>>()
        .unwrap();
    assert_eq!(
        streamed.iter().map(|batch| batch.step).collect::<Vec<_>>(),
        [2, 3, 4, 5, 6]
    );
    assert!(streamed[3] == loader.batch(5).unwrap());
}

#[test]
fn a_stream_that_is_dropped_early_ends_its_thread() {
    let (_folder, loader) = loader(&drawn(), options(Balance::Root));
    let mut stream = loader.stream(0, 1_000_000, 2).unwrap();
    stream.next().unwrap().unwrap();
    drop(stream);
}

#[test]
fn without_balance_every_picture_is_seen_once_an_epoch() {
    let (_folder, loader) = loader(
        &drawn(),
        LoaderOptions {
            batch: 10,
            recipe: Recipe::NONE,
            ..options(Balance::Pictures)
        },
    );
    assert_eq!(loader.steps_per_epoch(), 3);
    for epoch in 0..2 {
        let seen: HashSet<Option<usize>> = (0..3)
            .flat_map(|step| loader.batch(epoch * 3 + step).unwrap().samples)
            .collect();
        assert_eq!(seen.len(), 30, "epoch {epoch}");
    }
    assert_ne!(
        loader.batch(0).unwrap().samples,
        loader.batch(3).unwrap().samples,
        "both epochs have the same order"
    );
}

#[test]
fn a_signer_with_few_pictures_is_seen_as_often_as_the_balance_says() {
    for (balance, low, high) in [
        // Pictures: 6 of 30; root: 1 of 3; signers: 1 of 2.
        (Balance::Root, 0.28, 0.39),
        (Balance::Signers, 0.44, 0.56),
    ] {
        let (_folder, loader) = loader(
            &drawn(),
            LoaderOptions {
                recipe: Recipe::NONE,
                ..options(balance)
            },
        );
        let (mut of_ann, mut all) = (0, 0);
        for step in 0..100 {
            for sample in loader.batch(step).unwrap().samples.into_iter().flatten() {
                let signer = &loader.dataset.samples[sample].signer;
                of_ann += usize::from(signer.as_deref() == Some("ann"));
                all += 1;
            }
        }
        let share = of_ann as f32 / all as f32;
        assert!((low..high).contains(&share), "{balance:?}: {share}");
    }
}

#[test]
fn validation_is_every_picture_in_order_as_it_is_seen_live() {
    let (_folder, loader) = loader(&drawn(), options(Balance::Root));
    let batches: Vec<Batch> = loader.stream_val(1).unwrap().map(Result::unwrap).collect();
    assert_eq!(batches.iter().map(|b| b.len).collect::<Vec<_>>(), [8, 1]);
    let samples: Vec<usize> = batches
        .iter()
        .flat_map(|batch| batch.samples.iter().flatten().copied())
        .collect();
    assert_eq!(samples, loader.dataset.of_split(Split::Val));

    let at = samples[0];
    let sample = &loader.dataset.samples[at];
    let picture = Picture::decode(&sample.path).unwrap();
    let square = sample
        .hand
        .unwrap()
        .square(1.35, picture.width, picture.height);
    let mut live = vec![0; SIZE * SIZE * 3];
    crate::recognize::crop::Cropper::new()
        .crop(
            &picture.pixels,
            picture.width,
            picture.height,
            square,
            SIZE,
            &mut live,
        )
        .unwrap();
    assert!(batches[0].images[..live.len()] == live);
}

#[test]
fn surroundings_are_nothing_and_as_many_as_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    drawn::write_hands(folder.path(), &drawn()).unwrap();
    drawn::write_frames(folder.path(), &drawn()).unwrap();
    let source = DataSource {
        path: folder.path().to_path_buf(),
        ..DataSource::default()
    };
    let dataset = Arc::new(Dataset::open(&source).unwrap());
    let nothing = dataset.nothing().unwrap();
    assert_eq!(dataset.labels[nothing], NOTHING);
    let pictures = Arc::new(store(&dataset, SIZE, 1.35, 1 << 24));
    let loader = Loader::new(
        dataset,
        pictures,
        LoaderOptions {
            nothing: NothingShares {
                surroundings: 0.25,
                gestures: 0.0,
            },
            ..options(Balance::Root)
        },
    )
    .unwrap();
    let (mut surroundings, mut all) = (0, 0);
    for step in 0..60 {
        let batch = loader.batch(step).unwrap();
        for (sample, target) in batch.samples.iter().zip(&batch.targets) {
            all += 1;
            if sample.is_none() {
                surroundings += 1;
                assert_eq!(*target, nothing as i32);
            }
        }
    }
    let share = surroundings as f32 / all as f32;
    assert!((0.19..0.31).contains(&share), "{share}");
}

#[test]
fn hands_that_sign_nothing_are_seen_as_often_as_asked_for() {
    let drawn = Drawn {
        labels: vec!["A".into(), "B".into(), "other".into()],
        ..drawn()
    };
    let options = LoaderOptions {
        nothing: NothingShares {
            surroundings: 0.0,
            gestures: 0.5,
        },
        ..options(Balance::Root)
    };
    let (_folder, loader) = loader(&drawn, options);
    let nothing = loader.dataset.nothing().unwrap() as i32;
    let targets: Vec<i32> = (0..60)
        .flat_map(|step| loader.batch(step).unwrap().targets)
        .collect();
    let shown = targets.iter().filter(|&&target| target == nothing).count();
    // Half of the crops, and a third of the others by the balance of classes.
    let share = shown as f32 / targets.len() as f32;
    assert!((0.6..0.73).contains(&share), "{share}");
}

#[test]
fn a_picture_that_vanishes_during_training_is_an_error_that_names_it() {
    let (folder, loader) = loader(&drawn(), options(Balance::Root));
    std::fs::remove_dir_all(folder.path().join("hands")).unwrap();
    let error = format!("{:#}", loader.batch(0).unwrap_err());
    assert!(error.contains("hands"), "{error}");
}

#[test]
fn the_plain_batches_are_every_training_picture_once() {
    let (_folder, loader) = loader(&drawn(), options(Balance::Signers));
    let mut seen = HashSet::new();
    let mut number = 0;
    while let Some(batch) = loader.plain_batch(number).unwrap() {
        seen.extend(batch.samples);
        number += 1;
    }
    assert_eq!((seen.len(), number), (30, 4));
}

/// Half red, half green, blue below: three times as wide as high.
fn wide(path: &Path) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    image::RgbImage::from_fn(72, 24, |x, y| {
        image::Rgb(match (x, y) {
            (_, 18..) => [0, 0, 255],
            (..36, _) => [255, 0, 0],
            _ => [0, 255, 0],
        })
    })
    .save(path)
    .unwrap();
}

#[test]
fn a_whole_picture_is_learned_from_as_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    for name in [
        "train/cat/0.png",
        "train/dog/0.png",
        "val/cat/1.png",
        "val/dog/1.png",
    ] {
        wide(&folder.path().join(name));
    }
    let source = DataSource {
        path: folder.path().to_path_buf(),
        ..DataSource::default()
    };
    let dataset = Arc::new(Dataset::open(&source).unwrap());
    let picture = Picture::decode(&folder.path().join("val/cat/1.png")).unwrap();
    for reads in [Reads::Squeezed, Reads::Cut] {
        let pictures = Arc::new(store_of(&dataset, SIZE, reads, 1.35, 1 << 24));
        let options = LoaderOptions {
            reads,
            ..options(Balance::Pictures)
        };
        let loader = Loader::new(Arc::clone(&dataset), pictures, options).unwrap();
        let batch = loader.val_batch(0).unwrap();
        let mut live = vec![0; SIZE * SIZE * 3];
        let region = reads.region(Rect::FULL, 1.0, 72, 24);
        Cropper::new()
            .squeeze(&picture.pixels, 72, 24, region, SIZE, &mut live)
            .unwrap();
        let bytes = live.iter().zip(&batch.images);
        let far = bytes.filter(|(a, b)| a.abs_diff(**b) > 40).count();
        // Squeezed in two steps, an edge is not quite the same.
        assert!(far <= 3 * 2 * SIZE, "{reads}: {far} values differ");
        let corner = &batch.images[..3];
        assert_eq!(
            corner,
            [255, 0, 0],
            "{reads} shows the picture's left end, or near"
        );
    }
}
