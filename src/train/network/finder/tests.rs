use super::*;

const CELLS: usize = 8;

/// In the cell in the third row and fourth column of eight by eight, a quarter of the picture wide and high.
const HAND: Rect = Rect {
    x0: 0.3125,
    y0: 0.1875,
    x1: 0.5625,
    y1: 0.4375,
};

const HANDS_CELL: usize = 2 * CELLS + 3;

fn showing(hands: &[Rect]) -> Target {
    Target {
        hands: hands.to_vec(),
        ..Target::default()
    }
}

/// A hand as large as [`HAND`] in this row and column.
fn at(row: usize, column: usize) -> Rect {
    let [x, y] = centre(row * CELLS + column, CELLS);
    Rect {
        x0: x - 0.125,
        y0: y - 0.125,
        x1: x + 0.125,
        y1: y + 0.125,
    }
}

/// The loss of a network that sees hands of `side` in the cells `hot` only, each in its cell's middle.
fn loss_of(hot: &[usize], side: f32, target: Target) -> f32 {
    let device = Device::flex();
    let mut heat = vec![-8.0; CELLS * CELLS];
    for &cell in hot {
        heat[cell] = 8.0;
    }
    let size = UNITS + (side / LARGEST).log2();
    let place = [OFFSET, OFFSET, size, size].repeat(CELLS * CELLS);
    let tensor = |values, channels| {
        let shape = [1, CELLS, CELLS, channels];
        Tensor::<4>::from_data(TensorData::new(values, shape), &device)
    };
    let output = Output {
        heat: tensor(heat, 1),
        place: tensor(place, 4),
    };
    loss(output, &[target], &device).into_scalar::<f32>()
}

#[test]
fn the_right_cell_and_box_cost_less_than_a_wrong_cell_a_wrong_size_and_a_box_where_nothing_is() {
    let right = loss_of(&[HANDS_CELL], 0.25, showing(&[HAND]));
    assert!(loss_of(&[CELLS * CELLS - 1], 0.25, showing(&[HAND])) > right + 5.0);
    assert!(loss_of(&[HANDS_CELL], 0.1, showing(&[HAND])) > right + 1.0);
    assert!(loss_of(&[HANDS_CELL], 0.25, Target::default()) > right + 5.0);
}

#[test]
fn a_second_hand_may_be_found_or_not_and_a_resting_one_less_than_the_one_that_signs() {
    let (first, other) = (at(2, 3), at(6, 5));
    let cell = 6 * CELLS + 5;
    let unclear = Target {
        unclear: vec![other],
        ..showing(&[first])
    };
    let [one, both] =
        [vec![HANDS_CELL], vec![HANDS_CELL, cell]].map(|hot| loss_of(&hot, 0.25, unclear.clone()));
    assert!((one - both).abs() < 1e-3, "{one} {both}");
    let resting = Target {
        resting: vec![other],
        ..showing(&[first])
    };
    let [one, both] =
        [vec![HANDS_CELL], vec![HANDS_CELL, cell]].map(|hot| loss_of(&hot, 0.25, resting.clone()));
    assert!(both > one + 2.0, "{one} {both}");
}

#[test]
fn a_picture_of_which_nothing_is_known_costs_nothing() {
    let target = Target {
        unclear: vec![Rect::FULL],
        ..Target::default()
    };
    assert!(loss_of(&[HANDS_CELL], 0.25, target).abs() < 1e-6);
}

/// What training takes for a cell's box and what the program reads from the same numbers.
#[test]
fn training_and_the_program_see_the_same_box_in_the_same_numbers() {
    let device = Device::flex();
    let mut place = vec![0.0; 4 * CELLS * CELLS];
    let mut heat = vec![-9.0; CELLS * CELLS];
    let (cell, numbers) = (5 * CELLS + 6, [2.1, 4.4, 3.2, 3.9]);
    heat[cell] = 3.0;
    for (which, number) in numbers.into_iter().enumerate() {
        place[which * CELLS * CELLS + cell] = number;
    }
    let read = crate::recognize::finder::decode(&heat, &place, CELLS, None).hand;
    let channels_last = (0..4 * CELLS * CELLS).map(|at| place[at % 4 * CELLS * CELLS + at / 4]);
    let tensor = Tensor::<4>::from_data(
        TensorData::new(channels_last.collect::<Vec<f32>>(), [1, CELLS, CELLS, 4]),
        &device,
    );
    let seen = values(edges(tensor, CELLS, &device)).unwrap();
    let read = [read.x0, read.y0, read.x1, read.y1];
    for (seen, read) in seen[4 * cell..4 * cell + 4].iter().zip(read) {
        assert!((seen - read).abs() < 1e-5, "{seen} {read}");
    }
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
