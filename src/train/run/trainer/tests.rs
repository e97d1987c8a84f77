use super::*;
use crate::train::data::loader::seeded;
use crate::train::network::block::Mode;
use crate::train::network::letter::{HeadOptions, LetterNet};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::tensor::{Int, TensorData};
use rand::RngExt;

fn trainer(device: &Device) -> Trainer<LetterNet> {
    let head = HeadOptions {
        hidden: None,
        dropout: 0.0,
        points: false,
    };
    let net = LetterNet::new(3, head, device);
    let backbone = ids(&net.backbone);
    let options = TrainerOptions {
        schedule: Schedule {
            steps: 20,
            warmup: 2,
            backbone: 3e-4,
            head: 3e-3,
        },
        weight_decay: 0.01,
        average: 0.9,
        keep: 0.0,
    };
    Trainer::new(net, backbone, options)
}

fn steps(trainer: &mut Trainer<LetterNet>, count: usize, device: &Device) -> Vec<f32> {
    (0..count)
        .map(|_| {
            // Of its own: the device's random numbers are drawn by other tests, too.
            let mut rng = seeded(trainer.steps_done() as u64, 0);
            let noise: Vec<f32> = (0..6 * 32 * 32 * 3)
                .map(|_| rng.random_range(-1.0..1.0))
                .collect();
            let noise = Tensor::<4>::from_data(TensorData::new(noise, [6, 32, 32, 3]), device);
            let targets = Tensor::<1, Int>::from_data([0, 1, 2, 0, 1, 2], device);
            let shade = Tensor::<1>::from_data([-1., 0., 1., -1., 0., 1.], device);
            let images = noise * 0.2 + shade.reshape([6, 1, 1, 1]);
            let output = trainer.net().forward(images, Mode::Train, 0);
            let loss = CrossEntropyLossConfig::new()
                .init(device)
                .forward(output.logits, targets);
            let value = loss.clone().into_scalar();
            trainer.step(loss);
            value
        })
        .collect()
}

#[test]
fn a_resumed_run_takes_the_very_same_steps() {
    let device = Device::flex().autodiff();
    device.seed(2);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint");
    let mut first = trainer(&device);
    steps(&mut first, 2, &device);
    first.save(&path).unwrap();
    let losses = steps(&mut first, 2, &device);
    device.seed(77);
    let mut second = trainer(&device).resume(&path).unwrap();
    assert_eq!(steps(&mut second, 2, &device), losses);
    let same = collect(&first.averaged()) == collect(&second.averaged());
    assert!(same, "the averaged weights differ");
}

#[test]
fn blended_weights_are_the_mean_of_the_runs() {
    let device = Device::flex().autodiff();
    device.seed(5);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint");
    let other = trainer(&device);
    other.save(&path).unwrap();
    let own = trainer(&device);
    let blend = collect(&own.blended(std::slice::from_ref(&path)).unwrap());
    let means = collect(&own.averaged()).concat();
    let means = means.iter().zip(collect(&other.averaged()).concat());
    for ((own, other), blend) in means.zip(blend.concat()) {
        assert!((f32::midpoint(*own, other) - blend).abs() < 1e-6);
    }
    fs::write(path.join(AVERAGE), [0; 12]).unwrap();
    let error = format!("{:#}", own.blended(&[path]).unwrap_err());
    assert!(error.contains("12 bytes"), "{error}");
}

#[test]
fn what_is_kept_of_the_start_lies_between_it_and_what_was_learned() {
    let device = Device::flex().autodiff();
    device.seed(6);
    let mut trainer = trainer(&device);
    let start = collect(&trainer.averaged());
    trainer.start.clone_from(&start);
    steps(&mut trainer, 3, &device);
    let learned = collect(&trainer.averaged()).concat();
    trainer.options.keep = 0.75;
    let between = collect(&trainer.averaged()).concat();
    assert!(learned != start.concat(), "nothing was learned");
    for ((start, learned), between) in start.concat().iter().zip(learned).zip(between) {
        let expected = 0.75 * start + 0.25 * learned;
        assert!((between - expected).abs() < 1e-5, "{between} {expected}");
    }
}

#[test]
fn a_checkpoint_of_other_options_is_refused() {
    let device = Device::flex().autodiff();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint");
    trainer(&device).save(&path).unwrap();
    let mut other = trainer(&device);
    other.options.schedule.head = 0.5;
    let error = other.resume(&path).err().unwrap();
    assert!(error.to_string().contains("other options"), "{error}");
    let missing = trainer(&device).resume(&folder.path().join("none"));
    assert!(missing.err().unwrap().to_string().contains("none"));
}

#[test]
fn a_checkpoint_of_absurd_size_is_refused_before_memory_is_taken_for_it() {
    let device = Device::flex().autodiff();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint");
    for name in [AVERAGE, PROGRESS] {
        trainer(&device).save(&path).unwrap();
        // Takes no room on the disk either.
        let file = fs::File::create(path.join(name)).unwrap();
        file.set_len(1 << 40).unwrap();
        let error = trainer(&device).resume(&path).err().unwrap();
        let error = format!("{error:#}");
        assert!(error.contains("checkpoint"), "{error}");
        assert!(error.contains("bytes") || error.contains("MiB"), "{error}");
    }
}

#[test]
fn rates_rise_then_fall() {
    let schedule = Schedule {
        steps: 100,
        warmup: 10,
        backbone: 1.0,
        head: 1.0,
    };
    assert!(schedule.factor(0) < schedule.factor(9));
    assert_eq!(schedule.factor(9), 1.0);
    assert!(schedule.factor(50) < schedule.factor(20));
    assert!(schedule.factor(100) < 0.02);
}
