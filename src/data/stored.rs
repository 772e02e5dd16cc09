//! Numbers as they are stored: f64, f32 or bytes, in memory or mapped from a file.

use memmap2::{Mmap, MmapOptions};
use std::fs::File;
use std::ops::Range;

/// The type of stored numbers. Files store them in little-endian order where they are mapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    F64,
    F32,
    Bytes,
}

impl Type {
    /// Bytes per number.
    pub fn size(self) -> usize {
        match self {
            Self::F64 => 8,
            Self::F32 => 4,
            Self::Bytes => 1,
        }
    }
}

/// Numbers in memory, or in a file that is mapped into it.
#[derive(Debug)]
pub(super) enum Stored {
    F64(Vec<f64>),
    F32(Vec<f32>),
    Bytes(Vec<u8>),
    Mapped(Mmap, Type),
}

impl Stored {
    /// `len` numbers of `file` from byte `start` on. The operating system reads them when they are used, and may forget
    /// them again.
    pub fn map(file: &File, start: u64, len: usize, of: Type) -> std::io::Result<Self> {
        let mut options = MmapOptions::new();
        // SAFETY: a mapped file must not be changed or shortened; the key `path` says so. Every bit pattern is a number.
        let map = unsafe { options.offset(start).len(len * of.size()).map(file)? };
        Ok(Self::Mapped(map, of))
    }

    /// How many numbers there are.
    pub fn len(&self) -> usize {
        match self {
            Self::F64(values) => values.len(),
            Self::F32(values) => values.len(),
            Self::Bytes(values) => values.len(),
            Self::Mapped(map, of) => map.len() / of.size(),
        }
    }

    /// Whether numbers are bytes.
    pub fn are_bytes(&self) -> bool {
        matches!(self, Self::Bytes(_) | Self::Mapped(_, Type::Bytes))
    }

    /// Number `at`.
    pub fn get(&self, at: usize) -> f64 {
        match self {
            Self::F64(values) => values[at],
            Self::F32(values) => f64::from(values[at]),
            Self::Bytes(values) => f64::from(values[at]),
            Self::Mapped(map, Type::F64) => f64::from_le_bytes(map.as_chunks().0[at]),
            Self::Mapped(map, Type::F32) => f64::from(f32::from_le_bytes(map.as_chunks().0[at])),
            Self::Mapped(map, Type::Bytes) => f64::from(map[at]),
        }
    }

    /// Calls `each` with the numbers of `range`, in order.
    pub fn for_each(&self, range: Range<usize>, mut each: impl FnMut(f64)) {
        match self {
            Self::F64(values) => values[range].iter().for_each(|v| each(*v)),
            Self::F32(values) => values[range].iter().for_each(|v| each(f64::from(*v))),
            Self::Bytes(values) => values[range].iter().for_each(|v| each(f64::from(*v))),
            Self::Mapped(map, Type::F64) => {
                let values = &map.as_chunks::<8>().0[range];
                values.iter().for_each(|v| each(f64::from_le_bytes(*v)));
            }
            Self::Mapped(map, Type::F32) => {
                let values = &map.as_chunks::<4>().0[range];
                values.iter().for_each(|v| each(f64::from(f32::from_le_bytes(*v))));
            }
            Self::Mapped(map, Type::Bytes) => map[range].iter().for_each(|v| each(f64::from(*v))),
        }
    }

    /// The bytes of `range`, unless numbers are wider.
    pub fn bytes(&self, range: Range<usize>) -> Option<&[u8]> {
        match self {
            Self::Bytes(values) => Some(&values[range]),
            Self::Mapped(map, Type::Bytes) => Some(&map[range]),
            _ => None,
        }
    }
}
