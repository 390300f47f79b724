//! Reads structs from rows of both databases.

/// Implements [`sqlx::FromRow`] for a struct: each field is the column of its name. A field after
/// the semicolon is a struct that is read from the same row.
///
/// A macro of sqlx does the same, but compiles both drivers a second time for the compiler.
macro_rules! from_row {
    ($row:ty { $($column:ident),* $(; $($nested:ident),+)? }) => {
        crate::store::from_row!(@driver sqlx::postgres::PgRow, $row, $($column)*, $($($nested)+)?);
        crate::store::from_row!(@driver sqlx::sqlite::SqliteRow, $row, $($column)*, $($($nested)+)?);
    };
    (@driver $source:ty, $row:ty, $($column:ident)*, $($nested:ident)*) => {
        impl<'r> sqlx::FromRow<'r, $source> for $row {
            fn from_row(row: &'r $source) -> sqlx::Result<Self> {
                Ok(Self {
                    $($nested: sqlx::FromRow::from_row(row)?,)*
                    $($column: sqlx::Row::try_get(row, stringify!($column))?,)*
                })
            }
        }
    };
}
pub(super) use from_row;
