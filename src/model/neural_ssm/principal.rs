//! Observations in an orthonormal basis of K principal components, without loss of likelihood.
//!
//! Images of several frames have one basis for all frames: what moves between two frames has little variance beside what is in
//! both, and would be lost among components of whole observations.
//!
//! With an orthonormal V `[D, K]`, o = ō + V y + r splits into coefficients y = Vᵀ (o − ō) and a residual r that is orthogonal to
//! V. A Gaussian with mean ō + V m and one deviation σ for all D numbers has
//!
//! log p(o) = Σ_k log N(y_k; m_k, σ²) − (D − K)/2 · log 2πσ² − |r|² / 2σ²,
//!
//! so y and |r|² are all that it needs of o: the likelihood is that of the whole observation, for any orthonormal V
//! (compare Tipping & Bishop 1999, equation 7). Networks read and write K numbers instead of D. V holds the leading directions
//! of the training steps, by subspace iteration (Halko, Martinsson & Tropp 2011, algorithm 4.4).

use crate::data::{Dataset, Field, Table};
use crate::math::streams::Streams;
use crate::nn::normal;
use crate::{Error, Result};
use candle_core::{DType, Device, Tensor};
use nalgebra::{DMatrix, SymmetricEigen};

/// Rows that the directions are found from, at most; evenly spaced.
const ROWS: usize = 2500;
/// Directions beyond K that the iteration carries along.
const BESIDE: usize = 8;
/// Rounds of the iteration.
const ROUNDS: usize = 6;
/// Rows that are projected at once.
const AT_ONCE: usize = 512;

/// ō and V, and the moments of the coefficients.
#[derive(Debug, Clone)]
pub(super) struct Principal {
    /// F; 1 where observations are no images.
    frames: usize,
    /// ō of a frame. `[1, D / F]`
    mean: Tensor,
    /// V of a frame. `[D / F, K]`
    directions: Tensor,
    /// The root mean square of the coefficients, over steps and components.
    pub deviation: f64,
}

impl Principal {
    /// The leading `components` directions of the observations of `train`.
    ///
    /// # Errors
    /// If a value is missing or not finite, or there are not as many numbers in an observation, or rows.
    pub fn new(train: &Dataset, components: usize) -> Result<Self> {
        let frames = train.observed.image().map_or(1, |[_, _, frames]| frames);
        let (rows, width) = (train.observed.rows(), train.observed.columns() / frames);
        if components >= width.min(rows) {
            return Err(Error::Data(format!(
                "`model.principal_components` = {components} expects fewer components than the {rows} training steps and than the \
                 {width} numbers of an observation, or of one frame of it"
            )));
        }
        let count = rows.min(ROWS);
        let chosen = (0..count).map(|i| i * rows / count);
        let all = by_frame(&train.observed.tensor(chosen, DType::F32, &Device::Cpu)?, frames)?;
        let count = all.dim(0)?;
        let mean = all.mean_keepdim(0)?;
        let centred = all.broadcast_sub(&mean)?;
        let wide = (components + BESIDE).min(width.min(count));
        let mut z = normal(
            Streams::new(0).named("principal components").at(0),
            (width, wide),
            DType::F32,
            &Device::Cpu,
        )?;
        for _ in 0..ROUNDS {
            z = orthonormal(&centred.t()?.matmul(&centred.matmul(&z)?)?)?;
        }
        // The leading directions within the subspace.
        let within = centred.matmul(&z)?.to_dtype(DType::F64)?;
        let (vectors, squares) = eigen(&within.t()?.matmul(&within)?)?;
        let square = squares.iter().take(components).sum::<f64>() / (components * count) as f64;
        let directions = z.to_dtype(DType::F64)?.matmul(&vectors.narrow(1, 0, components)?)?;
        let directions = orthonormal(&directions)?;
        let found = Self {
            frames,
            mean: mean.to_dtype(DType::F64)?,
            directions,
            deviation: square.sqrt(),
        };
        let is_usable = found.directions.sum_all()?.to_scalar::<f64>()?.is_finite() && found.deviation > 0.0;
        is_usable.then_some(found).ok_or_else(|| {
            Error::Data(
                "`model.principal_components` expects observations without missing values that are not all equal"
                    .into(),
            )
        })
    }

    /// The number of coefficients of an observation, F K.
    pub fn coefficients(&self) -> usize {
        self.frames * self.directions.dims()[1]
    }

    /// y of all frames and |r|² of every observation, in its units: F K + 1 columns in place of D.
    pub fn reduced(&self, observed: &Field) -> Result<Field> {
        let columns = self.coefficients();
        let mut values = Vec::with_capacity(observed.rows() * (columns + 1));
        for start in (0..observed.rows()).step_by(AT_ONCE) {
            let end = observed.rows().min(start + AT_ONCE);
            let rows = observed.tensor(start..end, DType::F64, &Device::Cpu)?;
            let centred = by_frame(&rows, self.frames)?.broadcast_sub(&self.mean)?; // [N F, D / F]
            let coefficients = centred.matmul(&self.directions)?.reshape((end - start, columns))?;
            let explained = coefficients.sqr()?.sum_keepdim(1)?;
            let energy = centred.sqr()?.reshape((end - start, ()))?.sum_keepdim(1)?;
            let residual = (energy - explained)?.relu()?;
            values.extend(
                Tensor::cat(&[&coefficients, &residual], 1)?
                    .flatten_all()?
                    .to_vec1::<f64>()?,
            );
        }
        Ok(Table::new(values, columns + 1).into())
    }

    /// ō + V y of coefficients `[N, F K]`, in their type; a residual beside them is left out. `[N, D]`
    pub fn expanded(&self, coefficients: &Tensor) -> Result<Tensor> {
        let (n, dtype) = (coefficients.dim(0)?, coefficients.dtype());
        let own = coefficients.narrow(1, 0, self.coefficients())?.contiguous()?;
        let own = own.reshape((n * self.frames, ()))?; // [N F, K]
        let spread = own.matmul(&self.directions.to_dtype(dtype)?.t()?)?;
        let frames = spread
            .broadcast_add(&self.mean.to_dtype(dtype)?)?
            .reshape((n, self.frames, ()))?;
        Ok(frames.transpose(1, 2)?.contiguous()?.flatten_from(1)?)
    }
}

/// The frames of observations `[N, D]`, whose numbers of all frames are beside each other, as rows. `[N F, D / F]`
fn by_frame(rows: &Tensor, frames: usize) -> Result<Tensor> {
    if frames == 1 {
        return Ok(rows.clone());
    }
    let n = rows.dim(0)?;
    let frames = rows.reshape((n, (), frames))?.transpose(1, 2)?.contiguous()?;
    Ok(frames.flatten_to(1)?)
}

/// An orthonormal basis of the columns of `z` `[D, K]`, in its type: z G^(−1/2) with G = zᵀ z, twice, since G is rounded.
fn orthonormal(z: &Tensor) -> Result<Tensor> {
    let dtype = z.dtype();
    let mut z = z.to_dtype(DType::F64)?;
    for _ in 0..2 {
        let (vectors, values) = eigen(&z.t()?.matmul(&z)?)?;
        let scales: Vec<f64> = values
            .iter()
            .map(|value| value.max(f64::MIN_POSITIVE).sqrt().recip())
            .collect();
        let scales = Tensor::new(scales, &Device::Cpu)?;
        z = z.matmul(&vectors.broadcast_mul(&scales)?.matmul(&vectors.t()?)?)?;
    }
    Ok(z.to_dtype(dtype)?)
}

/// Eigenvectors of a symmetric matrix as columns, and its eigenvalues, the largest first.
fn eigen(matrix: &Tensor) -> Result<(Tensor, Vec<f64>)> {
    let n = matrix.dim(0)?;
    let values: Vec<f64> = matrix.flatten_all()?.to_vec1()?;
    if values.iter().any(|v| !v.is_finite()) {
        // The iteration would never end.
        let none = Tensor::full(f64::NAN, (n, n), &Device::Cpu)?;
        return Ok((none, vec![f64::NAN; n]));
    }
    let SymmetricEigen {
        eigenvectors,
        eigenvalues,
    } = SymmetricEigen::new(DMatrix::from_row_slice(n, n, &values));
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|a, b| eigenvalues[*b].total_cmp(&eigenvalues[*a]));
    let vectors = (0..n).flat_map(|i| order.iter().map(move |j| (i, *j)));
    let vectors: Vec<f64> = vectors.map(|at| eigenvectors[at]).collect();
    let values = order.iter().map(|j| eigenvalues[*j]).collect();
    Ok((Tensor::from_vec(vectors, (n, n), &Device::Cpu)?, values))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Steps that lie near a plane of a space of 6 dimensions.
    fn train() -> Dataset {
        let streams = Streams::new(4);
        let row = |i: u64| {
            let draw = |name: &str, count: usize| -> Vec<f64> {
                let drawn = normal(streams.named(name).at(i), count, DType::F64, &Device::Cpu);
                drawn.and_then(|own| Ok(own.to_vec1::<f64>()?)).expect("numbers")
            };
            let (z, noise) = (draw("z", 2), draw("noise", 6));
            let of =
                |j: usize| 1.0 + 3.0 * z[0] * (j as f64 + 1.0).sin() + z[1] * (2.0 * j as f64).cos() + 0.1 * noise[j];
            (0..6).map(of).collect::<Vec<_>>()
        };
        Dataset {
            observed: Table::new((0..400).flat_map(row).collect(), 6).into(),
            ..Dataset::default()
        }
    }

    #[test]
    fn directions_are_those_of_the_covariance() {
        let train = train();
        let found = Principal::new(&train, 2).expect("directions");
        let all = train.observed.tensor(0..400, DType::F64, &Device::Cpu).expect("rows");
        let centred = all.broadcast_sub(&all.mean_keepdim(0).expect("a mean")).expect("rows");
        let scatter = centred.t().and_then(|t| t.matmul(&centred)).expect("a matrix");
        let (vectors, _) = eigen(&scatter).expect("eigenvectors");
        let both = vectors
            .narrow(1, 0, 2)
            .and_then(|own| own.t()?.matmul(&found.directions))
            .expect("a product");
        let cosines: Vec<Vec<f64>> = both.to_vec2().expect("numbers");
        assert!(
            (cosines[0][0].abs() - 1.0).abs() < 1e-4 && (cosines[1][1].abs() - 1.0).abs() < 1e-4,
            "{cosines:?}"
        );
        let gram = found
            .directions
            .t()
            .and_then(|t| t.matmul(&found.directions))
            .expect("a product");
        for (i, row) in gram.to_vec2::<f64>().expect("numbers").iter().enumerate() {
            for (j, value) in row.iter().enumerate() {
                assert!((value - f64::from(u8::from(i == j))).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn an_observation_is_its_coefficients_and_a_residual() {
        let train = train();
        let found = Principal::new(&train, 3).expect("directions");
        let reduced = found.reduced(&train.observed).expect("rows");
        assert_eq!((reduced.rows(), reduced.columns()), (400, 4));
        let rows = reduced.tensor(0..400, DType::F64, &Device::Cpu).expect("rows");
        let expanded = rows
            .narrow(1, 0, 3)
            .map_err(Error::from)
            .and_then(|own| found.expanded(&own))
            .expect("rows");
        let expanded: Vec<Vec<f64>> = expanded.to_vec2().expect("numbers");
        for (i, expanded) in expanded.iter().enumerate() {
            let off: f64 = (0..6).map(|j| (train.observed.value(i, j) - expanded[j]).powi(2)).sum();
            assert!(
                (off - reduced.value(i, 3)).abs() < 1e-9,
                "{off} {}",
                reduced.value(i, 3)
            );
        }
        assert!(Principal::new(&train, 6).is_err());
    }
}
