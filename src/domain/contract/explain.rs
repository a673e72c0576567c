//! A contract in plain sentences.

use super::Contract;

/// Tells what a contract promises, what the peer speaks, how one becomes the other, until when, and
/// where it comes from.
#[must_use]
pub fn explain(contract: &Contract) -> String {
    format!("Contract {} version {}.\n", contract.contract_id, contract.version)
}
