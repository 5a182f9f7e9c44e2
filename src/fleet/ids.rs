//! Vehicle ids as dense indices, from many threads.
//!
//! Key idea: files come sorted. An id is first compared with the one before it in the batch, then with the id that
//! followed it last time (day files list the same vehicles in the same order), and only then hashed. A batch takes the
//! table's read lock once; ids nobody has seen are added under the write lock at the end of the batch. Which index an
//! id gets depends on who comes first: no result depends on it.
//!
//! Memory: an integer id costs 8 bytes, a text its bytes and 8, and each about 12 more for hash table and followers.

use std::hash::BuildHasher;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use arrow::array::{Array, ArrowPrimitiveType, AsArray, UInt64Array};
use arrow::buffer::NullBuffer;
use arrow::compute::take;
use arrow::datatypes::{
    DataType, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use hashbrown::{DefaultHashBuilder, HashTable};

use super::error::FleetError;
use super::vehicles::Ids;

/// Index of a row without a vehicle: null, or empty text.
pub const NO_VEHICLE: u32 = u32::MAX;
/// What a column of vehicle ids may be.
pub const ACCEPTED: &str = "an integer or a text column (plain or dictionary-encoded)";

/// What the ids of a dataset are. Integers of any width are one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdKind {
    Integer,
    Text,
}

impl IdKind {
    /// The kind of a column, if it can hold ids at all.
    pub fn of(data_type: &DataType) -> Option<Self> {
        match data_type {
            DataType::Dictionary(_, values) => Self::of(values),
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Some(Self::Text),
            integer if integer.is_integer() => Some(Self::Integer),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Integer => "integer",
            Self::Text => "text",
        }
    }
}

/// The ids of a dataset, each with its dense index.
#[derive(Debug)]
pub struct IdTable {
    kind: IdKind,
    /// Where the kind was learned, for messages.
    origin: PathBuf,
    hasher: DefaultHashBuilder,
    inner: RwLock<Inner>,
}

#[derive(Debug)]
struct Inner {
    ids: Store,
    /// Indices by the hash of their id.
    table: HashTable<u32>,
    /// The index that followed last time, by index. A guess: any value is correct.
    follower: Vec<AtomicU32>,
}

#[derive(Debug)]
enum Store {
    Integer(Vec<i64>),
    /// All texts in one string; each ends where its entry says.
    Text {
        bytes: String,
        ends: Vec<u64>,
    },
}

/// An id of either kind, as it stands in a column.
trait Id: Copy + PartialEq + std::hash::Hash {
    fn is_at(self, store: &Store, index: u32) -> bool;
    fn push(self, store: &mut Store);
    fn hash_at(store: &Store, index: u32, hasher: &DefaultHashBuilder) -> u64;
}

impl Id for i64 {
    fn is_at(self, store: &Store, index: u32) -> bool {
        matches!(store, Store::Integer(ids) if ids.get(index as usize) == Some(&self))
    }

    fn push(self, store: &mut Store) {
        if let Store::Integer(ids) = store {
            ids.push(self);
        }
    }

    fn hash_at(store: &Store, index: u32, hasher: &DefaultHashBuilder) -> u64 {
        match store {
            Store::Integer(ids) => ids.get(index as usize).map_or(0, |id| hasher.hash_one(id)),
            Store::Text { .. } => 0,
        }
    }
}

impl Id for &str {
    fn is_at(self, store: &Store, index: u32) -> bool {
        store.text(index) == Some(self)
    }

    fn push(self, store: &mut Store) {
        if let Store::Text { bytes, ends } = store {
            bytes.push_str(self);
            ends.push(bytes.len() as u64);
        }
    }

    fn hash_at(store: &Store, index: u32, hasher: &DefaultHashBuilder) -> u64 {
        store.text(index).map_or(0, |id| hasher.hash_one(id))
    }
}

impl Store {
    fn text(&self, index: u32) -> Option<&str> {
        let Store::Text { bytes, ends } = self else { return None };
        let end = *ends.get(index as usize)? as usize;
        let start = if index == 0 { 0 } else { ends[index as usize - 1] as usize };
        bytes.get(start..end)
    }
}

impl Inner {
    fn find<I: Id>(&self, id: I, hash: u64) -> Option<u32> {
        self.table.find(hash, |&index| id.is_at(&self.ids, index)).copied()
    }

    /// The index of an id after `previous`: the follower of last time if it is that id, else by hash.
    fn after<I: Id>(&self, previous: u32, id: I, hasher: &DefaultHashBuilder) -> Option<u32> {
        let follower = self.follower.get(previous as usize);
        if let Some(follower) = follower {
            let guess = follower.load(Ordering::Relaxed);
            if id.is_at(&self.ids, guess) {
                return Some(guess);
            }
        }
        let index = self.find(id, hasher.hash_one(id))?;
        if let Some(follower) = follower {
            follower.store(index, Ordering::Relaxed);
        }
        Some(index)
    }

    fn add<I: Id>(&mut self, id: I, hasher: &DefaultHashBuilder) -> Result<u32, FleetError> {
        let hash = hasher.hash_one(id);
        if let Some(index) = self.find(id, hash) {
            return Ok(index);
        }
        if self.follower.len() >= NO_VEHICLE as usize {
            return Err(FleetError::TooMany { what: "vehicles", limit: u64::from(NO_VEHICLE) });
        }
        let index = self.follower.len() as u32;
        id.push(&mut self.ids);
        // Until something better is seen, the guess is that ids come in the order in which they first came.
        self.follower.push(AtomicU32::new(index.saturating_add(1)));
        let ids = &self.ids;
        self.table.insert_unique(hash, index, |&other| I::hash_at(ids, other, hasher));
        Ok(index)
    }
}

impl IdTable {
    /// An empty table for ids like those of this column.
    pub fn for_column(data_type: &DataType, file: &Path, column: &str) -> Result<Self, FleetError> {
        match IdKind::of(data_type) {
            Some(kind) => Ok(Self::new(kind, file)),
            None => Err(wrong_type(data_type, file, column)),
        }
    }

    /// An empty table; the file says in messages where the kind was learned.
    pub fn new(kind: IdKind, file: &Path) -> Self {
        let ids = match kind {
            IdKind::Integer => Store::Integer(Vec::new()),
            IdKind::Text => Store::Text { bytes: String::new(), ends: Vec::new() },
        };
        Self {
            kind,
            origin: file.to_path_buf(),
            hasher: DefaultHashBuilder::default(),
            inner: RwLock::new(Inner { ids, table: HashTable::new(), follower: Vec::new() }),
        }
    }

    /// An empty table for ids like these.
    pub fn another(&self) -> Self {
        Self::new(self.kind, &self.origin)
    }

    pub fn kind(&self) -> IdKind {
        self.kind
    }

    pub fn len(&self) -> usize {
        self.read().follower.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Gets ready for the ids of one column of one file; refuses a column of another kind.
    pub fn reader<'t>(&'t self, data_type: &DataType, file: &Path, column: &str) -> Result<IdReader<'t>, FleetError> {
        match IdKind::of(data_type) {
            Some(kind) if kind == self.kind => {
                let (file, column) = (file.to_path_buf(), column.to_string());
                Ok(IdReader { table: self, file, column, previous: NO_VEHICLE })
            }
            Some(_) => Err(FleetError::MixedIds {
                file: file.to_path_buf(),
                column: column.to_string(),
                got: data_type.to_string(),
                other_file: self.origin.clone(),
                other: self.kind.name(),
            }),
            None => Err(wrong_type(data_type, file, column)),
        }
    }

    /// The index of an id written as text, as on a command line; `None` if the dataset does not know it.
    pub fn index_of(&self, id: &str) -> Option<u32> {
        let inner = self.read();
        match self.kind {
            IdKind::Integer => {
                let id: i64 = id.trim().parse().ok()?;
                inner.find(id, self.hasher.hash_one(id))
            }
            IdKind::Text => inner.find(id, self.hasher.hash_one(id)),
        }
    }

    /// The index of an integer id; `None` if the dataset does not know it.
    pub fn index_of_integer(&self, id: i64) -> Option<u32> {
        self.read().find(id, self.hasher.hash_one(id))
    }

    /// All ids by index, copied out.
    pub fn ids(&self) -> Ids {
        let inner = self.read();
        match &inner.ids {
            Store::Integer(ids) => Ids::Integer(ids.clone()),
            store @ Store::Text { ends, .. } => {
                let count = ends.len() as u32;
                Ids::Text((0..count).map(|index| store.text(index).unwrap_or_default().to_string()).collect())
            }
        }
    }

    /// Forgets all ids but the first `known`: for a scan that starts over. No reader may be at work.
    pub fn truncate(&self, known: usize) {
        let mut inner = self.write();
        inner.follower.truncate(known);
        match &mut inner.ids {
            Store::Integer(ids) => ids.truncate(known),
            Store::Text { bytes, ends } => {
                ends.truncate(known);
                bytes.truncate(ends.last().map_or(0, |&end| end as usize));
            }
        }
        inner.table.retain(|&mut index| (index as usize) < known);
    }

    fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Inner> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Turns the ids of one column into indices, batch by batch. One thread's; several may share a table.
#[derive(Debug)]
pub struct IdReader<'t> {
    table: &'t IdTable,
    file: PathBuf,
    column: String,
    /// The last index of the last batch.
    previous: u32,
}

impl IdReader<'_> {
    /// Appends the index of each id to `out`, [`NO_VEHICLE`] where there is none; ids not seen before are added.
    pub fn index(&mut self, array: &dyn Array, out: &mut Vec<u32>) -> Result<(), FleetError> {
        macro_rules! integers {
            ($type:ty) => {
                self.integers::<$type>(array, out)
            };
        }
        match array.data_type() {
            DataType::Int8 => integers!(Int8Type),
            DataType::Int16 => integers!(Int16Type),
            DataType::Int32 => integers!(Int32Type),
            DataType::Int64 => integers!(Int64Type),
            DataType::UInt8 => integers!(UInt8Type),
            DataType::UInt16 => integers!(UInt16Type),
            DataType::UInt32 => integers!(UInt32Type),
            DataType::UInt64 => integers!(UInt64Type),
            DataType::Utf8 => {
                let texts = array.as_string::<i32>();
                self.texts(texts.len(), texts.nulls(), |row| texts.value(row), out)
            }
            DataType::LargeUtf8 => {
                let texts = array.as_string::<i64>();
                self.texts(texts.len(), texts.nulls(), |row| texts.value(row), out)
            }
            DataType::Utf8View => {
                let texts = array.as_string_view();
                self.texts(texts.len(), texts.nulls(), |row| texts.value(row), out)
            }
            DataType::Dictionary(_, _) => self.dictionary(array, out),
            other => Err(wrong_type(other, &self.file, &self.column)),
        }
    }

    fn integers<T: ArrowPrimitiveType>(&mut self, array: &dyn Array, out: &mut Vec<u32>) -> Result<(), FleetError>
    where
        i64: TryFrom<T::Native>,
    {
        let ids = array.as_primitive::<T>();
        let (values, nulls) = (ids.values(), some_nulls(ids.nulls()));
        let is_null = |row: usize| nulls.is_some_and(|nulls| nulls.is_null(row));
        // Only an unsigned 64-bit id can be too large; found out before anything is added.
        let too_large = |row: &usize| !is_null(*row) && i64::try_from(values[*row]).is_err();
        if matches!(T::DATA_TYPE, DataType::UInt64)
            && let Some(row) = (0..values.len()).find(too_large)
        {
            return Err(FleetError::IdOutOfRange {
                file: self.file.clone(),
                column: self.column.clone(),
                got: format!("{:?}", values[row]),
                limit: "the signed 64-bit range",
            });
        }
        let id = |row: usize| if is_null(row) { None } else { i64::try_from(values[row]).ok() };
        self.batch(values.len(), id, out)
    }

    fn texts<'a>(
        &mut self,
        rows: usize,
        nulls: Option<&NullBuffer>,
        text: impl Fn(usize) -> &'a str,
        out: &mut Vec<u32>,
    ) -> Result<(), FleetError> {
        let nulls = some_nulls(nulls);
        let id = |row: usize| {
            if nulls.is_some_and(|nulls| nulls.is_null(row)) {
                return None;
            }
            Some(text(row)).filter(|text| !text.is_empty())
        };
        self.batch(rows, id, out)
    }

    /// Looks up every value that a row uses once; values that none uses must not become vehicles.
    fn dictionary(&mut self, array: &dyn Array, out: &mut Vec<u32>) -> Result<(), FleetError> {
        let dictionary = array.as_any_dictionary();
        let values = dictionary.values();
        if values.is_empty() {
            out.resize(out.len() + array.len(), NO_VEHICLE);
            return Ok(());
        }
        let keys = dictionary.normalized_keys();
        let nulls = some_nulls(dictionary.keys().nulls());
        let is_valid = |row: usize| nulls.is_none_or(|nulls| nulls.is_valid(row));
        const UNUSED: u32 = u32::MAX;
        let mut place_of_value = vec![UNUSED; values.len()];
        let mut used = Vec::new();
        for (row, &value) in keys.iter().enumerate() {
            if place_of_value[value] == UNUSED && is_valid(row) {
                place_of_value[value] = used.len() as u32;
                used.push(value as u64);
            }
        }
        let used = take(values, &UInt64Array::from(used), None)
            .map_err(|error| FleetError::unreadable(&self.file, format!("column {:?}: {error}", self.column)))?;
        let mut indices = Vec::with_capacity(used.len());
        self.index(&used, &mut indices)?;
        out.extend(keys.iter().enumerate().map(|(row, &value)| {
            if is_valid(row) {
                indices.get(place_of_value[value] as usize).copied().unwrap_or(NO_VEHICLE)
            } else {
                NO_VEHICLE
            }
        }));
        Ok(())
    }

    /// The loop: `id(row)` gives a row's id.
    fn batch<I: Id>(
        &mut self,
        rows: usize,
        id: impl Fn(usize) -> Option<I>,
        out: &mut Vec<u32>,
    ) -> Result<(), FleetError> {
        let start = out.len();
        out.reserve(rows);
        let table = self.table;
        // Runs of rows whose id nobody knows yet: first row, row behind the last, id.
        let mut unknown: Vec<(usize, usize, I)> = Vec::new();
        let mut previous = self.previous;
        let mut held: Option<I> = None;
        {
            let inner = table.read();
            for row in 0..rows {
                let id = id(row);
                if id.is_some() && id == held {
                    out.push(previous);
                    continue;
                }
                let Some(id) = id else {
                    out.push(NO_VEHICLE);
                    continue;
                };
                if let Some(run) = unknown.last_mut()
                    && run.1 == row
                    && run.2 == id
                {
                    run.1 += 1;
                    out.push(NO_VEHICLE);
                    continue;
                }
                match inner.after(previous, id, &table.hasher) {
                    Some(index) => {
                        previous = index;
                        held = Some(id);
                        out.push(index);
                    }
                    None => {
                        unknown.push((row, row + 1, id));
                        out.push(NO_VEHICLE);
                    }
                }
            }
        }
        if !unknown.is_empty() {
            let mut inner = table.write();
            for (first, behind, id) in unknown {
                let index = inner.add(id, &table.hasher)?;
                out[start + first..start + behind].fill(index);
            }
        }
        self.previous = out[start..].last().copied().filter(|&index| index != NO_VEHICLE).unwrap_or(previous);
        Ok(())
    }
}

fn some_nulls(nulls: Option<&NullBuffer>) -> Option<&NullBuffer> {
    nulls.filter(|nulls| nulls.null_count() > 0)
}

fn wrong_type(data_type: &DataType, file: &Path, column: &str) -> FleetError {
    FleetError::WrongType {
        file: file.to_path_buf(),
        column: column.to_string(),
        got: data_type.to_string(),
        accepted: ACCEPTED,
    }
}
