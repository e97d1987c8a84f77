//! Draws what the fuzzers start from: a small sound file of each kind, and some that are cut.
//!
//! `cargo run --release --features train --example fuzz-seeds -- tests/fuzz/corpus`

#[path = "../common/mod.rs"]
mod common;
mod trainer;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use common::{GREEN, RED, colour_model};
use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, ImageEncoder, Rgb, RgbImage};
use signcam::model::{MapMetadata, Preprocessing};
use signcam::recognize::finder::CELL;
use signcam::sink::record::{Hurry, Recorder};
use signcam::sink::screen::Recording;
use signcam::train::file::graph::{Activation, Graph};
use signcam::train::file::sketch::Weights;
use signcam::train::file::write::write_models;

/// Where seeds go, by target.
struct Corpus(PathBuf);

impl Corpus {
    fn put(&self, target: &str, name: &str, content: &[u8]) -> Result<()> {
        let folder = self.0.join(target);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(name), content)?;
        Ok(())
    }
}

fn main() -> Result<()> {
    let to = std::env::args_os()
        .nth(1)
        .context("name the folder to write to")?;
    let corpus = Corpus(to.into());
    let folder = tempfile::tempdir()?;
    models(&corpus, folder.path())?;
    cameras_and_pictures(&corpus, folder.path())?;
    video(&corpus, folder.path())?;
    tables(&corpus)?;
    checkpoints(&corpus, folder.path())?;
    words(&corpus)
}

fn models(corpus: &Corpus, folder: &Path) -> Result<()> {
    let letters = colour_model(folder);
    let finder = finder_model(folder)?;
    for (name, path) in [("letters", letters), ("finder", finder)] {
        for (kind, path) in [
            ("int8", path.clone()),
            ("f32", path.with_extension("f32.onnx")),
        ] {
            corpus.put("model", &format!("{name}-{kind}"), &fs::read(path)?)?;
        }
    }
    // The lowering target draws its networks from its bytes.
    let mut weights = Weights::seeded(7);
    for at in 0..24 {
        let bytes: Vec<u8> = (0..64).map(|_| (weights.uniform() * 256.0) as u8).collect();
        corpus.put("lowering", &format!("drawn-{at}"), &bytes)?;
    }
    Ok(())
}

/// A finder of two cells a side.
fn finder_model(folder: &Path) -> Result<PathBuf> {
    const SIZE: usize = 2 * CELL;
    let mut weights = Weights::seeded(3);
    let mut graph = Graph::new(SIZE)?;
    let mut x = graph.image();
    let mut channels = 3;
    for (at, name) in ["a", "b", "c"].into_iter().enumerate() {
        let next = 4 * (at + 1);
        let conv = weights.conv(next, channels, 3).stride(2).pad(1);
        x = graph.conv(name, x, conv.activation(Activation::Relu6))?;
        channels = next;
    }
    let heat = graph.conv("heat_of", x, weights.conv(1, channels, 1))?;
    let place = weights.conv(4, channels, 1).activation(Activation::Relu6);
    let place = graph.conv("place_of", x, place)?;
    graph.output("heat", heat)?;
    graph.output("box", place)?;
    let metadata = MapMetadata {
        preprocessing: Preprocessing::new(SIZE, 1.0),
        threshold: 0.3,
        license: String::new(),
        training_commit: String::new(),
        data: String::new(),
    };
    let pictures: Vec<Vec<u8>> = [RED, GREEN].map(|colour| colour.repeat(SIZE * SIZE)).into();
    let path = folder.join("finder.onnx");
    let props = metadata.to_props();
    write_models(&graph, &pictures, &metadata.preprocessing, &props, &path)?;
    Ok(path)
}

/// Stripes with a disc on them.
fn drawn(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let (dx, dy) = (x.abs_diff(width / 2), y.abs_diff(height / 2));
        match dx * dx + dy * dy < height * height / 9 {
            true => Rgb([220, 160, 120]),
            false => Rgb([(x * 9) as u8, (y * 7) as u8, 90]),
        }
    })
}

fn jpeg(picture: &RgbImage) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, 70).write_image(
        picture,
        picture.width(),
        picture.height(),
        ExtendedColorType::Rgb8,
    )?;
    Ok(bytes)
}

/// As many cameras send it.
fn without_huffman_tables(jpeg: &[u8]) -> Vec<u8> {
    let mut bare = jpeg[..2].to_vec();
    let mut at = 2;
    while jpeg[at + 1] != 0xda {
        let length = 2 + usize::from(u16::from_be_bytes([jpeg[at + 2], jpeg[at + 3]]));
        if jpeg[at + 1] != 0xc4 {
            bare.extend(&jpeg[at..at + length]);
        }
        at += length;
    }
    bare.extend(&jpeg[at..]);
    bare
}

fn cameras_and_pictures(corpus: &Corpus, folder: &Path) -> Result<()> {
    let camera = |name: &str, encoding: u8, width: u16, height: u16, data: &[u8]| {
        let [w0, w1] = width.to_le_bytes();
        let [h0, h1] = height.to_le_bytes();
        corpus.put(
            "camera",
            name,
            &[&[encoding, w0, w1, h0, h1], data].concat(),
        )
    };
    let whole = jpeg(&drawn(32, 24))?;
    let odd = jpeg(&drawn(17, 9))?;
    camera("mjpeg", 0, 32, 24, &whole)?;
    camera("mjpeg-odd", 0, 17, 9, &odd)?;
    camera("mjpeg-bare", 0, 32, 24, &without_huffman_tables(&whole))?;
    camera(
        "mjpeg-rest",
        0,
        32,
        24,
        &[&whole[..], &odd[odd.len() / 2..], &[0; 64]].concat(),
    )?;
    camera("mjpeg-cut", 0, 32, 24, &whole[..whole.len() / 2])?;
    for encoding in 1..6 {
        for (width, height) in [(32, 24), (7, 5), (1, 1)] {
            let data: Vec<u8> = (0..width as usize * height as usize * 3 + 8)
                .map(|at| (at * 11) as u8)
                .collect();
            camera(
                &format!("raw-{encoding}-{width}"),
                encoding,
                width,
                height,
                &data,
            )?;
        }
        camera(
            &format!("raw-{encoding}-short"),
            encoding,
            32,
            24,
            &[7; 100],
        )?;
    }
    corpus.put("picture", "whole.jpg", &whole)?;
    corpus.put("picture", "odd.jpg", &odd)?;
    corpus.put(
        "picture",
        "grey.png",
        &png(folder, |path| {
            image::DynamicImage::from(drawn(16, 16))
                .to_luma16()
                .save(path)
        })?,
    )?;
    corpus.put(
        "picture",
        "colour.png",
        &png(folder, |path| drawn(16, 12).save(path))?,
    )
}

fn png(folder: &Path, save: impl Fn(&Path) -> image::ImageResult<()>) -> Result<Vec<u8>> {
    let path = folder.join("seed.png");
    save(&path)?;
    Ok(fs::read(path)?)
}

fn video(corpus: &Corpus, folder: &Path) -> Result<()> {
    let path = folder.join("seed.mp4");
    let (width, height) = (32, 32);
    let mut recorder = Recorder::start(&path, width, height, Hurry::None)?;
    for at in 0..8 {
        let pixels: Vec<u32> = (0..width * height)
            .map(|pixel| ((pixel * 5 + at * 400) as u32) & 0xff_ffff)
            .collect();
        recorder.push(&pixels, Duration::from_millis(40 * at as u64))?;
    }
    Box::new(recorder).finish()?;
    let whole = fs::read(&path)?;
    corpus.put("video", "whole", &whole)?;
    corpus.put("video", "cut", &whole[..whole.len() * 2 / 3])
}

fn tables(corpus: &Corpus) -> Result<()> {
    let points: Vec<String> = (0..21).map(|at| format!("px{at},py{at}")).collect();
    let zeros = ["0.5"; 42].join(",");
    let hands = format!(
        "path,signer,split,label,source_class,x0,y0,x1,y1,{}\n\
         a.png,mia,train,A,,0.1,0.2,0.8,0.9,{zeros}\n\
         b.png,bea,dev,B,\"digit_0\",,,,,{}\n\
         a.png,bea,train,other,,-0.1,0,1.1,1,{zeros}\n",
        points.join(","),
        ",".repeat(41)
    );
    corpus.put("tables", "hands", hands.as_bytes())?;
    let frames = "path,signer,split,label,x0,y0,x1,y1\n\
                  a.png,mia,train,A,0.1,0.2,0.8,0.9\nb.png,bea,val,B,0.2,0.2,0.5,0.6\n";
    corpus.put("tables", "frames", frames.as_bytes())?;
    let collected = "path,signer,split,label,x0,y0,x1,y1,take\n\
                     a.png,ada,train,A,0.1,0.2,0.8,0.9,1\nb.png,bea,dev,B,,,,,2\n\
                     c.png,ada,dev,B,0.2,0.2,0.5,0.6,2\na.png,ada";
    corpus.put("tables", "collected", collected.as_bytes())?;
    corpus.put(
        "tables",
        "boxes",
        b"path,x0,y0,x1,y1,split\nA/1.jpg,0,0,1,1,dev\nA/2.jpg,,,,,train\n",
    )
}

/// Each file of a sound checkpoint, behind the byte that names it.
fn checkpoints(corpus: &Corpus, folder: &Path) -> Result<()> {
    let path = folder.join("checkpoint");
    trainer::trainer().save(&path)?;
    for (at, name) in trainer::FILES.into_iter().enumerate() {
        let content = fs::read(path.join(name))?;
        corpus.put("checkpoint", name, &[&[at as u8], &content[..]].concat())?;
    }
    Ok(())
}

fn words(corpus: &Corpus) -> Result<()> {
    let lines = [
        "--source\ncam:0\n--box\n0.1,0.2,0.3,0.4\n--threshold\n0.5\n--stats\nout.json",
        "--source\nhands\n--pace\nmax\n--headless\n--threads\n4",
        "--camera\nUSB\n--size\n640x480\n--fps\n29.97\n--record\nout.mp4",
        "bench\n--frames\n10\n--warmup\n3\n--pace\n12.5\n--json",
        "predict\na.png\n--box=1,2,3,4\n--model\nm.onnx",
        "eval\nDIR\n--boxes\nb.csv\n--split\ndev\n--find",
        "--data\nDIR\n--exclude\nm*/[MN]\n--exclude\na\n--freeze\n12\n--folds\nsigners=8",
        "--data\nDIR\n--lr\n1e-3\n--ema\n0.99\n--backbone\nnone\n--preset\nnotebook\n--augment\nrooms",
        "the 100\nhello\r\nÜber\nhelp HE h",
        "[Parsed_showinfo_0 @ 0x5] [info] config in time_base: 1/15360, frame_rate: 30/1\n\
         [Parsed_showinfo_0 @ 0x5] [info] n:   0 pts:   7680 pts_time:0.5 fmt:yuv420p s:160x120 i:P",
    ];
    for (at, line) in lines.iter().enumerate() {
        corpus.put("words", &format!("line-{at}"), line.as_bytes())?;
    }
    Ok(())
}
