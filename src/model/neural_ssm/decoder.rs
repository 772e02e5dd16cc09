//! The network of the emission: a perceptron of the state, before it waves of the state, beside it a linear map.
//!
//! `location = W s + b + g · network(s, sin Ω s, cos Ω s)`, s the state (and h). A network of few coordinates learns fine
//! detail of an image slowly; given waves of random frequency it does not (Rahimi & Recht 2007; Tancik et al. 2020). A gate g
//! that opens late makes the linear map alone shape the states first.

use super::keys::{EmissionPerceptron, FourierKeys, SkipKeys};
use crate::Result;
use crate::math::streams::Stream;
use crate::nn::{Activation, Parameters, Perceptron, normal};
use candle_core::{DType, Device, Tensor};

/// The network, the waves before it and the linear map beside it.
#[derive(Debug, Clone)]
pub(super) struct Decoder {
    network: Perceptron,
    fourier: Option<FourierKeys>,
    skip: Option<(SkipKeys, Perceptron)>,
    seen: usize,
}

/// The prefix of the network's parameters.
const NETWORK: &str = "emission";
/// That of the linear map.
const SKIP: &str = "emission.skip";
/// g. `[1]`
const GATE: &str = "emission.gate";
/// Ω. `[S, M]`
const WAVES: &str = "emission.waves";

impl Decoder {
    /// The decoder of a table, from `seen` numbers to `outputs`.
    pub fn new(keys: &EmissionPerceptron, seen: usize, outputs: usize) -> Result<Self> {
        let waves = keys.fourier.map_or(0, |fourier| fourier.waves);
        let skip = keys.skip.map(|own| -> Result<_> {
            let linear = Perceptron::new(seen, &[], outputs, Activation::Identity)?;
            Ok((own, linear))
        });
        Ok(Self {
            network: Perceptron::new(seen + 2 * waves, &keys.hidden, outputs, keys.activation)?,
            fourier: keys.fourier,
            skip: skip.transpose()?,
            seen,
        })
    }

    /// How many numbers it returns.
    pub fn outputs(&self) -> usize {
        self.network.outputs()
    }

    /// Adds initial parameters; at the origin the result is `bias`.
    pub fn initial(
        &self,
        theta: &mut Parameters,
        (dtype, device): (DType, &Device),
        bias: &[f64],
        stream: &Stream,
    ) -> Result<()> {
        self.network.initial(NETWORK, theta, dtype, device, stream)?;
        // Streams of layers are counted from 0.
        let beside = self.network.layers() as u64;
        if let Some(FourierKeys { waves, deviation }) = self.fourier {
            let frequencies = normal(stream.at(beside), (self.seen, waves), DType::F64, &Device::Cpu)?;
            theta.insert(WAVES, &(frequencies * deviation)?.to_dtype(dtype)?.to_device(device)?)?;
        }
        let bias = Tensor::new(bias, device)?.to_dtype(dtype)?;
        let Some((keys, linear)) = &self.skip else {
            return theta.insert(format!("{NETWORK}.{}.bias", self.network.layers() - 1), &bias);
        };
        let scale = 1.0 / (self.seen as f64).sqrt();
        let weight = normal(
            stream.at(beside + 1),
            (self.seen, linear.outputs()),
            DType::F64,
            &Device::Cpu,
        )?;
        theta.insert(
            format!("{SKIP}.0.weight"),
            &(weight * scale)?.to_dtype(dtype)?.to_device(device)?,
        )?;
        theta.insert(format!("{SKIP}.0.bias"), &bias)?;
        theta.insert(GATE, &Tensor::full(keys.at(0.0), 1, device)?.to_dtype(dtype)?)
    }

    /// Sets the gate to its value after this share of training.
    pub fn schedule(&self, theta: &Parameters, share: f64) -> Result<()> {
        match &self.skip {
            Some((keys, _)) => theta.fill(GATE, keys.at(share)),
            None => Ok(()),
        }
    }

    /// The share of training after which the gate is constant; 0 without one.
    pub fn schedule_ends(&self) -> f64 {
        self.skip.as_ref().map_or(0.0, |(keys, _)| keys.alone + keys.ramp)
    }

    /// Numbers among the parameters that are not learnt.
    pub fn constants(&self) -> usize {
        let waves = self.fourier.map_or(0, |fourier| fourier.waves * self.seen);
        waves + usize::from(self.skip.is_some())
    }

    /// Its value at states (and h) `[N, S]`. `[N, O]`
    pub fn forward(&self, theta: &Parameters, seen: &Tensor) -> Result<Tensor> {
        let input = match self.fourier {
            Some(_) => {
                let phases = seen.matmul(&theta.get(WAVES)?.detach())?;
                Tensor::cat(&[seen, &phases.sin()?, &phases.cos()?], 1)?
            }
            None => seen.clone(),
        };
        let network = || self.network.forward(theta, NETWORK, &input);
        let Some((_, linear)) = &self.skip else {
            return network();
        };
        let gate = theta.get(GATE)?.detach();
        let location = linear.forward(theta, SKIP, seen)?;
        let is_closed = gate.to_dtype(DType::F64)?.to_vec1::<f64>()? == [0.0];
        match is_closed {
            true => Ok(location),
            false => Ok((location + network()?.broadcast_mul(&gate)?)?),
        }
    }
}

impl SkipKeys {
    /// The gate after this share of training.
    fn at(&self, share: f64) -> f64 {
        let opened = match self.ramp > 0.0 {
            true => ((share - self.alone) / self.ramp).clamp(0.0, 1.0),
            false => f64::from(u8::from(share >= self.alone)),
        };
        self.gate * opened
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::streams::Streams;
    use crate::nn::backward;

    fn decoder(fourier: Option<FourierKeys>, skip: Option<SkipKeys>) -> (Decoder, Parameters) {
        let keys = EmissionPerceptron {
            hidden: vec![5],
            fourier,
            skip,
            ..EmissionPerceptron::default()
        };
        let decoder = Decoder::new(&keys, 2, 3).expect("a decoder");
        let mut theta = Parameters::new();
        let stream = Streams::new(3).named("decoder");
        decoder
            .initial(&mut theta, (DType::F64, &Device::Cpu), &[0.1, 0.2, 0.3], &stream)
            .expect("parameters");
        (decoder, theta)
    }

    fn rows(values: &[f64]) -> Tensor {
        Tensor::from_slice(values, (values.len() / 2, 2), &Device::Cpu).expect("rows")
    }

    fn numbers(tensor: &Tensor) -> Vec<f64> {
        tensor.flatten_all().and_then(|flat| flat.to_vec1()).expect("numbers")
    }

    const SKIP_KEYS: SkipKeys = SkipKeys {
        alone: 0.25,
        ramp: 0.5,
        gate: 0.4,
    };

    #[test]
    fn the_gate_opens_along_its_ramp_and_no_gradient_moves_it() {
        let gates: Vec<f64> = [0.0, 0.2, 0.5, 0.75, 1.0]
            .iter()
            .map(|share| SKIP_KEYS.at(*share))
            .collect();
        assert_eq!(gates, [0.0, 0.0, 0.2, 0.4, 0.4]);
        let at_once = SkipKeys { ramp: 0.0, ..SKIP_KEYS };
        assert_eq!([0.24, 0.25].map(|share| at_once.at(share)), [0.0, 0.4]);

        let (decoder, theta) = decoder(None, Some(SKIP_KEYS));
        let x = rows(&[0.3, -1.2, 2.0, 0.7]);
        let linear = numbers(&decoder.forward(&theta, &x).expect("values"));
        let weight = theta.get("emission.skip.0.weight").expect("W");
        let by_hand = x
            .matmul(weight)
            .and_then(|own| own.broadcast_add(theta.get("emission.skip.0.bias").expect("b")));
        assert_eq!(linear, numbers(&by_hand.expect("values")));

        decoder.schedule(&theta, 0.5).expect("a gate");
        let value = decoder.forward(&theta, &x).expect("values");
        let network = numbers(&decoder.network.forward(&theta, NETWORK, &x).expect("values"));
        for ((value, linear), network) in numbers(&value).iter().zip(&linear).zip(network) {
            assert!((value - linear - 0.2 * network).abs() < 1e-12);
        }
        let gradients = backward(&value.sum_all().expect("a sum")).expect("gradients");
        let has = |name: &str| {
            theta
                .iter()
                .any(|(own, var)| own == name && gradients.get(var).is_some())
        };
        assert!(has("emission.skip.0.weight") && has("emission.0.weight") && !has(GATE));
    }

    #[test]
    fn waves_are_those_of_the_frequencies_and_are_not_learnt() {
        let fourier = FourierKeys {
            waves: 4,
            deviation: 1.5,
        };
        let (decoder, theta) = decoder(Some(fourier), None);
        assert_eq!(decoder.constants(), 8);
        let x = [0.3, -1.2];
        let frequencies = numbers(theta.get(WAVES).expect("Ω"));
        let phases = (0..4).map(|m| x[0] * frequencies[m] + x[1] * frequencies[4 + m]);
        let phases: Vec<f64> = phases.collect();
        let mut input = x.to_vec();
        input.extend(phases.iter().map(|p| p.sin()));
        input.extend(phases.iter().map(|p| p.cos()));
        let input = Tensor::from_vec(input, (1, 10), &Device::Cpu).expect("a row");
        let expected = decoder.network.forward(&theta, NETWORK, &input).expect("values");
        let value = decoder.forward(&theta, &rows(&x)).expect("values");
        let off = numbers(&(&value - &expected).expect("a difference"));
        assert!(off.iter().all(|v| v.abs() < 1e-12), "{off:?}");
        let gradients = backward(&value.sum_all().expect("a sum")).expect("gradients");
        assert!(
            theta
                .iter()
                .all(|(name, var)| (name == WAVES) == gradients.get(var).is_none())
        );
    }
}
