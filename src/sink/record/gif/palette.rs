//! The colours of one picture of a clip.

use std::collections::HashMap;

use color_quant::NeuQuant;

/// Colours of a picture; one more index stands for what did not change.
const COLOURS: usize = 255;

/// Of so many changed pixels one decides the colours.
const SAMPLING: i32 = 8;

/// The colours of one picture.
#[derive(Default)]
pub(super) struct Palette {
    colours: Vec<[u8; 3]>,
    /// Indices of colours that have been asked for.
    known: HashMap<[u8; 3], u8>,
    quantiser: Option<NeuQuant>,
}

impl Palette {
    /// Chooses colours for these pixels: their own, where they are few.
    pub fn choose(&mut self, pixels: impl Iterator<Item = [u8; 3]> + Clone) {
        self.colours.clear();
        self.known.clear();
        self.quantiser = None;
        for pixel in pixels.clone() {
            if self.known.contains_key(&pixel) {
                continue;
            }
            if self.colours.len() == COLOURS {
                self.quantise(pixels);
                return;
            }
            self.known.insert(pixel, self.colours.len() as u8);
            self.colours.push(pixel);
        }
    }

    fn quantise(&mut self, pixels: impl Iterator<Item = [u8; 3]>) {
        let rgba: Vec<u8> = pixels.flat_map(|[r, g, b]| [r, g, b, 255]).collect();
        let quantiser = NeuQuant::new(SAMPLING, COLOURS, &rgba);
        let map = quantiser.color_map_rgb();
        self.colours = map.as_chunks::<3>().0.to_vec();
        self.known.clear();
        self.quantiser = Some(quantiser);
    }

    /// The index of the colour that is nearest to `pixel`.
    pub fn index(&mut self, pixel: [u8; 3]) -> u8 {
        let [r, g, b] = pixel;
        *self.known.entry(pixel).or_insert_with(|| {
            let nearest = self.quantiser.as_ref();
            nearest.map_or(0, |quantiser| quantiser.index_of(&[r, g, b, 255]) as u8)
        })
    }

    /// The index that stands for no colour.
    pub fn clear(&self) -> u8 {
        self.colours.len() as u8
    }

    /// Three bytes a colour, one more for [`Self::clear`].
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.colours.concat();
        bytes.extend([0; 3]);
        bytes
    }
}
