//! What each preset says.

use super::values::{Augment, BalanceBy, Freeze, Preset};

/// What a preset says.
pub(super) struct Defaults {
    pub freeze: Freeze,
    pub hidden: Option<usize>,
    pub dropout: f64,
    pub epochs: usize,
    pub size: usize,
    pub lr: f64,
    pub head_lr: f64,
    pub weight_decay: f32,
    pub label_smoothing: f32,
    pub ema: f32,
    pub keep: f32,
    pub warmup: f32,
    pub points_weight: f32,
    pub augment: Augment,
    pub balance: BalanceBy,
    pub surroundings: f32,
    pub gestures: f32,
}

impl Preset {
    pub(super) fn defaults(self) -> Defaults {
        let transfer = Defaults {
            freeze: Freeze::All,
            hidden: None,
            dropout: 0.2,
            epochs: 4,
            size: 160,
            lr: 7.5e-4,
            head_lr: 2.5e-3,
            weight_decay: 0.02,
            label_smoothing: 0.1,
            ema: 0.998,
            keep: 0.0,
            warmup: 0.05,
            points_weight: 0.0,
            augment: Augment::Notebook,
            balance: BalanceBy::Root,
            surroundings: 0.05,
            gestures: 0.0,
        };
        match self {
            Preset::Notebook => Defaults {
                hidden: Some(64),
                dropout: 0.5,
                epochs: 10,
                size: 224,
                lr: 1e-3,
                head_lr: 1e-3,
                weight_decay: 0.0,
                label_smoothing: 0.0,
                ema: 0.0,
                warmup: 0.0,
                balance: BalanceBy::Pictures,
                surroundings: 0.0,
                ..transfer
            },
            Preset::Transfer => transfer,
            Preset::Finetune => Defaults {
                freeze: Freeze::None,
                points_weight: 1.0,
                augment: Augment::Rooms,
                epochs: 12,
                gestures: 0.06,
                ..transfer
            },
            Preset::Adapt => Defaults {
                freeze: Freeze::Lowest(13),
                epochs: 15,
                lr: 2e-4,
                head_lr: 5e-4,
                weight_decay: 0.0,
                ema: 0.95,
                keep: 0.8,
                augment: Augment::Rooms,
                balance: BalanceBy::Signers,
                ..transfer
            },
        }
    }
}
