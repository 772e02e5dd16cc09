//! One array in NumPy's format: any type of real number, byte order and memory order.
//!
//! Numbers are kept in the narrowest of bytes, f32 and f64 that holds all numbers of their type. Large arrays that the
//! file stores in the same way are mapped into memory instead of read. Headers are not trusted. Sizes are multiplied with overflow checks, and must match the size of the data, before
//! memory is allocated.

use super::bytes::{FREE, LARGEST_RATIO};
use super::columns::cut;
use crate::data::stored::{Stored, Type};
use crate::error::Fault;
use half::f16;
use npyz::{DType, Deserialize, Endianness, NpyFile, NpyHeader, Order, TypeChar};
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;
use std::sync::Arc;

/// Longer headers are refused, as NumPy does.
const LONGEST_HEADER: usize = 10_000;

/// The largest number of brackets in a header; arrays of plain numbers have fewer.
const MOST_BRACKETS: usize = 16;

/// Arrays of at least so many bytes are mapped.
const MAPPED: u64 = 16 << 20;

/// An array, row-major.
#[derive(Debug, Clone)]
pub(super) struct Raw {
    pub shape: Vec<usize>,
    /// Its numbers; empty if it holds dates.
    pub stored: Arc<Stored>,
    /// Whether they are unsigned bytes.
    pub is_u8: bool,
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

/// Where an array lies in the file.
pub(super) struct Place<'a> {
    /// The array's bytes, header included, when decompressed.
    pub size: u64,
    /// Its bytes in the file.
    pub compressed: u64,
    /// The file, and where the array begins in it; none if it is compressed.
    pub plain: Option<(&'a File, u64)>,
}

/// The array called `name`, from a `reader` of its bytes.
pub(super) fn read(mut reader: impl Read, place: Place, name: &str) -> Result<Raw, Unreadable> {
    let name = cut(name);
    let Place {
        size,
        compressed,
        plain,
    } = place;
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
    let raw = match plain.and_then(|(file, start)| Some((file, start, mappable(&header, there)?))) {
        Some((file, start, of)) => {
            let len = header.len() as usize;
            let stored = Stored::map(file, start + head.len() as u64, len, of);
            // The archive checks its checksum where it is read.
            std::io::copy(&mut (&mut reader).take(there), &mut std::io::sink())
                .and(stored)
                .map(|stored| Raw {
                    stored: Arc::new(stored),
                    is_u8: is_u8(&header),
                    shape,
                    ticks: None,
                })
        }
        None => numbers(header, &mut reader, &shape),
    };
    let raw = raw.map_err(|error| damaged(&error.to_string()))?;
    // Reading to the end makes the archive check its checksum.
    match reader.read(&mut [0]) {
        Ok(0) => Ok(raw),
        Ok(_) => Err(damaged("more bytes follow than its shape needs")),
        Err(error) => Err(damaged(&error.to_string())),
    }
}

/// How the numbers behind `header`, of `size` bytes, can be mapped as they are in the file.
fn mappable(header: &NpyHeader, size: u64) -> Option<Type> {
    let DType::Plain(of) = header.dtype() else { return None };
    let is_large = size >= MAPPED;
    let is_in_order = header.order() == Order::C || header.shape().len() < 2;
    let of_type = match (of.type_char(), of.size_field(), of.endianness()) {
        (TypeChar::Uint, 1, _) => Type::Bytes,
        (TypeChar::Float, 4, Endianness::Little) => Type::F32,
        (TypeChar::Float, 8, Endianness::Little) => Type::F64,
        _ => return None,
    };
    (is_large && is_in_order).then_some(of_type)
}

/// Whether the numbers behind `header` are unsigned bytes.
fn is_u8(header: &NpyHeader) -> bool {
    matches!(header.dtype(), DType::Plain(of) if (of.type_char(), of.size_field()) == (TypeChar::Uint, 1))
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
    let (order, is_u8) = (header.order(), is_u8(&header));
    let file = NpyFile::with_header(header, BufReader::with_capacity(1 << 16, reader));
    let mut ticks = None;
    let (f64s, f32s, bytes) = (
        |values| Stored::F64(row_major(values, shape, order)),
        |values| Stored::F32(row_major(values, shape, order)),
        |values| Stored::Bytes(row_major(values, shape, order)),
    );
    let stored = match (of.type_char(), of.size_field()) {
        (TypeChar::Bool, _) => all(file, |value: bool| u8::from(value)).map(bytes),
        (TypeChar::Int, 1) => all(file, |value: i8| f32::from(value)).map(f32s),
        (TypeChar::Int, 2) => all(file, |value: i16| f32::from(value)).map(f32s),
        (TypeChar::Int, 4) => all(file, |value: i32| f64::from(value)).map(f64s),
        (TypeChar::Int, _) => all(file, |value: i64| value as f64).map(f64s),
        (TypeChar::Uint, 1) => all(file, |value: u8| value).map(bytes),
        (TypeChar::Uint, 2) => all(file, |value: u16| f32::from(value)).map(f32s),
        (TypeChar::Uint, 4) => all(file, |value: u32| f64::from(value)).map(f64s),
        (TypeChar::Uint, _) => all(file, |value: u64| value as f64).map(f64s),
        (TypeChar::Float, 2) => all(file, |value: f16| value.to_f32()).map(f32s),
        (TypeChar::Float, 4) => all(file, |value: f32| value).map(f32s),
        (TypeChar::Float, _) => all(file, |value: f64| value).map(f64s),
        _ => {
            let unit = of.time_units().map_or(String::new(), |unit| unit.to_str().to_owned());
            let raw = all(file, |value: i64| value)?;
            ticks = Some((row_major(raw, shape, order), unit));
            Ok(Stored::F64(Vec::new()))
        }
    }?;
    Ok(Raw {
        shape: shape.to_vec(),
        stored: Arc::new(stored),
        is_u8,
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
    values.shrink_to_fit();
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
