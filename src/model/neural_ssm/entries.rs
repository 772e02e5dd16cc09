//! Parameters of which some entries are fixed: vectors and matrices of a file.

use crate::Result;
use crate::error::Fault;
use crate::math::streams::Stream;
use crate::model::linear_gaussian_ssm::{MatrixKeys, VectorKeys};
use crate::nn::{Parameters, normal};
use candle_core::{DType, Device, Tensor};

/// One parameter: a matrix, of which a vector is one row.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entries {
    /// Its name among the parameters.
    name: &'static str,
    /// Rows and columns.
    shape: (usize, usize),
    /// Fixed values, row-major; NaN for learnt entries.
    fixed: Vec<f64>,
    /// Initial values, row-major.
    start: Vec<f64>,
    /// Whether a key gives the initial values.
    is_started: bool,
}

impl Entries {
    /// A vector; `otherwise` is where it starts without a key.
    pub fn vector(
        name: &'static str,
        key: &str,
        keys: &VectorKeys,
        otherwise: &[f64],
    ) -> std::result::Result<Self, Fault> {
        let fixed = keys
            .fixed
            .as_ref()
            .map(|fixed| fixed.iter().map(|entry| entry.0).collect());
        Self::new(name, key, (1, otherwise.len()), fixed, keys.start.clone(), otherwise)
    }

    /// A matrix of this shape, given as rows; `otherwise` is where it starts without a key, row-major.
    pub fn matrix(
        name: &'static str,
        key: &str,
        keys: &MatrixKeys,
        shape: (usize, usize),
        otherwise: &[f64],
    ) -> std::result::Result<Self, Fault> {
        let flat = |name: &str, rows: Vec<Vec<f64>>| {
            if rows.len() != shape.0 || rows.iter().any(|row| row.len() != shape.1) {
                return Err(Fault::new(
                    format!("{key}.{name}"),
                    "these rows do not fit",
                    format!("{} rows of {} numbers", shape.0, shape.1),
                    "one row for each output, one number for each input of the matrix",
                ));
            }
            Ok(rows.into_iter().flatten().collect())
        };
        let fixed = keys.fixed.as_ref().map(|rows| {
            let rows = rows.iter().map(|row| row.iter().map(|entry| entry.0).collect());
            flat("fixed", rows.collect())
        });
        let start = keys.start.clone().map(|rows| flat("start", rows));
        Self::new(name, key, shape, fixed.transpose()?, start.transpose()?, otherwise)
    }

    fn new(
        name: &'static str,
        key: &str,
        shape: (usize, usize),
        fixed: Option<Vec<f64>>,
        start: Option<Vec<f64>>,
        otherwise: &[f64],
    ) -> std::result::Result<Self, Fault> {
        for (name, values) in [("fixed", &fixed), ("start", &start)] {
            let Some(values) = values else { continue };
            let at = format!("{key}.{name}");
            let help = "one for each entry; `nan` in `fixed` for learnt entries";
            if values.len() != otherwise.len() {
                let message = format!("{} numbers do not fit", values.len());
                return Err(Fault::new(at, message, format!("{} numbers", otherwise.len()), help));
            }
            if values
                .iter()
                .any(|v| v.is_infinite() || (v.is_nan() && name == "start"))
            {
                return Err(Fault::new(at, "a number is not finite", "finite numbers", help));
            }
        }
        let fixed = fixed.unwrap_or_else(|| vec![f64::NAN; otherwise.len()]);
        if let Some(start) = &start
            && let Some((fixed, start)) = fixed.iter().zip(start).find(|(f, s)| !f.is_nan() && f != s)
        {
            return Err(Fault::new(
                format!("{key}.start"),
                format!("an entry that is fixed at {fixed} would start at {start}"),
                "the same values where both are given",
                "remove `start`, or write `nan` in `fixed` for learnt entries",
            ));
        }
        let is_started = start.is_some();
        let start = start.unwrap_or_else(|| otherwise.to_vec());
        let start = fixed
            .iter()
            .zip(start)
            .map(|(fixed, start)| if fixed.is_nan() { start } else { *fixed });
        Ok(Self {
            name,
            shape,
            start: start.collect(),
            is_started,
            fixed,
        })
    }

    /// The same entries, each through `function` of its place and its value; learnt entries stay learnt.
    pub fn map(self, function: impl Fn(usize, f64) -> f64) -> Self {
        let one = |(at, v): (usize, f64)| if v.is_nan() { v } else { function(at, v) };
        let map = |values: Vec<f64>| values.into_iter().enumerate().map(one).collect();
        Self {
            fixed: map(self.fixed),
            start: map(self.start),
            ..self
        }
    }

    /// A fixed or initial value of which this is true.
    pub fn find(&self, is_invalid: impl Fn(f64) -> bool) -> Option<f64> {
        self.start.iter().copied().find(|v| is_invalid(*v))
    }

    /// The number of learnt entries.
    pub fn learnt(&self) -> usize {
        self.fixed.iter().filter(|v| v.is_nan()).count()
    }

    /// The number of fixed entries, if others are learnt: they are numbers of the parameter without effect.
    pub fn fixed_beside_learnt(&self) -> usize {
        match self.learnt() {
            0 => 0,
            learnt => self.fixed.len() - learnt,
        }
    }

    /// Adds the initial value, if any entry is learnt.
    pub fn initial(&self, parameters: &mut Parameters, dtype: DType, device: &Device) -> Result<()> {
        if self.learnt() == 0 {
            return Ok(());
        }
        let start = Tensor::from_vec(self.start.clone(), self.shape, device)?;
        parameters.insert(self.name, &start.to_dtype(dtype)?)
    }

    /// Adds an initial value of which learnt entries are normal numbers, divided by the root of the columns and multiplied
    /// by `scale` of their row; entries with a start keep it.
    pub fn initial_scaled(
        &self,
        parameters: &mut Parameters,
        (dtype, device): (DType, &Device),
        stream: &Stream,
        scale: impl Fn(usize) -> f64,
    ) -> Result<()> {
        let noise = normal(stream.at(0), self.shape, DType::F64, &Device::Cpu)?.flatten_all()?;
        let columns = self.shape.1;
        let drawn = noise.to_vec1::<f64>()?.into_iter().enumerate();
        let drawn = drawn.map(|(at, v)| v * scale(at / columns) / (columns as f64).sqrt());
        let mut own = self.clone();
        if !self.is_started {
            let drawn = drawn.zip(&self.fixed);
            own.start = drawn
                .map(|(v, fixed)| if fixed.is_nan() { v } else { *fixed })
                .collect();
        }
        own.initial(parameters, dtype, device)
    }

    /// Its value under θ. `[rows, columns]`
    pub fn value(&self, theta: &Parameters) -> Result<Tensor> {
        let (dtype, device) = (theta.dtype(), theta.device());
        let constant = |values: Vec<f64>| -> Result<Tensor> {
            Ok(Tensor::from_vec(values, self.shape, &device)?.to_dtype(dtype)?)
        };
        let is_learnt = |v: &f64| v.is_nan();
        if !self.fixed.iter().any(is_learnt) {
            return constant(self.fixed.clone());
        }
        let own = theta.get(self.name)?.clone();
        if self.fixed.iter().all(is_learnt) {
            return Ok(own);
        }
        let mask = self.fixed.iter().map(|v| f64::from(u8::from(is_learnt(v)))).collect();
        let rest = self.fixed.iter().map(|v| if is_learnt(v) { 0.0 } else { *v }).collect();
        Ok(((own * constant(mask)?)? + constant(rest)?)?)
    }
}
