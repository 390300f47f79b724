//! Whether the service can do its work.

use crate::store::{self, Schema, Store};

/// Tells whether the store answers and has all the migrations that this program knows.
#[derive(Clone)]
pub struct Health {
    store: Store,
}

/// Why the service is not ready.
#[derive(Debug, thiserror::Error)]
pub enum NotReady {
    #[error("the store cannot be reached")]
    Store(#[from] store::Error),
    #[error("the store's schema is at version {database}, this program's at {program}")]
    Schema { database: i64, program: i64 },
}

impl Health {
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self { store }
    }

    /// Looks at the store.
    ///
    /// # Errors
    /// [`NotReady`].
    pub async fn check(&self) -> Result<(), NotReady> {
        match self.store.schema().await? {
            // While a newer program takes over node by node, this one goes on: it has all the migrations it knows.
            Schema::Current | Schema::Ahead { .. } => Ok(()),
            Schema::Behind { database, program } => Err(NotReady::Schema { database, program }),
        }
    }
}
