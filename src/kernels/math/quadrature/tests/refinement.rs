//! When refinement stops, what the edge of the grid shows, log joints by row, and faulty input.

use super::*;

#[test]
fn a_log_joint_by_row_gives_what_the_matrix_product_gives() {
    let model = linear(2);
    let x = samples(&model, 130);
    let rule = refinement(2, 7.0, 41, 81);
    let q = Gaussians {
        means: normals("means of q", 260),
        deviations: vec![0.5; 260],
    };
    let by_matrix = log_evidence(rows(&x, 4), Some(&q), &rule, |nodes| Ok(linear_nodes(&model, nodes))).unwrap();
    let by_row = log_evidence_by_row(130, Some(&q), &rule, |block, nodes, out| {
        let x = rows(&x[block.start * 4..block.end * 4], 4);
        out.copy_from_slice(&log_joint(x, &linear_nodes(&model, nodes))?);
        Ok(())
    })
    .unwrap();
    approx::assert_relative_eq!(by_row.log_evidence[..], by_matrix.log_evidence[..], epsilon = 1e-11);
    let kl = |evidence: &Evidence| evidence.divergence.clone().unwrap().kl;
    approx::assert_relative_eq!(kl(&by_row)[..], kl(&by_matrix)[..], epsilon = 1e-10);
}

#[test]
fn refinement_stops_at_the_tolerance_or_at_the_most_points() {
    // A decoder with a kink between nodes, so that convergence is slow: x | z ~ N(|z − 0.1|, 0.3²).
    let x: Vec<f64> = (0..20).map(|i| f64::from(i) * 0.15).collect();
    let kinked = |most_points, tolerance| {
        let rule = Refinement {
            tolerance,
            ..refinement(1, 9.0, 9, most_points)
        };
        log_evidence(rows(&x, 1), None, &rule, |nodes| {
            Ok(Nodes {
                log_prior: standard_normal(nodes, 1),
                likelihood: Likelihood::Gaussian {
                    means: nodes.iter().map(|z| (z - 0.1).abs()).collect(),
                    deviations: vec![0.3],
                },
            })
        })
        .unwrap()
    };
    let best = kinked(1 << 20, 0.0);
    assert_eq!(best.grid.points(), (1 << 19) + 1);
    let mut last = 9;
    for tolerance in [1e-2, 1e-4, 1e-6] {
        let found = kinked(1 << 20, tolerance);
        assert!(found.mean_error() <= tolerance && found.grid.points() > last);
        last = found.grid.points();
        let errors = found
            .log_evidence
            .iter()
            .zip(&best.log_evidence)
            .map(|(a, b)| (a - b).abs());
        assert!(errors.sum::<f64>() / 20.0 < tolerance);
    }
    let short = kinked(20, 1e-6);
    assert!(short.grid.points() == 17 && short.mean_error() > 1e-3);
    assert_eq!(kinked(2, 1e-6).grid.points(), 17);
}

#[test]
fn a_grid_that_is_too_narrow_shows_at_its_edge() {
    let model = linear(1);
    let x = decode_linear(&model, &[0.0, 2.2]); // two rows whose posteriors lie about 0 and 2.2
    let found = log_evidence(rows(&x, 4), None, &refinement(1, 2.0, 65, 129), |nodes| {
        Ok(linear_nodes(&model, nodes))
    })
    .unwrap();
    assert!(found.edge[0] < 1e-4 && found.edge[1] > 0.02, "{:?}", found.edge);
}

#[test]
fn a_row_that_nothing_explains_has_no_evidence() {
    let found = log_evidence_by_row(2, None, &refinement(1, 1.0, 5, 9), |rows, nodes, out| {
        for (b, out) in rows.zip(out.chunks_mut(nodes.len())) {
            out.fill(if b == 0 { f64::NEG_INFINITY } else { 0.0 });
        }
        Ok(())
    })
    .unwrap();
    assert_eq!(found.log_evidence[0], f64::NEG_INFINITY);
    assert_eq!(found.error[0], 0.0);
}

#[test]
fn faults_name_the_place() {
    let rule = refinement(1, 1.0, 5, 9);
    let text = |result: Result<Evidence>| result.unwrap_err().to_string();
    let gaussian = |means: &[f64], deviations: &[f64]| Likelihood::Gaussian {
        means: means.to_vec(),
        deviations: deviations.to_vec(),
    };
    let with = |likelihood: Likelihood| {
        text(log_evidence(rows(&[0.0; 4], 2), None, &rule, |nodes| {
            Ok(Nodes {
                log_prior: vec![0.0; nodes.len()],
                likelihood: likelihood.clone(),
            })
        }))
    };
    assert!(with(gaussian(&[0.0; 9], &[1.0; 2])).contains("9 means for 5 nodes of 2 dimensions: expected 10"));
    assert!(with(gaussian(&[0.0; 10], &[1.0, 0.0])).contains("standard deviations at the nodes is 0"));
    assert!(with(gaussian(&[0.0; 10], &[1.0; 3])).contains("3 standard deviations"));
    assert!(
        with(Likelihood::Bernoulli {
            logits: vec![f64::NAN; 10]
        })
        .contains("logits at the nodes is NaN")
    );
    let decode = |_: &[f64]| -> Result<Nodes> { unreachable!("the rows are at fault") };
    assert!(text(log_evidence(rows(&[0.0, f64::NAN], 2), None, &rule, decode)).contains("row 0, column 1 is NaN"));
    let q = Gaussians {
        means: vec![0.0; 2],
        deviations: vec![1.0, -1.0],
    };
    let none = |_: Range<usize>, _: &[f64], _: &mut [f64]| Ok(());
    assert!(
        text(log_evidence_by_row(2, Some(&q), &rule, none)).contains("q of row 1 has mean 0 and standard deviation -1")
    );
    assert!(text(log_evidence_by_row(3, Some(&q), &rule, none)).contains("for 3 rows of 1 latents: expected 3"));
    assert!(text(log_evidence_by_row(1, None, &rule, none)).contains("row 0 at z = [-1.0] is NaN"));
}
