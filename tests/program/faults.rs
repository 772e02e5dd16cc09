//! Every diagnostic of the real spec, as the user sees it: file, line, column, the line itself, what was expected, what
//! to try. Exit code 2, and nothing is written.

use crate::laboratory::Laboratory;
use candle_core::{DType, Device, Tensor};

const FILE: &str = "source = \"file\"\npath = \"p.csv\"\nobserved = [\"x\", \"y\"]";
const REGRESSION: &str = "source = \"file\"\npath = \"p.csv\"\nobserved = [\"y\"]\ngiven = [\"x\"]";
const DENSITY: &str = "kind = \"gaussian_mixture\"\ncomponents = 2";
const CONDITIONAL: &str = "kind = \"conditional_mixture\"\ncomponents = 2\nhidden = [4]";
const EM: &str = "optimizer = \"em\"\nsteps = 3";
const ADAM: &str = "optimizer = \"adam\"\nsteps = 3";
const CSV: &str = "x,y,w\n1,2,1\n2,4,1\n3,3,1\n5,1,1\n";

fn experiment(data: &str, model: &str, training: &str, rest: &str) -> String {
    format!("question = \"?\"\nseeds = 1\n[data]\n{data}\n[model]\n{model}\n[training]\n{training}\n{rest}\n")
}

/// What `check` says of a faulty experiment beside `p.csv` (and the same of `run`, which writes nothing).
#[track_caller]
fn shown_in(laboratory: &Laboratory) -> String {
    let before = laboratory.files("");
    let said = laboratory.say(&["check", "e.toml"]).expect(2);
    let run = laboratory.say(&["run", "e.toml"]).expect(2);
    assert_eq!(said.err, run.err);
    assert!(before == laboratory.files(""), "a refused experiment wrote something");
    for part in ["e.toml:", "expected", "= help:"] {
        assert!(said.err.contains(part), "no {part:?} in {}", said.err);
    }
    said.err
}

#[track_caller]
fn shown(experiment: &str, csv: impl AsRef<[u8]>) -> String {
    shown_in(&Laboratory::with(experiment).and("p.csv", csv))
}

macro_rules! snapshot {
    ($cases:expr) => {
        insta::with_settings!({ omit_expression => true }, { insta::assert_snapshot!(all($cases)) })
    };
}

/// Cases of one kind in one snapshot, each under its name.
#[track_caller]
fn all(cases: &[(&str, String)]) -> String {
    cases.iter().map(|(name, text)| format!("# {name}\n{text}\n")).collect()
}

fn of_data(csv: impl AsRef<[u8]>) -> String {
    shown(&experiment(FILE, DENSITY, EM, ""), csv)
}

#[test]
fn files_that_are_no_table() {
    let path = |path: &str| shown(&experiment(&FILE.replace("p.csv", path), DENSITY, EM, ""), CSV);
    snapshot!(&[
        ("no such file", path("none.csv")),
        ("another format", path("e.toml")),
        ("a folder", path(".")),
        ("empty", of_data("")),
        ("no row", of_data("x,y\n")),
        ("ragged", of_data(format!("{CSV}7\n"))),
        ("not UTF-8", of_data(b"x,y,h\xf6he\n1,2,3\n")),
        ("semicolons", of_data("x;y\n1;2\n")),
        ("no header", of_data("1,2\n3,4\n")),
        ("an unknown column", of_data(CSV.replace("y,w", "yy,w"))),
        ("two columns of one name", of_data("x,x,y\n1,2,3\n2,3,4\n")),
    ]);
}

#[test]
fn cells() {
    snapshot!(&[
        ("empty", of_data(CSV.replace("3,3", "3,"))),
        ("NA", of_data(CSV.replace("3,3", "NA,3"))),
        ("text", of_data(CSV.replace("3,3", "3,three"))),
        ("a decimal comma", of_data("x,y\n\"1,5\",2\n3,4\n")),
        ("infinite", of_data(CSV.replace("3,3", "inf,3"))),
        ("huge", of_data(CSV.replace("3,3", "3,-1e200"))),
        ("constant", of_data("x,y\n1,2\n1,3\n1,4\n")),
        ("one row", of_data("x,y\n1,2\n")),
    ]);
}

#[test]
fn weights_and_roles_of_columns() {
    let weighted = |csv: &str| shown(&experiment(&format!("{FILE}\nweight = \"w\""), DENSITY, EM, ""), csv);
    let data = |data: &str| shown(&experiment(data, DENSITY, EM, ""), CSV);
    snapshot!(&[
        ("negative weight", weighted(&CSV.replace("3,3,1", "3,3,-1"))),
        ("all weights zero", weighted(&CSV.replace(",1\n", ",0\n"))),
        (
            "one row that counts",
            weighted(&CSV.replace(",1\n", ",0\n").replace("3,3,0", "3,3,1"))
        ),
        ("weights without a sum", weighted(&CSV.replace(",1\n", ",1e308\n"))),
        ("no such weight", weighted(&CSV.replace("y,w", "y,v"))),
        ("observed twice", data(&FILE.replace("\"y\"", "\"x\""))),
        ("observed and given", data(&format!("{FILE}\ngiven = [\"x\"]"))),
        ("observed and weight", data(&format!("{FILE}\nweight = \"y\""))),
        (
            "nothing observed",
            data("source = \"file\"\npath = \"p.csv\"\nobserved = []").to_owned()
        ),
    ]);
}

#[test]
fn splits_that_leave_nothing() {
    let data = |extra: &str, csv: &str| shown(&experiment(&format!("{FILE}\n{extra}"), DENSITY, EM, ""), csv);
    let drawn = |data: &str| shown(&experiment(data, DENSITY, EM, ""), CSV);
    snapshot!(&[
        (
            "test and validation take all",
            data("test_fraction = 0.9\nvalidation_fraction = 0.9", CSV)
        ),
        ("two rows", data("validation_fraction = 0.5", "x,y\n1,2\n2,1\n")),
        ("both tests", data("test_fraction = 0.5\ntest_path = \"p.csv\"", CSV)),
        ("no test file", data("test_path = \"q.csv\"", CSV)),
        ("a number of rows", data("train = 3", CSV)),
        ("out of range", data("test_fraction = 1.5", CSV)),
        ("a generator of one row", drawn("source = \"ring\"\ntrain = 1")),
        (
            "all held out",
            drawn("source = \"ring\"\ntrain = 3\nvalidation_fraction = 0.9")
        ),
        ("population of a file", data("population = true", CSV)),
        (
            "population without a grid",
            drawn("source = \"ring\"\npopulation = true")
        ),
        (
            "population with a test",
            drawn("source = \"mixture_of_twenty\"\npopulation = true\ntest = 3")
        ),
    ]);
}

#[test]
fn archives() {
    let numbers = |values: &[f64], shape: &[usize]| Tensor::from_slice(values, shape, &Device::Cpu).expect("a tensor");
    let observed = |archive: &[(&str, Tensor)], name: &str| {
        let data = format!("source = \"file\"\npath = \"p.npz\"\nobserved = [{name}]");
        let laboratory = Laboratory::with(&experiment(&data, DENSITY, EM, ""));
        Tensor::write_npz(archive, laboratory.path("p.npz")).expect("an archive");
        laboratory
    };
    let good = numbers(&[1.0, 2.0, 3.0, 1.0, 2.0, 5.0], &[3, 2]);
    // Whole numbers are numbers.
    let whole = good.to_dtype(DType::I64).expect("whole numbers");
    observed(&[("x", whole)], "\"x\"")
        .say(&["run", "e.toml", "--quiet"])
        .expect(0);
    let fault = |archive: &[(&str, Tensor)], name: &str| shown_in(&observed(archive, name));
    let broken = experiment(&FILE.replace("p.csv", "p.npz"), DENSITY, EM, "");
    snapshot!(&[
        (
            "not an archive",
            shown_in(&Laboratory::with(&broken).and("p.npz", "PK and nothing more"))
        ),
        ("no such array", fault(&[("points", good.clone())], "\"point\"")),
        (
            "sequences",
            fault(&[("x", numbers(&[1.0, 2.0, 3.0, 5.0], &[2, 2, 1]))], "\"x\"")
        ),
        ("four axes", fault(&[("x", numbers(&[1.0; 8], &[2, 2, 2, 1]))], "\"x\"")),
        ("no axis", fault(&[("x", numbers(&[1.0], &[]))], "\"x\"")),
        ("no row", fault(&[("x", numbers(&[], &[0, 2]))], "\"x\"")),
        (
            "other rows",
            fault(
                &[("x", good.clone()), ("y", numbers(&[1.0, 2.0], &[2]))],
                "\"x\", \"y\""
            )
        ),
        (
            "missing",
            fault(&[("x", numbers(&[1.0, f64::NAN, 3.0, 4.0], &[2, 2]))], "\"x\"")
        ),
        (
            "constant",
            fault(&[("x", numbers(&[1.0, 7.0, 3.0, 7.0], &[2, 2]))], "\"x\"")
        ),
    ]);
}

#[test]
fn a_generator_names_its_own_key() {
    let data = "source = \"lgssm\"\ntransition_noise = [[1, 2], [2, 1]]";
    let text = shown(&experiment(data, "kind = \"linear_gaussian_ssm\"", EM, ""), CSV);
    assert!(
        text.contains("e.toml:5:20") && text.contains("symmetric and positive semidefinite"),
        "{text}"
    );
}

#[test]
fn sizes_and_ranges() {
    let density = |model: &str| shown(&experiment(FILE, &format!("{DENSITY}\n{model}"), EM, ""), CSV);
    let conditional = |model: &str| shown(&experiment(REGRESSION, model, ADAM, ""), CSV);
    snapshot!(&[
        ("logits", density("logits = [1, 2, 3]")),
        ("means", density("fixed_means = [[1, 2]]")),
        ("a mean's length", density("fixed_means = [[1, 2], [3]]")),
        ("no deviation", density("fixed_deviation = 0")),
        (
            "a density of given columns",
            shown(&experiment(REGRESSION, DENSITY, EM, ""), CSV)
        ),
        (
            "a conditional model without given columns",
            shown(&experiment(FILE, CONDITIONAL, ADAM, ""), CSV)
        ),
        (
            "y without x",
            conditional(&format!(
                "{CONDITIONAL}\nprior = \"marginal\"\nlikelihood = \"latent_only\""
            ))
        ),
        (
            "one place",
            conditional("kind = \"conditional_mixture\"\ncomponents = 1\nlikelihood = \"latent_only\"")
        ),
        (
            "tied functions",
            conditional(&format!("{CONDITIONAL}\ncovariance = \"tied\""))
        ),
        (
            "a network without end",
            conditional("kind = \"conditional_mixture\"\nhidden = [65536, 65536]")
        ),
        (
            "an empty layer",
            conditional("kind = \"conditional_mixture\"\nhidden = [0]")
        ),
    ]);
}

#[test]
fn training() {
    let adam = |keys: &str| shown(&experiment(FILE, DENSITY, &format!("{ADAM}\n{keys}"), ""), CSV);
    let posterior = |keys: &str| shown(&experiment(FILE, DENSITY, EM, &format!("[posterior]\n{keys}")), CSV);
    let mut cases = vec![
        (
            "early stopping without validation",
            adam("early_stopping = { patience = 3 }"),
        ),
        ("warm-up beyond the end", adam("warm_up_steps = 4")),
        ("a temperature of zero", posterior("kind = \"exact\"\ntemperature = 0")),
        (
            "a path through zero",
            posterior("kind = \"exact\"\ntemperature = { from = 1, to = 0, steps = 5 }"),
        ),
        (
            "a path with a slip",
            posterior("kind = \"exact\"\ntemperature = { from = 1, too = 2, steps = 5 }"),
        ),
        ("samples without sampling", posterior("kind = \"hard\"\nsamples = 3")),
        (
            "options that would be ignored",
            shown(
                &experiment(
                    FILE,
                    DENSITY,
                    ADAM,
                    "[posterior]\nrefresh_every = 3\nkind = \"exact\"\n[objective]\nkind = \"marginal_likelihood\"",
                ),
                CSV,
            ),
        ),
    ];
    if cfg!(not(feature = "cuda")) {
        cases.push(("cuda without cuda", adam("device = \"cuda\"")));
        let trajectories = "kind = \"linear_gaussian_ssm\"\nstates = 2";
        let cuda = &format!("{ADAM}\ndevice = \"cuda\"");
        cases.push((
            "trajectories on a GPU",
            shown(&experiment("source = \"lgssm\"", trajectories, cuda, ""), CSV),
        ));
    }
    snapshot!(&cases);
}

/// A build with CUDA on a machine whose GPUs are hidden from it, if it has any.
#[cfg(feature = "cuda")]
#[test]
fn a_gpu_that_is_not_there() {
    let cuda = &format!("{ADAM}\ndevice = \"cuda\"");
    let laboratory = Laboratory::with(&experiment(FILE, DENSITY, cuda, "")).and("p.csv", CSV);
    let before = laboratory.files("");
    for verb in ["check", "plan", "run"] {
        let mut command = laboratory.command(&[verb, "e.toml"]);
        let output = command
            .env("CUDA_VISIBLE_DEVICES", "")
            .output()
            .expect("the program starts");
        let said = String::from_utf8(output.stderr).expect("UTF-8");
        assert_eq!(output.status.code(), Some(2), "{said}");
        for part in [
            "error: no GPU can be used: ",
            "e.toml:13:10",
            "expected `device = \"cpu\"`",
            "= help: or run where",
        ] {
            assert!(said.contains(part), "no {part:?} in {said}");
        }
    }
    assert!(before == laboratory.files(""), "a refused experiment wrote something");
}

#[test]
fn evaluation() {
    let of = |data: &str, model: &str, training: &str, keys: &str| {
        shown(
            &experiment(data, model, training, &format!("[evaluation]\n{keys}")),
            CSV,
        )
    };
    let density = |keys: &str| of(FILE, DENSITY, EM, keys);
    let tree = |keys: &str| of("source = \"tree\"\ntrain = 5", CONDITIONAL, ADAM, keys);
    snapshot!(&[
        ("no such metric", density("metrics = [\"test/loglikelihood\"]")),
        ("nothing like a metric", density("metrics = [\"happiness\"]")),
        ("no test rows", density("metrics = [\"test/log_likelihood\"]")),
        (
            "no validation rows",
            density("metrics = [\"validation/log_likelihood\"]")
        ),
        ("no roll-outs", tree("metrics = [\"rollout/success_rate\"]")),
        ("no estimates", density("metrics = [\"estimator/value_bias\"]")),
        ("a density as policy", density("rollout.environment = \"tree\"")),
        (
            "another state",
            of(REGRESSION, CONDITIONAL, ADAM, "rollout.environment = \"tree\"")
        ),
        ("roll-outs without environment", tree("rollout.episodes = 10")),
        ("no such environment", tree("rollout.environment = \"three\"")),
        (
            "no such setting of an environment",
            tree("rollout.environment = { kind = \"tree\", interval = 0.1 }")
        ),
        (
            "another setting of an environment than of the data",
            tree("rollout.environment = { kind = \"tree\", action = \"turn_rate\" }")
        ),
        (
            "no success",
            of(
                "source = \"demonstrations\"\nenvironment = \"pendulum_v1\"\ntrain = 2",
                CONDITIONAL,
                ADAM,
                "metrics = [\"rollout/success_rate\"]\nrollout.environment = \"pendulum_v1\""
            )
        ),
        ("an older name of the environment", tree("environment = \"tree\"")),
        ("an older name of the episodes", tree("rollouts = 10")),
        ("an older name of the action", tree("action = \"mean\"")),
        ("an older name of the latent", tree("latent = \"per_episode\"")),
        ("an older name of the draws of a bound", tree("bound_samples = 10")),
        ("an older name of the warm-up", tree("warm_up = 3")),
        ("an older name of the horizon", tree("horizon = 3")),
        (
            "an older name of the repeated estimates",
            tree("estimator_repeats = 10")
        ),
        (
            "an older name of the initial values",
            of(
                "source = \"lgssm\"",
                "kind = \"linear_gaussian_ssm\"\nfirst_values = \"random\"",
                EM,
                ""
            )
        ),
        (
            "a latent per episode for the mean action",
            tree("rollout = { environment = \"tree\", action = \"mean\", latent = \"per_episode\" }")
        ),
        (
            "the most likely component of a continuous latent",
            of(
                "source = \"tree\"\ntrain = 5",
                "kind = \"latent_gaussian\"",
                ADAM,
                "[evaluation.rollout]\nenvironment = \"tree\"\naction = \"most_likely_component\"\n[posterior]\nkind = \"amortised\"",
            )
        ),
        (
            "estimates without an exact value",
            of(
                FILE,
                DENSITY,
                ADAM,
                "estimator.repeats = 3\n[posterior]\nkind = \"sampled\"\n[objective]\nkind = \"iwae\"",
            )
        ),
        (
            "estimates of an exact objective",
            shown(
                &experiment(
                    FILE,
                    DENSITY,
                    ADAM,
                    "[objective]\nkind = \"marginal_likelihood\"\n[evaluation]\nestimator.repeats = 3"
                ),
                CSV,
            ),
        ),
    ]);
}

#[test]
fn slips_in_every_section() {
    let slip = |from: &str, to: &str| {
        let text = experiment(
            "source = \"inverse_sinusoid\"\ntrain = 20",
            CONDITIONAL,
            ADAM,
            "[posterior]\nkind = \"sampled\"\nsamples = 3\n[objective]\nkind = \"elbo\"\nbeta = 1\n[evaluation]\nestimator.repeats = 1",
        );
        assert!(text.contains(from));
        shown(&text.replace(from, to), CSV)
    };
    snapshot!(&[
        ("no question", slip("question = \"?\"\n", "")),
        ("file", slip("seeds =", "seed =")),
        ("data", slip("train =", "trian =")),
        ("source", slip("inverse_sinusoid", "inverse_sinus")),
        ("model", slip("hidden =", "hiden =")),
        ("kind", slip("conditional_mixture", "conditional_mixtures")),
        ("training", slip("steps = 3", "stesp = 3")),
        ("optimizer", slip("\"adam\"", "\"adm\"")),
        ("posterior", slip("samples =", "sample =")),
        ("objective", slip("beta =", "betta =")),
        ("evaluation", slip("estimator.repeats", "estimator.repeat")),
        ("section", slip("[evaluation]", "[evalution]")),
        ("another section's key", slip("steps = 3", "steps = 3\nhidden = [3]")),
    ]);
}

#[test]
fn binary_columns() {
    const BERNOULLI: &str = "kind = \"latent_gaussian\"\nlikelihood = \"bernoulli\"\nhidden = [4]";
    let of = |data: &str, training: &str, csv: &str| {
        let rest = "[posterior]\nkind = \"amortised\"\n[objective]\nkind = \"elbo\"";
        shown(&experiment(data, BERNOULLI, training, rest), csv)
    };
    let binary = "x,y\n0,1\n1,1\n0,1\n";
    snapshot!(&[
        ("another number", of(FILE, ADAM, "x,y\n0,1\n1,0.5\n0,1\n")),
        ("a generator", of("source = \"ring\"", ADAM, binary)),
        ("scaled", of(&format!("{FILE}\nstandardize = true"), ADAM, binary)),
        ("noisy", of(FILE, &format!("{ADAM}\nobserved_noise = 0.1"), binary)),
    ]);
}

#[test]
fn unsupported_combinations() {
    let of = |data: &str, model: &str, training: &str, rest: &str| shown(&experiment(data, model, training, rest), CSV);
    snapshot!(&[
        (
            "no mean",
            of(FILE, DENSITY, ADAM, "[objective]\nkind = \"mean_squared_error\"")
        ),
        ("no closed form", of(REGRESSION, CONDITIONAL, EM, "")),
        (
            "another objective for EM",
            of(FILE, DENSITY, EM, "[objective]\nkind = \"marginal_likelihood\"")
        ),
        (
            "a posterior without use",
            of(
                FILE,
                DENSITY,
                ADAM,
                "[posterior]\nkind = \"hard\"\n[objective]\nkind = \"marginal_likelihood\""
            ),
        ),
        (
            "chains through a finite latent",
            of(FILE, DENSITY, ADAM, "[posterior]\nkind = \"hamiltonian\""),
        ),
        (
            "the entropy of a chain",
            of(
                FILE,
                "kind = \"latent_gaussian\"",
                ADAM,
                "[posterior]\nkind = \"hamiltonian\"\n[objective]\nkind = \"elbo\""
            ),
        ),
    ]);
}

/// Planning by the reward of a model that has none, by a goal that is not seen, and by derivatives that are not there.
#[test]
fn control_without_what_it_plans_by() {
    let fault = |data: &str, model: &str, control: &str| {
        let data = format!("source = \"exploration\"\n{data}\ntrain = 20\nlength = 5");
        let model = format!("kind = \"neural_ssm\"\n{model}");
        let rest = format!(
            "[posterior]\nkind = \"amortised\"\nhidden = [4]\n[objective]\nkind = \"elbo\"\n[evaluation.control]\n{control}"
        );
        shown(&experiment(&data, &model, ADAM, &rest), CSV)
    };
    let (numbers, rewards) = (
        "environment = \"pendulum_v1\"",
        "environment = \"pendulum_v1\"\nreward = true",
    );
    let cases = [
        (numbers, "", "cost = \"reward\"", "no reward to plan by"),
        (rewards, "", "tasks = 3", "has no images, and so none of its goal"),
        (
            rewards,
            "reward = {}",
            "cost = \"decoded_image\"",
            "cost = \\\"reward\\\"",
        ),
        (
            numbers,
            "reward = {}",
            "cost = \"reward\"",
            "the data have 3 observed and 1 given columns",
        ),
        (
            rewards,
            "reward = { columns = 2 }",
            "cost = \"reward\"",
            "2 columns of rewards",
        ),
        (
            rewards,
            "reward = {}",
            "cost = \"reward\"\nplanner.kind = \"ilqr\"",
            "`ilqr` needs a quadratic cost",
        ),
    ];
    let rounds = |rest: &str| {
        let data = "source = \"exploration\"\ntrain = 20\nlength = 5\nenvironment = \"pendulum_16\"";
        let adam = format!("{ADAM}\ncollection.every = 2\n");
        let rest = format!("[posterior]\nkind = \"amortised\"\nhidden = [4]\n[objective]\nkind = \"elbo\"\n{rest}");
        shown(&experiment(data, "kind = \"neural_ssm\"", &adam, &rest), CSV)
    };
    assert!(rounds("").contains("nothing says how the model plans"));
    assert!(rounds("[evaluation.control]").contains("episodes of images are not collected"));
    for (data, model, control, expected) in cases {
        let text = fault(data, model, control);
        assert!(text.contains(&expected.replace("\\\"", "\"")), "{expected}: {text}");
    }
}
