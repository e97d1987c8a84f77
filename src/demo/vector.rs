//! Three numbers, and rotations of them.

use std::ops::{Add, AddAssign, Mul, Neg, Sub};

/// A place or a direction: x, y, z.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Vec3 {
    /// Towards the right of the picture; in a hand at rest, towards the thumb.
    pub x: f32,
    /// Up; in a hand at rest, towards the fingertips.
    pub y: f32,
    /// Towards the camera; in a hand at rest, the way the palm faces.
    pub z: f32,
}

/// The vector with these parts.
pub const fn vec3(x: f32, y: f32, z: f32) -> Vec3 {
    Vec3 { x, y, z }
}

impl Vec3 {
    /// The scalar product.
    pub fn dot(self, other: Vec3) -> f32 {
        self.x * other.x + self.y * other.y + self.z * other.z
    }

    /// The vector product.
    pub fn cross(self, other: Vec3) -> Vec3 {
        vec3(
            self.y * other.z - self.z * other.y,
            self.z * other.x - self.x * other.z,
            self.x * other.y - self.y * other.x,
        )
    }

    /// Its length.
    pub fn length(self) -> f32 {
        self.dot(self).sqrt()
    }

    /// Its direction, of length 1; the null vector stays as it is.
    pub fn unit(self) -> Vec3 {
        let length = self.length();
        if length > 0.0 {
            self * (1.0 / length)
        } else {
            self
        }
    }

    /// The way from here to `other`, gone to the share `t`.
    pub fn towards(self, other: Vec3, t: f32) -> Vec3 {
        self + (other - self) * t
    }
}

impl Add for Vec3 {
    type Output = Vec3;
    fn add(self, other: Vec3) -> Vec3 {
        vec3(self.x + other.x, self.y + other.y, self.z + other.z)
    }
}

impl AddAssign for Vec3 {
    fn add_assign(&mut self, other: Vec3) {
        *self = *self + other;
    }
}

impl Sub for Vec3 {
    type Output = Vec3;
    fn sub(self, other: Vec3) -> Vec3 {
        vec3(self.x - other.x, self.y - other.y, self.z - other.z)
    }
}

impl Neg for Vec3 {
    type Output = Vec3;
    fn neg(self) -> Vec3 {
        self * -1.0
    }
}

impl Mul<f32> for Vec3 {
    type Output = Vec3;
    fn mul(self, by: f32) -> Vec3 {
        vec3(self.x * by, self.y * by, self.z * by)
    }
}

/// A rotation, as a quaternion of length 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Turn {
    axis: Vec3,
    real: f32,
}

impl Turn {
    /// No rotation.
    pub const NONE: Turn = Turn {
        axis: vec3(0.0, 0.0, 0.0),
        real: 1.0,
    };

    /// By `degrees` about `axis`, counter-clockwise for whom it points at.
    pub fn about(axis: Vec3, degrees: f32) -> Turn {
        let (sin, cos) = (degrees.to_radians() / 2.0).sin_cos();
        Turn {
            axis: axis.unit() * sin,
            real: cos,
        }
    }

    /// The shortest rotation that brings the direction `from` to `to`.
    pub fn between(from: Vec3, to: Vec3) -> Turn {
        let axis = from.cross(to);
        let degrees = axis.length().atan2(from.dot(to)).to_degrees();
        Turn::about(axis, degrees)
    }

    /// This rotation after `first`.
    pub fn after(self, first: Turn) -> Turn {
        Turn {
            axis: first.axis * self.real + self.axis * first.real + self.axis.cross(first.axis),
            real: self.real * first.real - self.axis.dot(first.axis),
        }
    }

    /// The direction or place `v`, rotated.
    pub fn apply(self, v: Vec3) -> Vec3 {
        let across = self.axis.cross(v) * 2.0;
        v + across * self.real + self.axis.cross(across)
    }

    /// The rotation on the shortest way from here to `other`, at the share `t` of it.
    pub fn towards(self, other: Turn, t: f32) -> Turn {
        let near = self.axis.dot(other.axis) + self.real * other.real;
        let sign = if near < 0.0 { -1.0 } else { 1.0 };
        let axis = self.axis.towards(other.axis * sign, t);
        let real = self.real + (other.real * sign - self.real) * t;
        let length = (axis.dot(axis) + real * real).sqrt();
        if length == 0.0 {
            return self;
        }
        Turn {
            axis: axis * (1.0 / length),
            real: real / length,
        }
    }

    /// The images of the three axes.
    pub fn columns(self) -> [Vec3; 3] {
        [
            self.apply(vec3(1.0, 0.0, 0.0)),
            self.apply(vec3(0.0, 1.0, 0.0)),
            self.apply(vec3(0.0, 0.0, 1.0)),
        ]
    }
}

/// A rotation followed by a shift, ready to be applied to many places.
#[derive(Debug, Clone, Copy)]
pub struct Motion {
    columns: [Vec3; 3],
    shift: Vec3,
}

impl Motion {
    /// No motion.
    pub const NONE: Motion = Motion {
        columns: [
            vec3(1.0, 0.0, 0.0),
            vec3(0.0, 1.0, 0.0),
            vec3(0.0, 0.0, 1.0),
        ],
        shift: vec3(0.0, 0.0, 0.0),
    };

    /// Turns about the place `from`, which comes to lie at `to`.
    pub fn new(turn: Turn, from: Vec3, to: Vec3) -> Motion {
        Motion {
            columns: turn.columns(),
            shift: to - turn.apply(from),
        }
    }

    /// The direction `v`, rotated.
    pub fn turn(&self, v: Vec3) -> Vec3 {
        let [x, y, z] = self.columns;
        x * v.x + y * v.y + z * v.z
    }

    /// The place `v`, moved.
    pub fn apply(&self, v: Vec3) -> Vec3 {
        self.turn(v) + self.shift
    }

    /// The mean of motions with weights that sum to 1, as linear blend skinning takes it: no
    /// motion of a solid any more.
    pub fn blend(parts: impl Iterator<Item = (Motion, f32)>) -> Motion {
        let mut sum = Motion {
            columns: [Vec3::default(); 3],
            shift: Vec3::default(),
        };
        for (motion, weight) in parts {
            for (column, add) in sum.columns.iter_mut().zip(motion.columns) {
                *column += add * weight;
            }
            sum.shift += motion.shift * weight;
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_near(a: Vec3, b: Vec3) {
        assert!((a - b).length() < 1e-5, "{a:?} {b:?}");
    }

    #[test]
    fn a_quarter_turn_about_x_brings_up_to_the_front() {
        let turn = Turn::about(vec3(1.0, 0.0, 0.0), 90.0);
        assert_near(turn.apply(vec3(0.0, 1.0, 0.0)), vec3(0.0, 0.0, 1.0));
    }

    #[test]
    fn turns_follow_each_other_in_the_order_named() {
        let x = Turn::about(vec3(1.0, 0.0, 0.0), 90.0);
        let z = Turn::about(vec3(0.0, 0.0, 1.0), 90.0);
        let v = vec3(0.3, -0.5, 0.8);
        assert_near(z.after(x).apply(v), z.apply(x.apply(v)));
    }

    #[test]
    fn halfway_between_two_turns_is_half_the_angle() {
        let axis = vec3(0.2, 1.0, -0.4);
        let (from, to) = (Turn::about(axis, 20.0), Turn::about(axis, 80.0));
        let v = vec3(1.0, 0.0, 0.5);
        let half = Turn::about(axis, 50.0).apply(v);
        assert_near(from.towards(to, 0.5).apply(v), half);
    }

    #[test]
    fn the_turn_between_two_directions_brings_one_to_the_other() {
        let (from, to) = (vec3(0.0, -1.0, 0.0), vec3(0.6, 0.0, -0.8));
        assert_near(Turn::between(from, to).apply(from), to);
    }
}
