//! The closed-form M-step (Shumway & Stoffer 1982; Ghahramani & Hinton 1996): three regressions on expected moments.
//!
//! `W = S_yz S_zz⁻¹` over the free entries, with the fixed terms moved to the left; then `Σ = E / n`, its diagonal, or
//! its mean diagonal. Three cases need more. Where rows of W have different free entries and Σ is full, W solves
//! `Λ W S_zz = Λ S_yz` on its free entries with Λ the inverse of the previous Σ (a conditional maximisation, Meng &
//! Rubin 1993: it cannot lower the likelihood). Where some entries of an observation are missing, a diagonal R uses
//! each row's own moments. A full R uses moments in which missing entries are replaced by their expectation given the
//! observed ones and the state.

use super::statistics::precision;
use super::{Conditional, Moments, Statistics, System};
use crate::math::linear_algebra::{clip_eigenvalues, least_squares};
use crate::{Error, Result};
use nalgebra::{DMatrix, DVector};

/// Noise variances stay above this fraction of the targets' mean square.
const LEAST_NOISE: f64 = 1e-10;

/// The form of a noise covariance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoiseForm {
    /// Any covariance.
    Full,
    /// Independent entries.
    Diagonal,
    /// Independent entries of one variance.
    Spherical,
}

/// The learnt part of a noise covariance.
#[derive(Debug, Clone, PartialEq)]
pub struct Noise {
    /// Its form.
    pub form: NoiseForm,
    /// Which variances are learnt; of full and spherical noise all or none. `[Y]`
    pub free: Vec<bool>,
}

/// The learnt part of one conditional Gaussian; the rest is fixed.
#[derive(Debug, Clone, PartialEq)]
pub struct Regression {
    /// The learnt entries of W. `[Y, Z]`
    pub free: DMatrix<bool>,
    /// The learnt part of Σ.
    pub noise: Noise,
}

impl Regression {
    /// Refuses cases without a closed form.
    pub fn check(&self) -> Result<()> {
        let Noise { form, free } = &self.noise;
        if *form != NoiseForm::Diagonal && free.contains(&true) && free.contains(&false) {
            return Err(Error::Other(
                "single entries can be fixed in diagonal covariances only: there is no closed form for the rest of a full or \
                 spherical one; fix all of it, or choose the diagonal form"
                    .into(),
            ));
        }
        Ok(())
    }

    /// How many numbers are learnt.
    pub fn count(&self) -> usize {
        let y = self.noise.free.iter().filter(|free| **free).count();
        let noise = match self.noise.form {
            NoiseForm::Full => y * (y + 1) / 2,
            NoiseForm::Diagonal => y,
            NoiseForm::Spherical => y.min(1),
        };
        self.free.iter().filter(|free| **free).count() + noise
    }
}

/// The learnt parameters of a system.
#[derive(Debug, Clone, PartialEq)]
pub struct Learning {
    /// m₁ `[X, 1]` and P₁.
    pub initial: Regression,
    /// `[A B b]` and Q.
    pub transition: Regression,
    /// `[C D d]` and R.
    pub emission: Regression,
}

/// The moments of a regression.
enum Evidence {
    /// Of `[y; z]`.
    Joint(Moments),
    /// Of `[y_i; z]` for each target.
    ByRow(Vec<Moments>),
}

impl Learning {
    /// The system that maximises the expected log joint of `statistics` over the learnt parameters of `system`, and
    /// which noises were held at their floor.
    pub fn maximize(&self, system: &System, statistics: &Statistics) -> Result<(System, Vec<&'static str>)> {
        let (conditionals, floored) = self.maximize_each(system.conditionals(), statistics)?;
        Ok((System::from_conditionals(conditionals), floored))
    }

    /// The same for three conditional Gaussians: `x_1`, `x_{t+1}` and `o_t`, each given its regressors.
    pub fn maximize_each(
        &self,
        [initial, transition, emission]: [Conditional; 3],
        statistics: &Statistics,
    ) -> Result<([Conditional; 3], Vec<&'static str>)> {
        let mut floored = Vec::new();
        let mut regress = |name, rule: &Regression, old: Conditional, evidence: &dyn Fn(bool) -> Evidence| {
            let joint = rule.noise.form == NoiseForm::Full;
            let (new, at_floor) = rule.maximize(old, &evidence(joint))?;
            if at_floor {
                floored.push(name);
            }
            Ok::<_, Error>(new)
        };
        let own = |moments: &Moments, targets: usize, joint: bool| match joint {
            true => Evidence::Joint(moments.clone()),
            false => Evidence::ByRow((0..targets).map(|i| row(moments, targets, i)).collect()),
        };
        let x = transition.noise.nrows();
        let old = emission.clone();
        let new = [
            regress("initial_covariance", &self.initial, initial, &|joint| {
                own(&statistics.initial, x, joint)
            })?,
            regress("transition_noise", &self.transition, transition, &|joint| {
                own(&statistics.transition, x, joint)
            })?,
            regress("emission_noise", &self.emission, emission, &|joint| match joint {
                true => Evidence::Joint(filled_in(statistics, &old)),
                false => Evidence::ByRow(
                    (0..old.noise.nrows())
                        .map(|i| observed_row(statistics, &old, i))
                        .collect(),
                ),
            })?,
        ];
        Ok((new, floored))
    }

    /// How many numbers are learnt.
    pub fn count(&self) -> usize {
        self.initial.count() + self.transition.count() + self.emission.count()
    }
}

impl Regression {
    fn maximize(&self, mut conditional: Conditional, evidence: &Evidence) -> Result<(Conditional, bool)> {
        let mut at_floor = false;
        match evidence {
            Evidence::Joint(moments) => {
                if moments.count <= 0.0 {
                    return Ok((conditional, false));
                }
                self.joint_coefficients(&mut conditional, moments)?;
                if self.noise.free.contains(&true) {
                    let y = conditional.noise.nrows();
                    let noise = conditional.residual(moments) / moments.count;
                    let least = LEAST_NOISE * moments.second.view((0, 0), (y, y)).trace() / (moments.count * y as f64);
                    (conditional.noise, at_floor) = clip_eigenvalues(noise, least.max(f64::MIN_POSITIVE));
                }
            }
            Evidence::ByRow(rows) => {
                let mut sums = Vec::with_capacity(rows.len());
                for (i, moments) in rows.iter().enumerate() {
                    let mut one = conditional.rows(&[i]);
                    let rule = Self {
                        free: self.free.rows(i, 1).into_owned(),
                        noise: self.noise.clone(),
                    };
                    if moments.count > 0.0 {
                        rule.joint_coefficients(&mut one, moments)?;
                    }
                    conditional.coefficients.set_row(i, &one.coefficients.row(0));
                    sums.push((one.residual(moments)[(0, 0)], moments.second[(0, 0)], moments.count));
                }
                if self.noise.form == NoiseForm::Spherical && self.noise.free.contains(&true) {
                    let total = sums
                        .iter()
                        .fold((0.0, 0.0, 0.0), |a, b| (a.0 + b.0, a.1 + b.1, a.2 + b.2));
                    sums.fill(total);
                }
                for (i, (error, square, count)) in sums.into_iter().enumerate() {
                    if self.noise.free[i] && count > 0.0 {
                        let least = (LEAST_NOISE * square / count).max(f64::MIN_POSITIVE);
                        at_floor |= error / count < least;
                        conditional.noise.row_mut(i).fill(0.0);
                        conditional.noise.column_mut(i).fill(0.0);
                        conditional.noise[(i, i)] = (error / count).max(least);
                    }
                }
            }
        }
        Ok((conditional, at_floor))
    }

    /// The free entries of W for all targets at once.
    fn joint_coefficients(&self, conditional: &mut Conditional, moments: &Moments) -> Result<()> {
        let (y, z) = conditional.coefficients.shape();
        let yz = moments.second.view((0, y), (y, z)).into_owned();
        let zz = moments.second.view((y, y), (z, z)).into_owned();
        let w = &mut conditional.coefficients;
        let free_of = |i: usize| (0..z).filter(|&j| self.free[(i, j)]).collect::<Vec<_>>();
        let same = (1..y).all(|i| self.free.row(i) == self.free.row(0));
        let is_free = |at: (usize, usize)| self.free[at];
        let fixed = DMatrix::from_fn(y, z, |i, j| if is_free((i, j)) { 0.0 } else { w[(i, j)] });
        let left = yz - &fixed * &zz; // [Y, Z]
        if same {
            let free = free_of(0);
            if free.is_empty() {
                return Ok(());
            }
            let own = zz.select_rows(&free).select_columns(&free);
            let solved = least_squares(&own, &left.select_columns(&free).transpose()); // [Y, F]
            for (f, &j) in free.iter().enumerate() {
                w.set_column(j, &solved.column(f));
            }
            return Ok(());
        }
        let (inverse, ..) = precision(&conditional.noise);
        let places: Vec<(usize, usize)> = (0..y)
            .flat_map(|i| free_of(i).into_iter().map(move |j| (i, j)))
            .collect();
        let n = places.len();
        let right = &inverse * left;
        let normal = DMatrix::from_fn(n, n, |a, b| {
            let ((i, j), (k, l)) = (places[a], places[b]);
            inverse[(i, k)] * zz[(l, j)]
        });
        let right = DMatrix::from_fn(n, 1, |a, _| right[places[a]]);
        let solved = least_squares(&normal, &right); // [1, F]
        for (a, &place) in places.iter().enumerate() {
            w[place] = solved[(0, a)];
        }
        Ok(())
    }
}

/// The moments of `[y_i; z]`.
fn row(moments: &Moments, targets: usize, i: usize) -> Moments {
    let rest = targets..moments.second.nrows();
    let places: Vec<usize> = std::iter::once(i).chain(rest).collect();
    Moments {
        count: moments.count,
        second: moments.second.select_rows(&places).select_columns(&places),
    }
}

/// The moments of `[o_i; z]` over the steps where o_i is observed.
fn observed_row(statistics: &Statistics, emission: &Conditional, i: usize) -> Moments {
    let mut sum = Moments::zeros(1 + emission.coefficients.ncols());
    for (mask, moments) in &statistics.emission {
        if let Ok(place) = mask.binary_search(&i) {
            let own = row(moments, mask.len(), place);
            sum.count += own.count;
            sum.second += own.second;
        }
    }
    sum
}

/// The moments of `[o; z]` with missing entries of o replaced by their expectation given the observed ones and the
/// state.
fn filled_in(statistics: &Statistics, emission: &Conditional) -> Moments {
    let (o, z) = emission.coefficients.shape();
    let mut sum = Moments {
        count: 0.0,
        second: DMatrix::zeros(o + z, o + z),
    };
    for (mask, moments) in &statistics.emission {
        sum.count += moments.count;
        if mask.len() == o {
            sum.second += &moments.second;
            continue;
        }
        let missing: Vec<usize> = (0..o).filter(|i| mask.binary_search(i).is_err()).collect();
        let k = mask.len();
        let observed = emission.rows(mask);
        let hidden = emission.rows(&missing);
        let cross = emission.noise.select_rows(&missing).select_columns(mask); // [h, k]
        let regression = &cross * precision(&observed.noise).0; // [h, k]
        // v = T [o_observed; z] + noise.
        let mut map = DMatrix::zeros(o + z, k + z);
        for (j, &i) in mask.iter().enumerate() {
            map[(i, j)] = 1.0;
        }
        map.view_mut((o, k), (z, z)).fill_with_identity();
        let direct = &hidden.coefficients - &regression * &observed.coefficients; // [h, Z]
        for (h, &i) in missing.iter().enumerate() {
            map.view_mut((i, 0), (1, k)).copy_from(&regression.row(h));
            map.view_mut((i, k), (1, z)).copy_from(&direct.row(h));
        }
        sum.second += &map * &moments.second * map.transpose();
        let left = &hidden.noise - &regression * cross.transpose();
        for (h, &i) in missing.iter().enumerate() {
            for (g, &j) in missing.iter().enumerate() {
                sum.second[(i, j)] += moments.count * left[(h, g)];
            }
        }
    }
    sum
}

impl System {
    /// The largest modulus of an eigenvalue of A: below 1 the model is stable.
    pub fn spectral_radius(&self) -> f64 {
        let eigenvalues: DVector<_> = self.transition.complex_eigenvalues();
        eigenvalues.iter().map(|e| e.re.hypot(e.im)).fold(0.0, f64::max)
    }
}
