//! Whether a confidence of 0.8 means that eight in ten are right.

/// Bins of equal width between 0 and 1.
const BINS: usize = 10;

/// Confidences with what became of them.
#[derive(Debug, Default)]
pub(super) struct Calibration {
    bins: [Bin; BINS],
}

#[derive(Debug, Default, Clone, Copy)]
struct Bin {
    count: usize,
    right: usize,
    confidence: f64,
}

impl Calibration {
    /// Counts a label that was read with this confidence.
    pub(super) fn count(&mut self, confidence: f32, right: bool) {
        let bin = &mut self.bins[((confidence * BINS as f32) as usize).min(BINS - 1)];
        bin.count += 1;
        bin.right += usize::from(right);
        bin.confidence += f64::from(confidence);
    }

    /// The expected calibration error (Naeini et al. 2015): the distance between mean confidence
    /// and accuracy in each bin, weighted by how many fall into it; 0 to 1. `None` of nothing.
    pub(super) fn expected_error(&self) -> Option<f64> {
        let count: usize = self.bins.iter().map(|bin| bin.count).sum();
        let apart = |bin: &Bin| (bin.confidence - bin.right as f64).abs();
        (count > 0).then(|| self.bins.iter().map(apart).sum::<f64>() / count as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn confidence_that_keeps_its_word_has_no_error() {
        let mut calibration = Calibration::default();
        assert_eq!(calibration.expected_error(), None);
        for at in 0..20 {
            calibration.count(0.75, at % 4 != 0);
        }
        let error = calibration.expected_error().unwrap();
        assert!(error < 1e-6, "{error}");
    }

    #[test]
    fn boasting_and_doubting_do_not_make_up_for_each_other() {
        let mut calibration = Calibration::default();
        for at in 0..10 {
            calibration.count(1.0, at % 2 == 0);
            calibration.count(0.55, true);
        }
        let error = calibration.expected_error().unwrap();
        assert!((error - 0.475).abs() < 1e-6, "{error}");
    }
}
