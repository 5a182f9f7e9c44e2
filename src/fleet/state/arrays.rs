//! Plain arrays in files: what the state keeps per vehicle, read and written by all threads at the speed of the disk.
//!
//! An array is cut into pieces of `PIECE_BYTES`, one file each, `name-00000.bin`: the values in little-endian order,
//! nothing else. An array may be made piece by piece as it is written, so that it need never be whole in memory. How
//! many values there are stands in `state.json`, the pieces' BLAKE3 in the generation's manifest, and each piece is
//! checked against it as it is read: a flipped bit must not become somebody's score. Sums of random low bits do not
//! compress, so nothing is encoded.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::path::{Path, PathBuf};

use bytemuck::Pod;
use rayon::prelude::*;

use super::error::StateError;
use crate::fleet::manifest::Manifest;
use crate::fleet::writer::OutputFolder;
use crate::fleet::writer::folder::MANIFEST;
use crate::run::Control;

/// Bytes of a piece at most; a multiple of every value's size.
const PIECE_BYTES: usize = 16 << 20;

// The bytes in memory are the bytes in the file.
const _: () = assert!(cfg!(target_endian = "little"), "the state's arrays are little-endian");

/// Pieces that are made at the same time at most, however many threads there are.
const PIECES_AT_ONCE: usize = 4;

/// Writes an array into a generation that is being made.
pub fn write<T: Pod + Sync>(folder: &OutputFolder, name: &str, values: &[T]) -> Result<(), StateError> {
    let pieces: Vec<(usize, &[T])> = values.chunks(piece_values::<T>()).enumerate().collect();
    pieces.par_iter().try_for_each(|(piece, values)| {
        folder.write_file(&piece_name(name, *piece), bytemuck::cast_slice(values))?;
        Ok(())
    })
}

/// Writes an array of this many values that nobody holds: `make` gives those of a range.
pub fn write_made<T: Pod + Send>(
    folder: &OutputFolder,
    control: &Control,
    name: &str,
    values: usize,
    make: impl Fn(Range<usize>) -> Vec<T> + Sync,
) -> Result<(), StateError> {
    let pieces: Vec<usize> = (0..values.div_ceil(piece_values::<T>())).collect();
    pieces.chunks(PIECES_AT_ONCE).try_for_each(|pieces| {
        pieces.par_iter().try_for_each(|&piece| {
            control.check()?;
            let first = piece * piece_values::<T>();
            let made = make(first..values.min(first + piece_values::<T>()));
            folder.write_file(&piece_name(name, piece), bytemuck::cast_slice(&made))?;
            Ok(())
        })
    })
}

/// A complete generation whose arrays can be read.
#[derive(Clone, Debug)]
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

    /// Whether the files of an array of this many values are there and as long as they should be.
    pub fn expect<T: Pod>(&self, name: &str, values: usize) -> Result<(), StateError> {
        for (piece, first) in (0..values).step_by(piece_values::<T>()).enumerate() {
            let path = self.folder.join(piece_name(name, piece));
            let bytes = std::fs::metadata(&path).map_err(|error| StateError::damaged(&path, error))?.len();
            let expected = (values - first).min(piece_values::<T>()) * size_of::<T>();
            if bytes != expected as u64 {
                return Err(StateError::damaged(&path, format!("{bytes} bytes, not {expected}")));
            }
        }
        Ok(())
    }

    /// Reads an array of this many values.
    pub fn read<T: Pod + Send>(&self, name: &str, values: usize) -> Result<Vec<T>, StateError> {
        let mut array = vec![T::zeroed(); values];
        self.fill(name, 0, &mut array)?;
        Ok(array)
    }

    /// An array of this many values that is never whole in memory.
    pub fn spans<T: Pod + Send>(&self, name: &str, values: usize) -> Spans<'_, T> {
        Spans { arrays: self, name: name.to_owned(), values, held: Vec::new(), first: 0 }
    }

    /// Reads the pieces from `piece` on into `values`.
    fn fill<T: Pod + Send>(&self, name: &str, piece: usize, values: &mut [T]) -> Result<(), StateError> {
        values.par_chunks_mut(piece_values::<T>()).enumerate().try_for_each(|(place, values)| {
            let name = piece_name(name, piece + place);
            let path = self.folder.join(&name);
            let bytes: &mut [u8] = bytemuck::cast_slice_mut(values);
            let mut file = File::open(&path).map_err(|error| StateError::damaged(&path, error))?;
            file.read_exact(bytes).map_err(|error| StateError::damaged(&path, error))?;
            if self.blake3.get(&name).map(String::as_str) != Some(blake3::hash(bytes).to_hex().as_str()) {
                return Err(StateError::damaged(&path, "its content is not what was written"));
            }
            Ok(())
        })
    }
}

/// An array that is read span by span from its beginning.
#[derive(Debug)]
pub struct Spans<'a, T> {
    arrays: &'a Arrays,
    name: String,
    values: usize,
    /// Values from `first` on, up to the end of a piece.
    held: Vec<T>,
    first: usize,
}

impl<T: Pod + Send> Spans<'_, T> {
    /// The values of a range, which must not begin before that of the call before. What lies before it is let go.
    pub fn read(&mut self, range: Range<usize>) -> Result<&mut [T], StateError> {
        let end = self.first + self.held.len();
        self.held.drain(..range.start.clamp(self.first, end) - self.first);
        // What is held ends where a piece does, so what is missing begins with one.
        let missing = match self.held.is_empty() {
            true => range.start / piece_values::<T>() * piece_values::<T>(),
            false => end,
        };
        self.first = missing - self.held.len();
        if missing < range.end {
            let to = range.end.next_multiple_of(piece_values::<T>()).min(self.values);
            let held = self.held.len();
            self.held.resize(held + to - missing, T::zeroed());
            let filled = self.arrays.fill(&self.name, missing / piece_values::<T>(), &mut self.held[held..]);
            filled.inspect_err(|_| self.held.truncate(held))?;
        }
        Ok(&mut self.held[range.start - self.first..range.end - self.first])
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
        arrays.expect::<u64>("wide", values.len()).unwrap();
        arrays.expect::<u64>("unknown", 0).unwrap();
        assert!(arrays.expect::<u64>("wide", values.len() + 1).is_err(), "too short a file");
        assert!(arrays.expect::<u64>("masks", 1).is_err(), "too long a file");
        assert!(arrays.expect::<u64>("unknown", 1).is_err());
    }

    #[test]
    fn spans_hold_what_the_whole_array_has_there() {
        let (piece, count) = (piece_values::<u64>(), 3 * piece_values::<u64>() + 7);
        let values: Vec<u64> = (0..count as u64).map(|value| value.wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect();
        let folder = stored(&values, &[]);
        let arrays = Arrays::open(&folder.path().join("gen")).unwrap();
        let cuts = [0, 3, piece - 1, piece + 1, piece + 1, 2 * piece, 3 * piece + 2, count];
        let mut spans = arrays.spans::<u64>("wide", count);
        for span in cuts.windows(2) {
            assert!(spans.read(span[0]..span[1]).unwrap() == &values[span[0]..span[1]], "{span:?}");
        }
        // Some are passed over, and the next begins within a piece.
        let mut spans = arrays.spans::<u64>("wide", count);
        for span in [5..6, 6..6, 2 * piece + 9..2 * piece + 10, count - 1..count] {
            assert!(spans.read(span.clone()).unwrap() == &values[span.clone()], "{span:?}");
        }
    }

    #[test]
    fn what_is_made_while_writing_is_the_same() {
        let count = piece_values::<u32>() + 5;
        let folder = tempfile::tempdir().unwrap();
        let output = OutputFolder::create(&folder.path().join("gen")).unwrap();
        write_made(&output, &Control::silent(), "made", count, |range| range.map(|value| value as u32 * 3).collect())
            .unwrap();
        write_made(&output, &Control::silent(), "none", 0, |_| vec![0u8]).unwrap();
        output.finish(Manifest::default()).unwrap();
        let arrays = Arrays::open(&folder.path().join("gen")).unwrap();
        assert!(
            arrays.read::<u32>("made", count).unwrap().iter().enumerate().all(|(at, &value)| value == at as u32 * 3)
        );
        assert_eq!(arrays.read::<u8>("none", 0).unwrap(), [0u8; 0]);
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
