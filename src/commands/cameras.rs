//! `signcam cameras`: what cameras there are, what they deliver, and what would be chosen.

use std::fmt::Write as _;

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use crate::source::camera::{Listing, list};

/// What `signcam cameras` takes.
#[derive(Debug, Args)]
pub struct CamerasArgs {
    /// Print JSON: an array with an object for each camera
    #[arg(long)]
    pub json: bool,
}

/// A camera, as `--json` prints it.
#[derive(Debug, Serialize)]
struct Row<'a> {
    /// What to give as `--source`.
    source: String,
    #[serde(flatten)]
    camera: &'a Listing,
    /// Whether it is the one that is tried first.
    default: bool,
}

/// Lists the cameras and returns what is to be printed. None of them is switched on.
///
/// # Errors
/// When the operating system does not tell, or does not let this program use cameras.
pub fn cameras(args: &CamerasArgs) -> Result<String> {
    render(&list()?, args.json)
}

fn render(cameras: &[Listing], json: bool) -> Result<String> {
    let default = cameras.iter().position(|camera| !camera.formats.is_empty());
    let rows = cameras.iter().enumerate().map(|(at, camera)| Row {
        source: format!("cam:{}", camera.device.index),
        camera,
        default: default == Some(at),
    });
    if json {
        return Ok(serde_json::to_string_pretty(&rows.collect::<Vec<_>>())? + "\n");
    }
    if cameras.is_empty() {
        return Ok("no camera found\n".into());
    }
    Ok(rows.map(|row| block(&row)).collect())
}

fn block(row: &Row<'_>) -> String {
    let mut text = format!("{}  {}", row.source, row.camera.device.name);
    if row.default {
        text.push_str("  (the default)");
    }
    text.push('\n');
    for (at, format) in row.camera.formats.iter().enumerate() {
        let mark = if at == 0 { '*' } else { ' ' };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {mark} {format}");
    }
    match &row.camera.error {
        Some(error) => {
            let _ = writeln!(text, "    {error}");
        }
        None if row.camera.formats.is_empty() => {
            text.push_str("    no picture format that signcam can read\n");
        }
        None => {}
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::camera::{Device, Encoding, Format};

    fn camera(index: u32, formats: &[u32], error: Option<&str>) -> Listing {
        let format = |fps: &u32| Format {
            encoding: Encoding::Yuyv,
            width: 640,
            height: 480,
            fps: f64::from(*fps),
        };
        Listing {
            device: Device {
                index,
                name: format!("Camera {index}"),
            },
            formats: formats.iter().map(format).collect(),
            error: error.map(Into::into),
        }
    }

    #[test]
    fn the_table_marks_the_default_camera_and_the_format_that_is_tried_first() {
        let cameras = [
            camera(0, &[], Some("no permission")),
            camera(2, &[30, 15], None),
            camera(3, &[], None),
        ];
        assert_eq!(
            render(&cameras, false).unwrap(),
            "cam:0  Camera 0\n    no permission\n\
             cam:2  Camera 2  (the default)\n  * YUYV 640x480 at 30 fps\n    YUYV 640x480 at 15 fps\n\
             cam:3  Camera 3\n    no picture format that signcam can read\n"
        );
    }

    #[test]
    fn json_says_the_same() {
        let json = render(&[camera(2, &[30], None)], true).unwrap();
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        let camera = &json[0];
        assert_eq!(camera["source"], "cam:2");
        assert_eq!(camera["name"], "Camera 2");
        assert_eq!(camera["default"], true);
        assert_eq!(camera["formats"][0]["encoding"], "yuyv");
        assert_eq!(camera["formats"][0]["fps"], 30.0);
        assert!(camera["error"].is_null());
        assert_eq!(render(&[], true).unwrap(), "[]\n");
    }
}
