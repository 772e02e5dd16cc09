//! Simulators, experts and data generators: no tensors, no models.
