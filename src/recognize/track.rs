//! A hand's box over time: what the finder says of it, and what the hand's own joints say.
//!
//! Where the letter network gives joints, they carry the box of a hand that rests: their hull is
//! where the hand is now, and the next frame is cropped around it. The finder is asked again when
//! the reading was doubtful or the hull left the box; what it finds counts more than the joints. It
//! looks near the followed hand then, and everywhere only every now and then. Of two hands the one
//! that is followed stays, unless the finder insists on the other.
//!
//! A network without joints leaves all to the finder, in each frame.

use std::time::Duration;

use super::finder::Found;
use crate::base::frame::Rect;

/// A hand that is not found any more is taken to be where it was for so long: an instant of motion
/// blur does not lose it.
const PATIENCE: Duration = Duration::from_millis(150);

/// The box moves towards where the hand is seen by 63 % in this time: what is seen trembles.
const SMOOTHING: Duration = Duration::from_millis(50);

/// A box that overlaps the last one by less than this (intersection over union) is taken as it is.
const JUMP: f32 = 0.5;

/// Frames further apart than this show another scene.
const GAP: Duration = Duration::from_millis(500);

/// The finder looks everywhere at least this often: joints are given of whatever is in the box, also
/// where the hand has just left it.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A find that overlaps the followed box by this much (intersection over union) is the same hand.
const SAME: f32 = 0.2;

/// A find no further away than this is the same hand, too, which moved: in widths and heights of
/// the larger box, along each axis.
const NEAR: f32 = 1.2;

/// For so long the finder has to insist on another hand while letters are read from the one that is
/// followed.
const INSIST: Duration = Duration::from_millis(1000);

/// A letter of at least this probability is a hand's, whatever the finder thinks.
const SURE: f32 = 0.7;

/// The hull of joints that overlaps the box they were read in by this much (intersection over
/// union) belongs to a hand that rests there.
const RESTS: f32 = 0.75;

/// The hull of a hand's joints may be this much smaller or larger than the box they were read in.
const SIZES: std::ops::Range<f32> = 0.5..1.6;

/// The hull's centre may be this far from the box's, as a share of the box's larger side.
const SHIFT: f32 = 0.45;

/// A hand's box over time.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Track {
    followed: Option<Followed>,
    /// The last frame's media time.
    time: Option<Duration>,
    /// From the frame before it to the last one.
    elapsed: Duration,
    /// Where the hand was seen in the last frame, its box not steadied.
    seen: Option<Rect>,
}

/// The hand that is followed.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Followed {
    /// Its box, kept steady.
    hand: Rect,
    /// How sure the finder was of it.
    score: f32,
    /// What its joints said in the last frame.
    joints: Joints,
    /// When the finder last looked everywhere.
    looked: Duration,
    /// How long it was not found.
    missing: Duration,
    /// Since when the finder finds another hand.
    other: Option<Duration>,
    /// Since when no letter is read from it for certain.
    doubt: Option<Duration>,
}

/// What a hand's joints say of its box.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Joints {
    /// Nothing: there are none, or this is the frame the hand was found in.
    Unknown,
    /// They fit no hand in the box.
    Doubtful,
    /// Where it is, though it moves, or the letter is not certain.
    Likely,
    /// Where it is and rests, and a letter is read from it.
    Certain,
}

/// What the letter network read in a hand's box.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Read {
    /// The box that hugs the joints.
    pub hull: Rect,
    /// How probable the likeliest letter is; `None` where the likeliest label is no letter.
    pub letter: Option<f32>,
}

impl Track {
    /// Goes on to a frame of this media time. After a gap, or a jump back, nothing is followed.
    pub fn advance(&mut self, time: Duration) {
        let elapsed = self.time.and_then(|last| time.checked_sub(last));
        let elapsed = elapsed.filter(|elapsed| *elapsed <= GAP);
        if elapsed.is_none() {
            self.followed = None;
        }
        self.time = Some(time);
        self.elapsed = elapsed.unwrap_or_default();
        self.seen = None;
    }

    /// Where the hand is, as far as it is known.
    pub fn hand(&self) -> Option<Rect> {
        self.followed.map(|followed| followed.hand)
    }

    /// The followed hand with the score it was last found with.
    pub fn found(&self) -> Option<Found> {
        self.followed
            .map(|Followed { hand, score, .. }| Found { hand, score })
    }

    /// Where the hand was seen in this frame, its box not steadied.
    pub fn seen(&self) -> Option<Rect> {
        self.seen
    }

    /// Whether the finder has to be asked in this frame.
    pub fn must_look(&self) -> bool {
        self.followed.is_none_or(|followed| {
            followed.joints != Joints::Certain
                || !followed.missing.is_zero()
                || self.now().saturating_sub(followed.looked) >= LOOK_EVERY
        })
    }

    /// Where the finder may look for the hand, instead of everywhere: it was found in the last frame,
    /// and looked for everywhere lately.
    pub fn near(&self) -> Option<Rect> {
        let followed = self.followed?;
        let lately = self.now().saturating_sub(followed.looked) < LOOK_EVERY;
        (lately && followed.missing.is_zero()).then_some(followed.hand)
    }

    /// The finder looked everywhere in this frame and found this, or `unlikely` anything.
    pub fn look(&mut self, found: Found, unlikely: bool) {
        let now = self.now();
        self.move_to(found, unlikely);
        if let Some(followed) = &mut self.followed {
            followed.looked = now;
        }
    }

    /// The finder looked near the followed hand and found this, or `unlikely` anything.
    pub fn look_near(&mut self, found: Found, unlikely: bool) {
        let before = self.followed;
        self.move_to(found, unlikely);
        // Of another hand, and of what else there is, it says nothing.
        if let (Some(followed), Some(before)) = (&mut self.followed, before) {
            (followed.looked, followed.other) = (before.looked, before.other);
        }
    }

    /// Moves the box to what was found, unless it is another hand that does not insist yet.
    fn move_to(&mut self, found: Found, unlikely: bool) {
        let (now, elapsed) = (self.now(), self.elapsed);
        let Some(followed) = &mut self.followed else {
            if !unlikely {
                self.take(found);
            }
            return;
        };
        if unlikely {
            followed.score = found.score;
            followed.missing += elapsed;
            if followed.missing > PATIENCE {
                self.followed = None;
            }
            return;
        }
        followed.missing = Duration::ZERO;
        if followed.joints != Joints::Unknown
            && followed.hand.iou(&found.hand) < SAME
            && !are_near(&followed.hand, &found.hand)
        {
            let since = *followed.other.get_or_insert(now);
            let insists = now.saturating_sub(since) >= INSIST;
            let in_doubt = (followed.doubt)
                .is_some_and(|doubt| now.saturating_sub(doubt.max(since)) >= PATIENCE);
            if insists || in_doubt {
                self.take(found);
            }
            return;
        }
        if followed.joints != Joints::Unknown && followed.hand.iou(&found.hand) < JUMP {
            // It moved on, or joints that are off by a little in each frame have led the box astray.
            self.take(found);
            return;
        }
        followed.other = None;
        followed.score = found.score;
        followed.hand = steadied(followed.hand, found.hand, elapsed);
        self.seen = Some(found.hand);
    }

    /// The letter network read this in the followed hand's box, in a frame of `aspect` times its
    /// height's width.
    pub fn read(&mut self, read: &Read, aspect: f32) {
        let (now, elapsed) = (self.time, self.elapsed);
        let Some(followed) = &mut self.followed else {
            return;
        };
        followed.joints = match read.letter {
            Some(letter) if fits(&read.hull, &followed.hand, aspect) => {
                let rests = read.hull.iou(&followed.hand) >= RESTS;
                if self.seen.is_none() {
                    followed.hand = steadied(followed.hand, read.hull, elapsed);
                    self.seen = Some(read.hull);
                }
                match rests && letter >= SURE {
                    true => Joints::Certain,
                    false => Joints::Likely,
                }
            }
            _ => Joints::Doubtful,
        };
        followed.doubt = match followed.joints {
            Joints::Certain => None,
            _ => followed.doubt.or(now),
        };
    }

    fn now(&self) -> Duration {
        self.time.unwrap_or_default()
    }

    /// Follows this hand from now on.
    fn take(&mut self, Found { hand, score }: Found) {
        self.seen = Some(hand);
        self.followed = Some(Followed {
            hand,
            score,
            joints: Joints::Unknown,
            looked: self.now(),
            missing: Duration::ZERO,
            other: None,
            doubt: None,
        });
    }
}

/// Whether the hull of joints may be that of a hand in this box. `aspect` is the frame's width over
/// its height.
pub(super) fn fits(hull: &Rect, hand: &Rect, aspect: f32) -> bool {
    let side = |rect: &Rect| (rect.width() * aspect).max(rect.height());
    let centre = |rect: &Rect| {
        [
            (rect.x0 + rect.x1) / 2.0 * aspect,
            (rect.y0 + rect.y1) / 2.0,
        ]
    };
    let ([x, y], [hand_x, hand_y]) = (centre(hull), centre(hand));
    let whole = side(hand);
    SIZES.contains(&(side(hull) / whole)) && (x - hand_x).hypot(y - hand_y) <= SHIFT * whole
}

/// Whether a hand may have moved from one box to the other between two looks.
fn are_near(a: &Rect, b: &Rect) -> bool {
    let far = |a: [f32; 2], b: [f32; 2]| {
        let longest = (a[1] - a[0]).max(b[1] - b[0]);
        (a[0] + a[1] - b[0] - b[1]).abs() / 2.0 > NEAR * longest
    };
    !far([a.x0, a.x1], [b.x0, b.x1]) && !far([a.y0, a.y1], [b.y0, b.y1])
}

/// The box `last` moved towards `seen`, which is `elapsed` later.
fn steadied(last: Rect, seen: Rect, elapsed: Duration) -> Rect {
    if last.iou(&seen) < JUMP {
        return seen;
    }
    let share = 1.0 - (-elapsed.as_secs_f32() / SMOOTHING.as_secs_f32()).exp();
    let between = |from: f32, to: f32| from + share * (to - from);
    Rect {
        x0: between(last.x0, seen.x0),
        y0: between(last.y0, seen.y0),
        x1: between(last.x1, seen.x1),
        y1: between(last.y1, seen.y1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Duration = Duration::from_millis(33);

    fn hand(x0: f32) -> Rect {
        Rect {
            x0,
            y0: 0.3,
            x1: x0 + 0.2,
            y1: 0.6,
        }
    }

    fn found(x0: f32) -> Found {
        Found::certain(hand(x0))
    }

    /// Tracks frame after frame.
    #[derive(Default)]
    struct Following {
        track: Track,
        frames: u32,
        looks: u32,
    }

    impl Following {
        /// A frame in which the finder would find a hand at `found`; in the box that is followed
        /// then, a letter of probability `letter` is read from joints whose hull `hull` makes of it.
        fn frame(&mut self, at: Option<f32>, letter: Option<f32>, hull: impl Fn(Rect) -> Rect) {
            self.without_joints(at);
            if let Some(hand) = self.track.hand() {
                let hull = hull(hand);
                self.track.read(&Read { hull, letter }, 1.0);
            }
        }

        fn without_joints(&mut self, at: Option<f32>) {
            self.track.advance(FRAME * self.frames);
            self.frames += 1;
            if self.track.must_look() {
                self.looks += 1;
                self.track.look(found(at.unwrap_or_default()), at.is_none());
            }
        }

        fn x0(&self) -> f32 {
            self.track.hand().expect("no hand is followed").x0
        }
    }

    #[test]
    fn a_trembling_box_is_steadied_and_a_far_one_taken_at_once() {
        let mut following = Following::default();
        following.without_joints(Some(0.3));
        following.without_joints(Some(0.32));
        assert!(
            (0.305..0.315).contains(&following.x0()),
            "{}",
            following.x0()
        );
        for _ in 0..10 {
            following.without_joints(Some(0.32));
        }
        assert!((following.x0() - 0.32).abs() < 1e-3);
        following.without_joints(Some(0.7));
        assert_eq!(following.x0(), 0.7);
        assert_eq!(following.looks, following.frames);
    }

    #[test]
    fn a_hand_missed_in_a_frame_stays_and_one_gone_for_longer_is_lost() {
        let mut following = Following::default();
        following.without_joints(Some(0.3));
        following.without_joints(None);
        assert_eq!(following.x0(), 0.3);
        for _ in 0..4 {
            following.without_joints(None);
        }
        assert_eq!(following.track.hand(), None);
    }

    #[test]
    fn after_a_gap_and_after_a_jump_back_nothing_is_followed() {
        for later in [Duration::from_secs(9), Duration::from_millis(10)] {
            let mut track = Track::default();
            track.advance(Duration::from_secs(1));
            track.look(found(0.3), false);
            assert_eq!(track.hand(), Some(hand(0.3)));
            track.advance(later);
            assert_eq!(track.hand(), None);
        }
    }

    #[test]
    fn joints_carry_the_box_along_and_the_finder_is_asked_ten_times_a_second() {
        let mut following = Following::default();
        for frame in 0..90 {
            let x0 = 0.1 + 0.005 * frame as f32;
            following.frame(Some(x0), Some(0.9), |_| hand(x0));
            let behind = x0 - following.x0();
            assert!((0.0..0.03).contains(&behind), "frame {frame}: {behind}");
        }
        assert!((22..=31).contains(&following.looks), "{}", following.looks);
    }

    #[test]
    fn of_a_hand_that_moves_the_finder_looks_near_it_and_everywhere_ten_times_a_second() {
        let mut track = Track::default();
        let mut everywhere = 0;
        for frame in 0..90_u32 {
            let at = found(0.1 + 0.005 * frame as f32);
            track.advance(FRAME * frame);
            match track.near() {
                Some(hand) => {
                    assert!(hand.iou(&at.hand) > 0.5, "frame {frame}");
                    track.look_near(at, false);
                }
                None => {
                    everywhere += 1;
                    track.look(at, false);
                }
            }
        }
        assert!((22..=31).contains(&everywhere), "{everywhere}");
    }

    #[test]
    fn a_hand_that_is_not_found_near_where_it_was_is_looked_for_everywhere_in_the_next_frame() {
        let mut track = Track::default();
        track.advance(Duration::ZERO);
        track.look(found(0.3), false);
        track.advance(FRAME);
        assert!(track.near().is_some());
        track.look_near(found(0.0), true);
        track.advance(2 * FRAME);
        assert_eq!(track.near(), None);
    }

    #[test]
    fn the_other_hand_is_taken_though_looks_near_the_first_one_do_not_see_it() {
        let mut track = Track::default();
        for frame in 0..16 {
            track.advance(FRAME * frame);
            match track.near() {
                Some(near) => track.look_near(Found::certain(near), false),
                None if frame == 0 => track.look(found(0.1), false),
                None => track.look(found(0.7), false),
            }
            let read = Read {
                hull: hand(0.1),
                letter: None,
            };
            track.read(&read, 1.0);
        }
        assert!(track.hand().unwrap().x0 > 0.6);
    }

    #[test]
    fn a_box_that_joints_let_shrink_is_set_right_by_the_finder() {
        let mut following = Following::default();
        let mut smallest = f32::INFINITY;
        for _ in 0..90 {
            following.frame(Some(0.3), Some(0.9), |hand| Rect {
                x1: hand.x1 - 0.1 * hand.width(),
                y1: hand.y1 - 0.1 * hand.height(),
                ..hand
            });
            let width = following.track.hand().unwrap().width();
            smallest = smallest.min(width);
        }
        assert!(smallest > 0.08, "{smallest}");
        assert!(
            following.looks < following.frames / 2,
            "{}",
            following.looks
        );
    }

    #[test]
    fn a_doubtful_reading_is_looked_into_in_the_next_frame() {
        for (letter, hull) in [
            (None, hand(0.3)),
            (Some(0.3), hand(0.3)),
            // Joints that fit no hand in the box: another place, another size.
            (Some(0.9), hand(0.6)),
            (
                Some(0.9),
                Rect {
                    x1: 0.33,
                    y1: 0.35,
                    ..hand(0.3)
                },
            ),
        ] {
            let mut following = Following::default();
            following.frame(Some(0.3), Some(0.9), |hand| hand);
            following.frame(Some(0.3), letter, |_| hull);
            let looks = following.looks;
            following.frame(Some(0.3), Some(0.9), |hand| hand);
            assert_eq!(following.looks, looks + 1, "{letter:?} {hull:?}");
            assert!((following.x0() - 0.3).abs() < 0.01);
        }
    }

    #[test]
    fn a_hand_that_darts_aside_is_followed_at_once() {
        let mut following = Following::default();
        following.frame(Some(0.3), Some(0.9), |hand| hand);
        for frame in 1..20 {
            let x0 = if frame % 6 < 3 { 0.3 } else { 0.52 };
            following.frame(Some(x0), None, |hand| hand);
            assert!((following.x0() - x0).abs() < 0.01, "frame {frame}");
        }
    }

    #[test]
    fn a_hand_that_is_followed_is_lost_when_neither_network_knows_it_any_more() {
        let mut following = Following::default();
        following.frame(Some(0.3), Some(0.9), |hand| hand);
        for _ in 0..6 {
            following.frame(None, None, |hand| hand);
        }
        assert_eq!(following.track.hand(), None);
    }

    #[test]
    fn a_second_hand_is_ignored_while_the_first_is_read_even_if_now_and_then_it_is_likelier() {
        let mut following = Following::default();
        following.frame(Some(0.1), Some(0.9), |hand| hand);
        for frame in 0..300 {
            let at = if frame % 40 < 20 { 0.1 } else { 0.7 };
            // Between letters the first is in doubt for an instant.
            let letter = (frame % 30 > 2).then_some(0.9);
            following.frame(Some(at), letter, |hand| hand);
            assert!(following.x0() < 0.2, "frame {frame}");
        }
    }

    #[test]
    fn the_other_hand_is_taken_once_the_first_signs_no_more_or_the_finder_insists() {
        for (letter, within) in [(None, 8), (Some(0.9), 55)] {
            let mut following = Following::default();
            following.frame(Some(0.1), Some(0.9), |hand| hand);
            for _ in 0..within {
                following.frame(Some(0.7), letter, |hand| hand);
            }
            assert!(following.x0() > 0.6, "{letter:?}");
        }
    }
}
