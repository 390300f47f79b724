//! The readiness check.

use crate::{
    cluster::Node,
    store::{self, SchemaStatus, Store},
};

/// Checks that the database is reachable and has all migrations of this program.
#[derive(Clone)]
pub struct Health {
    store: Store,
    node: Node,
}

/// The reason why the service is not ready.
#[derive(Debug, thiserror::Error)]
pub enum NotReady {
    #[error("the database is unreachable")]
    Store(#[from] store::Error),
    #[error("the database schema is at version {database}, but this program requires version {program}")]
    Schema { database: i64, program: i64 },
    #[error("migration {version} of the database differs from this program's")]
    IncompatibleSchema { version: i64 },
}

impl Health {
    /// Creates the check.
    #[must_use]
    pub fn new(store: Store, node: Node) -> Self {
        Self { store, node }
    }

    /// Checks the database. While it is unreachable, a node is ready as long as it answers auth checks
    /// from its cache.
    ///
    /// # Errors
    /// [`NotReady::Store`] if the database is unreachable, [`NotReady::Schema`] if migrations are
    /// missing, [`NotReady::IncompatibleSchema`] if a migration differs from this program's.
    pub async fn check(&self) -> Result<(), NotReady> {
        if self.node.outlasts_database() {
            return Ok(());
        }
        match self.store.schema_status().await? {
            // During a rolling upgrade the schema may be newer. This program still has all the
            // migrations it needs.
            SchemaStatus::Current | SchemaStatus::Ahead { .. } => Ok(()),
            SchemaStatus::Behind { database, program } => Err(NotReady::Schema { database, program }),
            SchemaStatus::Incompatible { version } => Err(NotReady::IncompatibleSchema { version }),
        }
    }
}
