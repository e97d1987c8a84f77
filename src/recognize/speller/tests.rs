//! Held letters, frame by frame, to text.

use std::time::Instant;

use super::rhythm::{DWELLS, FIRST_DWELL};
use super::*;
use crate::base::frame::Rect;
use crate::recognize::ReadingTimes;
use crate::recognize::sequence::Said;

const HAND: Rect = Rect {
    x0: 0.3,
    y0: 0.3,
    x1: 0.5,
    y1: 0.7,
};

/// Somebody before a camera, and the speller that reads them.
struct Signer {
    speller: Speller,
    time: Duration,
    frame: Duration,
    changes: Vec<Typed>,
}

impl Signer {
    fn new(spelling: Spelling) -> Self {
        Signer {
            speller: Speller::new(spelling),
            time: Duration::ZERO,
            frame: Duration::from_millis(33),
            changes: Vec::new(),
        }
    }

    fn with_dwell(ms: u64) -> Self {
        Self::new(Spelling {
            dwell: Some(Duration::from_millis(ms)),
            ..Spelling::DEFAULT
        })
    }

    fn frame(&mut self, letter: Option<&str>, hand: Option<Rect>, movement: Movement) {
        self.time += self.frame;
        let label = letter.unwrap_or(NOTHING);
        let reading = Reading {
            seq: 0,
            captured: Instant::now(),
            time: self.time,
            letter: letter.map(Arc::from),
            confidence: 0.9,
            top: (hand.iter()).map(|_| (label.into(), 0.9)).collect(),
            hand,
            joints: None,
            movement,
            steps: None,
            times: ReadingTimes::default(),
        };
        self.changes.extend(self.speller.read(&reading));
    }

    fn frames(&mut self, ms: u64, letter: Option<&str>, hand: Option<Rect>, movement: Movement) {
        let until = self.time + Duration::from_millis(ms);
        while self.time < until {
            self.frame(letter, hand, movement);
        }
    }

    /// Holds a letter.
    fn hold(&mut self, letter: &str, ms: u64) {
        self.frames(ms, Some(letter), Some(HAND), Movement::None);
    }

    /// Shows a hand that signs nothing.
    fn nothing(&mut self, ms: u64) {
        self.frames(ms, None, Some(HAND), Movement::None);
    }

    /// Shows no hand.
    fn lower(&mut self, ms: u64) {
        self.frames(ms, None, None, Movement::None);
    }

    fn draw(&mut self, letter: &str, since: Duration) {
        let movement = Movement::Drawn { since };
        self.frame(Some(letter), Some(HAND), movement);
    }

    fn text(&self) -> &str {
        self.speller.text()
    }
}

#[test]
fn a_held_letter_is_typed_once_however_long_it_is_held() {
    let mut signer = Signer::with_dwell(400);
    signer.hold("H", 390);
    assert_eq!(signer.text(), "");
    signer.hold("H", 60_000);
    assert_eq!(signer.text(), "H");
    signer.hold("I", 600);
    assert_eq!(signer.text(), "HI");
}

#[test]
fn a_letter_that_is_let_go_in_between_is_typed_again() {
    let releases: [fn(&mut Signer); 3] = [
        |signer| signer.nothing(250),
        |signer| signer.lower(250),
        |signer| signer.hold("C", 350),
    ];
    for release in releases {
        let mut signer = Signer::with_dwell(400);
        signer.hold("L", 600);
        release(&mut signer);
        signer.hold("L", 600);
        assert_eq!(signer.text(), "LL");
    }
}

#[test]
fn a_letter_that_flickers_is_typed_once() {
    let mut signer = Signer::with_dwell(400);
    for _ in 0..40 {
        signer.hold("M", 500);
        signer.hold("N", 130);
        signer.hold("M", 300);
        signer.nothing(70);
    }
    assert_eq!(signer.text(), "M");
}

#[test]
fn a_letter_lost_for_a_few_frames_goes_on_where_it_was() {
    let mut signer = Signer::with_dwell(400);
    signer.hold("B", 300);
    signer.nothing(66);
    signer.hold("B", 200);
    assert_eq!(signer.text(), "B");
}

#[test]
fn shapes_on_the_way_from_letter_to_letter_are_not_typed() {
    let mut signer = Signer::new(Spelling::DEFAULT);
    for letter in ["C", "A", "T"] {
        signer.hold(letter, 800);
        signer.hold("E", 130);
        signer.nothing(60);
    }
    assert_eq!(signer.text(), "CAT");
}

#[test]
fn a_hand_out_of_view_for_a_while_ends_the_word_once() {
    let mut signer = Signer::with_dwell(300);
    signer.lower(5000);
    assert_eq!(signer.text(), "", "nothing was spelled yet");
    signer.hold("A", 500);
    signer.lower(1000);
    assert_eq!(signer.text(), "A");
    signer.lower(10_000);
    assert_eq!(signer.text(), "A ");
    signer.hold("B", 500);
    assert_eq!(signer.text(), "A B");
}

#[test]
fn a_hand_that_rests_in_view_ends_the_word_later() {
    let mut signer = Signer::with_dwell(300);
    signer.hold("A", 500);
    signer.nothing(2200);
    assert_eq!(signer.text(), "A");
    signer.nothing(400);
    assert_eq!(signer.text(), "A ");
}

#[test]
fn whoever_spells_faster_waits_less_and_whoever_spells_slower_longer() {
    let spelled = |hold: u64, way: u64, letters: usize| {
        let mut signer = Signer::new(Spelling::DEFAULT);
        for at in 0..letters {
            signer.hold(["A", "B", "C"][at % 3], hold);
            signer.nothing(way);
        }
        (signer.speller.dwell(), signer.text().len())
    };
    let (usual, typed) = spelled(600, 150, 2);
    assert_eq!((usual, typed), (FIRST_DWELL, 2));
    let (fast, typed) = spelled(500, 120, 8);
    assert!(fast < usual && typed == 8, "{fast:?} for {typed}");
    let (slow, typed) = spelled(1600, 300, 8);
    assert!(slow > usual && typed == 8, "{slow:?} for {typed}");
    let (slowest, _) = spelled(2500, 400, 8);
    assert!(slowest <= DWELLS.1);
}

#[test]
fn a_signer_who_speeds_up_is_followed() {
    let mut signer = Signer::new(Spelling::DEFAULT);
    let letters = ["A", "B", "C", "D"];
    let mut spelled = String::new();
    for (at, hold) in [700, 600, 550, 500, 450, 420, 400, 380, 360, 340, 320, 300]
        .into_iter()
        .enumerate()
    {
        spelled.push_str(letters[at % 4]);
        signer.hold(letters[at % 4], hold);
        signer.nothing(130);
    }
    assert_eq!(signer.text(), spelled);
}

#[test]
fn a_drawn_letter_is_typed_at_once_and_its_beginning_was_none() {
    let mut signer = Signer::with_dwell(400);
    signer.hold("A", 600);
    signer.hold("I", 600);
    assert_eq!(signer.text(), "AI");
    let since = signer.time;
    signer.frames(500, Some("I"), Some(HAND), Movement::UnderWay);
    signer.frames(300, None, Some(HAND), Movement::UnderWay);
    signer.draw("J", since);
    assert_eq!(signer.text(), "AJ");
    signer.hold("J", 3000);
    assert_eq!(signer.text(), "AJ");
    let changes: Vec<_> = signer.changes.iter().map(|typed| &typed.change).collect();
    let letter = |letter: &str| Change::Letter(letter.into());
    assert_eq!(
        changes,
        [&letter("A"), &letter("I"), &Change::Delete, &letter("J")]
    );
}

#[test]
fn a_drawn_letter_replaces_only_the_letter_it_began_with() {
    let mut signer = Signer::with_dwell(400);
    signer.hold("I", 600);
    signer.nothing(300);
    signer.hold("I", 100);
    let since = signer.time;
    signer.frames(500, Some("I"), Some(HAND), Movement::UnderWay);
    signer.draw("J", since);
    assert_eq!(signer.text(), "IJ", "the first I was let go");

    let mut signer = Signer::with_dwell(400);
    signer.hold("L", 600);
    let since = signer.time;
    signer.draw("Z", since);
    assert_eq!(signer.text(), "LZ", "no Z begins with an L");
}

#[test]
fn a_letter_drawn_twice_is_typed_twice() {
    let mut signer = Signer::with_dwell(400);
    signer.hold("D", 200);
    for _ in 0..2 {
        let since = signer.time;
        signer.frames(700, Some("D"), Some(HAND), Movement::UnderWay);
        signer.draw("Z", since);
        signer.hold("Z", 100);
    }
    assert_eq!(signer.text(), "ZZ");
}

#[test]
fn a_letter_that_slides_or_bounces_is_typed_again() {
    let mut signer = Signer::with_dwell(400);
    signer.frame(Some("L"), Some(HAND), Movement::Repeated);
    signer.hold("L", 300);
    assert_eq!(signer.text(), "", "it was not typed before");
    signer.hold("L", 300);
    signer.frame(Some("L"), Some(HAND), Movement::Repeated);
    assert_eq!(signer.text(), "LL");
    signer.hold("L", 5000);
    assert_eq!(signer.text(), "LL");
}

#[test]
fn a_hand_that_may_be_drawing_holds_no_letter() {
    let mut signer = Signer::with_dwell(400);
    signer.frames(2000, Some("I"), Some(HAND), Movement::UnderWay);
    assert_eq!(signer.text(), "");
    assert!(signer.speller.pending().is_some_and(|(_, part)| part < 0.1));
}

#[test]
fn the_letter_being_held_shows_how_far_it_is() {
    let mut signer = Signer::with_dwell(400);
    assert_eq!(signer.speller.pending(), None);
    signer.hold("A", 200);
    let (letter, part) = signer.speller.pending().unwrap();
    assert!(letter == "A" && (0.3..0.6).contains(&part), "{part}");
    signer.hold("A", 400);
    assert_eq!(signer.speller.pending(), None, "it is typed");
}

#[test]
fn keys_write_spaces_delete_and_clear() {
    let mut signer = Signer::with_dwell(300);
    signer.speller.space();
    signer.speller.delete();
    assert_eq!(signer.text(), "");
    signer.hold("A", 500);
    signer.hold("B", 500);
    signer.speller.space();
    signer.speller.space();
    assert_eq!(signer.text(), "AB ");
    signer.speller.delete();
    signer.speller.delete();
    assert_eq!(signer.text(), "A");
    signer.hold("B", 1000);
    assert_eq!(
        signer.text(),
        "A",
        "a letter deleted while it is held stays so"
    );
    signer.speller.clear();
    assert_eq!(signer.text(), "");
}

#[test]
fn a_word_is_completed_in_place_of_its_beginning() {
    let mut signer = Signer::with_dwell(300);
    for letter in ["A", "B"] {
        signer.hold(letter, 500);
    }
    signer.speller.space();
    signer.hold("H", 500);
    signer.hold("E", 500);
    assert_eq!(signer.speller.word(), "HE");
    signer.speller.complete("HELLO");
    assert_eq!(signer.text(), "AB HELLO ");
    assert_eq!(signer.speller.word(), "");
    signer.hold("H", 100);
    signer.speller.complete("AGAIN");
    signer.hold("H", 1000);
    assert_eq!(
        signer.text(),
        "AB HELLO AGAIN ",
        "what was being held is taken to be of the word"
    );
}

#[test]
fn classes_named_space_and_del_do_what_they_are_named_for() {
    let mut signer = Signer::with_dwell(300);
    for letter in ["A", "B", "space", "C", "del", "DEL"] {
        signer.hold(letter, 500);
    }
    assert_eq!(signer.text(), "AB");
    signer.hold("thumbs up", 500);
    assert_eq!(signer.text(), "ABthumbs up");
}

#[test]
fn after_a_gap_or_a_jump_back_in_time_nothing_was_held() {
    let mut signer = Signer::with_dwell(400);
    signer.hold("A", 390);
    signer.time += Duration::from_secs(5);
    signer.hold("A", 200);
    assert_eq!(signer.text(), "");
    signer.time = Duration::ZERO;
    signer.hold("A", 300);
    assert_eq!(signer.text(), "");
    signer.hold("A", 300);
    assert_eq!(signer.text(), "A");
}

#[test]
fn the_text_keeps_its_end() {
    let mut signer = Signer::with_dwell(50);
    for _ in 0..1500 {
        signer.hold("A", 100);
        signer.hold("Ü", 100);
    }
    assert_eq!(signer.text().chars().count(), MOST_TEXT);
    assert!(signer.text().ends_with("AÜ"));
}

/// Steps a fifteenth of a second apart in which these letters are likely, `.` standing for none.
fn steps(from: u64, likely: &str) -> Steps {
    let letters: Arc<[Arc<str>]> = ["A", "B"].map(Arc::from).into();
    let said = likely.chars().enumerate().map(|(at, step)| Said {
        time: Duration::from_millis(67 * (from + at as u64)),
        fresh: false,
        logs: match step {
            '.' => [0.998f32, 0.001, 0.001],
            'a' => [0.01, 0.98, 0.01],
            'b' => [0.01, 0.01, 0.98],
            // A that turns out to be B, where one follows.
            _ => [0.06, 0.48, 0.46],
        }
        .map(f32::ln)
        .to_vec(),
        held: None,
    });
    Steps {
        letters,
        said: said.collect(),
    }
}

#[test]
fn letters_of_a_sequence_are_typed_at_once_and_may_change_for_a_moment() {
    let mut speller = Speller::new(Spelling::DEFAULT);
    let time = |step: u64| Duration::from_millis(67 * step);
    let typed = speller.spell(&steps(0, "..a."), time(3));
    assert_eq!(typed.len(), 1);
    assert_eq!(typed[0].change, Change::Letter("A".into()));
    assert_eq!((speller.text(), speller.open()), ("A", 1));
    speller.spell(&steps(4, "............"), time(15));
    assert_eq!((speller.text(), speller.open()), ("A", 0), "it is settled");

    speller.spell(&steps(16, "?"), time(16));
    assert_eq!(speller.text(), "AA");
    let changes: Vec<Change> = speller
        .spell(&steps(17, "b"), time(17))
        .into_iter()
        .map(|typed| typed.change)
        .collect();
    assert_eq!(changes, [Change::Delete, Change::Letter("B".into())]);
    assert_eq!(speller.text(), "AB");
}

#[test]
fn a_key_lets_no_letter_before_it_change() {
    let mut speller = Speller::new(Spelling::DEFAULT);
    speller.spell(&steps(0, ".a?"), Duration::from_millis(134));
    speller.space();
    let before = speller.text().to_owned();
    speller.spell(&steps(3, "b..b."), Duration::from_millis(470));
    assert!(
        speller.text().starts_with(&before),
        "{before:?}, {:?}",
        speller.text()
    );
    speller.clear();
    speller.spell(&steps(8, "...."), Duration::from_millis(740));
    assert_eq!(speller.text(), "");
}
