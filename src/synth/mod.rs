//! A synthetic fleet with planted facts, and the truth about it.
