//! Collecting, as the person before the screen and the programs that read the pictures see it.

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::folder::is_held_back;
use super::takes::MOST;
use super::*;
use crate::base::frame::FramePool;
use crate::base::picture::Picture;
use crate::commands::eval::{EvalArgs, eval};
use crate::recognize::ReadingTimes;
use crate::recognize::motion::Movement;
use crate::sink::keyboard::Symbol;
use crate::sink::screen::{Key, Press, Screen};
use crate::source::{Event, Source};

const HAND: Rect = Rect {
    x0: 0.25,
    y0: 0.5,
    x1: 0.5,
    y1: 0.75,
};

fn shot(hand: Option<Rect>) -> Shot {
    Shot {
        width: 64,
        height: 48,
        pixels: [200, 120, 40].repeat(64 * 48),
        hand,
    }
}

fn labels(names: &[&str]) -> Result<Labels> {
    Labels::new(names.iter().map(|name| Arc::from(*name)).collect())
}

fn takes(root: &Path, names: &[&str]) -> Takes {
    Takes::new(Folder::open(root, "ada").unwrap(), labels(names).unwrap())
}

/// Holds the space bar for so many pictures, and returns the time after.
fn take(takes: &mut Takes, pictures: usize, mut now: Instant) -> Instant {
    takes.hold(now);
    for _ in 0..pictures {
        while !takes.wants(now) {
            now += Duration::from_millis(10);
        }
        takes.store(&shot(Some(HAND)), now).unwrap();
    }
    takes.release();
    now
}

/// Rows without the head, and how the paths in them are named on disk.
fn rows(root: &Path) -> Vec<Vec<String>> {
    let mut reader = csv::Reader::from_path(root.join(TABLE)).unwrap();
    let rows = reader.records().map(|row| row.unwrap());
    rows.map(|row| row.iter().map(String::from).collect())
        .collect()
}

fn pictures(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false if path.extension().is_some_and(|kind| kind == "jpg") => found.push(path),
                false => {}
            }
        }
    }
    found.sort();
    found
}

#[test]
fn a_picture_and_its_row_say_who_signs_what_and_where_the_hand_is() {
    let root = tempfile::tempdir().unwrap();
    let mut takes = takes(root.path(), &["A", "B"]);
    take(&mut takes, 2, Instant::now());
    let found = pictures(root.path());
    assert_eq!(found.len(), 2);
    assert!(found[0].ends_with("ada/A/00001.jpg"), "{found:?}");
    let picture = Picture::decode(&found[0]).unwrap();
    assert_eq!((picture.width, picture.height), (64, 48), "the whole frame");
    let near = |byte: u8, wanted: u8| byte.abs_diff(wanted) < 6;
    assert!(near(picture.pixels[0], 200) && near(picture.pixels[2], 40));
    let expected = [
        "ada/A/00001.jpg",
        "ada",
        "train",
        "A",
        "0.25000",
        "0.50000",
        "0.50000",
    ];
    assert_eq!(rows(root.path())[0][..7], expected);
}

#[test]
fn pictures_are_taken_a_few_a_second_and_not_without_end() {
    let root = tempfile::tempdir().unwrap();
    let mut takes = takes(root.path(), &["A"]);
    let mut now = Instant::now();
    takes.hold(now);
    let mut stored = Vec::new();
    for _ in 0..1000 {
        if takes.wants(now) {
            takes.store(&shot(Some(HAND)), now).unwrap();
            stored.push(now);
        }
        now += Duration::from_millis(10);
    }
    assert_eq!(stored.len(), MOST);
    assert_eq!(stored[4] - stored[0], Duration::from_secs(1));
    assert!(takes.request().contains("let go"), "{}", takes.request());
}

#[test]
fn a_letter_without_a_hand_is_not_taken_and_nothing_is() {
    let root = tempfile::tempdir().unwrap();
    let mut takes = takes(root.path(), &["A", "nothing"]);
    let now = Instant::now();
    takes.hold(now);
    takes.store(&shot(None), now).unwrap();
    assert!(takes.request().contains("no hand"), "{}", takes.request());
    takes.release();
    assert!(pictures(root.path()).is_empty());
    takes.choose('n'.into());
    takes.hold(now);
    takes.store(&shot(None), now).unwrap();
    takes.release();
    assert_eq!(rows(root.path())[0][3..8], ["nothing", "", "", "", ""]);
}

#[test]
fn a_take_is_wholly_for_training_or_wholly_held_back() {
    let root = tempfile::tempdir().unwrap();
    let mut now = Instant::now();
    for run in 0..2 {
        // Another start of the program goes on counting.
        let mut takes = takes(root.path(), &["A", "B"]);
        for _ in 0..4 {
            now = take(&mut takes, 2, now);
        }
        assert_eq!(takes.folder().count("A").pictures, (run + 1) * 8);
    }
    let rows = rows(root.path());
    for row in &rows {
        let number: u32 = row[8].parse().unwrap();
        assert_eq!(row[2] == "dev", is_held_back(number), "{row:?}");
    }
    let held_back = rows.iter().filter(|row| row[2] == "dev").count();
    assert_eq!((held_back, rows.len()), (4, 16));
    // Two takes are enough to have something of both.
    assert!(!is_held_back(1) && is_held_back(2));
}

#[test]
fn other_hints_come_with_each_take_and_held_back_takes_get_all_of_them() {
    let root = tempfile::tempdir().unwrap();
    let mut takes = takes(root.path(), &["A"]);
    let mut now = Instant::now();
    let mut held_back = std::collections::HashSet::new();
    for number in 1..=28 {
        let request = takes.request();
        let (_, hint) = request.split_once(": ").unwrap();
        if is_held_back(number) {
            held_back.insert(hint.to_owned());
        }
        now = take(&mut takes, 1, now);
    }
    assert_eq!(held_back.len(), 7);
}

#[test]
fn takes_of_this_run_are_taken_back_one_by_one_and_no_others() {
    let root = tempfile::tempdir().unwrap();
    let earlier = take(&mut takes(root.path(), &["A", "B"]), 3, Instant::now());
    let mut takes = takes(root.path(), &["A", "B"]);
    let now = take(&mut takes, 2, earlier);
    takes.choose('b'.into());
    take(&mut takes, 4, now);
    takes.take_back().unwrap();
    assert_eq!(rows(root.path()).len(), 5);
    takes.choose('b'.into());
    takes.take_back().unwrap();
    assert_eq!(&**takes.label(), "A", "the label whose take went");
    assert_eq!(
        (rows(root.path()).len(), pictures(root.path()).len()),
        (3, 3)
    );
    takes.take_back().unwrap();
    assert_eq!(
        (rows(root.path()).len(), pictures(root.path()).len()),
        (3, 3)
    );
}

#[test]
fn the_take_that_runs_can_be_taken_back() {
    let root = tempfile::tempdir().unwrap();
    let mut takes = takes(root.path(), &["A"]);
    let now = Instant::now();
    takes.hold(now);
    takes.store(&shot(Some(HAND)), now).unwrap();
    takes.take_back().unwrap();
    assert_eq!(takes.taken(), None);
    assert!(rows(root.path()).is_empty() && pictures(root.path()).is_empty());
    // An empty one is not mistaken for the one before it.
    take(&mut takes, 2, now);
    takes.hold(now);
    takes.take_back().unwrap();
    assert_eq!(pictures(root.path()).len(), 2);
}

#[test]
fn nothing_that_lies_there_is_overwritten() {
    let root = tempfile::tempdir().unwrap();
    let own = root.path().join("ada/A");
    fs::create_dir_all(&own).unwrap();
    fs::write(own.join("00001.jpg"), "somebody's").unwrap();
    fs::write(own.join("00007.jpg"), "somebody's").unwrap();
    take(&mut takes(root.path(), &["A"]), 1, Instant::now());
    assert_eq!(fs::read(own.join("00001.jpg")).unwrap(), b"somebody's");
    assert_eq!(rows(root.path())[0][0], "ada/A/00008.jpg");
}

#[test]
fn a_table_of_another_make_is_refused_and_left_alone() {
    let root = tempfile::tempdir().unwrap();
    for table in [
        "path,signer,split,label\nx/A/1.jpg,x,train,A\n",
        "path,signer,split,label\nx/A/1.jpg,x,train,A",
        "a list without an end of line",
    ] {
        fs::write(root.path().join(TABLE), table).unwrap();
        let error = format!("{:#}", Folder::open(root.path(), "ada").unwrap_err());
        assert!(
            error.contains(TABLE) && error.contains("other columns"),
            "{error}"
        );
        assert_eq!(fs::read_to_string(root.path().join(TABLE)).unwrap(), table);
    }
}

#[test]
fn a_table_of_absurd_size_is_refused_before_it_is_read() {
    let root = tempfile::tempdir().unwrap();
    let file = fs::File::create(root.path().join(TABLE)).unwrap();
    file.set_len(1 << 40).unwrap();
    let error = format!("{:#}", Folder::open(root.path(), "ada").unwrap_err());
    assert!(error.contains(TABLE) && error.contains("MiB"), "{error}");
}

#[test]
fn what_a_crash_left_is_mended_wherever_it_came() {
    let root = tempfile::tempdir().unwrap();
    take(&mut takes(root.path(), &["A"]), 3, Instant::now());
    let table = root.path().join(TABLE);
    let whole = fs::read(&table).unwrap();
    for length in 0..whole.len() {
        fs::write(&table, &whole[..length]).unwrap();
        let mut takes = takes(root.path(), &["A"]);
        let before = takes.folder().count("A").pictures;
        assert!(before < 3);
        take(&mut takes, 1, Instant::now());
        assert_eq!(rows(root.path()).len(), before + 1, "cut at {length}");
        takes.take_back().unwrap();
    }
}

#[test]
fn rows_of_pictures_that_somebody_deleted_go_and_other_signers_rows_stay() {
    let root = tempfile::tempdir().unwrap();
    take(&mut takes(root.path(), &["A"]), 3, Instant::now());
    let other = Folder::open(root.path(), "bob").unwrap();
    let mut others = Takes::new(other, labels(&["A"]).unwrap());
    take(&mut others, 2, Instant::now());
    fs::remove_file(root.path().join("ada/A/00002.jpg")).unwrap();
    fs::remove_file(root.path().join("bob/A/00002.jpg")).unwrap();
    let folder = Folder::open(root.path(), "ada").unwrap();
    assert_eq!(folder.count("A").pictures, 2);
    let paths: Vec<String> = rows(root.path())
        .into_iter()
        .map(|row| row[0].clone())
        .collect();
    let expected = [
        "ada/A/00001.jpg",
        "ada/A/00003.jpg",
        "bob/A/00001.jpg",
        "bob/A/00002.jpg",
    ];
    assert_eq!(paths, expected);
}

#[test]
fn names_that_lead_elsewhere_are_refused_before_a_folder_is_made() {
    let root = tempfile::tempdir().unwrap();
    let inside = root.path().join("new");
    for signer in ["..", "a/b", "", "nul"] {
        assert!(Folder::open(&inside, signer).is_err(), "{signer}");
    }
    assert!(!inside.exists());
    let refused = |names: &[&str]| labels(names).is_err();
    assert!(refused(&["A", "../B"]) && refused(&["A", "a"]) && refused(&[]));
    assert!(!refused(&["thumbs up", "Ж"]));
}

#[test]
fn labels_are_chosen_by_their_first_letter_and_stay_while_a_take_runs() {
    let root = tempfile::tempdir().unwrap();
    let mut takes = takes(root.path(), &["wave", "point", "Pinch", "ж"]);
    let mut chosen = Vec::new();
    for typed in ['p', 'P', 'p', 'x', 'Ж', 'w'] {
        takes.choose(typed.into());
        chosen.push(takes.label().to_string());
    }
    assert_eq!(chosen, ["point", "Pinch", "point", "point", "ж", "wave"]);
    takes.hold(Instant::now());
    takes.choose('p'.into());
    takes.next_label();
    assert_eq!(&**takes.label(), "wave");
}

#[test]
fn training_and_evaluation_read_what_was_collected() {
    let root = tempfile::tempdir().unwrap();
    let mut takes = takes(root.path(), &["A", "B", "nothing"]);
    let mut now = Instant::now();
    for label in ['a', 'b', 'n'] {
        takes.choose(label.into());
        for _ in 0..2 {
            now = take(&mut takes, 3, now);
        }
    }
    #[cfg(feature = "train")]
    {
        use crate::train::data::dataset::{DataSource, Dataset, Split};
        let source = DataSource {
            path: root.path().to_owned(),
            ..DataSource::default()
        };
        let dataset = Dataset::open(&source).unwrap();
        assert_eq!(dataset.labels, ["A", "B", "nothing"]);
        let count = |split| dataset.samples.iter().filter(|s| s.split == split).count();
        assert_eq!((count(Split::Train), count(Split::Val)), (9, 9));
        let sample = &dataset.samples[0];
        assert_eq!(
            (sample.signer.as_deref(), sample.hand),
            (Some("ada"), Some(HAND))
        );
    }
    let report = eval(&EvalArgs {
        folder: Some(root.path().to_owned()),
        clips: None,
        sequence: None,
        boxes: Some(root.path().join(TABLE)),
        split: Some("dev".into()),
        find: false,
        whole: false,
        shrink: Vec::new(),
        json: true,
        model: Default::default(),
    });
    let report: serde_json::Value = serde_json::from_str(&report.unwrap().text).unwrap();
    assert_eq!(report["signers"]["ada"]["frames"], 9, "{report}");
}

/// Frames for ever, each with the hand in the same place.
struct Frames(u64);

impl Source for Frames {
    fn name(&self) -> &str {
        "frames"
    }

    fn next(&mut self, pool: &FramePool) -> Result<Event> {
        std::thread::sleep(Duration::from_millis(2));
        let frame = pool.fill(|frame| {
            frame.resize(64, 48);
            frame.seq = self.0;
            frame.captured = Instant::now();
            frame.time = Duration::from_millis(self.0 * 33);
            anyhow::Ok(())
        })?;
        self.0 += 1;
        Ok(Event::Frame {
            frame,
            decode: Duration::ZERO,
        })
    }
}

/// Does one order after the other, each once what it waits for has come about.
struct Person {
    orders: VecDeque<(usize, Order)>,
    /// The folder whose pictures the person counts.
    root: PathBuf,
    shown: Arc<Mutex<Vec<u32>>>,
}

impl Screen<Order> for Person {
    fn show(&mut self, pixels: &[u32], width: usize, height: usize) -> Result<()> {
        assert_eq!(pixels.len(), width * height);
        *self.shown.lock().unwrap() = pixels.to_vec();
        Ok(())
    }

    fn actions(&mut self) -> Vec<Order> {
        let taken = pictures(&self.root).len();
        match self.orders.front() {
            Some((awaited, order)) if taken == *awaited => {
                let order = *order;
                self.orders.pop_front();
                vec![order]
            }
            _ => Vec::new(),
        }
    }
}

#[test]
fn a_session_before_the_screen_ends_with_the_pictures_that_were_kept() {
    let root = tempfile::tempdir().unwrap();
    let shown = Arc::new(Mutex::new(Vec::new()));
    let (shutter, shots) = shutter();
    let person = Person {
        orders: VecDeque::from([
            (0, Order::Choose('b'.into())),
            (0, Order::Hold(true)),
            (2, Order::Hold(false)),
            (2, Order::NextLabel),
            (2, Order::Hold(true)),
            (3, Order::TakeBack(true)),
            // The key repeats, and takes nothing more back.
            (2, Order::TakeBack(true)),
            (2, Order::TakeBack(false)),
            (2, Order::ToggleHelp),
            (2, Order::Hold(true)),
            (3, Order::Quit),
        ]),
        root: root.path().to_owned(),
        shown: Arc::clone(&shown),
    };
    let mut booth = Booth::new(
        takes(root.path(), &["A", "B", "C"]),
        shutter.clone(),
        shots,
        Box::new(move |_, _| Ok(Box::new(person))),
        true,
    )
    .unwrap();
    let reader = move |frame: &Frame, _: Rect| -> Result<Reading> {
        shutter.expose(frame, Some(HAND));
        Ok(Reading {
            seq: frame.seq,
            captured: frame.captured,
            time: frame.time,
            letter: None,
            confidence: 0.0,
            top: Vec::new(),
            hand: Some(HAND),
            joints: None,
            movement: Movement::None,
            steps: None,
            times: ReadingTimes::default(),
        })
    };
    let live = Live {
        source: Box::new(Frames(0)),
        reader: Box::new(reader),
        guide: None,
        speller: None,
        practice: None,
        keep_all: false,
        interrupted: Arc::default(),
        stats: Stats::new(),
    };
    live.run_before(&mut booth).unwrap();
    let of = |label| booth.takes().folder().count(label).pictures;
    assert_eq!((of("A"), of("B"), of("C")), (0, 2, 1));
    assert_eq!(rows(root.path()).len(), 3);
    assert!(!shown.lock().unwrap().is_empty());
}

#[test]
fn letters_choose_labels_whatever_they_do_elsewhere() {
    for letter in 'a'..='z' {
        let typed = Symbol::from(letter);
        assert_eq!(Order::of(Press::Typed(typed)), Some(Order::Choose(typed)));
    }
    assert_eq!(Order::of(Press::Down(Key::Space)), Some(Order::Hold(true)));
    assert_eq!(Order::of(Press::Up(Key::Space)), Some(Order::Hold(false)));
    // What the same keys type besides.
    for typed in [' ', '\t', '\u{8}', '\u{1b}'] {
        assert_eq!(Order::of(Press::Typed(typed.into())), None);
    }
}

#[test]
fn a_keyboard_of_another_script_chooses_labels_by_its_letters_or_else_by_their_keys() {
    let root = tempfile::tempdir().unwrap();
    let chosen = |labels: &[&str], typed: char| {
        let mut takes = takes(root.path(), labels);
        takes.choose(typed.into());
        takes.label().to_string()
    };
    // The keys of A and B, by Russian and Greek letters.
    assert_eq!(chosen(&["C", "A", "B"], 'ф'), "A");
    assert_eq!(chosen(&["C", "A", "B"], 'И'), "B");
    assert_eq!(chosen(&["C", "A", "B"], 'β'), "B");
    // Labels of that script come first.
    assert_eq!(chosen(&["C", "A", "Ф"], 'ф'), "Ф");
}
