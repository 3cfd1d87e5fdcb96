use std::hash::{BuildHasher, Hasher, RandomState};

/// A random number; good for spreading load and for ids, not for secrets.
pub(crate) fn random_u64() -> u64 {
    // Every `RandomState` has keys of its own, seeded by the system's randomness.
    RandomState::new().build_hasher().finish()
}

/// Uniform in 0..1.
pub(crate) fn random_fraction() -> f64 {
    f64::from(u32::try_from(random_u64() >> 32).unwrap_or(0)) / (f64::from(u32::MAX) + 1.0)
}
