//! One measured quantity, held as an integer code: `value = offset + factor * (first + code)`.

/// Values this share of a code's step from a threshold or edge lie on it.
const ON_THRESHOLD: f64 = 1e-6;

/// A channel as the data dictionary declares it.
#[derive(Clone, Debug, PartialEq)]
pub struct Channel {
    pub name: String,
    /// Unit as declared, for people; nothing is converted.
    pub unit: String,
    pub factor: f64,
    pub offset: f64,
    /// The raw code of the lower end of the declared range; code 0 stands for it.
    pub first: i64,
    /// Number of codes of the declared range, at most 65,535; code `codes` itself means "not available".
    pub codes: u32,
}

impl Channel {
    /// The code that means "not available".
    pub fn not_available(&self) -> u16 {
        self.codes as u16
    }

    /// How near to a threshold or edge, in the channel's unit, a value lies on it.
    pub fn tolerance(&self) -> f64 {
        self.factor.abs() * ON_THRESHOLD
    }

    /// The value of a code of the declared range, in the channel's unit.
    pub fn value(&self, code: u32) -> f64 {
        self.offset + self.factor * (self.first + i64::from(code)) as f64
    }
}

/// How long a record is, in days.
#[derive(Clone, Debug, PartialEq)]
pub enum PeriodLength {
    /// Every record covers the same number of days (day: 1, week: 7).
    Constant(f64),
    /// The channel of this index in [`Schema::channels`] holds the length in days (month: a built-in channel).
    Channel(usize),
    /// Nobody said (trips without a length): a model that asks for `days` is refused.
    Unknown,
}

/// What a model may refer to: the dataset seen from the model.
#[derive(Clone, Debug, PartialEq)]
pub struct Schema {
    /// All channels of the dataset, derived ones included.
    pub channels: Vec<Channel>,
    pub period_length: PeriodLength,
    /// Names of the vehicle attributes.
    pub attributes: Vec<String>,
}
