//! A checkpoint: every tensor a run needs to go on, in one safetensors file whose bytes depend on its content alone.
//!
//! The file is ordinary safetensors: `safetensors.numpy.load_file` reads it. Header and data are written in one fixed
//! order, wide types first (so that every tensor is aligned), then by name; the library's own writer takes metadata
//! from a hash map, whose order changes from process to process. Beside the caller's metadata the header holds
//!
//! | key | meaning |
//! |---|---|
//! | `step` | the step after which the state was taken |
//! | `metrics_lines`, `event_lines` | how many lines both files held up to that step |
//! | `checksum` | BLAKE3 of all other metadata and all tensors: names, types, shapes, data |

use crate::error::{Error, Result};
use candle_core::{DType, Device, Tensor};
use safetensors::{SafeTensors, tensor::TensorView};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The state of a run after a step.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    /// The step after which the state was taken.
    pub step: u64,
    /// Parameters, optimiser moments, and everything else the run needs, by name. f64, i64, f32, u32 or u8.
    pub tensors: BTreeMap<String, Tensor>,
    /// Anything else, as text. The keys `step`, `metrics_lines`, `event_lines` and `checksum` are taken.
    pub metadata: BTreeMap<String, String>,
}

/// How many lines the line files held when the checkpoint was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LineCounts {
    pub metrics: u64,
    pub events: u64,
}

const STEP: &str = "step";
const METRICS_LINES: &str = "metrics_lines";
const EVENT_LINES: &str = "event_lines";
const CHECKSUM: &str = "checksum";
const METADATA: &str = "__metadata__";

/// The bytes of `checkpoint.safetensors`.
pub(super) fn encode(checkpoint: &Checkpoint, lines: LineCounts) -> Result<Vec<u8>> {
    let mut metadata = checkpoint.metadata.clone();
    let own = [
        (STEP, checkpoint.step),
        (METRICS_LINES, lines.metrics),
        (EVENT_LINES, lines.events),
    ];
    if let Some(taken) = own
        .map(|(key, _)| key)
        .iter()
        .chain(&[CHECKSUM])
        .find(|key| metadata.contains_key(**key))
    {
        return Err(Error::Record(format!(
            "checkpoint metadata may not be called `{taken}`: the record writes that key"
        )));
    }
    metadata.extend(own.map(|(key, value)| (key.to_owned(), value.to_string())));

    let mut digest = Digest::new(&metadata);
    let mut parts = Vec::with_capacity(checkpoint.tensors.len());
    for (name, tensor) in &checkpoint.tensors {
        if name == METADATA {
            return Err(Error::Record(format!(
                "a checkpoint tensor may not be called `{METADATA}`"
            )));
        }
        let dtype = safetensors::Dtype::from(tensor.dtype());
        let bytes = little_endian_bytes(name, tensor)?;
        digest.tensor(name, dtype, tensor.dims(), &bytes);
        parts.push((name, dtype, tensor.dims(), bytes));
    }
    metadata.insert(CHECKSUM.to_owned(), digest.finish());

    parts.sort_by_key(|(_, dtype, _, _)| std::cmp::Reverse(dtype.bitsize())); // stable: by name within a width
    let mut header = Map::new();
    header.insert(METADATA.to_owned(), json!(metadata));
    let mut end = 0;
    for (name, dtype, shape, bytes) in &parts {
        let start = end;
        end += bytes.len();
        let entry = json!({ "dtype": dtype.to_string(), "shape": shape, "data_offsets": [start, end] });
        header.insert((*name).clone(), entry);
    }
    let mut header = Value::Object(header).to_string().into_bytes();
    header.resize(header.len().next_multiple_of(8), b' ');

    let mut file = Vec::with_capacity(8 + header.len() + end);
    file.extend((header.len() as u64).to_le_bytes());
    file.extend(header);
    for (_, _, _, bytes) in parts {
        file.extend(bytes);
    }
    Ok(file)
}

/// Reads what [`encode`] wrote; any damage is an [`Error::Record`] without the file's name.
pub(super) fn decode(bytes: &[u8]) -> Result<(Checkpoint, LineCounts)> {
    let damaged = |why: String| Error::Record(format!("not an intact checkpoint: {why}"));
    let file = SafeTensors::deserialize(bytes).map_err(|error| damaged(error.to_string()))?;
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(|error| damaged(error.to_string()))?;
    let mut metadata: BTreeMap<String, String> = header.metadata().clone().unwrap_or_default().into_iter().collect();
    let checksum = metadata
        .remove(CHECKSUM)
        .ok_or_else(|| damaged("it has no checksum".into()))?;

    let views: BTreeMap<&str, TensorView> = file.iter().collect();
    let mut digest = Digest::new(&metadata);
    for (name, view) in &views {
        digest.tensor(name, view.dtype(), view.shape(), view.data());
    }
    if digest.finish() != checksum {
        return Err(damaged("its content does not match its checksum".into()));
    }

    let mut number = |key: &str| -> Result<u64> {
        let text = metadata
            .remove(key)
            .ok_or_else(|| damaged(format!("it has no `{key}`")))?;
        text.parse()
            .map_err(|_| damaged(format!("its `{key}` is `{text}`, no number")))
    };
    let (step, metrics, events) = (number(STEP)?, number(METRICS_LINES)?, number(EVENT_LINES)?);
    let mut tensors = BTreeMap::new();
    for (name, view) in views {
        let dtype = DType::try_from(view.dtype())?;
        let tensor = Tensor::from_raw_buffer(view.data(), dtype, view.shape(), &Device::Cpu)?;
        tensors.insert(name.to_owned(), tensor);
    }
    Ok((
        Checkpoint {
            step,
            tensors,
            metadata,
        },
        LineCounts { metrics, events },
    ))
}

/// A tensor's elements in row-major order, for any strides and device.
fn little_endian_bytes(name: &str, tensor: &Tensor) -> Result<Vec<u8>> {
    let flat = tensor.flatten_all()?;
    Ok(match tensor.dtype() {
        DType::F64 => flat.to_vec1::<f64>()?.into_iter().flat_map(f64::to_le_bytes).collect(),
        DType::I64 => flat.to_vec1::<i64>()?.into_iter().flat_map(i64::to_le_bytes).collect(),
        DType::F32 => flat.to_vec1::<f32>()?.into_iter().flat_map(f32::to_le_bytes).collect(),
        DType::U32 => flat.to_vec1::<u32>()?.into_iter().flat_map(u32::to_le_bytes).collect(),
        DType::U8 => flat.to_vec1::<u8>()?,
        other => {
            return Err(Error::Record(format!(
                "checkpoint tensor `{name}` has type {}; expected f64, i64, f32, u32 or u8",
                other.as_str(),
            )));
        }
    })
}

/// BLAKE3 over fields that each carry their length, so that no two contents feed it the same bytes.
struct Digest(blake3::Hasher);

impl Digest {
    fn new(metadata: &BTreeMap<String, String>) -> Self {
        let mut digest = Self(blake3::Hasher::new_derive_key("latent-lab checkpoint"));
        digest.field(&(metadata.len() as u64).to_le_bytes());
        for (key, value) in metadata {
            digest.field(key.as_bytes());
            digest.field(value.as_bytes());
        }
        digest
    }

    fn tensor(&mut self, name: &str, dtype: safetensors::Dtype, shape: &[usize], data: &[u8]) {
        self.field(name.as_bytes());
        self.field(dtype.to_string().as_bytes());
        self.field(format!("{shape:?}").as_bytes());
        self.field(data);
    }

    fn field(&mut self, bytes: &[u8]) {
        self.0.update(&(bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }

    fn finish(self) -> String {
        self.0.finalize().to_hex().to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: LineCounts = LineCounts { metrics: 20, events: 1 };

    /// One tensor of every type, a scalar, an empty one, a transposed one, and numbers that text would lose.
    fn sample() -> Checkpoint {
        let cpu = &Device::Cpu;
        let weights = Tensor::new(
            &[[f64::NAN, -0.0, f64::MIN_POSITIVE], [0.1 + 0.2, f64::INFINITY, 1e300]],
            cpu,
        )
        .unwrap();
        let tensors = [
            ("weights", weights.t().unwrap()),
            (
                "network.0.bias",
                Tensor::new(&[1.5f32, f32::MIN_POSITIVE / 2.0, f32::NAN], cpu).unwrap(),
            ),
            ("position", Tensor::new(-7i64, cpu).unwrap()),
            ("labels", Tensor::new(&[1u32, 2, u32::MAX], cpu).unwrap()),
            ("pixels", Tensor::new(&[[0u8, 255]], cpu).unwrap()),
            ("empty", Tensor::zeros((0, 3), DType::F32, cpu).unwrap()),
        ];
        Checkpoint {
            step: 250,
            tensors: tensors.map(|(name, tensor)| (name.to_owned(), tensor)).into(),
            metadata: [("optimizer", "adam"), ("best", "a \"quoted\" line\nand ä")]
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into(),
        }
    }

    #[test]
    fn reads_back_every_bit() {
        let checkpoint = sample();
        let bytes = encode(&checkpoint, LINES).unwrap();
        let (read, lines) = decode(&bytes).unwrap();
        assert_eq!((read.step, &read.metadata, lines), (250, &checkpoint.metadata, LINES));
        assert_eq!(read.tensors.len(), checkpoint.tensors.len());
        for (name, tensor) in &checkpoint.tensors {
            let twin = &read.tensors[name];
            assert_eq!((tensor.dims(), tensor.dtype()), (twin.dims(), twin.dtype()), "{name}");
            let bits = |tensor| little_endian_bytes(name, tensor).unwrap();
            assert_eq!(bits(tensor), bits(twin), "{name}");
        }
        assert_eq!(encode(&read, LINES).unwrap(), bytes);
    }

    #[test]
    fn the_bytes_are_those_worked_out_by_hand() {
        let cpu = &Device::Cpu;
        let checkpoint = Checkpoint {
            step: 7,
            tensors: [
                ("a", Tensor::new(&[1f32], cpu).unwrap()),
                ("b", Tensor::new(&[2f64], cpu).unwrap()),
            ]
            .map(|(name, tensor)| (name.to_owned(), tensor))
            .into(),
            metadata: [("kind".to_owned(), "em".to_owned())].into(),
        };
        let (one, two) = (1f32.to_le_bytes(), 2f64.to_le_bytes());
        let metadata: [&[u8]; 8] = [
            b"event_lines",
            b"1",
            b"kind",
            b"em",
            b"metrics_lines",
            b"20",
            b"step",
            b"7",
        ];
        let tensors: [&[u8]; 8] = [b"a", b"F32", b"[1]", &one, b"b", b"F64", b"[1]", &two];
        let mut hasher = blake3::Hasher::new_derive_key("latent-lab checkpoint");
        for field in [&4u64.to_le_bytes()[..]].into_iter().chain(metadata).chain(tensors) {
            hasher.update(&(field.len() as u64).to_le_bytes()).update(field);
        }
        let header = format!(
            concat!(
                r#"{{"__metadata__":{{"checksum":"{}","event_lines":"1","kind":"em","metrics_lines":"20","step":"7"}},"#,
                r#""b":{{"dtype":"F64","shape":[1],"data_offsets":[0,8]}},"#,
                r#""a":{{"dtype":"F32","shape":[1],"data_offsets":[8,12]}}}}"#,
            ),
            hasher.finalize().to_hex()
        );
        let length = header.len().next_multiple_of(8);
        let expected = [
            &(length as u64).to_le_bytes()[..],
            format!("{header:length$}").as_bytes(),
            &two,
            &one,
        ]
        .concat();
        assert_eq!(encode(&checkpoint, LINES).unwrap(), expected);
    }

    #[test]
    fn any_damage_is_found() {
        let bytes = encode(&sample(), LINES).unwrap();
        for length in 0..bytes.len() {
            assert!(decode(&bytes[..length]).is_err(), "cut to {length} bytes");
        }
        for place in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[place] ^= 0x10;
            let Ok((read, lines)) = decode(&damaged) else { continue };
            // A change in the padding does not change the content.
            assert_eq!(encode(&read, lines).unwrap(), bytes, "byte {place}");
        }
    }

    #[test]
    fn what_cannot_be_stored_is_refused_by_name() {
        let mut checkpoint = sample();
        checkpoint.metadata.insert("step".into(), "9".into());
        assert!(encode(&checkpoint, LINES).unwrap_err().to_string().contains("`step`"));
        let mut checkpoint = sample();
        let half = Tensor::zeros(2, DType::BF16, &Device::Cpu).unwrap();
        checkpoint.tensors.insert("half".into(), half);
        assert!(
            encode(&checkpoint, LINES)
                .unwrap_err()
                .to_string()
                .contains("`half` has type bf16")
        );
    }
}
