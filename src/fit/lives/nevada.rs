//! Nevada tables: one row per period of sale with the number sold, one column per period of return; the cell says how
//! many of that sale came back then. Above its diagonal such a table is a staircase, hence the name.
//!
//! Sold in the middle of period i on average, a unit that came back in period j failed at an age between j − i − ½ and
//! j − i + ½ periods (between 0 and ½ where j = i): an interval, not an age. What never came back has outlived the end of
//! the last period.

use super::error::LivesError;
use super::life::{End, Life};
use super::rows::{RowAccount, SetAside};
use super::table::{Rows, Source};
use super::{columns, plan::LivesPlan};

const SOLD: &[&str] = &[
    "sold",
    "sales",
    "sale",
    "quantity",
    "qty",
    "shipped",
    "shipments",
    "count",
    "n",
    "units",
    "销量",
    "销售量",
    "销售数量",
    "销售",
    "数量",
    "台数",
    "出货量",
    "发货量",
];
const TOTAL: &[&str] = &["total", "sum", "totals", "合计", "总计", "小计"];
const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

/// What a Nevada table holds.
#[derive(Clone, Debug)]
pub struct Nevada {
    pub lives: Vec<Life>,
    pub account: RowAccount,
    pub sold: f64,
    pub returned: f64,
    /// Columns of sale period and number sold.
    pub sale_column: String,
    pub sold_column: String,
    pub return_columns: usize,
}

/// Reads `source` as a Nevada table. `--time` names the column of sale periods, `--count` that of the number sold.
pub fn read(source: &Source, plan: &LivesPlan) -> Result<Nevada, LivesError> {
    let sale = match &plan.names.time {
        Some(name) => columns::exact(source, "--time", name)?,
        None => 0,
    };
    let sold = match &plan.names.count {
        Some(name) => columns::exact(source, "--count", name)?,
        None => sold_column(source, sale)?,
    };
    let returns: Vec<usize> = (0..source.columns.len())
        .filter(|&at| at != sale && at != sold && !is_total(&source.columns[at]) && !source.columns[at].is_empty())
        .collect();
    if returns.is_empty() {
        return Err(source.unreadable("a Nevada table has a column for each period of return; this one has none"));
    }
    let wanted: Vec<usize> = [sale, sold].into_iter().chain(returns.iter().copied()).collect();
    let rows = source.cells(&wanted)?;
    let table = Table { source, sale, sold, returns: &returns, rows: &rows };
    table.lives()
}

struct Table<'a> {
    source: &'a Source,
    sale: usize,
    sold: usize,
    returns: &'a [usize],
    rows: &'a Rows,
}

impl Table<'_> {
    fn lives(&self) -> Result<Nevada, LivesError> {
        let mut nevada = Nevada {
            lives: Vec::new(),
            account: RowAccount { rows_in: self.rows.numbers.len() as u64, ..RowAccount::default() },
            sold: 0.0,
            returned: 0.0,
            sale_column: self.source.columns[self.sale].clone(),
            sold_column: self.source.columns[self.sold].clone(),
            return_columns: self.returns.len(),
        };
        let kept: Vec<usize> =
            (0..self.rows.numbers.len()).filter(|&row| !is_total(&self.rows.cells[0][row].shown())).collect();
        let (sales, returns) = self.periods(&kept)?;
        let last = returns.iter().chain(&sales).copied().max().unwrap_or(0);
        for (&row, &period) in kept.iter().zip(&sales) {
            self.row(row, period, &returns, last, &mut nevada)?;
        }
        for row in (0..self.rows.numbers.len()).filter(|row| !kept.contains(row)) {
            nevada.account.set_aside.entry(SetAside::Total).or_insert((0, self.rows.numbers[row])).0 += 1;
        }
        nevada.account.used = kept.len() as u64;
        if nevada.sold == 0.0 {
            return Err(LivesError::NoLives { file: self.source.path.clone(), reasons: "nothing was sold".to_owned() });
        }
        Ok(nevada)
    }

    fn row(&self, row: usize, period: i64, returns: &[i64], last: i64, nevada: &mut Nevada) -> Result<(), LivesError> {
        let number = self.rows.numbers[row];
        let sold = self.whole(row, 1, self.sold)?;
        let mut left = sold;
        for (place, (&column, &back)) in self.returns.iter().zip(returns).enumerate() {
            let count = self.whole(row, place + 2, column)?;
            if count == 0.0 {
                continue;
            }
            if back < period {
                let sale = self.rows.cells[0][row].shown();
                let problem = format!("{count} came back before they were sold in {sale}");
                return Err(self.source.cell_error(number, column, problem));
            }
            left -= count;
            let age = (back - period) as f64;
            let end = End::Between { after: (age - 0.5).max(0.0), by: age + 0.5 };
            nevada.lives.push(Life { entry: 0.0, end, count });
            nevada.returned += count;
        }
        if left < 0.0 {
            let problem = format!("{} came back of {sold} sold", sold - left);
            return Err(self.source.cell_error(number, self.sold, problem));
        }
        if left > 0.0 {
            nevada.lives.push(Life { entry: 0.0, end: End::Survived((last - period) as f64 + 0.5), count: left });
        }
        nevada.sold += sold;
        Ok(())
    }

    /// A cell as a number of units; an empty one is none.
    fn whole(&self, row: usize, place: usize, column: usize) -> Result<f64, LivesError> {
        let cell = &self.rows.cells[place][row];
        let number = if cell.is_empty() { Some(0.0) } else { self.source.number(cell) };
        number.filter(|number| *number >= 0.0 && *number == number.trunc()).ok_or_else(|| {
            let problem = format!("{:?} is no number of units", cell.shown());
            self.source.cell_error(self.rows.numbers[row], column, problem)
        })
    }

    /// Sale periods of the kept rows and return periods of the columns, on one axis.
    fn periods(&self, kept: &[usize]) -> Result<(Vec<i64>, Vec<i64>), LivesError> {
        let sale = |row: usize| self.rows.cells[0][row].shown();
        let heading = |at: usize| self.source.columns[at].trim().to_owned();
        let all = |read: fn(&str) -> Option<i64>| -> Option<(Vec<i64>, Vec<i64>)> {
            let sales = kept.iter().map(|&row| read(&sale(row))).collect::<Option<_>>()?;
            Some((sales, self.returns.iter().map(|&at| read(&heading(at))).collect::<Option<_>>()?))
        };
        let labels: Vec<String> = kept.iter().map(|&row| sale(row)).collect();
        let by_label = || -> Option<(Vec<i64>, Vec<i64>)> {
            let place = |label: &String| labels.iter().position(|other| other == label).map(|place| place as i64);
            let returns = self.returns.iter().map(|&at| place(&heading(at))).collect::<Option<Vec<i64>>>()?;
            Some(((0..labels.len() as i64).collect(), returns))
        };
        let (sales, returns) = all(month).or_else(|| all(whole)).or_else(by_label).ok_or_else(|| {
            self.source.unreadable(format!(
                "periods of sale (column {:?}) and periods of return (the headings) must be named alike: months such as \
                 2024-01, whole numbers, or the same words",
                self.source.columns[self.sale]
            ))
        })?;
        let mut seen = returns.clone();
        seen.sort_unstable();
        if seen.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(self.source.unreadable("two columns are the same period of return"));
        }
        Ok((sales, returns))
    }
}

fn sold_column(source: &Source, sale: usize) -> Result<usize, LivesError> {
    let named = |at: &usize| SOLD.contains(&source.columns[*at].trim().to_lowercase().as_str());
    (0..source.columns.len()).filter(|&at| at != sale).find(named).ok_or_else(|| LivesError::NotFound {
        file: source.path.clone(),
        what: "a number sold",
        option: "--count",
        known: source.known(),
    })
}

fn is_total(label: &str) -> bool {
    TOTAL.contains(&label.trim().to_lowercase().as_str())
}

/// A label as a whole number.
fn whole(label: &str) -> Option<i64> {
    label
        .parse::<f64>()
        .ok()
        .filter(|number| *number == number.trunc() && number.abs() < 1e6)
        .map(|number| number as i64)
}

/// A label as months since year 0: `2024-01`, `2024/1`, `2024-01-31`, `202401`, `2024年1月`, `Jan 2024`, `Jan-24`.
fn month(label: &str) -> Option<i64> {
    let lower = label.trim().to_lowercase();
    let words: Vec<&str> = lower
        .split(|letter: char| !letter.is_alphanumeric() || "年月日".contains(letter))
        .filter(|word| !word.is_empty())
        .collect();
    let number = |text: &str| text.parse::<i64>().ok();
    let year_of = |text: &str| number(text).map(|year| if text.len() == 2 { 2000 + year } else { year });
    let named = |text: &str| {
        let is_name = text.len() >= 3 && text.chars().all(char::is_alphabetic);
        MONTHS.iter().position(|month| is_name && text.starts_with(month)).map(|at| at as i64 + 1)
    };
    let (year, month) = match words.as_slice() {
        [one] if one.len() == 6 && one.bytes().all(|byte| byte.is_ascii_digit()) => {
            (number(&one[..4])?, number(&one[4..])?)
        }
        [first, second] | [first, second, _] => match (named(first), named(second)) {
            (Some(month), _) => (year_of(second)?, month),
            (_, Some(month)) => (year_of(first)?, month),
            _ if first.len() == 4 => (number(first)?, number(second)?),
            _ => return None,
        },
        _ => return None,
    };
    ((1..=12).contains(&month) && (1900..2200).contains(&year)).then_some(year * 12 + month - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_in_many_hands() {
        let january = Some(2024 * 12);
        for label in
            ["2024-01", "2024/1", "202401", "2024年1月", "2024-01-31", "Jan 2024", "Jan-24", "january 2024", "2024.01"]
        {
            assert_eq!(month(label), january, "{label}");
        }
        for label in ["2024", "13", "2024-13", "Smarch 2024", "", "12-2024-7"] {
            assert_eq!(month(label), None, "{label}");
        }
    }
}
