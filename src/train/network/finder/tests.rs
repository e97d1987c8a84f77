use super::*;

fn output(heat: Vec<f32>, reach: Vec<f32>, cells: usize, device: &Device) -> Output {
    let images = heat.len() / (cells * cells);
    let tensor = |values, channels| {
        let shape = [images, cells, cells, channels];
        Tensor::<4>::from_data(TensorData::new(values, shape), device)
    };
    Output {
        heat: tensor(heat, 1),
        reach: tensor(reach, 4),
    }
}

fn loss_of(hot: usize, reach: f32, target: Target) -> f32 {
    let device = Device::flex();
    let mut heat = vec![-8.0; 16];
    heat[hot] = 8.0;
    let output = output(heat, vec![reach; 64], 4, &device);
    loss(output, &[target], &device).into_scalar::<f32>()
}

/// In the cell in the second row and column of four by four.
const HAND: Target = Target::Hand(Rect {
    x0: 0.125,
    y0: 0.125,
    x1: 0.625,
    y1: 0.625,
});

#[test]
fn the_right_cell_and_box_cost_next_to_nothing() {
    assert!(loss_of(5, REACH / 4.0, HAND) < 0.3);
}

#[test]
fn a_wrong_cell_a_wrong_box_and_a_box_where_nothing_is_cost_more() {
    let right = loss_of(5, REACH / 4.0, HAND);
    assert!(loss_of(15, REACH / 4.0, HAND) > right + 5.0);
    assert!(loss_of(5, REACH / 16.0, HAND) > right + 0.5);
    assert!(loss_of(5, REACH / 4.0, Target::Nothing) > right + 5.0);
}

#[test]
fn what_is_unclear_costs_nothing() {
    assert!(loss_of(5, REACH / 4.0, Target::Unclear).abs() < 1e-6);
}

#[test]
fn the_enlarged_map_repeats_each_pixel() {
    let device = Device::flex();
    let x = Tensor::<4>::from_data(
        TensorData::new((0..8).map(|v| v as f32).collect(), [1, 2, 2, 2]),
        &device,
    );
    let up = upsampled(x);
    assert_eq!(up.dims(), [1, 4, 4, 2]);
    let row = [0.0, 1.0, 0.0, 1.0, 2.0, 3.0, 2.0, 3.0];
    assert_eq!(values(up).unwrap()[..16], [row, row].concat());
}
