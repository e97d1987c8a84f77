use super::*;

fn said(result: Result<Recorder>) -> String {
    match result {
        Ok(_) => panic!("the recording was started"),
        Err(error) => format!("{error:#}"),
    }
}

#[test]
fn an_existing_file_is_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.mp4");
    fs::write(&path, "precious").unwrap();
    let said = said(Recorder::start(&path, 64, 48, Hurry::Live));
    assert!(said.contains("exists"), "{said}");
    assert_eq!(fs::read(&path).unwrap(), b"precious");
}

#[test]
fn a_path_that_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let said_of = |name: &str| {
        said(Recorder::start(
            &folder.path().join(name),
            64,
            48,
            Hurry::Live,
        ))
    };
    let missing = said_of("no/such/folder/clip.mp4");
    assert!(missing.contains("no/such/folder/clip.mp4"), "{missing}");
    let other = said_of("clip.avi");
    assert!(other.contains(".mp4"), "{other}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn sizes_the_encoder_cannot_take_are_refused_before_a_file_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clip.mp4");
    for (width, height) in [(0, 0), (8, 480), (3842, 1080), (2500, 2500)] {
        let said = said(Recorder::start(&path, width, height, Hurry::Live));
        assert!(said.contains(&format!("{width}x{height}")), "{said}");
    }
    assert!(!path.exists());
}

#[test]
fn a_recording_of_nothing_leaves_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clip.mp4");
    let recorder = Recorder::start(&path, 64, 48, Hurry::Live).unwrap();
    assert!(path.exists());
    assert_eq!(recorder.finish().unwrap(), RecordSummary::default());
    assert!(!path.exists());
}

#[test]
fn pictures_beyond_the_queue_are_dropped_and_counted_and_nothing_waits() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clip.mp4");
    let (width, height) = (1280, 960);
    let mut recorder = Recorder::start(&path, width, height, Hurry::Live).unwrap();
    let pixels: Vec<u32> = (0..width * height)
        .map(|at| at as u32 * 2_654_435_761)
        .collect();
    for at in 0..200 {
        recorder.push(&pixels, Duration::from_millis(at)).unwrap();
    }
    let dropped = recorder.dropped();
    let summary = recorder.finish().unwrap();
    // The encoder itself may leave some of this noise out.
    assert!(summary.dropped >= dropped);
    assert_eq!(summary.frames + summary.dropped, 200);
    assert!(summary.frames > 0);
}

#[test]
fn a_picture_of_another_size_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut recorder =
        Recorder::start(&folder.path().join("clip.mp4"), 64, 48, Hurry::Live).unwrap();
    assert!(recorder.push(&[0; 63 * 48], Duration::ZERO).is_err());
}

#[test]
fn where_every_picture_counts_none_is_dropped_however_fast_they_come() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clip.mp4");
    let mut recorder = Recorder::start(&path, 320, 240, Hurry::None).unwrap();
    // Noise asks for far more bits than a live recording would spend.
    for at in 0..60u32 {
        let pixels: Vec<u32> = (0..320 * 240u32)
            .map(|pixel| (pixel ^ at << 9).wrapping_mul(2_654_435_761) >> 8)
            .collect();
        recorder
            .push(&pixels, Duration::from_millis(at.into()))
            .unwrap();
    }
    let summary = recorder.finish().unwrap();
    assert_eq!((summary.frames, summary.dropped), (60, 0));
}

#[test]
fn dated_names_are_new_ones() {
    let folder = tempfile::tempdir().unwrap();
    let names: Vec<PathBuf> = (0..3)
        .map(|_| {
            let name = dated(folder.path());
            fs::write(&name, "").unwrap();
            name
        })
        .collect();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), names.len());
    let shown = names[0].file_name().unwrap().to_str().unwrap();
    assert!(
        shown.starts_with("signcam-20") && shown.ends_with(".mp4"),
        "{shown}"
    );
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_ends_the_recording_with_one_error() {
    for kind in ["full.mp4", "full.gif"] {
        // A device that is always full, under a name that ends as recordings do.
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let format: Box<dyn Format> = match Kind::of(Path::new(kind)).unwrap() {
            Kind::Video => Box::new(Video::new(full, 64, 48, Hurry::Live).unwrap()),
            Kind::Clip => Box::new(Gif::new(full, 64, 48)),
        };
        let mut session = Session {
            path: kind.into(),
            format,
            first: None,
            summary: RecordSummary::default(),
        };
        let error = session
            .record(&Picture {
                bgr0: vec![0; 64 * 48 * 4],
                time: Duration::ZERO,
            })
            .unwrap_err();
        let said = format!("{error:#}");
        assert!(said.contains(kind) && said.contains("space"), "{said}");
    }
}
