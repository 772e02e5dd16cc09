//! One array in NumPy's format: any type of real number, byte order and memory order.
//!
//! Headers are not trusted. Sizes are multiplied with overflow checks, and must match the size of the data, before
//! memory is allocated.

use super::bytes::{FREE, LARGEST_RATIO};
use super::columns::cut;
use crate::error::Fault;
use half::f16;
use npyz::{DType, Deserialize, NpyFile, NpyHeader, Order, TypeChar};
use std::io::{BufReader, Read};
use std::path::Path;

/// Longer headers are refused, as NumPy does.
const LONGEST_HEADER: usize = 10_000;

/// The largest number of brackets in a header; arrays of plain numbers have fewer.
const MOST_BRACKETS: usize = 16;

/// An array, row-major.
#[derive(Debug, Clone)]
pub(super) struct Raw {
    pub shape: Vec<usize>,
    /// Its numbers; empty if it holds dates.
    pub values: Vec<f64>,
    /// Its dates, and the unit in which NumPy counts them since 1970.
    pub ticks: Option<(Vec<i64>, String)>,
}

/// Why an array cannot be read: the problem, what was expected, what to try.
#[derive(Debug)]
pub(super) struct Unreadable {
    what: String,
    expected: String,
    help: String,
}

impl Unreadable {
    fn new(what: impl Into<String>, expected: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            expected: expected.into(),
            help: help.into(),
        }
    }

    /// The same as a fault of the file at `path` under `key`.
    pub fn fault(self, key: &str, path: &Path) -> Fault {
        let message = format!("{}: {}", path.display(), self.what);
        Fault::new(key, message, self.expected, self.help)
    }
}

/// The array called `name`, from a `reader` of `size` bytes, `compressed` bytes on disk.
pub(super) fn read(mut reader: impl Read, size: u64, compressed: u64, name: &str) -> Result<Raw, Unreadable> {
    let name = cut(name);
    let damaged = |why: &str| {
        let what = format!("array `{name}` cannot be read: {why}");
        Unreadable::new(what, "an array as `numpy.save` writes it", "save the array again")
    };
    let head = head(&mut reader).map_err(|why| damaged(&why))?;
    let text = String::from_utf8_lossy(head.get(10..).unwrap_or(&[]));
    if text.contains("[(") {
        return Err(Unreadable::new(
            format!("array `{name}` is a structured array"),
            "an array of numbers",
            "save its fields as arrays of their own",
        ));
    }
    check_numbers(&text).map_err(&damaged)?;
    let header = NpyHeader::from_reader(&head[..]).map_err(|error| damaged(&error.to_string()))?;
    let shape: Option<Vec<usize>> = header.shape().iter().map(|n| usize::try_from(*n).ok()).collect();
    let shape = shape.ok_or_else(|| damaged("its shape is too large"))?;
    check_type(&header, &name)?;
    let item = header.dtype().num_bytes().unwrap_or(0) as u64;
    let needed = header.len().checked_mul(item);
    let there = size.saturating_sub(head.len() as u64);
    if needed != Some(there) {
        let needed = needed.map_or("too many".to_owned(), |needed| needed.to_string());
        return Err(damaged(&format!(
            "the shape {shape:?} needs {needed} bytes, and the file says that {there} follow"
        )));
    }
    let memory = header.len().saturating_mul(8);
    if memory > FREE as u64 && there > compressed.saturating_mul(LARGEST_RATIO as u64) {
        return Err(Unreadable::new(
            format!("array `{name}` expands to more than {LARGEST_RATIO} times its size"),
            "compressed data of ordinary content",
            "save it by `numpy.savez`, without compression, if it is what you mean",
        ));
    }
    let raw = numbers(header, &mut reader, &shape).map_err(|error| damaged(&error.to_string()))?;
    // Reading to the end makes the archive check its checksum.
    match reader.read(&mut [0]) {
        Ok(0) => Ok(raw),
        Ok(_) => Err(damaged("more bytes follow than its shape needs")),
        Err(error) => Err(damaged(&error.to_string())),
    }
}

/// Everything before the numbers.
fn head(reader: &mut impl Read) -> Result<Vec<u8>, String> {
    let mut head = vec![0; 10];
    let mut read = |into: &mut [u8]| reader.read_exact(into).map_err(|error| error.to_string());
    read(&mut head)?;
    if !head.starts_with(b"\x93NUMPY") {
        return Err("it does not begin as one".into());
    }
    let mut length = usize::from(u16::from_le_bytes([head[8], head[9]]));
    if head[6] > 1 {
        head.resize(12, 0);
        read(&mut head[10..])?;
        length = u32::from_le_bytes([head[8], head[9], head[10], head[11]]) as usize;
    }
    if length > LONGEST_HEADER {
        return Err(format!("its header has {length} bytes"));
    }
    let start = head.len();
    head.resize(start + length, 0);
    read(&mut head[start..])?;
    Ok(head)
}

/// The header parser multiplies sizes and recurses into brackets, so both are limited first.
fn check_numbers(header: &str) -> Result<(), &'static str> {
    let brackets = header.chars().filter(|c| "([{".contains(*c)).count();
    let is_plain = |c: char| c.is_ascii() && c != '\\' && (!c.is_ascii_control() || c.is_ascii_whitespace());
    // Sizes are plain digits; a letter after them would change their value.
    let digits_end = header
        .as_bytes()
        .windows(2)
        .all(|pair| !(pair[0].is_ascii_digit() && (pair[1].is_ascii_alphabetic() || pair[1] == b'_')));
    if brackets > MOST_BRACKETS || !header.chars().all(is_plain) || !digits_end {
        return Err("its header is not that of an array of numbers");
    }
    let numbers = header
        .split(|c: char| !c.is_ascii_digit())
        .filter(|digits| !digits.is_empty());
    let product = numbers
        .map(|digits| digits.parse::<u64>().ok())
        .try_fold(1_u64, |product, number| product.checked_mul(number?.max(1)));
    product.map(|_| ()).ok_or("the sizes in its header are too large")
}

/// Accepts only real numbers and dates.
fn check_type(header: &NpyHeader, name: &str) -> Result<(), Unreadable> {
    let refuse = |what: &str, help: String| {
        Err(Unreadable::new(
            format!("array `{name}` holds {what}"),
            "real numbers: bool, int, uint or float of up to 64 bits",
            help,
        ))
    };
    let DType::Plain(of) = header.dtype() else {
        return refuse("records", "save their fields as arrays of their own".into());
    };
    match (of.type_char(), of.size_field()) {
        (TypeChar::Bool, 1) | (TypeChar::Int | TypeChar::Uint, 1 | 2 | 4 | 8) | (TypeChar::Float, 2 | 4 | 8) => Ok(()),
        (TypeChar::DateTime, 8) => Ok(()),
        (TypeChar::Float, bytes) => refuse(
            &format!("floats of {} bits", 8 * bytes),
            format!("save `{name}.astype(\"f8\")`"),
        ),
        (TypeChar::Complex, _) => refuse("complex numbers", format!("save `{name}.real` and `{name}.imag`")),
        (TypeChar::UnicodeStr | TypeChar::ByteStr, _) => refuse(
            "text",
            "write a CSV file, where `encode = \"one_hot\"` reads categories, or save numbers".into(),
        ),
        (TypeChar::Object, _) => refuse(
            "Python objects",
            format!("save `{name}.astype(\"f8\")`; objects can contain programs, so they are not read"),
        ),
        _ => refuse("something other than numbers", format!("save `{name}.astype(\"f8\")`")),
    }
}

/// The numbers behind `header`, row-major.
fn numbers(header: NpyHeader, reader: impl Read, shape: &[usize]) -> std::io::Result<Raw> {
    let DType::Plain(of) = header.dtype() else {
        return Err(std::io::Error::other("it holds records"));
    };
    let order = header.order();
    let file = NpyFile::with_header(header, BufReader::with_capacity(1 << 16, reader));
    let mut ticks = None;
    let values = match (of.type_char(), of.size_field()) {
        (TypeChar::Bool, _) => all(file, |value: bool| f64::from(u8::from(value))),
        (TypeChar::Int, 1) => all(file, |value: i8| f64::from(value)),
        (TypeChar::Int, 2) => all(file, |value: i16| f64::from(value)),
        (TypeChar::Int, 4) => all(file, |value: i32| f64::from(value)),
        (TypeChar::Int, _) => all(file, |value: i64| value as f64),
        (TypeChar::Uint, 1) => all(file, |value: u8| f64::from(value)),
        (TypeChar::Uint, 2) => all(file, |value: u16| f64::from(value)),
        (TypeChar::Uint, 4) => all(file, |value: u32| f64::from(value)),
        (TypeChar::Uint, _) => all(file, |value: u64| value as f64),
        (TypeChar::Float, 2) => all(file, |value: f16| value.to_f64()),
        (TypeChar::Float, 4) => all(file, |value: f32| f64::from(value)),
        (TypeChar::Float, _) => all(file, |value: f64| value),
        _ => {
            let unit = of.time_units().map_or(String::new(), |unit| unit.to_str().to_owned());
            let raw = all(file, |value: i64| value)?;
            ticks = Some((row_major(raw, shape, order), unit));
            Ok(Vec::new())
        }
    }?;
    Ok(Raw {
        shape: shape.to_vec(),
        values: if ticks.is_some() {
            values
        } else {
            row_major(values, shape, order)
        },
        ticks,
    })
}

/// Every number, converted by `to`.
fn all<T: Deserialize, U>(file: NpyFile<impl Read>, to: impl Fn(T) -> U) -> std::io::Result<Vec<U>> {
    let data = file.data::<T>().map_err(std::io::Error::other)?;
    // The header may claim more data than there are, so memory grows with the data read.
    let mut values = Vec::with_capacity(data.len().min(1 << 16) as usize);
    for value in data {
        values.push(to(value?));
    }
    Ok(values)
}

/// The same numbers with the last axis running fastest.
fn row_major<T: Copy>(values: Vec<T>, shape: &[usize], order: Order) -> Vec<T> {
    if order == Order::C || shape.len() < 2 || values.is_empty() {
        return values;
    }
    // In Fortran order, the first axis runs fastest.
    let strides: Vec<usize> = shape
        .iter()
        .scan(1, |stride, n| Some(std::mem::replace(stride, *stride * n)))
        .collect();
    let mut index = vec![0; shape.len()];
    let mut sorted = Vec::with_capacity(values.len());
    for _ in 0..values.len() {
        sorted.push(values[index.iter().zip(&strides).map(|(i, stride)| i * stride).sum::<usize>()]);
        for axis in (0..shape.len()).rev() {
            index[axis] += 1;
            if index[axis] < shape[axis] {
                break;
            }
            index[axis] = 0;
        }
    }
    sorted
}
