//! The networks, for the deep-learning framework.
//!
//! - [`kernels`], [`block`]: the networks' building block with its own backward pass.
//! - [`mobilenet`], [`letter`], [`points`]: the backbone, the network that names letters, and its
//!   layers for the hand's joints.
//! - [`finder`]: the network that finds hands; [`sequence`]: the one that reads sequences,
//!   and [`ctc`] its loss.

pub mod block;
pub mod ctc;
pub mod finder;
pub mod kernels;
pub mod letter;
mod linear;
pub mod mobilenet;
pub mod points;
pub mod sequence;

/// A tensor's values in row-major order.
///
/// # Errors
/// When they cannot be read from the device.
pub(super) fn values<const D: usize>(tensor: burn::tensor::Tensor<D>) -> anyhow::Result<Vec<f32>> {
    tensor
        .into_data()
        .try_into_vec::<f32>()
        .map_err(|error| anyhow::anyhow!("cannot read a tensor from its device: {error:?}"))
}
