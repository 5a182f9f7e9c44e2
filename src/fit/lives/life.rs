//! Lives as the likelihood sees them. Times are ages in the file's own unit, all of them above zero.

/// How a life's watch ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum End {
    /// Failed at this age.
    Failed(f64),
    /// Was alive at `after` (0 where nobody looked) and had failed at `by`.
    Between { after: f64, by: f64 },
    /// Was alive at this age, and nobody looked later: right censored.
    Survived(f64),
}

/// Lives that are alike.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Life {
    /// Age from which it was watched: of those that failed earlier nobody would know. 0: from the start.
    pub entry: f64,
    pub end: End,
    /// How many such lives.
    pub count: f64,
}

impl Life {
    pub fn failed(age: f64) -> Self {
        Self { entry: 0.0, end: End::Failed(age), count: 1.0 }
    }

    pub fn survived(age: f64) -> Self {
        Self { entry: 0.0, end: End::Survived(age), count: 1.0 }
    }

    pub fn is_failure(&self) -> bool {
        !matches!(self.end, End::Survived(_))
    }

    /// The last age at which it was known to be alive, or at which it failed.
    pub fn last_age(&self) -> f64 {
        match self.end {
            End::Failed(age) | End::Survived(age) => age,
            End::Between { by, .. } => by,
        }
    }

    /// As seen by one of several competing modes, of which another ended it: alive until then.
    pub fn spared(&self) -> Option<Self> {
        match self.end {
            End::Failed(age) => Some(Self { end: End::Survived(age), ..*self }),
            // Of when it failed of something else only the interval is known: it was alive at its beginning for sure.
            End::Between { after, .. } if after > self.entry => Some(Self { end: End::Survived(after), ..*self }),
            End::Between { .. } => None,
            End::Survived(_) => Some(*self),
        }
    }
}
