use super::*;

fn conv(out: usize, channels: usize, kernel: usize) -> Conv {
    Conv::new(
        out,
        channels,
        kernel,
        vec![0.5; out * channels * kernel * kernel],
    )
}

#[test]
fn shapes_follow_stride_and_padding() {
    let mut graph = Graph::new(15).unwrap();
    let x = graph
        .conv("stem", graph.image(), conv(4, 3, 3).stride(2).pad(1))
        .unwrap();
    assert_eq!(
        graph.node(x).shape,
        Shape {
            channels: 4,
            height: 8,
            width: 8
        }
    );
    let up = graph.upsample2x("up", x).unwrap();
    let both = graph.concat("both", &[up, up]).unwrap();
    assert_eq!(
        graph.node(both).shape,
        Shape {
            channels: 8,
            height: 16,
            width: 16
        }
    );
}

#[test]
fn a_folded_normalisation_gives_what_the_two_steps_gave() {
    let (gamma, beta, mean, variance) = ([2.0, 0.5], [0.1, -0.2], [0.3, -1.0], [4.0, 0.25]);
    let norm = BatchNorm {
        gamma: &gamma,
        beta: &beta,
        mean: &mean,
        variance: &variance,
        epsilon: 1e-5,
    };
    let folded = Conv::new(2, 1, 1, vec![1.5, -3.0]).fold(norm).unwrap();
    for (c, weight) in [1.5f32, -3.0].into_iter().enumerate() {
        let x = 0.7;
        let reference =
            gamma[c] * (weight * x - mean[c]) / (variance[c] + 1e-5f32).sqrt() + beta[c];
        let ours = folded.weight[c] * x + folded.bias[c];
        assert!((ours - reference).abs() < 1e-5, "{ours} {reference}");
    }
}

#[test]
fn what_does_not_fit_is_refused_by_name() {
    let mut graph = Graph::new(16).unwrap();
    let image = graph.image();
    let message = |result: Result<NodeId>| format!("{:#}", result.unwrap_err());

    let channels = message(graph.conv("wide", image, conv(4, 8, 3)));
    assert!(
        channels.contains("wide") && channels.contains('8'),
        "{channels}"
    );

    let mut short = conv(4, 3, 3);
    short.weight.pop();
    assert!(message(graph.conv("short", image, short)).contains("107"));

    let mut diverged = conv(4, 3, 3);
    diverged.weight[5] = f32::NAN;
    assert!(message(graph.conv("diverged", image, diverged)).contains("finite"));

    let map = message(graph.dense("head", image, Dense::new(2, 3, vec![0.0; 6])));
    assert!(map.contains("single pixel"), "{map}");

    let a = graph.conv("a", image, conv(3, 3, 1)).unwrap();
    let b = graph.conv("b", image, conv(3, 3, 1).stride(2)).unwrap();
    assert!(graph.add("sum", a, b).is_err());
    assert!(graph.concat("join", &[a, b]).is_err());
    assert!(graph.conv("a", image, conv(3, 3, 1)).is_err());
}
