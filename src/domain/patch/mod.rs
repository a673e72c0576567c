//! The life of a patch: Proposed -> Proven -> Approved -> Sealed -> Live -> Withdrawn.
