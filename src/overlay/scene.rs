//! The whole scene: the picture, the box around the hand, and every panel in its place.

use super::canvas::{Area, Ink, Placement};
use super::inks::{ACCENT, HALO, WHITE};
use super::painter::Painter;
use super::practice::Asked;
use super::skeleton::Skeleton;
use crate::base::frame::Rect;

impl Painter<'_, '_> {
    /// Draws it all.
    pub(super) fn paint(mut self, asked: &mut Asked, skeleton: &mut Skeleton) {
        if self.scene.chart {
            if self.scene.help {
                self.keys();
            }
            return;
        }
        let placement = self.canvas.picture(self.scene.frame, self.scene.mirror);
        self.frame_box(placement);
        if self.scene.joints
            && let Some(joints) = skeleton.update(self.scene.reading)
        {
            self.skeleton(joints, placement);
        }
        let card = match &self.scene.tally {
            Some(tally) => {
                let card = self.tally(tally);
                self.counts(tally, card.y);
                card
            }
            None => self.reading(),
        };
        self.figures(card.y);
        self.stages(card.y);
        self.recording();
        self.practice(asked);
        let lowest = self.spelled(card.right());
        self.notice(card.right(), lowest);
        if self.scene.help {
            self.keys();
        }
    }

    /// The found hand's box, or else the guide's corners.
    fn frame_box(&mut self, placement: Placement) {
        let hand = self.scene.reading.and_then(|reading| reading.hand);
        let (rect, ink) = match (hand, self.scene.guide) {
            (Some(hand), _) => (hand, ACCENT),
            (None, Some(guide)) => (guide, WHITE),
            (None, None) => return,
        };
        let area = on_screen(rect, self.scene.mirror, placement);
        if area.width < 4 || area.height < 4 {
            return;
        }
        let thick = self.px(2.5).max(2);
        let reach = (area.width.min(area.height) / 5).max(thick);
        if hand.is_some() {
            self.hairline(
                area,
                Ink {
                    opacity: 110,
                    ..ink
                },
            );
        }
        for ink in [HALO, ink] {
            let grow = i32::from(ink == HALO);
            for (right, bottom) in [(false, false), (true, false), (false, true), (true, true)] {
                self.corner(area, (right, bottom), thick, reach, grow, ink);
            }
        }
    }

    /// One corner of a box: a level bar and, without covering it, an upright one; both `grow`
    /// pixels larger to all sides.
    fn corner(
        &mut self,
        area: Area,
        (right, bottom): (bool, bool),
        thick: i32,
        reach: i32,
        grow: i32,
        ink: Ink,
    ) {
        let bar = thick + 2 * grow;
        let level = Area::new(
            if right {
                area.right() - reach - grow
            } else {
                area.x - grow
            },
            if bottom {
                area.bottom() - thick - grow
            } else {
                area.y - grow
            },
            reach + 2 * grow,
            bar,
        );
        let upright = Area::new(
            if right {
                area.right() - thick - grow
            } else {
                area.x - grow
            },
            if bottom {
                area.bottom() - reach - grow
            } else {
                level.bottom()
            },
            bar,
            reach - thick,
        );
        self.canvas.fill(level, ink);
        self.canvas.fill(upright, ink);
    }

    /// A thin line around a box.
    fn hairline(&mut self, area: Area, ink: Ink) {
        let thin = self.px(1.0);
        let Area {
            x,
            y,
            width,
            height,
        } = area;
        self.canvas.fill(Area::new(x, y, width, thin), ink);
        self.canvas
            .fill(Area::new(x, area.bottom() - thin, width, thin), ink);
        self.canvas
            .fill(Area::new(x, y + thin, thin, height - 2 * thin), ink);
        let right = area.right() - thin;
        self.canvas
            .fill(Area::new(right, y + thin, thin, height - 2 * thin), ink);
    }
}

/// A box of the frame in the canvas' pixels.
fn on_screen(rect: Rect, mirror: bool, placement: Placement) -> Area {
    let (x0, x1) = if mirror {
        (1.0 - rect.x1, 1.0 - rect.x0)
    } else {
        (rect.x0, rect.x1)
    };
    let Area {
        x,
        y,
        width,
        height,
    } = placement.area;
    // Far outside is as good as outside; the bound keeps sums of coordinates small.
    let at = |from: i32, size: i32, part: f32| {
        from + (size as f32 * part.clamp(-4.0, 5.0)).round() as i32
    };
    let (left, top) = (at(x, width, x0), at(y, height, rect.y0));
    let (right, bottom) = (at(x, width, x1), at(y, height, rect.y1));
    Area::new(left, top, right - left, bottom - top)
}
