//! A screen that nobody sees.

use anyhow::Result;

use super::screen::{Action, Screen};

/// Takes pictures and shows them nowhere: for measuring, and for machines without a display.
#[derive(Debug, Clone, Copy, Default)]
pub struct NullScreen;

impl Screen for NullScreen {
    fn show(&mut self, _: &[u32], _: usize, _: usize) -> Result<()> {
        Ok(())
    }

    fn actions(&mut self) -> Vec<Action> {
        Vec::new()
    }
}
