//! Matrix products on slices: a checked door to the `gemm` crate.
#![allow(unsafe_code)]

/// A matrix that lies in a slice: element (row, column) is at `row * row_stride + column * column_stride`.
#[derive(Clone, Copy)]
pub struct Matrix<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// A row-major matrix of `columns` columns over the whole slice.
    pub fn new(values: &'a [f32], columns: usize) -> Self {
        assert_eq!(values.len() % columns, 0, "the last row is not whole");
        Matrix {
            values,
            rows: values.len() / columns,
            columns,
            row_stride: columns,
            column_stride: 1,
        }
    }

    /// The same values, rows and columns exchanged.
    pub fn transposed(self) -> Self {
        Matrix {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }
}

/// `out = left * right` where `add` is false, `out += left * right` where it is true; `out` is
/// row-major, as many rows as `left` and columns as `right`. One thread.
///
/// # Panics
/// When the three sizes do not fit together.
pub fn multiply(out: &mut [f32], left: Matrix, right: Matrix, add: bool) {
    assert_eq!(left.columns, right.rows, "inner sizes differ");
    assert_eq!(out.len(), left.rows * right.columns, "output size differs");
    for matrix in [&left, &right] {
        assert_eq!(matrix.values.len(), matrix.rows * matrix.columns);
    }
    // SAFETY: `out` holds rows x columns elements at strides (columns, 1); `left` and `right`
    // hold exactly rows x columns elements at strides that are (columns, 1) or its transpose, so
    // that every address computed lies inside its slice. `out` is borrowed exclusively and so
    // overlaps neither.
    unsafe {
        gemm::gemm(
            left.rows,
            right.columns,
            left.columns,
            out.as_mut_ptr(),
            1,
            right.columns as isize,
            add,
            left.values.as_ptr(),
            left.column_stride as isize,
            left.row_stride as isize,
            right.values.as_ptr(),
            right.column_stride as isize,
            right.row_stride as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_with_and_without_transposition_agree_with_the_definition() {
        let a: Vec<f32> = (0..12).map(|v| v as f32 - 5.0).collect(); // 4 x 3
        let b: Vec<f32> = (0..6).map(|v| (v * v) as f32).collect(); // 3 x 2 or its transpose, 2 x 3
        let mut out = vec![1.0; 8];
        multiply(&mut out, Matrix::new(&a, 3), Matrix::new(&b, 2), false);
        let mut flipped = vec![1.0; 8];
        multiply(
            &mut flipped,
            Matrix::new(&a, 3),
            Matrix::new(&b, 3).transposed(),
            true,
        );
        for row in 0..4 {
            for column in 0..2 {
                let sum = |at: &dyn Fn(usize) -> f32| -> f32 {
                    (0..3).map(|k| a[row * 3 + k] * at(k)).sum()
                };
                assert_eq!(out[row * 2 + column], sum(&|k| b[k * 2 + column]));
                assert_eq!(flipped[row * 2 + column], 1.0 + sum(&|k| b[column * 3 + k]));
            }
        }
    }
}
