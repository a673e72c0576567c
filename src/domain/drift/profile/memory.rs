//! What known things had: a table of fixed size, in which the newer of two that meet stays. It holds
//! digests and numbers, no text.

/// Places of the table.
const PLACES: usize = 8_192;
/// Batches for which a value stays what others are compared with.
const KEPT: u16 = 12;

#[derive(Clone, Copy, Debug, Default)]
struct Place {
    key: u32,
    base: u32,
    newest: u32,
    /// Batches, counted round and round.
    batch: u16,
    seen: u16,
}

/// The table; empty until the first is noted.
#[derive(Clone, Debug, Default)]
pub(super) struct Memory {
    places: Vec<Place>,
}

/// What was known of a thing.
pub(super) struct Known {
    /// Its value some time ago.
    pub(super) base: u32,
    /// Its newest value.
    pub(super) newest: u32,
    /// Batches since that was noted.
    pub(super) ago: u16,
}

impl Memory {
    /// Notes the value of a thing in this batch, and tells what was known. `frozen`: what others are
    /// compared with stays as it is.
    pub(super) fn note(&mut self, key: u64, batch: u32, value: u32, frozen: bool) -> Option<Known> {
        if self.places.is_empty() {
            self.places = vec![Place::default(); PLACES];
        }
        let at = (key % PLACES as u64) as usize;
        let key = (key >> 32) as u32 | 1;
        let batch = batch as u16;
        let place = self.places.get_mut(at)?;
        if place.key != key {
            *place = Place { key, batch, base: value, newest: value, seen: batch };
            return None;
        }
        if batch.wrapping_sub(place.batch) > KEPT && !frozen {
            place.base = place.newest;
            place.batch = batch;
        }
        let ago = batch.wrapping_sub(place.seen);
        let known = Known { base: place.base, newest: place.newest, ago };
        place.newest = value;
        place.seen = batch;
        Some(known)
    }
}

/// A digest that is the same on every machine (FNV-1a, mixed once more).
pub(super) fn hash(parts: &[&[u8]]) -> u64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for part in parts {
        for byte in part.iter().chain(&[0xff]) {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    let mixed = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    mixed ^ (mixed >> 33)
}
