//! A filter as SQL.
