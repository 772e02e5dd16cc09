//! The ten parameters of a linear-Gaussian state space, as one type.

use crate::math::kalman::System;
use nalgebra::{DMatrix, DVector};

/// One parameter of a system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// m₁.
    InitialMean,
    /// P₁.
    InitialCovariance,
    /// A.
    Transition,
    /// B.
    TransitionInput,
    /// b.
    TransitionOffset,
    /// Q.
    TransitionNoise,
    /// C.
    Emission,
    /// D.
    EmissionInput,
    /// d.
    EmissionOffset,
    /// R.
    EmissionNoise,
}

impl Field {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::InitialMean,
        Self::InitialCovariance,
        Self::Transition,
        Self::TransitionInput,
        Self::TransitionOffset,
        Self::TransitionNoise,
        Self::Emission,
        Self::EmissionInput,
        Self::EmissionOffset,
        Self::EmissionNoise,
    ];

    /// Its name in files and records.
    pub fn name(self) -> &'static str {
        match self {
            Self::InitialMean => "initial_mean",
            Self::InitialCovariance => "initial_covariance",
            Self::Transition => "transition",
            Self::TransitionInput => "transition_input",
            Self::TransitionOffset => "transition_offset",
            Self::TransitionNoise => "transition_noise",
            Self::Emission => "emission",
            Self::EmissionInput => "emission_input",
            Self::EmissionOffset => "emission_offset",
            Self::EmissionNoise => "emission_noise",
        }
    }

    /// Rows and columns with these numbers of states, outputs and inputs.
    pub fn shape(self, x: usize, o: usize, u: usize) -> (usize, usize) {
        match self {
            Self::InitialMean | Self::TransitionOffset => (x, 1),
            Self::InitialCovariance | Self::Transition | Self::TransitionNoise => (x, x),
            Self::TransitionInput => (x, u),
            Self::Emission => (o, x),
            Self::EmissionInput => (o, u),
            Self::EmissionOffset => (o, 1),
            Self::EmissionNoise => (o, o),
        }
    }

    pub(super) fn is_vector(self) -> bool {
        matches!(self, Self::InitialMean | Self::TransitionOffset | Self::EmissionOffset)
    }

    pub(super) fn is_covariance(self) -> bool {
        matches!(
            self,
            Self::InitialCovariance | Self::TransitionNoise | Self::EmissionNoise
        )
    }

    /// Its values; a vector as a column.
    pub(super) fn get(self, system: &System) -> DMatrix<f64> {
        let column = |vector: &DVector<f64>| DMatrix::from_column_slice(vector.len(), 1, vector.as_slice());
        match self {
            Self::InitialMean => column(&system.initial_mean),
            Self::InitialCovariance => system.initial_covariance.clone(),
            Self::Transition => system.transition.clone(),
            Self::TransitionInput => system.transition_input.clone(),
            Self::TransitionOffset => column(&system.transition_offset),
            Self::TransitionNoise => system.transition_noise.clone(),
            Self::Emission => system.emission.clone(),
            Self::EmissionInput => system.emission_input.clone(),
            Self::EmissionOffset => column(&system.emission_offset),
            Self::EmissionNoise => system.emission_noise.clone(),
        }
    }

    pub(super) fn set(self, system: &mut System, values: DMatrix<f64>) {
        let vector = |values: DMatrix<f64>| values.column(0).into_owned();
        match self {
            Self::InitialMean => system.initial_mean = vector(values),
            Self::InitialCovariance => system.initial_covariance = values,
            Self::Transition => system.transition = values,
            Self::TransitionInput => system.transition_input = values,
            Self::TransitionOffset => system.transition_offset = vector(values),
            Self::TransitionNoise => system.transition_noise = values,
            Self::Emission => system.emission = values,
            Self::EmissionInput => system.emission_input = values,
            Self::EmissionOffset => system.emission_offset = vector(values),
            Self::EmissionNoise => system.emission_noise = values,
        }
    }
}
