//! How rare a deviation is, as the natural logarithm of its chance. Every figure errs upwards: a
//! deviation is never said to be rarer than it is under its model.

use std::f64::consts::{LN_2, TAU};

/// The chance that a normal value lies at least `z` standard deviations off, on either side. Mills'
/// bound.
pub(super) fn normal(z: f64) -> f64 {
    if z < 1.0 {
        return 0.0;
    }
    (LN_2 - 0.5 * z * z - (z * TAU.sqrt()).ln()).min(0.0)
}

/// The same for a value of Student's distribution, whose deviation was itself estimated with so many
/// degrees of freedom. Wallace's approximation.
pub(super) fn student(t: f64, freedom: f64) -> f64 {
    let nu = freedom.max(1.0);
    let z = (8.0 * nu + 1.0) / (8.0 * nu + 3.0) * (nu * (t * t / nu).ln_1p()).sqrt();
    normal(z)
}

/// The chance of a share of `seen` among `n` independent values of mean `expected`, or one farther
/// off, on either side. The Chernoff bound; it holds for any values between 0 and 1.
pub(super) fn share(seen: f64, expected: f64, n: f64) -> f64 {
    let part = |a: f64, b: f64| if a <= 0.0 { 0.0 } else { a * (a / b.max(1e-9)).ln() };
    let divergence = part(seen, expected) + part(1.0 - seen, 1.0 - expected);
    (LN_2 - n * divergence).min(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tails_are_bounds_and_close_ones() {
        // Two-sided chances from tables.
        for (z, chance) in [(1.96, 0.05), (3.0, 0.0027), (5.0, 5.733e-7)] {
            let told = normal(z).exp();
            assert!(told >= chance && told < chance * 1.25, "{z}: {told}");
        }
        for (t, freedom, chance) in [(4.781, 9.0, 0.001), (2.262, 9.0, 0.05), (3.659, 29.0, 0.001)]
        {
            let told = student(t, freedom).exp();
            assert!(told > chance * 0.9 && told < chance * 1.3, "{t}: {told}");
        }
        // All of ten, where half are expected: 2 * 0.5^10.
        assert!((share(1.0, 0.5, 10.0).exp() - 2.0 * 0.5_f64.powi(10)).abs() < 1e-9);
        assert!(share(0.5, 0.5, 1e6) >= 0.0);
    }
}
