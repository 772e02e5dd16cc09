//! One quantity of every row, such as the observed one: a view of numbers that all runs share.
//!
//! A field says which rows of the stored numbers it has (a part of the data is a list of rows, not a copy) and how a
//! stored number becomes the model's: bytes of images are divided by 255, then columns are standardised. Numbers are
//! converted where they are read: row by row into batches, column by column into moments. Only [`Field::values`] keeps
//! them all in f64, for the closed-form kernels and for figures.

use super::Table;
use super::standardize::Columns;
use super::stored::Stored;
use crate::Result;
use crate::math::rows::Rows;
use candle_core::{DType, Device, Tensor};
use std::ops::Range;
use std::sync::{Arc, OnceLock};

/// The largest byte: white, 1.
const WHITE: f64 = 255.0;

/// One quantity of N rows. `[N, …]`
#[derive(Debug, Clone)]
pub struct Field {
    stored: Arc<Stored>,
    /// The shape of one row: `[D]`, or `[H, W, C]` of images.
    event: Vec<usize>,
    /// The product of `event`.
    columns: usize,
    rows: Members,
    /// Stored numbers are divided by this: 255 for the bytes of images, 1 otherwise.
    divisor: f64,
    /// Standardisation of the columns; none is the identity.
    units: Option<Arc<Columns>>,
    /// All numbers in f64, row-major, once they have been asked for and are not stored like this.
    dense: OnceLock<Arc<Vec<f64>>>,
}

/// Rows of the stored numbers.
#[derive(Debug, Clone)]
enum Members {
    Range(Range<usize>),
    Listed(Arc<[u32]>),
}

impl Members {
    fn len(&self) -> usize {
        match self {
            Self::Range(range) => range.len(),
            Self::Listed(rows) => rows.len(),
        }
    }

    /// The stored row of row `i`.
    fn at(&self, i: usize) -> usize {
        match self {
            Self::Range(range) => range.start + i,
            Self::Listed(rows) => rows[i] as usize,
        }
    }
}

impl Default for Field {
    fn default() -> Self {
        Self::new(Stored::F64(Vec::new()), vec![1])
    }
}

impl From<Table> for Field {
    fn from(table: Table) -> Self {
        let columns = table.columns();
        Self::new(Stored::F64(table.into_values()), vec![columns])
    }
}

impl PartialEq for Field {
    /// Whether the numbers are the same, however they are stored.
    fn eq(&self, other: &Self) -> bool {
        (self.rows(), &self.event) == (other.rows(), &other.event) && self.iter().eq(other.iter())
    }
}

impl Field {
    /// All rows of `stored`, row-major; `event` is the shape of one.
    pub(super) fn new(stored: impl Into<Arc<Stored>>, event: Vec<usize>) -> Self {
        let stored = stored.into();
        let columns = event.iter().product();
        assert!(columns > 0 && stored.len().is_multiple_of(columns), "whole rows");
        Self {
            rows: Members::Range(0..stored.len() / columns),
            stored,
            event,
            columns,
            divisor: 1.0,
            units: None,
            dense: OnceLock::new(),
        }
    }

    /// The same for bytes from black, 0, to white, 255, which are read as numbers from 0 to 1.
    pub(super) fn of_bytes(self) -> Self {
        Self { divisor: WHITE, ..self }
    }

    /// Fields of equally many rows side by side; bytes stay bytes.
    pub(super) fn beside(fields: &[&Self]) -> Self {
        let columns = fields.iter().map(|field| field.columns).sum();
        let rows = fields.first().map_or(0, |field| field.rows());
        let divisor = fields.first().map_or(1.0, |field| field.divisor);
        let bytes = |field: &&Self| field.stored.are_bytes() && field.divisor == divisor && field.units.is_none();
        if fields.iter().all(bytes) {
            let mut values = Vec::with_capacity(rows * columns);
            for i in 0..rows {
                for field in fields {
                    values.extend_from_slice(field.stored.bytes(field.range(i)).unwrap_or(&[]));
                }
            }
            let joined = Self::new(Stored::Bytes(values), vec![columns]);
            return Self { divisor, ..joined };
        }
        let mut values = Vec::with_capacity(rows * columns);
        for i in 0..rows {
            fields.iter().for_each(|field| field.read(i, |_, v| values.push(v)));
        }
        Self::new(Stored::F64(values), vec![columns])
    }

    /// The number of rows N.
    pub fn rows(&self) -> usize {
        self.rows.len()
    }

    /// The number of columns D, the product of [`Field::event`].
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The shape of one row: `[D]`, or `[H, W, C]` of images.
    pub fn event(&self) -> &[usize] {
        &self.event
    }

    /// Rows, columns and frames of its images; none if its rows are no images.
    pub fn image(&self) -> Option<[usize; 3]> {
        match self.event[..] {
            [height, width] => Some([height, width, 1]),
            [height, width, frames] => Some([height, width, frames]),
            _ => None,
        }
    }

    /// Whether rows are images.
    pub fn is_images(&self) -> bool {
        self.event.len() > 1
    }

    /// Whether numbers are stored as bytes, which are always finite.
    pub(super) fn are_bytes(&self) -> bool {
        self.stored.are_bytes()
    }

    /// Where row `i` is stored.
    fn range(&self, i: usize) -> Range<usize> {
        let start = self.rows.at(i) * self.columns;
        start..start + self.columns
    }

    /// What the stored number `v` of column `j` is to the model.
    fn converted(&self, j: usize, v: f64) -> f64 {
        let v = v / self.divisor;
        self.units.as_ref().map_or(v, |units| units.convert(j, v))
    }

    /// Calls `each` with every column of row `i` and its number.
    fn read(&self, i: usize, mut each: impl FnMut(usize, f64)) {
        let mut j = 0;
        self.stored.for_each(self.range(i), |v| {
            each(j, self.converted(j, v));
            j += 1;
        });
    }

    /// Column `j` of row `i`.
    pub fn value(&self, i: usize, j: usize) -> f64 {
        self.converted(j, self.stored.get(self.rows.at(i) * self.columns + j))
    }

    /// Column `j`, from the first row on.
    pub fn column(&self, j: usize) -> impl Iterator<Item = f64> + '_ {
        (0..self.rows()).map(move |i| self.value(i, j))
    }

    /// All numbers, row-major.
    pub fn iter(&self) -> impl Iterator<Item = f64> + '_ {
        (0..self.rows()).flat_map(move |i| (0..self.columns).map(move |j| self.value(i, j)))
    }

    /// `Σ_i term(i, j, value)` of every column j, added from the first row on, in one pass. `[D]`
    pub fn sums(&self, mut term: impl FnMut(usize, usize, f64) -> f64) -> Vec<f64> {
        let mut sums = vec![0.0; self.columns];
        for i in 0..self.rows() {
            self.read(i, |j, v| sums[j] += term(i, j, v));
        }
        sums
    }

    /// All numbers in f64, row-major. Where they are not stored like this, the first call makes a copy that is kept as
    /// long as this view of them.
    pub fn values(&self) -> &[f64] {
        if let (Stored::F64(values), Members::Range(rows), None) = (&*self.stored, &self.rows, &self.units) {
            return &values[rows.start * self.columns..rows.end * self.columns];
        }
        self.dense.get_or_init(|| {
            let mut values = Vec::with_capacity(self.rows() * self.columns);
            (0..self.rows()).for_each(|i| self.read(i, |_, v| values.push(v)));
            Arc::new(values)
        })
    }

    /// All numbers in f64, row-major, to be changed: they become this field's own.
    pub fn values_mut(&mut self) -> &mut [f64] {
        let is_whole = matches!((&*self.stored, &self.rows), (Stored::F64(values), Members::Range(rows))
            if rows.len() * self.columns == values.len());
        if !is_whole || self.units.is_some() || Arc::get_mut(&mut self.stored).is_none() {
            *self = Self::new(Stored::F64(self.values().to_vec()), self.event.clone());
        }
        self.dense.take();
        match Arc::get_mut(&mut self.stored) {
            Some(Stored::F64(values)) => values,
            _ => &mut [],
        }
    }

    /// The numbers of row `i`, read anew. `[D]`
    pub(super) fn row_values(&self, i: usize) -> Vec<f64> {
        let mut values = Vec::with_capacity(self.columns);
        self.read(i, |_, v| values.push(v));
        values
    }

    /// Row `i` of [`Field::values`].
    pub fn row(&self, i: usize) -> &[f64] {
        &self.values()[i * self.columns..(i + 1) * self.columns]
    }

    /// [`Field::values`] for the closed-form kernels.
    pub fn view(&self) -> Rows<'_> {
        Rows {
            values: self.values(),
            columns: self.columns,
        }
    }

    /// A copy in f64.
    pub fn table(&self) -> Table {
        Table::new(self.values().to_vec(), self.columns)
    }

    /// The rows at `indices`, in that order, of the same stored numbers.
    pub fn select(&self, indices: &[usize]) -> Self {
        let rows = indices.iter().map(|&i| self.rows.at(i) as u32).collect();
        self.with_rows(Members::Listed(rows))
    }

    /// Adjacent rows, of the same stored numbers.
    pub(super) fn part(&self, rows: Range<usize>) -> Self {
        match &self.rows {
            Members::Range(all) => self.with_rows(Members::Range(all.start + rows.start..all.start + rows.end)),
            Members::Listed(_) => self.select(&rows.collect::<Vec<_>>()),
        }
    }

    /// These rows, followed by those of `below`.
    pub(super) fn above(&self, below: &Self) -> Self {
        if let (Members::Range(first), Members::Range(rest)) = (&self.rows, &below.rows)
            && first.end == rest.start
            && Arc::ptr_eq(&self.stored, &below.stored)
            && self.units == below.units
        {
            return self.with_rows(Members::Range(first.start..rest.end));
        }
        Self::new(
            Stored::F64([self.values(), below.values()].concat()),
            self.event.clone(),
        )
    }

    fn with_rows(&self, rows: Members) -> Self {
        Self {
            rows,
            event: self.event.clone(),
            stored: self.stored.clone(),
            units: self.units.clone(),
            dense: OnceLock::new(),
            ..*self
        }
    }

    /// The same in the units of `columns`, which are fitted to these numbers or to other rows of the same.
    pub(super) fn standardized(&self, columns: &Arc<Columns>) -> Self {
        if columns.scale().is_empty() {
            return self.clone();
        }
        let fresh = match &self.units {
            None => self.with_rows(self.rows.clone()),
            Some(_) => Self::new(Stored::F64(self.values().to_vec()), self.event.clone()),
        };
        Self {
            units: Some(columns.clone()),
            ..fresh
        }
    }

    /// The rows at `indices`, in that order. `[B, D]`
    pub fn tensor(
        &self,
        indices: impl ExactSizeIterator<Item = usize>,
        dtype: DType,
        device: &Device,
    ) -> Result<Tensor> {
        let shape = (indices.len(), self.columns);
        let len = shape.0 * shape.1;
        if dtype == DType::F32 {
            let mut values = Vec::with_capacity(len);
            indices.for_each(|i| self.read(i, |_, v| values.push(v as f32)));
            return Ok(Tensor::from_vec(values, shape, device)?);
        }
        let mut values = Vec::with_capacity(len);
        indices.for_each(|i| self.read(i, |_, v| values.push(v)));
        Ok(Tensor::from_vec(values, shape, device)?.to_dtype(dtype)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(field: &Field) -> Vec<f64> {
        field.iter().collect()
    }

    /// Four images of one row of two pixels.
    fn images() -> Field {
        Field::new(Stored::Bytes(vec![0, 255, 51, 102, 255, 0, 204, 51]), vec![1, 2, 1]).of_bytes()
    }

    #[test]
    fn bytes_of_images_are_numbers_from_0_to_1_and_parts_share_them() {
        let all = images();
        assert!(all.is_images());
        assert_eq!(numbers(&all), [0.0, 1.0, 0.2, 0.4, 1.0, 0.0, 0.8, 0.2]);
        let part = all.select(&[3, 0]).select(&[1, 0, 1]);
        assert_eq!(numbers(&part), [0.0, 1.0, 0.8, 0.2, 0.0, 1.0]);
        assert!(Arc::ptr_eq(&all.stored, &part.stored) && part.dense.get().is_none());
        assert_eq!(part.values(), numbers(&part));
        assert_eq!(all.column(1).collect::<Vec<_>>(), [1.0, 0.4, 0.0, 0.2]);
        assert_eq!(
            all.sums(|i, _, v| i as f64 * v),
            [0.2 + 2.0 + 3.0 * 0.8, 0.4 + 3.0 * 0.2]
        );
        for dtype in [DType::F32, DType::F64] {
            let rows = part.tensor([2, 1].into_iter(), dtype, &Device::Cpu).expect("rows");
            let rows = rows.to_dtype(DType::F32).and_then(|rows| rows.to_vec2::<f32>());
            assert_eq!(rows.expect("numbers"), [[0.0, 1.0], [0.8, 0.2]]);
        }
    }

    #[test]
    fn f64_is_read_where_it_is_stored_until_it_is_changed() {
        let all: Field = Table::new(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 2).into();
        let (first, rest) = (all.part(0..1), all.part(1..3));
        assert_eq!(
            (first.values(), rest.values()),
            (&[1.0, 2.0][..], &[3.0, 4.0, 5.0, 6.0][..])
        );
        assert!(rest.dense.get().is_none());
        let mut whole = first.above(&rest);
        assert!(whole == all && Arc::ptr_eq(&whole.stored, &all.stored));
        whole.values_mut()[3] = 0.0;
        assert_eq!((whole.row(1), all.row(1)), (&[3.0, 0.0][..], &[3.0, 4.0][..]));
        assert_eq!(numbers(&rest.above(&first)), [3.0, 4.0, 5.0, 6.0, 1.0, 2.0]);
        assert_eq!(numbers(&whole.select(&[2, 1])), [5.0, 6.0, 3.0, 0.0]);
    }

    #[test]
    fn fields_side_by_side_stay_bytes_if_all_are() {
        let both = Field::beside(&[&images().select(&[2, 3]), &images().part(0..2)]);
        assert_eq!(numbers(&both), [1.0, 0.0, 0.0, 1.0, 0.8, 0.2, 0.2, 0.4]);
        assert!(both.are_bytes());
        let other = Table::new(vec![7.0, 8.0], 1).into();
        let both = Field::beside(&[&other, &images().part(0..2)]);
        assert_eq!(numbers(&both), [7.0, 0.0, 1.0, 8.0, 0.2, 0.4]);
    }
}
