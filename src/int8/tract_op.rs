//! A lowered network as an operator of tract, for programs that run tract models.

use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::*;

use super::Network;

/// All of a network as one operator: a normalised picture in, f32 `[1, 3, height, width]`, its results out.
///
/// Between its layers nothing is a tract tensor: the maps stay u8 in buffers reserved beforehand, which a node of its
/// own for each layer, whose results tract would allocate anew each time, could not do.
#[derive(Debug, Clone)]
struct Int8Network(Network);

impl PartialEq for Int8Network {
    /// Networks are big and come from different files: none is taken for another.
    fn eq(&self, _other: &Self) -> bool {
        false
    }
}

impl Eq for Int8Network {}

/// The buffers of a plan that runs the operator.
#[derive(Debug, Clone)]
struct Int8State(Network);

impl Op for Int8Network {
    fn name(&self) -> StaticName {
        "Int8Network".into()
    }

    fn info(&self) -> TractResult<Vec<String>> {
        Ok(self
            .0
            .layers()
            .iter()
            .map(|layer| format!("{} ({})", layer.shape, layer.name))
            .collect())
    }

    op_as_typed_op!();
}

impl EvalOp for Int8Network {
    not_out_of_plan!();

    fn state(&self, _context: &EvalContext) -> TractResult<Option<Box<dyn OpState>>> {
        Ok(Some(Box::new(Int8State(self.0.clone()))))
    }
}

impl TypedOp for Int8Network {
    fn output_facts(&self, _inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        Ok(self
            .0
            .outputs()
            .iter()
            .map(|output| f32::fact(&*output.shape))
            .collect())
    }

    as_op!();
}

impl OpState for Int8State {
    fn eval(
        &mut self,
        _context: &EvalContext,
        _op: &dyn Op,
        inputs: TVec<TValue>,
    ) -> TractResult<TVec<TValue>> {
        let picture = inputs[0].to_plain_array_view::<f32>()?;
        let planes = picture
            .as_slice()
            .context("the picture's values don't lie in order")?;
        self.0.run_planes(planes)?;
        let outputs = self.0.outputs().iter();
        outputs
            .map(|output| Ok(Tensor::from_shape(&output.shape, output.values())?.into_tvalue()))
            .collect()
    }

    fn reset_lanes(&mut self, _lanes: &[LaneId]) -> TractResult<()> {
        Ok(())
    }
}

impl Network {
    /// The network as a tract model with the inputs and outputs of the ONNX file it was lowered from.
    ///
    /// # Errors
    ///
    /// Where tract doesn't accept the model.
    pub fn into_tract(self) -> TractResult<TypedModel> {
        let [height, width] = self.size();
        let names: Vec<String> = self
            .outputs()
            .iter()
            .map(|output| output.name.clone())
            .collect();
        let mut model = TypedModel::default();
        let image = model.add_source("image", f32::fact([1, 3, height, width]))?;
        let outlets = model.wire_node("int8", Int8Network(self), &[image])?;
        model.select_output_outlets(&outlets)?;
        for (outlet, name) in outlets.into_iter().zip(names) {
            model.set_outlet_label(outlet, name)?;
        }
        Ok(model)
    }
}
