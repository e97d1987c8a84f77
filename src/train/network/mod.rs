//! The networks, for the deep-learning framework.
//!
//! - [`kernels`], [`block`]: the networks' building block with its own backward pass.
//! - [`mobilenet`], [`letter`]: the backbone, and the network that names letters.
//! - [`finder`]: the network that finds hands.

pub mod block;
pub mod finder;
pub mod kernels;
pub mod letter;
pub mod mobilenet;

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
