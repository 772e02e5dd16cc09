//! The names that other programs use for our keys and values: a hint beside the suggestion by spelling.
//!
//! Each line of a table is `our name: other names # remark`; other names are in lower case with underscores. Tests hold
//! our names against the schema of the real spec.

/// Names of keys, ours as `section.key`; keys of the whole file start with a point.
const KEYS: &str = "
.seeds: seed random_state random_seed rng num_seeds n_seeds runs n_runs
.question: title description goal hypothesis
.variant: variants methods algorithms models # each variant has its own header [[variant]]
.grid: sweep sweeper search params hyperparameters parameter_grid param_grid
data.source: dataset generator kind type name
data.path: file filename file_name csv data_path input_file
data.train: n_train num_train train_size n_samples num_samples samples n size rows
data.test: n_test num_test test_size n_eval
data.test_fraction: test_size test_split test_ratio
data.validation_fraction: val_fraction val_split validation_split validation_size val_size valid_fraction n_validation
data.standardize: normalize normalise normalise_data standardise scale scaler whiten
data.observed: target targets labels outputs columns features output
data.given: inputs features covariates predictors conditioning context
data.weight: weights sample_weight sample_weights
model.kind: type name model class target _target_
model.components: n_components num_components k n_clusters num_mixtures n_mixtures mixtures clusters
model.hidden: hidden_dim hidden_dims hidden_size hidden_sizes hidden_units hidden_layers hidden_layer_sizes layers n_hidden num_hidden units width net_arch num_layers n_layers # a list with the units of each hidden layer, such as [64, 64]
model.activation: nonlinearity act activation_fn activation_function
model.covariance: covariance_type cov cov_type covariance_structure
model.deviation_floor: reg_covar min_std std_min min_sigma jitter covariance_floor min_scale # the smallest standard deviation
model.latent_dimensions: latent_dim latent_dims latent_size z_dim n_latent num_latents latents zdim latent_dimension
model.states: state_dim n_states num_states dim_state state_size
model.likelihood_particles: num_particles n_particles
posterior.kind: type inference guide encoder
posterior.temperature: temp tau annealing
posterior.samples: n_samples num_samples mc_samples k num_draws draws iwae_samples
posterior.particles: n_particles num_particles
posterior.burn_in: warmup warm_up n_warmup num_warmup tune burnin
posterior.leapfrog_steps: num_leapfrog_steps n_leapfrog trajectory_length
objective.kind: loss type loss_fn criterion
objective.beta: kl_weight kl_beta beta_kl kl_coef kl_coeff
objective.warm_up_steps: kl_annealing kl_warmup beta_warmup kl_anneal_steps annealing_steps
objective.free_nats: free_bits kl_free kl_min # in nats; a bit is 0.693 nats
training.optimizer: optimiser optim algorithm solver kind method
training.learning_rate: lr step_size alpha eta learningrate base_lr max_lr lr0
training.learning_rate_schedule: lr_schedule lr_scheduler scheduler schedule decay lr_decay annealing
training.warm_up_steps: warmup warmup_steps warm_up num_warmup_steps lr_warmup warmup_iters
training.batch_size: batch bs batchsize minibatch minibatch_size mini_batch_size train_batch_size
training.steps: epochs n_epochs num_epochs max_epochs epoch # steps = epochs × rows / batch_size for adam; for em a step is one pass over all rows
training.steps: iterations n_iter max_iter num_iterations iters num_steps max_steps n_steps total_steps total_timesteps train_steps updates sweeps
training.evaluate_every: eval_every eval_interval log_every log_interval eval_freq checkpoint_every # in steps
training.gradient_clip: grad_clip clip max_grad_norm clip_norm gradient_clipping clipnorm clip_grad
training.weight_decay: l2 wd l2_penalty regularization decay_rate
training.averaging: ema ema_decay polyak swa moving_average
training.early_stopping.patience: patience n_iter_no_change early_stop # write early_stopping = { patience = 10 }
training.precision: dtype floatx fp16 float_type precision_type
training.device: gpu use_gpu cuda accelerator use_cuda # \"cpu\" or \"cuda\"
training.tolerance: tol atol rtol eps convergence_tol conv_threshold
training.starts: n_init n_starts restarts num_restarts n_restarts random_restarts
evaluation.rollout.environment: env env_id gym_env environment_id
evaluation.rollout.episodes: n_episodes num_episodes n_rollouts eval_episodes num_rollouts
evaluation.metrics: metric scores scoring measures
evaluation.bound_samples: eval_samples iwae_samples num_eval_samples n_importance_samples
";

/// Names of values.
const VALUES: &str = "
cuda: gpu cuda:0 nvidia
f32: float32 fp32 single float
f64: float64 fp64 double
adam: adamw # with weight_decay above 0 it is AdamW
adam: sgd momentum rmsprop adagrad nadam lion lbfgs gradient_descent # there is no other gradient method
em: expectation_maximization expectation_maximisation expectationmaximization
cosine: cosine_annealing cos cosineannealinglr cosine_decay one_cycle
linear: linear_decay polynomial
constant: none fixed off
diagonal: diag independent mean_field
spherical: iso isotropic spherical
tied: shared
gaussian_mixture: gmm mog mixture_of_gaussians mixture gaussianmixture
conditional_mixture: mdn mixture_density_network mixture_density cgmm
linear_gaussian: linear_regression regression linear ols
latent_gaussian: vae ppca pca factor_analysis fa autoencoder latent_variable
linear_gaussian_ssm: lds lgssm kalman kalman_filter linear_dynamical_system dlm ssm
nonlinear_gaussian_ssm: nonlinear_ssm nlssm particle_filter
marginal_likelihood: mle ml maximum_likelihood log_likelihood nll negative_log_likelihood
expected_log_likelihood: q_function ell expected_loglik complete_data
mean_squared_error: mse l2 squared_error mse_loss
elbo: vae vi variational evidence_lower_bound free_energy svi beta_vae
iwae: iw_elbo importance_weighted iwelbo multi_sample
amortised: vi variational encoder q_net network recognition
hamiltonian: hmc mcmc nuts langevin
hard: map argmax viterbi k_means kmeans hard_em
sampled: mc monte_carlo samples stochastic mcem
importance: is importance_sampling snis rws reweighted_wake_sleep
extended_kalman: ekf
unscented_kalman: ukf
particle: smc pf particle_filter bootstrap_filter particle_smoother
exact: full_batch soft analytic true closed_form
file: csv npz table custom # then path = \"…\" names the file
two_moons: moons make_moons
three_clusters: blobs make_blobs clusters
ring: circle circles make_circles
";

/// The longest text that is looked up, in bytes.
const LONGEST: usize = 64;

/// One line of a table.
#[derive(Clone, Copy, Debug)]
struct Line {
    ours: &'static str,
    others: &'static str,
    remark: &'static str,
}

impl Line {
    fn all(table: &'static str) -> impl Iterator<Item = Self> {
        table.lines().filter_map(|line| {
            let (ours, rest) = line.split_once(": ")?;
            let (others, remark) = rest.split_once(" # ").unwrap_or((rest, ""));
            Some(Self { ours, others, remark })
        })
    }

    /// The lines that have `written` among their other names.
    fn with(table: &'static str, written: &str) -> impl Iterator<Item = Self> {
        let written = if written.len() <= LONGEST {
            normal(written)
        } else {
            String::new()
        };
        Self::all(table).filter(move |line| line.others.split(' ').any(|other| other == written))
    }

    fn remark(&self) -> String {
        match self.remark {
            "" => String::new(),
            remark => format!(": {remark}"),
        }
    }
}

/// Our name for another program's key.
#[derive(Clone, Copy, Debug)]
pub struct Key(Line);

impl Key {
    /// The section of our key; empty for keys of the whole file.
    pub fn section(&self) -> &'static str {
        self.0.ours.split_once('.').map_or("", |(section, _)| section)
    }

    /// Our key in its section; with dots where it is inside a table.
    fn path(&self) -> &'static str {
        self.0.ours.split_once('.').map_or("", |(_, path)| path)
    }

    /// The part of our key before the first dot.
    pub fn first_key(&self) -> &'static str {
        self.path().split('.').next().unwrap_or_default()
    }

    /// The hint for somebody who wrote `written` in the section `section`.
    pub fn text(&self, written: &str, section: &str) -> String {
        let place = match self.section() {
            own if own == section => String::new(),
            "" => ", at the top of the file".to_owned(),
            own => format!(", in [{own}]"),
        };
        format!("`{written}` is called `{}` here{place}{}", self.path(), self.0.remark())
    }
}

fn normal(text: &str) -> String {
    text.trim().to_lowercase().replace(['-', ' '], "_")
}

/// Our keys for another program's key.
pub fn keys(written: &str) -> impl Iterator<Item = Key> {
    Line::with(KEYS, written).map(Key)
}

/// The hint for another program's value, where our name for it `is_allowed`.
pub fn value(written: &str, is_allowed: impl Fn(&str) -> bool) -> Option<String> {
    let line = Line::with(VALUES, written).find(|line| is_allowed(line.ours))?;
    Some(format!("use {:?}{}", line.ours, line.remark()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::shape::Shape;
    use crate::spec::{FILE_KEYS, Spec};

    #[test]
    fn every_hint_names_an_existing_key() {
        let schema = schemars::schema_for!(Spec).to_value();
        let top = Shape::new(&schema, &schema);
        for key in Line::all(KEYS).map(Key) {
            let mut names = key.path().split('.');
            let found = match key.section() {
                "" => names.all(|name| FILE_KEYS.contains(&name)),
                section => names
                    .try_fold(top.property(section).expect("a section"), |shape, name| {
                        shape.property(name)
                    })
                    .is_some(),
            };
            assert!(found, "there is no `{}`", key.0.ours);
            let is_found = |other: &str| keys(other).any(|known| known.0.ours == key.0.ours);
            assert!(key.0.others.split(' ').all(is_found), "{key:?}");
        }
    }

    #[test]
    fn every_hint_names_an_existing_value() {
        fn collect(shape: &Shape, names: &mut Vec<String>) {
            names.extend(shape.choices.iter().map(|choice| choice.name.to_owned()));
            for (name, variant) in shape.tags().flat_map(|tagged| &tagged.variants) {
                names.push((*name).to_owned());
                collect(variant, names);
            }
            for (_, schema) in shape.properties() {
                collect(&shape.inner(schema), names);
            }
        }
        let schema = schemars::schema_for!(Spec).to_value();
        let mut names = Vec::new();
        collect(&Shape::new(&schema, &schema), &mut names);
        for line in Line::all(VALUES) {
            assert!(
                names.iter().any(|name| name == line.ours),
                "there is no value {:?}",
                line.ours
            );
            let is_found = |other: &str| value(other, |ours| ours == line.ours).is_some();
            assert!(line.others.split(' ').all(is_found), "{line:?}");
        }
    }
}
