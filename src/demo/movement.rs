//! The two letters that are movements.

use super::vector::{Turn, Vec3, vec3};

/// How the hand moves while it signs a letter, from its pose.
#[derive(Debug, Clone, PartialEq)]
pub struct Movement {
    /// Stations of the wrist in metres, and how the hand is turned there: about its own length to
    /// the palm's back, and counter-clockwise on the picture, in degrees.
    stations: &'static [(Vec3, f32, f32)],
    /// How long it takes, in seconds.
    pub seconds: f32,
    /// Whether the hand rounds the stations or turns sharply there.
    rounded: bool,
}

/// The little finger draws a J: down, and in a hook to the signer's left, while the forearm turns
/// the palm to the signer.
const J: [(Vec3, f32, f32); 7] = [
    (vec3(0.0, 0.0, 0.0), 0.0, 0.0),
    (vec3(0.0, -0.045, 0.005), 0.0, 0.0),
    (vec3(0.0, -0.090, 0.010), 5.0, 0.0),
    (vec3(0.002, -0.122, 0.015), 30.0, -2.0),
    (vec3(0.012, -0.132, 0.015), 65.0, -7.0),
    (vec3(0.026, -0.120, 0.010), 100.0, -14.0),
    (vec3(0.038, -0.096, 0.005), 120.0, -20.0),
];

/// The index finger draws a Z that the signer reads the right way around.
const Z: [(Vec3, f32, f32); 4] = [
    (vec3(0.0, 0.0, 0.0), 0.0, -6.0),
    (vec3(-0.11, 0.0, 0.0), 0.0, 10.0),
    (vec3(0.0, -0.095, 0.005), 0.0, -6.0),
    (vec3(-0.11, -0.095, 0.0), 0.0, 10.0),
];

impl Movement {
    /// The movement of a right hand that `letter` is signed with; `None` where it is held still.
    pub fn of(letter: &str) -> Option<Movement> {
        match letter {
            "J" => Some(Movement {
                stations: &J,
                seconds: 0.9,
                rounded: true,
            }),
            "Z" => Some(Movement {
                stations: &Z,
                seconds: 1.1,
                rounded: false,
            }),
            _ => None,
        }
    }

    /// Where the movement starts so that its middle is where a still hand would be, in metres.
    pub fn start(&self) -> Vec3 {
        let sum = self
            .stations
            .iter()
            .fold(Vec3::default(), |sum, at| sum + at.0);
        sum * (-1.0 / self.stations.len() as f32)
    }

    /// Where the wrist has gone in metres, and how the whole hand has turned, at the share `t` of
    /// the time.
    pub fn at(&self, t: f32) -> (Vec3, Turn) {
        let last = self.stations.len() - 1;
        let eased = |t: f32| t * t * (3.0 - 2.0 * t);
        let t = t.clamp(0.0, 1.0);
        let along = if self.rounded { eased(t) } else { t } * last as f32;
        let from = (along as usize).min(last - 1);
        let share = along - from as f32;
        let share = if self.rounded { share } else { eased(share) };
        let (a, b) = (&self.stations[from], &self.stations[from + 1]);
        let mix = |a: f32, b: f32| a + (b - a) * share;
        let yaw = Turn::about(vec3(0.0, 1.0, 0.0), mix(a.1, b.1));
        let roll = Turn::about(vec3(0.0, 0.0, 1.0), mix(a.2, b.2));
        (a.0.towards(b.0, share), roll.after(yaw))
    }
}
