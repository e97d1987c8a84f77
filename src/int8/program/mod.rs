//! A plan made runnable: weights packed for one kernel family, every buffer reserved beforehand.

mod input;
mod layer;
mod pack;
mod reader;
mod step;

use std::mem;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Result, ensure};
use tract_onnx::pb::ModelProto;

use self::input::input_table;
use self::pack::{assign_slots, pack};
use self::reader::Reader;
use self::step::{Source, Step, Work, bytes};
use super::isa::Isa;
use super::kernels::{Buffer, Pool as Threads, padded};
use super::lower;
use super::plan::{Map, MapId, Plan};
use super::quant::Quant;
use super::unsupported::Unsupported;

pub use self::input::InputTransform;
pub use self::layer::LayerInfo;

/// What became of a model.
#[derive(Debug)]
pub enum Lowering {
    /// All of it runs on integer kernels.
    Lowered(Box<Network>),
    /// It holds something that no integer operator stands for: it is left to the stock runtime as a whole.
    Stock(Unsupported),
}

/// A result of a network.
#[derive(Debug, Clone)]
pub struct NetworkOutput {
    /// The ONNX output's name.
    pub name: String,
    /// Its shape, batch included.
    pub shape: Vec<usize>,
    values: Vec<f32>,
}

impl NetworkOutput {
    /// The values of the last run, in the order of `shape`.
    pub fn values(&self) -> &[f32] {
        &self.values
    }
}

/// A quantised network, ready to run on one kernel family.
///
/// Weights are packed and buffers reserved once; a run allocates nothing.
#[derive(Debug, Clone)]
pub struct Network {
    isa: Isa,
    size: [usize; 2],
    image_quant: Quant,
    /// From pixel bytes to quantised bytes per channel; `None` where they are the same.
    table: Option<Box<[[u8; 256]; 3]>>,
    /// The quantised picture, where it isn't the pixels themselves.
    image: Vec<u8>,
    slots: Vec<Buffer>,
    /// A convolution's input with its padding around it.
    bordered: Buffer,
    sums: Vec<i32>,
    steps: Vec<Step>,
    infos: Vec<LayerInfo>,
    readers: Vec<Reader>,
    outputs: Vec<NetworkOutput>,
    threads: Option<Arc<Threads>>,
}

/// Multiply-adds from which a layer is worth another thread: below, handing over takes longer than it saves.
const MULTIPLY_ADDS_PER_THREAD: u64 = 500_000;

impl Network {
    /// Lowers a quantised model for the family that [`Isa::choose`] picks.
    ///
    /// # Errors
    ///
    /// Where `SIGNCAM_ISA` names a family that isn't there. A model that can't be lowered is no error.
    pub fn lower(model: &ModelProto, input: &InputTransform) -> Result<Lowering> {
        Ok(Self::lower_for(model, input, Isa::choose()?))
    }

    /// Lowers a quantised model for one kernel family.
    pub fn lower_for(model: &ModelProto, input: &InputTransform, isa: Isa) -> Lowering {
        match lower::lower(model) {
            Ok(plan) => Lowering::Lowered(Box::new(Self::new(&plan, input, isa))),
            Err(unsupported) => Lowering::Stock(unsupported),
        }
    }

    /// Packs a plan for one kernel family.
    pub fn new(plan: &Plan, input: &InputTransform, isa: Isa) -> Self {
        let (slot_of, slot_sizes) = assign_slots(plan);
        let image = plan.maps[Plan::IMAGE];
        let mut bordered = 0;
        let mut sums = 0;
        let steps: Vec<Step> = plan
            .layers
            .iter()
            .map(|layer| {
                let source = |&id: &MapId| {
                    if id == Plan::IMAGE {
                        Source::Image
                    } else {
                        Source::Slot(slot_of[id])
                    }
                };
                let out = plan.maps[layer.output];
                let work = pack(plan, layer, isa);
                match &work {
                    Work::BorderedConv(border, _) => {
                        bordered = bordered.max(border.target[0] * border.target[1] + 64)
                    }
                    Work::Dense { requant, .. } => sums = sums.max(requant.bias.len()),
                    Work::Pool { .. } => sums = sums.max(padded(out.channels)),
                    _ => {}
                }
                Step {
                    sources: layer.inputs.iter().map(source).collect(),
                    target: slot_of[layer.output],
                    map: out,
                    len: bytes(&out),
                    parts: 1 + (plan.multiply_adds(layer) / MULTIPLY_ADDS_PER_THREAD) as usize,
                    work,
                }
            })
            .collect();
        let readers: Vec<Reader> = plan
            .outputs
            .iter()
            .map(|output| Reader::new(plan, output, &slot_of))
            .collect();
        for reader in &readers {
            sums = sums.max(reader.sums());
        }
        let outputs = plan.outputs.iter().map(|output| NetworkOutput {
            name: output.name.clone(),
            shape: output.shape.clone(),
            values: vec![0.0; output.shape.iter().product()],
        });
        Self {
            isa,
            size: [image.height, image.width],
            image_quant: image.quant,
            table: input_table(input, image.quant),
            image: vec![0; image.height * image.width * 3],
            slots: slot_sizes.into_iter().map(Buffer::zeroed).collect(),
            bordered: Buffer::zeroed(bordered),
            sums: vec![0; sums],
            infos: (plan.layers.iter())
                .map(|layer| LayerInfo::new(plan, layer))
                .collect(),
            steps,
            readers,
            outputs: outputs.collect(),
            threads: None,
        }
    }

    /// The kernel family it was packed for.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// Shares the work of large layers among `count` threads, the caller's own among them. One is the default; a
    /// pool has 16 at most.
    pub fn set_threads(&mut self, count: usize) {
        self.threads = (count > 1).then(|| Arc::new(Threads::new(count)));
    }

    /// How many threads share the work.
    pub fn threads(&self) -> usize {
        self.threads.as_ref().map_or(1, |threads| threads.threads())
    }

    /// Height and width of the picture it reads.
    pub fn size(&self) -> [usize; 2] {
        self.size
    }

    /// The results of the last run.
    pub fn outputs(&self) -> &[NetworkOutput] {
        &self.outputs
    }

    /// The layers, with their times in the last [`Network::run_timed`].
    pub fn layers(&self) -> &[LayerInfo] {
        &self.infos
    }

    /// Reads a picture: height x width x 3 bytes, RGB, row by row from the top. The results are in [`outputs`].
    ///
    /// # Errors
    ///
    /// Where `rgb` isn't exactly one picture.
    ///
    /// [`outputs`]: Self::outputs
    pub fn run(&mut self, rgb: &[u8]) -> Result<()> {
        self.run_rgb(rgb, false)
    }

    /// Like [`Network::run`], and notes what each layer took.
    ///
    /// # Errors
    ///
    /// As [`Network::run`].
    pub fn run_timed(&mut self, rgb: &[u8]) -> Result<()> {
        self.run_rgb(rgb, true)
    }

    /// Reads a normalised picture as the ONNX graph's own input takes it: 3 x height x width f32.
    ///
    /// # Errors
    ///
    /// Where `planes` isn't exactly one picture.
    pub fn run_planes(&mut self, planes: &[f32]) -> Result<()> {
        self.run_planes_watched(planes, &mut |_, _, _| {})
    }

    /// Like [`Network::run_planes`], and shows `watch` each layer's map before the next layer reads it.
    ///
    /// `watch` is told which layer it is ([`Network::layers`]), what its map is, and its bytes: height x width pixels
    /// of [`padded`] channels. What it changes there is what the following layers read, so that a layer can be compared
    /// with another runtime's without the differences of those before it.
    ///
    /// # Errors
    ///
    /// As [`Network::run_planes`].
    pub fn run_planes_watched(
        &mut self,
        planes: &[f32],
        watch: &mut dyn FnMut(usize, &Map, &mut [u8]),
    ) -> Result<()> {
        let mut image = mem::take(&mut self.image);
        let fits = planes.len() == image.len();
        if fits {
            let pixels = image.len() / 3;
            for (p, pixel) in image.as_chunks_mut::<3>().0.iter_mut().enumerate() {
                for (c, q) in pixel.iter_mut().enumerate() {
                    *q = self.image_quant.quantise(planes[c * pixels + p]);
                }
            }
            self.run_quantised(&image, false, watch);
        }
        self.image = image;
        ensure!(
            fits,
            "a picture of {} values where the network reads {}",
            planes.len(),
            self.image.len()
        );
        Ok(())
    }

    fn run_rgb(&mut self, rgb: &[u8], timed: bool) -> Result<()> {
        let [height, width] = self.size;
        ensure!(
            rgb.len() == self.image.len(),
            "a picture of {} bytes where the network reads {width}x{height} RGB pixels",
            rgb.len()
        );
        let Some(table) = &self.table else {
            self.run_quantised(rgb, timed, &mut |_, _, _| {});
            return Ok(());
        };
        for (q, p) in self
            .image
            .as_chunks_mut::<3>()
            .0
            .iter_mut()
            .zip(rgb.as_chunks::<3>().0)
        {
            *q = std::array::from_fn(|c| table[c][usize::from(p[c])]);
        }
        let image = mem::take(&mut self.image);
        self.run_quantised(&image, timed, &mut |_, _, _| {});
        self.image = image;
        Ok(())
    }

    fn run_quantised(
        &mut self,
        image: &[u8],
        timed: bool,
        watch: &mut dyn FnMut(usize, &Map, &mut [u8]),
    ) {
        for (index, (step, info)) in self.steps.iter().zip(&mut self.infos).enumerate() {
            let started = timed.then(Instant::now);
            let mut target = mem::take(&mut self.slots[step.target]);
            let slots = &self.slots;
            let source = |index: usize| match step.sources[index] {
                Source::Image => image,
                Source::Slot(slot) => slots[slot].bytes(),
            };
            step.run(
                self.isa,
                self.threads.as_deref(),
                source,
                &mut target.bytes_mut()[..step.len],
                &mut self.bordered,
                &mut self.sums,
            );
            if let Some(started) = started {
                info.time = started.elapsed();
            }
            watch(index, &step.map, &mut target.bytes_mut()[..step.len]);
            self.slots[step.target] = target;
        }
        for (reader, output) in self.readers.iter().zip(&mut self.outputs) {
            reader.read(self.isa, &self.slots, &mut self.sums, &mut output.values);
        }
    }
}
