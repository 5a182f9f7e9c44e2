//! Shards: a vehicle belongs to one by a fixed hash of its id, the same on every machine and in every release.
//!
//! The hash is FNV-1a (Fowler, Noll, Vo) over the id's bytes, an integer's being its eight little-endian bytes,
//! finished by the mixer of SplitMix64 (Steele, Lea, Flood 2014), because FNV's low bits alone are poorly mixed.

use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use arrow::error::ArrowError;

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

/// The shard, below `shards`, of an id's bytes.
pub fn shard_of(id: &[u8], shards: u32) -> u32 {
    // The high half of a product spreads 64 bits over any number of shards without a division.
    ((u128::from(hash_of(id)) * u128::from(shards)) >> 64) as u32
}

/// The hash of an id's bytes.
pub fn hash_of(id: &[u8]) -> u64 {
    let mut hash = FNV_OFFSET;
    for &byte in id {
        hash = (hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME);
    }
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

/// Which rows of a column of ids belong to a shard. Rows without an id belong to all.
pub(crate) fn in_shard(ids: &dyn Array, (shard, shards): (u32, u32)) -> Result<Vec<bool>, ArrowError> {
    let is_text = match ids.data_type() {
        DataType::Dictionary(_, values) => !values.is_integer(),
        plain => !plain.is_integer(),
    };
    if is_text {
        let texts = cast(ids, &DataType::LargeUtf8)?;
        let texts = texts.as_string::<i64>();
        return Ok(texts.iter().map(|id| id.is_none_or(|id| shard_of(id.as_bytes(), shards) == shard)).collect());
    }
    let integers = cast(ids, &DataType::Int64)?;
    let integers = integers.as_primitive::<Int64Type>();
    let mut last = (0, shard_of(&0_i64.to_le_bytes(), shards));
    Ok(integers
        .iter()
        .map(|id| {
            id.is_none_or(|id| {
                // Sorted files repeat an id many times.
                if id != last.0 {
                    last = (id, shard_of(&id.to_le_bytes(), shards));
                }
                last.1 == shard
            })
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_id_has_one_shard_and_shards_are_even() {
        let mut counts = [0_u32; 7];
        for id in 0..70_000_i64 {
            counts[shard_of(&id.to_le_bytes(), 7) as usize] += 1;
        }
        assert!(counts.iter().all(|count| (9_600..10_400).contains(count)), "{counts:?}");
        // Results that were written by shard must find their shard again.
        assert_eq!([0_i64, 1, 2, -1].map(|id| shard_of(&id.to_le_bytes(), 1000)), [504, 361, 481, 592]);
        assert_eq!(shard_of(b"LFV3A23C4D3000001", 1000), 640);
    }
}
