//! Every generator keeps the promises of the trait; a new one is tested by its line in `all`.

use latent_lab_envs::{
    GaussianBlob, Generator, Growth, InverseSinusoid, KrishnanLinear, KrishnanNonlinear, Lgssm, LinearGaussian, Lorenz,
    MixtureOfTwenty, PianoRoll, Ring, ThreeClusters, Tree, TwoMoons,
};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};

fn all() -> Vec<Box<dyn Generator>> {
    vec![
        Box::new(GaussianBlob::default()),
        Box::new(LinearGaussian::default()),
        Box::new(ThreeClusters::default()),
        Box::new(InverseSinusoid::default()),
        Box::new(MixtureOfTwenty::default()),
        Box::new(Ring::default()),
        Box::new(TwoMoons::default()),
        Box::new(Tree::default()),
        Box::new(Lgssm::default()),
        Box::new(Growth::default()),
        Box::new(KrishnanLinear::default()),
        Box::new(KrishnanNonlinear::default()),
        Box::new(Lorenz::default()),
        Box::new(PianoRoll::default()),
    ]
}

/// The log-probability of every row; `None` where the generator has none.
fn log_probs(generator: &dyn Generator, rows: usize, seed: u64) -> Option<Vec<f64>> {
    let (observed, given) = (generator.observed().len(), generator.given().len());
    let points = generator.draw(rows, &mut ChaCha8Rng::seed_from_u64(seed));
    (0..rows)
        .map(|i| {
            let (x, c) = (i * observed..(i + 1) * observed, i * given..(i + 1) * given);
            generator.log_prob(&points.observed[x], &points.given[c])
        })
        .collect()
}

#[test]
fn the_oracle_is_the_mean_log_probability_of_draws() {
    for generator in all() {
        let n = 100_000;
        let Some(values) = log_probs(generator.as_ref(), n, 11) else {
            continue;
        };
        let mean = values.iter().sum::<f64>() / n as f64;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n as f64;
        let references = generator.references();
        let oracle = &references[0];
        assert_eq!(oracle.name, "oracle", "{}", generator.name());
        let error = (variance / n as f64).sqrt();
        assert!(
            (mean - oracle.value).abs() < 6.0 * error,
            "{}: mean {mean} ± {error}, oracle {}",
            generator.name(),
            oracle.value
        );
        for baseline in &references[1..] {
            assert!(
                baseline.value < oracle.value,
                "{}: {} is above the oracle",
                generator.name(),
                baseline.name
            );
        }
    }
}

#[test]
fn columns_rows_and_labels_agree() {
    for generator in all() {
        let points = generator.draw(50, &mut ChaCha8Rng::seed_from_u64(12));
        let rows = points.observed.len() / generator.observed().len();
        assert!(rows >= 50, "{}", generator.name());
        assert_eq!(
            points.observed.len(),
            rows * generator.observed().len(),
            "{}",
            generator.name()
        );
        assert_eq!(
            points.given.len(),
            rows * generator.given().len(),
            "{}",
            generator.name()
        );
        assert!([0, rows].contains(&points.labels.len()), "{}", generator.name());
        assert!([0, rows].contains(&points.weights.len()), "{}", generator.name());
        assert!(
            points.observed.iter().chain(&points.given).all(|v| v.is_finite()),
            "{}",
            generator.name()
        );
        assert_eq!(generator.check(), Ok(()), "{}", generator.name());
        assert!(
            generator
                .draw(0, &mut ChaCha8Rng::seed_from_u64(12))
                .observed
                .is_empty(),
            "{}",
            generator.name()
        );
    }
}

/// The declared length of sequences is that of the drawn ones, and the density of a sequence is that of its steps.
#[test]
fn sequences_are_as_long_as_declared() {
    for generator in all() {
        for rows in [1, 10, 150] {
            let points = generator.draw(rows, &mut ChaCha8Rng::seed_from_u64(15));
            let longest = points.lengths.iter().copied().max();
            assert_eq!(generator.longest_sequence(rows), longest, "{}", generator.name());
            let total: usize = points.lengths.iter().sum();
            assert!(longest.is_none() || total == rows, "{}", generator.name());
            let first = longest.and_then(|longest| {
                let (observed, given) = (generator.observed().len(), generator.given().len());
                generator.sequence_log_prob(&points.observed[..longest * observed], &points.given[..longest * given])
            });
            assert!(
                first.is_none_or(|value| value.is_finite() && value < 0.0),
                "{}",
                generator.name()
            );
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_bits_and_another_seed_others() {
    let bits = |generator: &dyn Generator, seed| -> Vec<u64> {
        let points = generator.draw(100, &mut ChaCha8Rng::seed_from_u64(seed));
        points
            .observed
            .iter()
            .chain(&points.given)
            .map(|v| v.to_bits())
            .collect()
    };
    for generator in all() {
        assert_eq!(
            bits(generator.as_ref(), 13),
            bits(generator.as_ref(), 13),
            "{}",
            generator.name()
        );
        assert_ne!(
            bits(generator.as_ref(), 13),
            bits(generator.as_ref(), 14),
            "{}",
            generator.name()
        );
    }
}

/// Keys go to text and back; an unknown key is refused by name; every key explains itself in the schema.
fn keys<T: Default + PartialEq + std::fmt::Debug + Serialize + DeserializeOwned + JsonSchema>() {
    let name = T::schema_name();
    let written = serde_json::to_string(&T::default()).unwrap();
    assert_eq!(serde_json::from_str::<T>(&written).unwrap(), T::default(), "{name}");
    assert_eq!(serde_json::from_str::<T>("{}").unwrap(), T::default(), "{name}");
    let fault = serde_json::from_str::<T>(r#"{"wheels": 4}"#).unwrap_err().to_string();
    assert!(fault.contains("unknown field `wheels`"), "{name}: {fault}");
    let schema = schemars::schema_for!(T);
    for (key, entry) in schema.get("properties").unwrap().as_object().unwrap() {
        assert!(entry.get("description").is_some(), "{name}.{key} has no text");
        let may_be_absent = entry["type"]
            .as_array()
            .is_some_and(|types| types.iter().any(|kind| kind == "null"));
        assert!(
            may_be_absent || entry.get("default").is_some(),
            "{name}.{key} has no default"
        );
    }
}

#[test]
fn structs_are_their_own_tables_of_keys() {
    keys::<GaussianBlob>();
    keys::<LinearGaussian>();
    keys::<ThreeClusters>();
    keys::<InverseSinusoid>();
    keys::<MixtureOfTwenty>();
    keys::<Ring>();
    keys::<TwoMoons>();
    keys::<Tree>();
    keys::<Growth>();
    keys::<KrishnanLinear>();
    keys::<KrishnanNonlinear>();
    keys::<Lorenz>();
    keys::<PianoRoll>();
}
