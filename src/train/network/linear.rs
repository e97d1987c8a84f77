//! Linear layers between the framework and network files.

use anyhow::{Result, ensure};
use burn::module::Param;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor, TensorData};

use super::values;
use crate::train::file::graph::Dense;

/// A framework's linear layer, whose weight is inputs x outputs, times `scale`.
pub(super) fn dense(layer: &Linear, scale: f32) -> Result<Dense> {
    let [inputs, outputs] = layer.weight.shape().dims();
    let scaled = |values: Vec<f32>| values.into_iter().map(|value| value * scale).collect();
    let weight = scaled(values(layer.weight.val().swap_dims(0, 1))?);
    let dense = Dense::new(outputs, inputs, weight);
    Ok(match &layer.bias {
        None => dense,
        Some(bias) => dense.bias(scaled(values(bias.val())?)),
    })
}

/// A linear layer of the size of `layer` with these weights, outputs x inputs, and biases.
pub(super) fn restored(
    layer: &Linear,
    (weight, bias): (Vec<f32>, Vec<f32>),
    device: &Device,
) -> Result<Linear> {
    let [inputs, outputs] = layer.weight.shape().dims();
    ensure!(
        weight.len() == inputs * outputs && bias.len() == outputs,
        "{} weights and {} biases cannot be those of {outputs} x {inputs}",
        weight.len(),
        bias.len()
    );
    let weight = Tensor::<2>::from_data(TensorData::new(weight, [outputs, inputs]), device);
    let bias = Tensor::<1>::from_data(TensorData::new(bias, [outputs]), device);
    let mut linear = LinearConfig::new(inputs, outputs).init(device);
    linear.weight = Param::from_tensor(weight.swap_dims(0, 1));
    linear.bias = Some(Param::from_tensor(bias));
    Ok(linear)
}
