//! A dataset, opened: the dictionary, the small tables, and the footers of all history files.

use std::path::Path;

use super::columns::FileColumns;
use super::dictionary::{Dictionary, Period};
use super::error::FleetError;
use super::files::{SourceFile, resolve};
use super::history_file::{Footer, HistoryFile};
use super::ids::{IdKind, IdTable};
use super::joins::JoinTable;
use super::known::Known;
use super::manifest::ManifestInput;
use super::partition;
use super::pool::{Halt, Stop, run};
use super::scan::{InputFile, UnreadableFile};
use super::stamp::Stamp;
use super::tables::{self, TableInputs, TableRows, TablesAccount};
use super::time::TimeAxis;
use super::vehicles::Vehicles;
use crate::run::Control;

/// Everything about a dataset but its histories' rows, which [`super::scan::scan`] reads.
#[derive(Debug)]
pub struct Dataset {
    pub dictionary: Dictionary,
    pub vehicles: Vehicles,
    pub tables_account: TablesAccount,
    /// Files of the vehicles and events tables; those of side tables are in `joins`.
    pub table_inputs: Vec<TableInputs>,
    /// Vehicles of the small tables; a scan adds those that only the histories know, and forgets them again when it
    /// begins. One scan at a time.
    pub ids: IdTable,
    /// How many ids stay when a scan begins: those of the small tables, and what else was made known beforehand.
    pub kept_ids: usize,
    /// One a [`super::dictionary::Join`].
    pub joins: Vec<JoinTable>,
    /// History files in path order.
    pub files: Vec<SourceFile>,
    pub axis: TimeAxis,
    /// Where a scan puts temporary files; the system's folder for them unless set.
    pub spill_folder: std::path::PathBuf,
    /// History files whose footer could be read, in path order.
    pub(crate) histories: Vec<HistoryFile>,
    /// The others.
    pub(crate) unreadable: Vec<(UnreadableFile, Stamp)>,
}

impl Dataset {
    /// What a user must know of the small tables.
    pub fn warnings(&self) -> impl Iterator<Item = String> {
        let joins = self.joins.iter().filter_map(|join| join.account.warning());
        self.tables_account.warning().into_iter().chain(joins)
    }

    /// Opens the dataset of a `dataset.toml` or of the folder that holds one. Reads the small tables whole, and of
    /// the histories the footers, on this many threads.
    pub fn open(path: &Path, threads: usize, control: &Control) -> Result<Self, FleetError> {
        Self::with_dictionary(Dictionary::load(path)?, threads, control)
    }

    /// As [`Self::open`] with a dictionary that is at hand.
    pub fn with_dictionary(dictionary: Dictionary, threads: usize, control: &Control) -> Result<Self, FleetError> {
        let files = resolve(&dictionary.histories.files)?;
        let (histories, unreadable) = read_footers(&files, threads, control)?;
        let Some(first) = histories.first() else {
            let problem = unreadable.first().map(|(file, _)| (file.path.clone(), file.problem.clone()));
            let (file, problem) = problem.unwrap_or_default();
            return Err(FleetError::Unreadable { file, problem });
        };
        let column = &dictionary.histories.vehicle;
        let kind = match first.source.partition(column) {
            Some(value) if first.metadata.schema().column_with_name(column).is_none() => {
                value.as_deref().map_or(IdKind::Text, partition::id_kind)
            }
            _ => {
                let probe = FileColumns::find(first, &dictionary, &[], IdKind::Text)?;
                IdTable::for_column(&probe.vehicle_type, first.path(), column)?.kind()
            }
        };
        let ids = IdTable::new(kind, first.path());
        let mut axis = None;
        for file in &histories {
            let columns = FileColumns::find(file, &dictionary, &[], kind)?;
            ids.reader(&columns.vehicle_type, file.path(), column)?;
            if *axis.get_or_insert(columns.axis) != columns.axis {
                return Err(FleetError::WrongType {
                    file: file.path().clone(),
                    column: dictionary.histories.time.clone(),
                    got: columns.time_type.to_string(),
                    accepted: "the same kind of time as in the first file",
                });
            }
        }
        let axis = axis.unwrap_or(TimeAxis::Days);
        if axis == TimeAxis::Integer && dictionary.histories.period == Period::Month {
            return Err(FleetError::WrongType {
                file: first.path().clone(),
                column: dictionary.histories.time.clone(),
                got: "an integer".to_string(),
                accepted: "a date or timestamp, since the length of a \"month\" hangs on the calendar,",
            });
        }
        let (vehicles, tables_account, table_inputs) =
            tables::load(&dictionary, axis, &ids, Known::default(), control)?;
        let joins = (0..dictionary.joins.len())
            .map(|join| JoinTable::load(&dictionary, join, &vehicles, axis, control))
            .collect::<Result<_, _>>()?;
        let spill_folder = std::env::temp_dir();
        let kept_ids = ids.len();
        Ok(Self {
            dictionary,
            vehicles,
            tables_account,
            table_inputs,
            ids,
            kept_ids,
            joins,
            files,
            axis,
            spill_folder,
            histories,
            unreadable,
        })
    }

    /// The same dataset with what counts: the small tables are read again, and hold nothing else. The histories are as
    /// they were; whoever scans them gives the day and the shard.
    ///
    /// # Errors
    ///
    /// Whatever is wrong with the small tables.
    pub fn as_known(&self, known: Known, control: &Control) -> Result<Self, FleetError> {
        let ids = self.ids.another();
        let (vehicles, tables_account, table_inputs) = tables::load(&self.dictionary, self.axis, &ids, known, control)?;
        let joins = (0..self.dictionary.joins.len())
            .map(|join| JoinTable::load(&self.dictionary, join, &vehicles, self.axis, control))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            dictionary: self.dictionary.clone(),
            vehicles,
            tables_account,
            table_inputs,
            kept_ids: ids.len(),
            ids,
            joins,
            files: self.files.clone(),
            axis: self.axis,
            spill_folder: self.spill_folder.clone(),
            histories: self.histories.clone(),
            unreadable: self.unreadable.clone(),
        })
    }

    /// Rows of the small tables, and how many of them cannot be used.
    pub fn table_rows(&self) -> Vec<TableRows> {
        self.tables_account.rows().chain(self.joins.iter().map(|join| join.account.rows())).collect()
    }

    /// Everything that a result was made from: the files of the histories that a scan read, and the small tables.
    pub fn manifest_inputs(&self, histories: &[InputFile]) -> Vec<ManifestInput> {
        let tables = self.table_inputs.iter().map(|table| (table.table.clone(), &table.files[..]));
        let joins = self.joins.iter().map(|join| (join.account.rows().table, &join.files[..]));
        let all = std::iter::once(("histories".to_owned(), histories)).chain(tables).chain(joins);
        all.flat_map(|(table, files)| files.iter().map(move |file| ManifestInput::new(&table, file))).collect()
    }

    /// Sends temporary files to a folder, if one is given.
    pub fn spill_to(&mut self, folder: Option<&Path>) {
        if let Some(folder) = folder {
            self.spill_folder = folder.to_path_buf();
        }
    }

    /// Rows of the histories, by the footers that can be read.
    pub fn history_rows(&self) -> u64 {
        self.rows_of(|_| true)
    }

    /// The same of some files.
    pub fn rows_of(&self, wanted: impl Fn(&Path) -> bool) -> u64 {
        self.histories.iter().filter(|file| wanted(file.path())).map(|file| file.rows).sum()
    }
}

type Footers = (Vec<HistoryFile>, Vec<(UnreadableFile, Stamp)>);

fn read_footers(files: &[SourceFile], threads: usize, control: &Control) -> Result<Footers, FleetError> {
    let workers = vec![Vec::new(); threads.clamp(1, files.len().max(1))];
    let read = run(workers, files.len(), &Halt::default(), |footers: &mut Vec<(usize, Footer)>, file| {
        control.check()?;
        footers.push((file, HistoryFile::open(&files[file])?));
        Ok(())
    });
    let mut footers = read.map_err(Stop::into_error)?.concat();
    footers.sort_unstable_by_key(|(file, _)| *file);
    let (mut histories, mut unreadable) = (Vec::new(), Vec::new());
    for (_, footer) in footers {
        match footer {
            Footer::Read(file) => histories.push(file),
            Footer::Unreadable(file, stamp) => unreadable.push((file, stamp)),
        }
    }
    Ok((histories, unreadable))
}
