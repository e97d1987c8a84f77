//! What is behind the hand: a room, and the person whose hand it is.

use super::chance::Chance;
use super::light::{Light3, Lighting, Skin, byte, linear, mix};
use super::mesh::smooth;

/// Rooms are painted at this share of the picture's size and enlarged: the camera's sharp on the
/// hand, not on what is behind it.
const COARSE: usize = 3;

/// A picture to draw a hand on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Room {
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// `height * width` pixels, row by row from the top left, three bytes each (R, G, B).
    pub pixels: Vec<u8>,
}

/// The colours of walls.
const WALLS: [u32; 12] = [
    0xe8e4dc, 0xcfd6d9, 0xb9c4b8, 0xd8c8b0, 0x9fb0bd, 0xc9b8b0, 0x8b9187, 0xefe9e2, 0x6f7c88,
    0xa3947f, 0x56606b, 0xdcdfd0,
];

/// The colours of clothes and things.
pub const CLOTHS: [u32; 12] = [
    0x35566b, 0x7a2f33, 0x2c2f36, 0x9aa5ad, 0x4b6b4f, 0xd7d2c8, 0x5c4a78, 0xb46a3c, 0x1f3a5f,
    0xc9a24b, 0x3f3f44, 0x8f4f6a,
];

const HAIR: [u32; 6] = [0x1d1714, 0x3a2a24, 0x5a3d28, 0x86613c, 0x8b8580, 0x2a1d18];

impl Room {
    /// An even wall.
    pub fn plain(width: usize, height: usize, rgb: u32) -> Room {
        let colour = [16, 8, 0].map(|shift| (rgb >> shift) as u8);
        Room {
            width,
            height,
            pixels: colour.repeat(width * height),
        }
    }

    /// A room that depends on `chance` alone, lit by `light`, with the person of this `skin` and
    /// `sleeve`, or, now and then, without anybody. The person sits at the side that is free of a
    /// hand at `hand`, in fractions of the picture's width.
    pub fn random(
        (width, height): (usize, usize),
        chance: &mut Chance,
        light: &Lighting,
        (skin, sleeve): (&Skin, Light3),
        hand: f32,
    ) -> Room {
        let mut canvas = Canvas::new(width, height);
        canvas.wall(chance);
        for _ in 0..(chance.bits() % 5) {
            canvas.thing(chance);
        }
        if chance.happens(0.75) {
            let aside = if hand < 0.5 { 1.0 } else { -1.0 };
            let aspect = width as f32 / height as f32;
            let x = (hand - 0.5) * aspect + aside * chance.within(0.2, 0.52);
            canvas.person(x, skin, sleeve, chance);
        }
        let tint: Light3 = std::array::from_fn(|part| light.key[part] * 0.75 + light.sky[part]);
        canvas.enlarged(width, height, tint)
    }
}

/// A coarse picture. Places are in picture heights: x from the middle, y from the top.
struct Canvas {
    width: usize,
    height: usize,
    pixels: Vec<Light3>,
}

/// A shape: the distance to its edge in picture heights, negative inside.
type Shape<'a> = &'a dyn Fn(f32, f32) -> f32;

impl Canvas {
    fn new(width: usize, height: usize) -> Canvas {
        let (width, height) = (width.div_ceil(COARSE), height.div_ceil(COARSE));
        Canvas {
            width,
            height,
            pixels: vec![[0.0; 3]; width * height],
        }
    }

    fn place(&self, column: usize, row: usize) -> (f32, f32) {
        let unit = self.height as f32;
        (
            (column as f32 + 0.5 - self.width as f32 / 2.0) / unit,
            (row as f32 + 0.5) / unit,
        )
    }

    /// Paints a shape within a box around it, with a soft edge. `colour` takes places.
    fn paint(
        &mut self,
        [x0, y0, x1, y1]: [f32; 4],
        soft: f32,
        shape: Shape<'_>,
        colour: impl Fn(f32, f32) -> Light3,
    ) {
        let unit = self.height as f32;
        let middle = self.width as f32 / 2.0;
        let clip = |at: f32, most: usize| (at.max(0.0) as usize).min(most);
        let columns = clip((x0 - soft) * unit + middle, self.width)
            ..clip((x1 + soft) * unit + middle + 1.0, self.width);
        let rows =
            clip((y0 - soft) * unit, self.height)..clip((y1 + soft) * unit + 1.0, self.height);
        let edge = soft.max(0.5 / unit);
        for row in rows {
            for column in columns.clone() {
                let (x, y) = self.place(column, row);
                let cover = smooth(edge, -edge, shape(x, y));
                if cover > 0.0 {
                    let pixel = &mut self.pixels[row * self.width + column];
                    *pixel = mix(*pixel, colour(x, y), cover);
                }
            }
        }
    }

    /// An even block.
    fn block(&mut self, [x0, y0, x1, y1]: [f32; 4], soft: f32, colour: Light3) {
        let (cx, cy) = ((x0 + x1) / 2.0, (y0 + y1) / 2.0);
        let (w, h) = ((x1 - x0) / 2.0, (y1 - y0) / 2.0);
        let shape = |x: f32, y: f32| ((x - cx).abs() - w).max((y - cy).abs() - h);
        self.paint([x0, y0, x1, y1], soft, &shape, |_, _| colour);
    }

    /// An ellipse, shaded as a ball whose light comes from the upper left.
    fn ball(&mut self, cx: f32, cy: f32, rx: f32, ry: f32, soft: f32, colour: Light3) {
        let shape = |x: f32, y: f32| (((x - cx) / rx).hypot((y - cy) / ry) - 1.0) * rx.min(ry);
        let ball = |x: f32, y: f32| {
            let light = 0.86 - 0.22 * (x - cx) / rx - 0.2 * (y - cy) / ry;
            colour.map(|part| part * light)
        };
        self.paint([cx - rx, cy - ry, cx + rx, cy + ry], soft, &shape, ball);
    }

    fn wall(&mut self, chance: &mut Chance) {
        let colour = linear(*chance.pick(&WALLS));
        let lamp = [chance.within(-0.9, 0.9), chance.within(-0.4, 0.7)];
        let fall = chance.within(0.1, 0.6);
        let stripes = chance.happens(0.2).then(|| chance.within(20.0, 70.0));
        let corner = chance.happens(0.3).then(|| chance.within(-0.5, 0.5));
        for row in 0..self.height {
            for column in 0..self.width {
                let (x, y) = self.place(column, row);
                let far = (x - lamp[0]).hypot(y - lamp[1]);
                let mut light = 1.05 - fall * far;
                if let Some(rate) = stripes {
                    light *= 0.94 + 0.06 * (x * rate).sin();
                }
                if corner.is_some_and(|corner| x > corner) {
                    light *= 0.8;
                }
                self.pixels[row * self.width + column] = colour.map(|part| part * light.max(0.1));
            }
        }
    }

    /// A piece of furniture, or what hangs on walls.
    fn thing(&mut self, chance: &mut Chance) {
        let x = chance.within(-0.75, 0.75);
        let y = chance.within(0.05, 0.7);
        let soft = chance.within(0.002, 0.012);
        let colour = linear(*chance.pick(&CLOTHS));
        match chance.bits() % 7 {
            0 => self.window(x, soft, chance),
            1 => self.shelf(x, y, soft, chance),
            2 => {
                // A picture on the wall.
                let (w, h) = (chance.within(0.08, 0.22), chance.within(0.08, 0.2));
                self.block([x - w, y - h, x + w, y + h], soft, linear(0x2e2a27));
                let inner = [x - w + 0.015, y - h + 0.015, x + w - 0.015, y + h - 0.015];
                self.block(inner, soft, mix(colour, linear(0xf0ece4), 0.4));
                self.ball(x, y + h * 0.2, w * 0.5, h * 0.5, soft, colour);
            }
            3 => {
                // A door or a cupboard.
                let w = chance.within(0.12, 0.3);
                let wood = mix(linear(0x8a6344), linear(0xe9e4da), chance.share());
                self.block([x - w, 0.08, x + w, 1.1], soft, wood);
                self.block(
                    [x - w + 0.03, 0.14, x + w - 0.03, 0.5],
                    soft,
                    wood.map(|p| p * 0.85),
                );
                self.ball(x + w - 0.03, 0.6, 0.012, 0.012, soft, linear(0xc8b070));
            }
            4 => {
                // A curtain.
                let w = chance.within(0.1, 0.4);
                let rate = chance.within(40.0, 110.0);
                let shape = |px: f32, _: f32| (px - x).abs() - w;
                self.paint([x - w, 0.0, x + w, 1.0], soft, &shape, |px, _| {
                    colour.map(|part| part * (0.75 + 0.25 * (px * rate).sin()))
                });
            }
            5 => {
                // A plant.
                let green = mix(linear(0x3f6b3a), linear(0x8aa858), chance.share());
                for _ in 0..14 {
                    let (dx, dy) = (chance.around(0.06), chance.around(0.07));
                    let shade = green.map(|part| part * (0.7 + 0.6 * (0.5 - dy)));
                    self.ball(x + dx, y + dy, 0.03, 0.045, soft, shade);
                }
                self.block(
                    [x - 0.05, y + 0.12, x + 0.05, y + 0.24],
                    soft,
                    linear(0xa5694a),
                );
            }
            _ => {
                // A lamp.
                let glow = |px: f32, py: f32| {
                    let far = (px - x).hypot(py - y);
                    [1.15, 1.0, 0.75].map(|part| part * (1.2 - far * 3.0).max(0.3))
                };
                let shape = |px: f32, py: f32| (px - x).hypot(py - y) - 0.09;
                self.paint([x - 0.2, y - 0.2, x + 0.2, y + 0.2], 0.03, &shape, glow);
            }
        }
    }

    fn window(&mut self, x: f32, soft: f32, chance: &mut Chance) {
        let (w, top, low) = (chance.within(0.12, 0.28), 0.06, chance.within(0.4, 0.65));
        self.block([x - w, top, x + w, low], soft, linear(0xf2eee6));
        let sky = mix(linear(0x9fc3da), linear(0xf4f7f8), chance.share());
        let bright = chance.within(0.8, 1.5);
        for side in [-1.0, 1.0] {
            let (a, b) = (x + side * 0.008, x + side * (w - 0.018));
            let pane = [a.min(b), top + 0.018, a.max(b), low - 0.018];
            self.block(pane, soft, sky.map(|part| part * bright));
        }
    }

    fn shelf(&mut self, x: f32, y: f32, soft: f32, chance: &mut Chance) {
        let w = chance.within(0.15, 0.4);
        for row in 0..(1 + chance.bits() % 3) {
            let y = y + row as f32 * 0.2;
            self.block([x - w, y, x + w, y + 0.022], soft, linear(0x7c5d43));
            let mut at = x - w + 0.01;
            while at < x + w - 0.03 {
                let (wide, high) = (chance.within(0.012, 0.035), chance.within(0.08, 0.15));
                if chance.happens(0.85) {
                    let colour = linear(*chance.pick(&CLOTHS));
                    self.block([at, y - high, at + wide, y], soft, colour);
                }
                at += wide + 0.003;
            }
        }
    }

    /// Head and shoulders, out of focus.
    fn person(&mut self, x: f32, skin: &Skin, shirt: Light3, chance: &mut Chance) {
        let size = chance.within(0.8, 1.2);
        let y = chance.within(0.36, 0.56);
        let soft = 0.012;
        let hair = linear(*chance.pick(&HAIR));
        let (rx, ry) = (0.125 * size, 0.165 * size);
        let shoulder = y + 0.30 * size;
        let half = 0.34 * size;
        let body = |px: f32, py: f32| {
            let dx = ((px - x).abs() - half + 0.17 * size).max(0.0);
            let dy = (shoulder + 0.17 * size - py).max(0.0);
            dx.hypot(dy) - 0.17 * size
        };
        let long_hair = chance.happens(0.4);
        if long_hair {
            self.ball(x, y + 0.06 * size, rx * 1.35, ry * 1.35, soft, hair);
        }
        let cloth = |px: f32, py: f32| {
            let light = 1.0 - 0.5 * (px - x) - 0.5 * (py - shoulder);
            shirt.map(|part| part * light.clamp(0.3, 1.1))
        };
        self.paint(
            [x - half, shoulder - 0.05, x + half, 1.2],
            soft,
            &body,
            cloth,
        );
        let neck = skin.back.map(|part| part * 0.68);
        let (left, right) = (x - 0.062 * size, x + 0.062 * size);
        self.block([left, y + 0.1 * size, right, shoulder + 0.02], soft, neck);
        if !long_hair {
            self.ball(x, y - 0.03 * size, rx * 1.1, ry * 1.06, soft, hair);
        }
        for side in [-1.0, 1.0] {
            self.ball(
                x + side * rx,
                y + 0.01,
                0.022 * size,
                0.04 * size,
                soft,
                skin.back,
            );
        }
        self.ball(x, y, rx, ry, soft, skin.back);
        let line = chance.within(-0.09, -0.05) * size;
        let slope = chance.within(-0.6, 0.6);
        let fringe = |px: f32, py: f32| {
            let head = (((px - x) / rx).hypot((py - y) / ry) - 1.09) * rx;
            head.max(py - y - line - slope * (px - x).abs() * 0.5)
        };
        self.paint(
            [x - 1.1 * rx, y - 1.1 * ry, x + 1.1 * rx, y],
            soft * 0.6,
            &fringe,
            |_, _| hair,
        );
        let dark = mix(skin.back, [0.01, 0.01, 0.01], 0.75);
        for side in [-1.0, 1.0] {
            let eye = x + side * 0.048 * size;
            self.ball(eye, y + 0.005, 0.018 * size, 0.009 * size, 0.006, dark);
            self.ball(
                eye,
                y - 0.028 * size,
                0.028 * size,
                0.006 * size,
                0.006,
                mix(hair, skin.back, 0.3),
            );
        }
        let nose = skin.back.map(|part| part * 0.8);
        self.ball(x, y + 0.05 * size, 0.018 * size, 0.022 * size, 0.012, nose);
        let lips = mix(skin.back, linear(0x9a4a44), 0.6);
        self.ball(x, y + 0.1 * size, 0.042 * size, 0.011 * size, 0.006, lips);
    }

    /// The picture at full size, between samples as in between.
    fn enlarged(&self, width: usize, height: usize, tint: Light3) -> Room {
        let lit: Vec<[f32; 3]> = self
            .pixels
            .iter()
            .map(|pixel| std::array::from_fn(|part| f32::from(byte(pixel[part] * tint[part]))))
            .collect();
        let steps = |size: usize, coarse: usize| -> Vec<(usize, usize, f32)> {
            let step = |at: usize| {
                let place = ((at as f32 + 0.5) / COARSE as f32 - 0.5).max(0.0);
                let first = (place as usize).min(coarse - 1);
                (first, (first + 1).min(coarse - 1), place - first as f32)
            };
            (0..size).map(step).collect()
        };
        let columns = steps(width, self.width);
        let mut pixels = Vec::with_capacity(width * height * 3);
        let mut row = vec![[0.0_f32; 3]; self.width];
        for (upper, lower, down) in steps(height, self.height) {
            let upper = &lit[upper * self.width..][..self.width];
            let lower = &lit[lower * self.width..][..self.width];
            for ((row, upper), lower) in row.iter_mut().zip(upper).zip(lower) {
                *row = mix(*upper, *lower, down);
            }
            for &(left, right, share) in &columns {
                let pixel = mix(row[left], row[right], share);
                pixels.extend(pixel.map(|part| (part + 0.5) as u8));
            }
        }
        Room {
            width,
            height,
            pixels,
        }
    }
}
