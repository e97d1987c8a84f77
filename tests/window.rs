//! The window, on a display that exists only in memory.
#![cfg(all(target_os = "linux", feature = "window"))]

mod common;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use common::colour_model;
use image::{Rgb, RgbImage};
use x11rb::connection::Connection;
use x11rb::protocol::xproto::{
    ConnectionExt, EventMask, ImageFormat, KEY_PRESS_EVENT, KeyButMask, KeyPressEvent, MapState,
    Window,
};
use x11rb::rust_connection::RustConnection;
use x11rb::wrapper::ConnectionExt as _;

/// Nothing here takes so long, unless what is tested is broken.
const FOR_EVER: Duration = Duration::from_secs(60);

/// The code of a key, in the row of letters.
const KEY: u8 = 24;

/// Calls until there is an answer.
#[track_caller]
fn wait_for<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(began.elapsed() < FOR_EVER, "{what} did not come");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A display without a window manager, which no program uses yet.
struct Server {
    process: Child,
    name: String,
}

impl Server {
    /// A display of this size; `None`, with the reason printed, where there is no Xvfb.
    fn new(width: u16, height: u16) -> Option<Self> {
        let server = Command::new("Xvfb")
            .args(["-displayfd", "1", "-nolisten", "tcp", "-screen", "0"])
            .arg(format!("{width}x{height}x24"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let Ok(mut process) = server else {
            eprintln!("skipped: Xvfb is not on the PATH");
            return None;
        };
        let mut number = String::new();
        let mut said = BufReader::new(process.stdout.take().unwrap());
        said.read_line(&mut number).unwrap();
        let name = format!(":{}", number.trim());
        Some(Server { process, name })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only for a server that has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A display that is looked at.
struct Display {
    connection: RustConnection,
    server: Server,
}

impl Display {
    /// A display of this size; `None`, with the reason printed, where there is no Xvfb.
    fn new(width: u16, height: u16) -> Option<Self> {
        Server::new(width, height).map(Self::of)
    }

    fn of(server: Server) -> Self {
        let (connection, _) = x11rb::connect(Some(&server.name)).unwrap();
        Display { connection, server }
    }

    fn root(&self) -> Window {
        self.connection.setup().roots[0].root
    }

    /// The program's window once it is shown.
    fn window(&self) -> Window {
        wait_for("the window", || {
            let tree = self.connection.query_tree(self.root()).unwrap();
            tree.reply().unwrap().children.into_iter().find(|&window| {
                let about = self.connection.get_window_attributes(window).unwrap();
                about
                    .reply()
                    .is_ok_and(|about| about.map_state == MapState::VIEWABLE)
            })
        })
    }

    /// The colours in the corners of what the display shows within a window, each some pixels from
    /// its edges: red, green and blue.
    fn corners(&self, (x, y): (i16, i16), (width, height): (u16, u16)) -> [[u8; 3]; 4] {
        let near = 12;
        let (right, bottom) = (x + width as i16 - near, y + height as i16 - near);
        let places = [
            (x + near, y + near),
            (right, y + near),
            (x + near, bottom),
            (right, bottom),
        ];
        places.map(|(x, y)| {
            let root = self.root();
            let image = self
                .connection
                .get_image(ImageFormat::Z_PIXMAP, root, x, y, 1, 1, !0);
            let data = image.unwrap().reply().unwrap().data;
            [data[2], data[1], data[0]]
        })
    }
}

/// The program in its window.
struct Shown(Child);

impl Shown {
    fn start(server: &Server, folder: &Path, picture: &RgbImage) -> Self {
        picture.save(folder.join("picture.png")).unwrap();
        let program = Command::new(env!("CARGO_BIN_EXE_signcam"))
            .arg("--source")
            .arg(folder.join("picture.png"))
            .arg("--model")
            .arg(colour_model(folder))
            .args(["--box", "0.3,0.3,0.4,0.4"])
            .env("DISPLAY", &server.name)
            .env_remove("WAYLAND_DISPLAY")
            .env_remove("SIGNCAM_LOG")
            .env("LC_ALL", "C.UTF-8")
            .stdout(Stdio::null())
            .spawn();
        Shown(program.unwrap())
    }

    fn end(&mut self) -> Option<ExitStatus> {
        self.0.try_wait().unwrap()
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

const CORNERS: [[u8; 3]; 4] = [[250, 20, 20], [20, 250, 20], [20, 20, 250], [250, 250, 20]];

/// A picture as a camera of `width` x `height` pixels delivers it, each corner of another colour.
fn coloured(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let (near_x, near_y) = (width / 12, height / 12);
        let at_right = x >= width - near_x;
        let at_bottom = y >= height - near_y;
        let in_corner = (at_right || x < near_x) && (at_bottom || y < near_y);
        Rgb(match in_corner {
            true => CORNERS[usize::from(at_bottom) * 2 + usize::from(at_right)],
            false => [90; 3],
        })
    })
}

/// Which of red, green and blue are bright; letters and text may lie on darkened glass before it.
fn hue(colour: [u8; 3]) -> [bool; 3] {
    let brightest = colour.into_iter().max().unwrap_or_default();
    colour.map(|level| brightest > 40 && level > brightest / 2)
}

#[test]
fn a_picture_larger_than_the_display_is_shown_whole() {
    for (width, height) in [(1366, 768), (640, 400)] {
        let Some(display) = Display::new(width, height) else {
            return;
        };
        let folder = tempfile::tempdir().unwrap();
        let _shown = Shown::start(&display.server, folder.path(), &coloured(1920, 1080));
        let window = display.window();
        let place = display.connection.get_geometry(window).unwrap();
        let place = place.reply().unwrap();
        let (x, y) = (place.x, place.y);
        let size = (place.width, place.height);
        assert!(
            x >= 0 && y >= 0 && x as u16 + size.0 <= width && y as u16 + size.1 <= height,
            "{size:?} at {x}, {y} on {width}x{height}"
        );
        // The picture's sides, 16 to 9, and nothing cut away.
        let sides = f64::from(size.0) / f64::from(size.1);
        assert!((sides - 16.0 / 9.0).abs() < 0.02, "{size:?}");
        // Seen as in a mirror.
        let seen = [CORNERS[1], CORNERS[0], CORNERS[3], CORNERS[2]];
        wait_for("the whole picture", || {
            (display.corners((x, y), size).map(hue) == seen.map(hue)).then_some(())
        });
    }
}

#[test]
fn a_window_opens_on_a_display_that_no_other_program_uses() {
    let Some(server) = Server::new(640, 480) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let mut shown = Shown::start(&server, folder.path(), &coloured(320, 240));
    // Whoever looked at the display now would be another program that uses it.
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(shown.end(), None, "the program has ended");
    Display::of(server).window();
}

/// What the key types that is q on a Latin keyboard: a Russian and an Arabic letter, as the X server
/// names them.
const ON_THE_KEY_OF_Q: [(&str, u32); 2] = [("й", 0x6ca), ("ض", 0x5d6)];

#[test]
fn the_key_that_quits_does_so_on_keyboards_of_other_scripts() {
    for (letter, symbol) in ON_THE_KEY_OF_Q {
        let Some(display) = Display::new(640, 480) else {
            return;
        };
        let server = &display.connection;
        server
            .change_keyboard_mapping(1, KEY, 2, &[symbol, symbol])
            .unwrap();
        server.sync().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mut shown = Shown::start(&display.server, folder.path(), &coloured(320, 240));
        let window = display.window();
        let press = KeyPressEvent {
            response_type: KEY_PRESS_EVENT,
            detail: KEY,
            sequence: 0,
            time: 0,
            root: display.root(),
            event: window,
            child: x11rb::NONE,
            root_x: 0,
            root_y: 0,
            event_x: 0,
            event_y: 0,
            state: KeyButMask::default(),
            same_screen: true,
        };
        let status = wait_for(&format!("the end after {letter}"), || {
            // Again, where the program did not listen yet. A window that is gone hears nothing.
            let _ = server.send_event(false, window, EventMask::KEY_PRESS, press);
            let _ = server.flush();
            shown.end()
        });
        assert!(status.success(), "{letter}: {status}");
    }
}
