//! A plan made runnable: weights packed for one kernel family, every buffer reserved beforehand.

use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tract_onnx::pb::ModelProto;

use super::isa::Isa;
use super::kernels::{
    self, Buffer, Conv, Depthwise, DepthwiseShape, Pool as Threads, Reads, Starts, padded,
};
use super::lower::{self, Unsupported};
use super::plan::{
    Layer, LayerOp, Map, MapId, Output, OutputSource, Plan, Pool, Stage, Weights, Window,
};
use super::quant::{AddQuant, Quant, Requant};

/// How the pixels of a picture become the network's input: `(p / 255 - mean) / std`, channel by channel (R, G, B).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct InputTransform {
    /// What is subtracted from a pixel in 0..1.
    pub mean: [f32; 3],
    /// What the difference is divided by.
    pub std: [f32; 3],
}

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

/// One layer of a network, for those who measure it.
#[derive(Debug, Clone)]
pub struct LayerInfo {
    /// The ONNX node it was made from.
    pub name: String,
    /// Its kind and shape, like `conv 1x1 16>96 @112x112`.
    pub shape: String,
    /// Multiply-adds in one run.
    pub multiply_adds: u64,
    /// What it took in the last [`Network::run_timed`].
    pub time: Duration,
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

/// Where a step finds its input.
#[derive(Debug, Clone, Copy)]
enum Source {
    Image,
    Slot(usize),
}

#[derive(Debug, Clone)]
struct Step {
    sources: Vec<Source>,
    target: usize,
    /// The output map, and its bytes.
    map: Map,
    len: usize,
    /// Most threads it is worth.
    parts: usize,
    work: Work,
}

#[derive(Debug, Clone)]
enum Work {
    Conv(Conv),
    /// A convolution that reads a padded copy of its input.
    BorderedConv(Border, Conv),
    Depthwise(Depthwise),
    Dense {
        channels: usize,
        weights: Vec<i8>,
        requant: Requant,
    },
    Add(AddQuant),
    Pool {
        pixels: usize,
        pool: Pool,
    },
    Lookup {
        tables: Vec<[u8; 256]>,
        step: usize,
    },
    Concat {
        parts: Vec<(usize, Option<Box<[u8; 256]>>)>,
        step: usize,
    },
    Upsample {
        factor: usize,
        width: usize,
        step: usize,
    },
}

/// How a map is copied with padding around it.
#[derive(Debug, Clone)]
struct Border {
    /// Bytes of an input row and of one pixel.
    row: usize,
    pixel: usize,
    rows: usize,
    /// Rows above, pixels to the left.
    before: [usize; 2],
    /// Rows and bytes per row of the copy.
    target: [usize; 2],
    fill: u8,
}

/// How an output is read.
#[derive(Debug, Clone)]
struct Reader {
    kind: ReaderKind,
    low: f32,
    high: f32,
    stages: Vec<Stage>,
}

#[derive(Debug, Clone)]
enum ReaderKind {
    Map {
        slot: usize,
        map: Map,
    },
    Dense {
        slot: usize,
        channels: usize,
        weights: Vec<i8>,
        bias: Vec<i32>,
        scale: Vec<f32>,
    },
}

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
            .map(|output| reader(plan, output, &slot_of))
            .collect();
        for reader in &readers {
            if let ReaderKind::Dense { bias, .. } = &reader.kind {
                sums = sums.max(bias.len());
            }
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
            infos: plan.layers.iter().map(|layer| info(plan, layer)).collect(),
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

impl Step {
    fn run<'a>(
        &self,
        isa: Isa,
        threads: Option<&Threads>,
        source: impl Fn(usize) -> &'a [u8],
        target: &mut [u8],
        bordered: &mut Buffer,
        sums: &mut [i32],
    ) {
        let fill =
            |target: &mut [u8], unit: usize, job: &(dyn Fn(usize, &mut [u8]) + Sync)| match threads
            {
                Some(threads) => threads.fill(target, unit, self.parts, job),
                None => job(0, target),
            };
        match &self.work {
            Work::Conv(conv) => {
                let source = source(0);
                fill(target, conv.target_step(), &|first, run| {
                    conv.run(source, run, first)
                });
            }
            Work::BorderedConv(border, conv) => {
                border.copy(source(0), bordered.bytes_mut());
                let source = bordered.bytes();
                fill(target, conv.target_step(), &|first, run| {
                    conv.run(source, run, first)
                });
            }
            Work::Depthwise(depthwise) => {
                let source = source(0);
                fill(target, depthwise.target_row(), &|first, run| {
                    depthwise.run(source, run, first)
                });
            }
            Work::Dense {
                channels,
                weights,
                requant,
            } => {
                let sums = &mut sums[..requant.bias.len()];
                kernels::dense(isa, &source(0)[..*channels], weights, sums);
                for (n, (target, &sum)) in target.iter_mut().zip(sums.iter()).enumerate() {
                    *target = requant.apply(n, sum);
                }
            }
            Work::Add(quant) => kernels::add(
                isa,
                quant,
                &source(0)[..self.len],
                &source(1)[..self.len],
                target,
            ),
            Work::Pool { pixels, pool } => {
                let sums = &mut sums[..target.len()];
                kernels::sum_pixels(isa, &source(0)[..pixels * target.len()], sums);
                let zero = *pixels as i32 * i32::from(pool.input_zero_point);
                for (target, &sum) in target.iter_mut().zip(sums.iter()) {
                    let q = ((sum - zero) as f32 * pool.scale).round_ties_even() as i32
                        + i32::from(pool.zero_point);
                    *target = q.clamp(pool.low.into(), pool.high.into()) as u8;
                }
            }
            Work::Lookup { tables, step } => {
                let source = &source(0)[..self.len];
                match tables.as_slice() {
                    [table] => lookup(table, source, target),
                    tables => {
                        for (from, to) in source
                            .chunks_exact(*step)
                            .zip(target.chunks_exact_mut(*step))
                        {
                            for ((&q, to), table) in from.iter().zip(to).zip(tables) {
                                *to = table[usize::from(q)];
                            }
                        }
                    }
                }
            }
            Work::Concat { parts, step } => {
                let mut at = 0;
                for (index, (channels, table)) in parts.iter().enumerate() {
                    let source = source(index).chunks_exact(padded(*channels));
                    for (from, to) in source.zip(target.chunks_exact_mut(*step)) {
                        let (from, to) = (&from[..*channels], &mut to[at..at + channels]);
                        match table {
                            None => to.copy_from_slice(from),
                            Some(table) => lookup(table, from, to),
                        }
                    }
                    at += channels;
                }
            }
            Work::Upsample {
                factor,
                width,
                step,
            } => {
                let row = width * step;
                for (from, rows) in source(0)
                    .chunks_exact(row)
                    .zip(target.chunks_exact_mut(row * factor * factor))
                {
                    let (first, others) = rows.split_at_mut(row * factor);
                    for (pixel, repeats) in from
                        .chunks_exact(*step)
                        .zip(first.chunks_exact_mut(step * factor))
                    {
                        repeats
                            .chunks_exact_mut(*step)
                            .for_each(|to| to.copy_from_slice(pixel));
                    }
                    others
                        .chunks_exact_mut(row * factor)
                        .for_each(|to| to.copy_from_slice(first));
                }
            }
        }
    }
}

fn lookup(table: &[u8; 256], source: &[u8], target: &mut [u8]) {
    for (to, &q) in target.iter_mut().zip(source) {
        *to = table[usize::from(q)];
    }
}

impl Border {
    /// Around a map for a convolution; the copy has exactly the rows and columns that `window` reads.
    fn new(map: &Map, pixel: usize, window: &Window, out: &Map) -> Self {
        let reach = |axis: usize, n: usize| (n - 1) * window.stride[axis] + window.kernel[axis];
        Self {
            row: map.width * pixel,
            pixel,
            rows: map.height,
            before: window.before,
            target: [
                reach(0, out.height),
                reach(1, out.width).max(map.width + window.before[1]) * pixel,
            ],
            fill: map.quant.zero_point,
        }
    }

    fn copy(&self, source: &[u8], target: &mut [u8]) {
        let [rows, row] = self.target;
        let left = self.before[1] * self.pixel;
        for (y, target) in target.chunks_exact_mut(row).take(rows).enumerate() {
            match y.checked_sub(self.before[0]).filter(|&y| y < self.rows) {
                None => target.fill(self.fill),
                Some(y) => {
                    let (before, rest) = target.split_at_mut(left);
                    let (inside, after) = rest.split_at_mut(self.row);
                    before.fill(self.fill);
                    inside.copy_from_slice(&source[y * self.row..][..self.row]);
                    after.fill(self.fill);
                }
            }
        }
    }
}

impl Reader {
    fn read(&self, isa: Isa, slots: &[Buffer], sums: &mut [i32], values: &mut [f32]) {
        match &self.kind {
            ReaderKind::Map { slot, map } => {
                let pixels = map.height * map.width;
                for (p, pixel) in slots[*slot]
                    .bytes()
                    .chunks_exact(padded(map.channels))
                    .take(pixels)
                    .enumerate()
                {
                    for (c, &q) in pixel[..map.channels].iter().enumerate() {
                        values[c * pixels + p] = map.quant.dequantise(q);
                    }
                }
            }
            ReaderKind::Dense {
                slot,
                channels,
                weights,
                bias,
                scale,
            } => {
                let sums = &mut sums[..bias.len()];
                kernels::dense(isa, &slots[*slot].bytes()[..*channels], weights, sums);
                for (((value, &sum), &bias), &scale) in
                    values.iter_mut().zip(sums.iter()).zip(bias).zip(scale)
                {
                    *value = (sum + bias) as f32 * scale;
                }
            }
        }
        for value in values.iter_mut() {
            *value = value.clamp(self.low, self.high);
        }
        for stage in &self.stages {
            match stage {
                Stage::Softmax => softmax(values),
                Stage::Round(quant) => values
                    .iter_mut()
                    .for_each(|v| *v = quant.dequantise(quant.quantise(*v))),
            }
        }
    }
}

fn softmax(values: &mut [f32]) {
    let largest = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    values.iter_mut().for_each(|v| *v = (*v - largest).exp());
    let total: f32 = values.iter().sum();
    values.iter_mut().for_each(|v| *v /= total);
}

/// Bytes of a map as it is kept between layers.
fn bytes(map: &Map) -> usize {
    map.height * map.width * padded(map.channels)
}

/// The table from pixels to quantised bytes; `None` where it changes nothing.
fn input_table(input: &InputTransform, quant: Quant) -> Option<Box<[[u8; 256]; 3]>> {
    let table: Box<[[u8; 256]; 3]> = Box::new(std::array::from_fn(|c| {
        std::array::from_fn(|p| quant.quantise((p as f32 / 255.0 - input.mean[c]) / input.std[c]))
    }));
    let identity = table.iter().all(|channel| {
        channel
            .iter()
            .enumerate()
            .all(|(p, &q)| usize::from(q) == p)
    });
    (!identity).then_some(table)
}

/// Gives each map a buffer, reusing those whose map isn't read again. The picture has none.
fn assign_slots(plan: &Plan) -> (Vec<usize>, Vec<usize>) {
    let mut last_use = vec![0; plan.maps.len()];
    for (i, layer) in plan.layers.iter().enumerate() {
        layer.inputs.iter().for_each(|&id| last_use[id] = i);
    }
    for output in &plan.outputs {
        let (OutputSource::Map(id) | OutputSource::Dense { input: id, .. }) = output.source;
        last_use[id] = usize::MAX;
    }
    let mut slot_of = vec![usize::MAX; plan.maps.len()];
    let mut sizes: Vec<usize> = Vec::new();
    let mut free: Vec<usize> = Vec::new();
    for (i, layer) in plan.layers.iter().enumerate() {
        let size = bytes(&plan.maps[layer.output]);
        // The smallest that is large enough, else the largest, which grows.
        let best = free.iter().enumerate().min_by_key(|&(_, &slot)| {
            if sizes[slot] >= size {
                (0, sizes[slot])
            } else {
                (1, usize::MAX - sizes[slot])
            }
        });
        let slot = match best.map(|(index, _)| index) {
            Some(index) => free.swap_remove(index),
            None => {
                sizes.push(0);
                sizes.len() - 1
            }
        };
        sizes[slot] = sizes[slot].max(size);
        slot_of[layer.output] = slot;
        let mut done: Vec<usize> = layer
            .inputs
            .iter()
            .filter(|&&id| id != Plan::IMAGE && last_use[id] == i)
            .map(|&id| slot_of[id])
            .collect();
        done.dedup();
        free.extend(done);
    }
    (slot_of, sizes)
}

fn reader(plan: &Plan, output: &Output, slot_of: &[usize]) -> Reader {
    let kind = match &output.source {
        OutputSource::Map(id) => ReaderKind::Map {
            slot: slot_of[*id],
            map: plan.maps[*id],
        },
        OutputSource::Dense {
            input,
            values,
            bias,
            scale,
        } => ReaderKind::Dense {
            slot: slot_of[*input],
            channels: plan.maps[*input].channels,
            weights: values.clone(),
            bias: bias.clone(),
            scale: scale.clone(),
        },
    };
    Reader {
        kind,
        low: output.low,
        high: output.high,
        stages: output.stages.clone(),
    }
}

fn pack(plan: &Plan, layer: &Layer, isa: Isa) -> Work {
    let input = plan.maps[layer.inputs[0]];
    let out = plan.maps[layer.output];
    match &layer.op {
        LayerOp::Conv(window, weights) => pack_conv(
            isa,
            &input,
            layer.inputs[0] == Plan::IMAGE,
            window,
            weights,
            &out,
        ),
        LayerOp::Depthwise(window, weights) => {
            let shape = DepthwiseShape {
                input: [input.height, input.width],
                output: [out.height, out.width],
                stride: window.stride,
                before: window.before,
            };
            let pad = input.quant.zero_point;
            Work::Depthwise(Depthwise::new(
                isa,
                shape,
                &weights.values,
                pad,
                &weights.requant,
            ))
        }
        LayerOp::Add(quant) => Work::Add(*quant),
        LayerOp::Pool(pool) => Work::Pool {
            pixels: input.height * input.width,
            pool: *pool,
        },
        LayerOp::Lookup(tables) => Work::Lookup {
            tables: tables.clone(),
            step: padded(input.channels),
        },
        LayerOp::Concat(tables) => {
            let channels = layer.inputs.iter().map(|&id| plan.maps[id].channels);
            Work::Concat {
                parts: channels.zip(tables.iter().cloned()).collect(),
                step: padded(out.channels),
            }
        }
        LayerOp::Upsample { factor } => Work::Upsample {
            factor: *factor,
            width: input.width,
            step: padded(input.channels),
        },
    }
}

fn pack_conv(
    isa: Isa,
    input: &Map,
    is_image: bool,
    window: &Window,
    weights: &Weights,
    out: &Map,
) -> Work {
    // The picture's pixels lie close together; a map's are padded.
    let pixel = if is_image { 3 } else { padded(input.channels) };
    let [kh, kw] = window.kernel;
    let pointwise = !is_image && window.kernel == [1, 1] && window.before == [0, 0];
    if pointwise && out.height * out.width == 1 && input.height * input.width == 1 {
        return Work::Dense {
            channels: input.channels,
            weights: weights.values.clone(),
            requant: weights.requant.clone(),
        };
    }
    // One run of bytes for each kernel row; padding between pixels meets zero weights.
    let run = if pointwise {
        input.channels.next_multiple_of(4)
    } else {
        (kw * pixel).next_multiple_of(4)
    };
    let mut rows = vec![0i8; out.channels * kh * run];
    let from = weights.values.chunks_exact(input.channels);
    for (i, from) in from.enumerate() {
        let (row, column) = (i / kw, i % kw);
        rows[row * run + column * pixel..][..input.channels].copy_from_slice(from);
    }
    let starts = |row_bytes: usize| {
        let start = |y: usize, x: usize| {
            (y * window.stride[0] * row_bytes + x * window.stride[1] * pixel) as u32
        };
        Starts::Table(
            (0..out.height)
                .flat_map(|y| (0..out.width).map(move |x| start(y, x)))
                .collect(),
        )
    };
    let pixels = out.height * out.width;
    if pointwise {
        let starts = if window.stride == [1, 1] {
            Starts::Step(pixel)
        } else {
            starts(input.width * pixel)
        };
        return Work::Conv(Conv::new(
            isa,
            Reads {
                pixels,
                starts,
                taps: vec![0],
                run,
            },
            &rows,
            &weights.requant,
        ));
    }
    let border = Border::new(input, pixel, window, out);
    let row_bytes = border.target[1];
    let reads = Reads {
        pixels,
        starts: starts(row_bytes),
        taps: (0..kh).map(|i| i * row_bytes).collect(),
        run,
    };
    Work::BorderedConv(border, Conv::new(isa, reads, &rows, &weights.requant))
}

fn info(plan: &Plan, layer: &Layer) -> LayerInfo {
    let input = plan.maps[layer.inputs[0]];
    let out = plan.maps[layer.output];
    let size = format!(
        "{}>{} @{}x{}",
        input.channels, out.channels, out.height, out.width
    );
    let window = |w: &Window| {
        let stride = if w.stride == [1, 1] {
            String::new()
        } else {
            format!(" /{}", w.stride[0])
        };
        format!("{}x{}{stride}", w.kernel[0], w.kernel[1])
    };
    let shape = match &layer.op {
        LayerOp::Conv(w, _) => format!("conv {} {size}", window(w)),
        LayerOp::Depthwise(w, _) => format!("depthwise {} {size}", window(w)),
        LayerOp::Add(_) => format!("add {size}"),
        LayerOp::Pool(_) => format!("pool {size}"),
        LayerOp::Lookup(_) => format!("lookup {size}"),
        LayerOp::Concat(_) => format!("concat {size}"),
        LayerOp::Upsample { factor } => format!("upsample x{factor} {size}"),
    };
    LayerInfo {
        name: layer.name.clone(),
        shape,
        multiply_adds: plan.multiply_adds(layer),
        time: Duration::ZERO,
    }
}
