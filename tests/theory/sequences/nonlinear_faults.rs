//! What an experiment with the nonlinear state space, or with sigma points, may not say.

use latent_lab::model::ModelConfig;
use latent_lab::posterior::PosteriorConfig;
use latent_lab::spec::load_experiment;

/// The faults of an experiment with this model and source.
fn faults(model: &str, rest: &str) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("question.toml");
    let text = format!(
        "question = \"?\"\nseeds = 1\n[data]\nsource = \"growth\"\n[model]\nkind = \"nonlinear_gaussian_ssm\"\n{model}\n\
         [training]\noptimizer = \"em\"\n{rest}"
    );
    std::fs::write(&file, text).expect("a file");
    load_experiment(&file, &[]).expect_err("a fault").render(false)
}

/// Sigma points of X dimensions have a positive distance from the mean for every κ above −X; κ = 3 − X, which matches
/// fourth moments, is below −1 from five dimensions on.
#[test]
fn sigma_points_may_have_a_kappa_above_minus_the_dimension() {
    let faults = |states: usize, kappa: f64| {
        let model: ModelConfig =
            toml::from_str(&format!("kind = 'linear_gaussian_ssm'\nstates = {states}")).expect("a model");
        let posterior = format!("kind = 'unscented_kalman'\nkappa = {kappa:?}");
        let posterior: PosteriorConfig = toml::from_str(&posterior).expect("a posterior");
        posterior.faults(&model.abilities()).len()
    };
    for states in [1, 2, 5, 8] {
        let x = states as f64;
        assert_eq!((faults(states, 3.0 - x), faults(states, 0.01 - x)), (0, 0), "{states}");
        assert_eq!((faults(states, -x), faults(states, -x - 1.0)), (1, 1), "{states}");
        assert_eq!(faults(states, f64::INFINITY), 1);
    }
}

#[test]
fn faults_name_the_key_and_what_to_try() {
    let particle = "[posterior]\nkind = \"particle\"\n";
    for (model, rest, message) in [
        ("", "", "`exact` needs the true posterior"),
        ("", "[posterior]\nkind = \"hard\"\n", "`hard` needs the true posterior"),
        (
            "",
            "[objective]\nkind = \"marginal_likelihood\"\n",
            "maximises log p(x), which has no closed form",
        ),
        ("transition.start = [1.0]", particle, "1 numbers do not fit"),
        ("transition_variances.start = [-0.1]", particle, "it holds -0.1"),
        ("emission_variances.fixed = [0.0]", particle, "it holds 0"),
        ("transition.formulas = [\"x1\"]", particle, "the function has a name"),
        ("transition.function = \"formulas\"", particle, "there is no formula"),
        (
            "transition = { function = \"formulas\", formulas = [\"sin(a * x1)\"], parameters = [\"a\"] }",
            particle,
            "it is not linear in `a`",
        ),
        (
            "transition = { function = \"formulas\", formulas = [\"q * x1\"], parameters = [\"q\"] }",
            particle,
            "`q` cannot be the name of a parameter",
        ),
        (
            "emission = { function = \"formulas\", formulas = [\"a * x1\"], parameters = [\"a\"] }",
            particle,
            "`a` is a parameter of the transition, too",
        ),
        (
            "transition = { function = \"formulas\", formulas = [\"x1 + y\"] }",
            particle,
            "`y` is not known",
        ),
        (
            "transition = { function = \"formulas\", formulas = [\"x1\", \"x2\"] }",
            particle,
            "this function has one state, and the transition has 2",
        ),
        (
            "",
            "[posterior]\nkind = \"particle\"\n[evaluation.estimator]\nrepeats = 5\n",
            "no exact posterior to compare",
        ),
        (
            "",
            "[posterior]\nkind = \"unscented_kalman\"\nkappa = -2.0\n",
            "no finite, positive spread",
        ),
        (
            "",
            "[posterior]\nkind = \"particle\"\ntemperature = 2.0\n",
            "no temperature",
        ),
    ] {
        let text = faults(model, rest);
        assert!(text.contains(message), "{message}: {text}");
    }
}
