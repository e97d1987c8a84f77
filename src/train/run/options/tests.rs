use super::*;
use clap::Parser;

#[derive(Debug, Parser)]
struct Command {
    #[command(flatten)]
    args: TrainArgs,
}

fn parse(line: &str) -> Result<TrainOptions> {
    let words = ["train"].into_iter().chain(line.split_whitespace());
    Command::try_parse_from(words)?.args.resolve(None)
}

#[test]
fn the_notebook_preset_is_the_notebook() {
    let options = parse("--data cats --preset notebook").unwrap();
    assert_eq!(options.freeze, Freeze::All);
    assert_eq!(options.size, 224);
    assert_eq!((options.hidden, options.dropout), (Some(64), 0.5));
    assert_eq!(options.augment, Augment::Notebook);
    assert_eq!(options.balance, BalanceBy::Pictures);
}

#[test]
fn an_option_beats_its_preset() {
    let options = parse("--data d --preset transfer --freeze 12 --epochs 7 --augment none");
    let options = options.unwrap();
    assert_eq!(options.freeze, Freeze::Lowest(12));
    assert_eq!(options.epochs, 7);
    assert_eq!(options.augment, Augment::None);
    assert_eq!(options.freeze.units(19), 12);
    assert_eq!(Freeze::All.units(19), 19);
}

#[test]
fn report_and_checkpoint_lie_beside_the_network_unless_told_otherwise() {
    let places = parse("--data d --out m/asl.onnx").unwrap().places;
    assert_eq!(places.report, PathBuf::from("m/asl.report"));
    assert_eq!(places.checkpoint, PathBuf::from("m/asl.checkpoint"));
    let places = parse("--data d --report r").unwrap().places;
    assert_eq!(places.network, PathBuf::from("d.onnx"));
    assert_eq!(places.report, PathBuf::from("r"));
}

#[test]
fn folds_count_groups_of_signers() {
    let folds = |line: &str| parse(line).map(|options| options.folds);
    assert_eq!(
        folds("--data d --folds signers").unwrap(),
        Some(Folds { count: 5 })
    );
    assert_eq!(
        folds("--data d --folds signers=8").unwrap(),
        Some(Folds { count: 8 })
    );
    assert!(folds("--data d --folds signers=1").is_err());
    assert!(folds("--data d --folds pictures").is_err());
}

#[test]
fn what_makes_no_sense_is_refused_by_name() {
    for (line, name) in [
        ("--size 100", "--size"),
        ("--size 0", "--size"),
        ("--batch 0", "--batch"),
        ("--epochs 0", "--epochs"),
        ("--lr 0", "--lr"),
        ("--head-lr NaN", "--head-lr"),
        ("--ema 1", "--ema"),
        ("--label-smoothing=-0.1", "--label-smoothing"),
        ("--surroundings 1.5", "--surroundings"),
        ("--gestures 1", "--gestures"),
        ("--checkpoint-every 0", "--checkpoint-every"),
        ("--freeze some", "--freeze"),
        ("--exclude [", "--exclude"),
        ("--preset adapt", "--from"),
        ("--keep 0.5", "--from"),
    ] {
        let error = format!("{:#}", parse(&format!("--data d {line}")).unwrap_err());
        assert!(error.contains(name), "{line}: {error}");
    }
}
