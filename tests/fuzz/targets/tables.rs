//! Tables of any bytes: the trainer's lists of hands and frames, an evaluation's boxes, and what
//! was collected so far.
#![no_main]

use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use signcam::commands::collect::folder::{Folder, TABLE};
use signcam::commands::eval::read_boxes;
use signcam::train::data::dataset::{DataSource, Dataset};

static FOLDER: OnceLock<PathBuf> = OnceLock::new();

/// A picture of one pixel, for rows to name.
const PICTURE: &[u8] = include_bytes!("../pixel.png");

fuzz_target!(
    init: {
        let folder = tempfile::tempdir().unwrap().keep();
        for name in ["a.png", "b.png"] {
            fs::write(folder.join(name), PICTURE).unwrap();
        }
        FOLDER.set(folder).unwrap();
    },
    |bytes: &[u8]| {
        let folder = FOLDER.get().unwrap();
        let table = folder.join("table.csv");
        fs::write(&table, bytes).unwrap();
        for frames in [None, Some(table.clone())] {
            let source = DataSource {
                path: table.clone(),
                frames,
                exclude: vec!["m*/[MN]".parse().unwrap()],
                ..DataSource::default()
            };
            if let Ok(dataset) = Dataset::open(&source) {
                assert!(dataset.labels.len() >= 2);
                for sample in &dataset.samples {
                    assert!(sample.class < dataset.labels.len());
                }
                dataset.per_class();
                dataset.per_signer();
            }
        }
        for split in [None, Some("dev")] {
            let _ = read_boxes(&table, split);
        }
        let collected = folder.join(TABLE);
        fs::write(&collected, bytes).unwrap();
        if let Ok(opened) = Folder::open(folder, "ada") {
            assert!(opened.count("A").pictures <= bytes.len());
            // What was mended is read as it is.
            let before = fs::read(&collected).ok();
            Folder::open(folder, "ada").unwrap();
            assert_eq!(fs::read(&collected).ok(), before);
        }
    }
);
