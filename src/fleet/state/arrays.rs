//! Plain arrays in files: what the state keeps per vehicle, read and written by all threads at the speed of the disk.
//!
//! An array is cut into pieces of `PIECE_BYTES`, one file each, `name-00000.bin`: the values in little-endian order,
//! nothing else. How many there are stands in `state.json`, their BLAKE3 in the generation's manifest, and each piece is
//! checked against it as it is read: a flipped bit must not become somebody's score. Sums of random low bits do not
//! compress, so nothing is encoded.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use bytemuck::Pod;
use rayon::prelude::*;

use super::error::StateError;
use crate::fleet::manifest::Manifest;
use crate::fleet::writer::OutputFolder;
use crate::fleet::writer::folder::MANIFEST;

/// Bytes of a piece at most; a multiple of every value's size.
const PIECE_BYTES: usize = 16 << 20;

// The bytes in memory are the bytes in the file.
const _: () = assert!(cfg!(target_endian = "little"), "the state's arrays are little-endian");

/// Writes an array into a generation that is being made.
pub fn write<T: Pod + Sync>(folder: &OutputFolder, name: &str, values: &[T]) -> Result<(), StateError> {
    let pieces: Vec<(usize, &[T])> = values.chunks(piece_values::<T>()).enumerate().collect();
    pieces.par_iter().try_for_each(|(piece, values)| {
        folder.write_file(&piece_name(name, *piece), bytemuck::cast_slice(values))?;
        Ok(())
    })
}

/// A complete generation whose arrays can be read.
pub struct Arrays {
    folder: PathBuf,
    blake3: HashMap<String, String>,
}

impl Arrays {
    pub fn open(folder: &Path) -> Result<Self, StateError> {
        let path = folder.join(MANIFEST);
        let text = std::fs::read_to_string(&path).map_err(|error| StateError::damaged(&path, error))?;
        let manifest: Manifest = serde_json::from_str(&text).map_err(|error| StateError::damaged(&path, error))?;
        let blake3 = manifest.parts.into_iter().map(|part| (part.path, part.blake3)).collect();
        Ok(Self { folder: folder.to_path_buf(), blake3 })
    }

    /// Reads an array of this many values.
    pub fn read<T: Pod + Send>(&self, name: &str, values: usize) -> Result<Vec<T>, StateError> {
        let mut array = vec![T::zeroed(); values];
        array.par_chunks_mut(piece_values::<T>()).enumerate().try_for_each(|(piece, values)| {
            let name = piece_name(name, piece);
            let path = self.folder.join(&name);
            let bytes: &mut [u8] = bytemuck::cast_slice_mut(values);
            let mut file = File::open(&path).map_err(|error| StateError::damaged(&path, error))?;
            file.read_exact(bytes).map_err(|error| StateError::damaged(&path, error))?;
            if self.blake3.get(&name).map(String::as_str) != Some(blake3::hash(bytes).to_hex().as_str()) {
                return Err(StateError::damaged(&path, "its content is not what was written"));
            }
            Ok(())
        })?;
        Ok(array)
    }
}

fn piece_values<T>() -> usize {
    PIECE_BYTES / size_of::<T>()
}

fn piece_name(name: &str, piece: usize) -> String {
    format!("{name}-{piece:05}.bin")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(values: &[u64], narrow: &[u128]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let output = OutputFolder::create(&folder.path().join("gen")).unwrap();
        write(&output, "wide", values).unwrap();
        write(&output, "masks", narrow).unwrap();
        write::<i32>(&output, "none", &[]).unwrap();
        output.finish(Manifest::default()).unwrap();
        folder
    }

    #[test]
    fn what_was_written_is_read_across_pieces() {
        let values: Vec<u64> =
            (0..piece_values::<u64>() as u64 + 3).map(|value| value.wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect();
        let folder = stored(&values, &[u128::MAX, 1]);
        let arrays = Arrays::open(&folder.path().join("gen")).unwrap();
        assert!(arrays.read::<u64>("wide", values.len()).unwrap() == values);
        assert_eq!(arrays.read::<u128>("masks", 2).unwrap(), [u128::MAX, 1]);
        assert_eq!(arrays.read::<i32>("none", 0).unwrap(), [0i32; 0]);
        assert!(arrays.read::<u64>("wide", values.len() + 1).is_err(), "too short a file");
        assert!(arrays.read::<u64>("masks", 1).is_err(), "too long a file");
        assert!(arrays.read::<u64>("unknown", 1).is_err());
    }

    #[test]
    fn a_flipped_bit_is_noticed() {
        let folder = stored(&[1, 2, 3], &[]);
        let path = folder.path().join("gen/wide-00000.bin");
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[9] ^= 4;
        std::fs::write(&path, bytes).unwrap();
        let error = Arrays::open(&folder.path().join("gen")).unwrap().read::<u64>("wide", 3).unwrap_err().to_string();
        assert!(error.contains("wide-00000.bin") && error.contains("--rebuild-state"), "{error}");
    }
}
