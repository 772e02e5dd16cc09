//! Tables for closed-form fits: row-major views, checked once, with their weighted mean and second moments.
//!
//! With `u = [1; x − x̄; y − ȳ]` and row weights `w`, the moments are `Σ_i w_i u_i u_iᵀ`, a `[P, P]` matrix where
//! `P = 1 + C + D`. Centring at the data's mean keeps them precise however far the data lie from the origin.

use crate::{Error, Result};

/// A row-major view of a table, `[N, columns]`.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a> {
    /// The entries, row after row.
    pub values: &'a [f64],
    /// Entries per row.
    pub columns: usize,
}

impl<'a> Rows<'a> {
    /// The number of rows N.
    pub fn count(&self) -> usize {
        self.values.len().checked_div(self.columns).unwrap_or(0)
    }

    /// Row `i`, `[columns]`.
    pub fn row(&self, i: usize) -> &'a [f64] {
        &self.values[i * self.columns..(i + 1) * self.columns]
    }
}

/// Checked data: y to model, x it is conditioned on, a weight per row, and the statistics that every fit uses.
#[derive(Debug, Clone)]
pub struct Observations<'a> {
    pub(super) observed: Rows<'a>,
    pub(super) given: Option<Rows<'a>>,
    pub(super) weights: Option<&'a [f64]>,
    /// Weighted mean of `[x; y]`, `[C+D]`.
    pub(super) shift: Vec<f64>,
    /// Weighted second moments of `[1; x; y]` about the mean, `[P, P]`.
    pub(super) moments: Vec<f64>,
    /// `(Σ w)² / Σ w²`, the number of equally weighted rows that would be as informative (Kish 1965).
    pub(super) effective_rows: f64,
}

impl<'a> Observations<'a> {
    /// Checks the tables and takes their moments in two passes.
    ///
    /// # Errors
    /// Names what is empty, of unequal length, not finite (row and column), or negatively weighted.
    pub fn new(observed: Rows<'a>, given: Option<Rows<'a>>, weights: Option<&'a [f64]>) -> Result<Self> {
        let n = observed.count();
        check_table("observed", observed, n)?;
        if n == 0 {
            return Err(Error::Data(
                "the observed table is empty: expected at least one row and one column".into(),
            ));
        }
        let given = given.filter(|rows| rows.columns > 0);
        if let Some(rows) = given {
            check_table("given", rows, n)?;
        }
        if let Some(weights) = weights {
            check_weights(weights, n)?;
        }
        let c = given.map_or(0, |rows| rows.columns);
        let mut data = Self {
            observed,
            given,
            weights,
            shift: vec![0.0; c + observed.columns],
            moments: Vec::new(),
            effective_rows: 0.0,
        };
        let (mut total, mut squares) = (0.0, 0.0);
        for i in 0..n {
            total += data.weight(i);
            squares += data.weight(i).powi(2);
        }
        data.effective_rows = total * total / squares;
        // A zero shift leaves the rows as they are: the first pass sums them, the second is centred.
        let mut u = vec![0.0; 1 + data.shift.len()];
        let mut sum = vec![0.0; data.shift.len()];
        for i in 0..n {
            data.centred(i, &mut u);
            for (s, v) in sum.iter_mut().zip(&u[1..]) {
                *s += data.weight(i) / total * v;
            }
        }
        data.shift = sum;
        data.moments = vec![0.0; u.len() * u.len()];
        for i in 0..n {
            data.centred(i, &mut u);
            add_outer(data.weight(i), &u, &mut data.moments);
        }
        mirror(&mut data.moments, u.len());
        match data.moments.iter().all(|m| m.is_finite()) {
            true => Ok(data),
            false => Err(Error::Data(
                "the data's squares overflow: bring the columns to a smaller scale, for example by standardising them"
                    .into(),
            )),
        }
    }

    /// The number of rows N.
    pub fn count(&self) -> usize {
        self.observed.count()
    }

    /// Columns of x and of y, (C, D).
    pub fn columns(&self) -> (usize, usize) {
        (self.given.map_or(0, |rows| rows.columns), self.observed.columns)
    }

    /// Σ w, the number of rows where none is weighted.
    pub fn total_weight(&self) -> f64 {
        self.moments[0]
    }

    /// The weight of row `i`.
    pub fn weight(&self, i: usize) -> f64 {
        self.weights.map_or(1.0, |weights| weights[i])
    }

    /// Writes row `i` as `[1; x − x̄; y − ȳ]` into `u`, `[P]`.
    pub(super) fn centred(&self, i: usize, u: &mut [f64]) {
        u[0] = 1.0;
        let row = self
            .given
            .map_or(&[][..], |rows| rows.row(i))
            .iter()
            .chain(self.observed.row(i));
        for ((u, value), mean) in u[1..].iter_mut().zip(row).zip(&self.shift) {
            *u = value - mean;
        }
    }
}

/// Adds `w u uᵀ` to the lower triangle of a `[P, P]` matrix.
pub(super) fn add_outer(w: f64, u: &[f64], into: &mut [f64]) {
    for (p, row) in into.chunks_exact_mut(u.len()).enumerate() {
        for (m, v) in row.iter_mut().zip(&u[..=p]) {
            *m += w * u[p] * v;
        }
    }
}

/// Copies the lower triangle of a `[P, P]` matrix to the upper one.
pub(super) fn mirror(matrix: &mut [f64], p: usize) {
    for i in 0..p {
        for j in 0..i {
            matrix[j * p + i] = matrix[i * p + j];
        }
    }
}

fn check_table(name: &str, rows: Rows, n: usize) -> Result<()> {
    if rows.columns == 0 || rows.values.len() != n * rows.columns {
        return Err(Error::Data(format!(
            "the {name} table holds {} values: expected {n} rows of {} columns",
            rows.values.len(),
            rows.columns
        )));
    }
    match rows.values.iter().position(|v| !v.is_finite()) {
        None => Ok(()),
        Some(at) => Err(Error::Data(format!(
            "row {}, column {} of the {name} table is {}: expected a finite number; drop the row or fill the value in",
            at / rows.columns,
            at % rows.columns,
            rows.values[at]
        ))),
    }
}

fn check_weights(weights: &[f64], n: usize) -> Result<()> {
    if weights.len() != n {
        return Err(Error::Data(format!(
            "{} weights for {n} rows: expected one per row",
            weights.len()
        )));
    }
    if let Some(row) = weights.iter().position(|w| !(w.is_finite() && *w >= 0.0)) {
        return Err(Error::Data(format!(
            "the weight of row {row} is {}: expected a finite number that is not negative",
            weights[row]
        )));
    }
    match weights.iter().any(|w| *w > 0.0) {
        true => Ok(()),
        false => Err(Error::Data(
            "every row has weight 0: expected at least one positive weight".into(),
        )),
    }
}

impl Observations<'_> {
    /// Weighted covariance of the observed columns, `[D, D]`.
    pub fn covariance(&self) -> Vec<f64> {
        let (c, d) = self.columns();
        let p = 1 + c + d;
        let entry = |i: usize, j: usize| self.moments[(1 + c + i) * p + 1 + c + j] / self.total_weight();
        (0..d * d).map(|at| entry(at / d, at % d)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(values: &[f64], columns: usize) -> Rows<'_> {
        Rows { values, columns }
    }

    #[test]
    fn moments_are_those_of_the_repeated_rows() {
        let (y, x) = ([1.0, 4.0, -2.0], [0.5, 1.0, 3.0]);
        let weighted = Observations::new(rows(&y, 1), Some(rows(&x, 1)), Some(&[1.0, 0.0, 2.0])).unwrap();
        let (y, x) = ([1.0, -2.0, -2.0], [0.5, 3.0, 3.0]);
        let repeated = Observations::new(rows(&y, 1), Some(rows(&x, 1)), None).unwrap();
        for (a, b) in weighted.moments.iter().zip(&repeated.moments) {
            approx::assert_relative_eq!(a, b, epsilon = 1e-14);
        }
        assert_eq!(weighted.total_weight(), 3.0);
        approx::assert_relative_eq!(weighted.effective_rows, 9.0 / 5.0);
    }

    #[test]
    fn faults_name_the_place() {
        let fault = |y: &[f64], d, w: Option<&[f64]>| Observations::new(rows(y, d), None, w).unwrap_err().to_string();
        assert!(fault(&[], 2, None).contains("empty"));
        assert!(fault(&[1.0, 2.0, 3.0], 2, None).contains("1 rows of 2 columns"));
        assert!(fault(&[1.0, 2.0, 3.0, f64::NAN], 2, None).contains("row 1, column 1"));
        assert!(fault(&[1.0, 2.0], 1, Some(&[1.0])).contains("1 weights for 2 rows"));
        assert!(fault(&[1.0, 2.0], 1, Some(&[1.0, -1.0])).contains("row 1 is -1"));
        assert!(fault(&[1.0, 2.0], 1, Some(&[0.0, 0.0])).contains("every row has weight 0"));
        assert!(fault(&[1e200, -1e200], 1, None).contains("overflow"));
    }
}
