//! The groups of a directory without a matching rule for nested groups.

use std::collections::{HashMap, HashSet};

use super::{
    connection::Connection,
    dn::DnKey,
    error::DirectoryError,
    groups::MAX_LEVELS,
    schema,
    search::{PAGE_TIMEOUT, Query},
};

/// The groups below a DN. The members of a group are read when they are needed, once.
pub(super) struct GroupTree<'c> {
    connection: &'c Connection,
    /// The DNs of all groups, as the directory spells them.
    groups: HashMap<DnKey, String>,
    members: HashMap<DnKey, Vec<DnKey>>,
}

impl<'c> GroupTree<'c> {
    /// Reads the names of all groups below a DN.
    ///
    /// # Errors
    /// A [`DirectoryError`] if the list is incomplete.
    pub(super) async fn read(connection: &'c Connection, base: &str) -> Result<Self, DirectoryError> {
        let query = Query::below(base, schema::GROUPS.to_owned(), &["1.1"]);
        let groups = connection.search_pages(&query).await?;
        let groups = groups.into_iter().filter_map(|group| Some((DnKey::of(&group.dn)?, group.dn))).collect();
        Ok(Self { connection, groups, members: HashMap::new() })
    }

    /// Returns whether there is such a group.
    pub(super) fn contains(&self, group: &DnKey) -> bool {
        self.groups.contains_key(group)
    }

    /// Returns all members of a group: people, groups, and their members, over at most
    /// [`MAX_LEVELS`] groups.
    ///
    /// # Errors
    /// A [`DirectoryError`] if a group cannot be read.
    pub(super) async fn all_members(&mut self, group: DnKey) -> Result<HashSet<DnKey>, DirectoryError> {
        let mut all = HashSet::new();
        let mut level = vec![group];
        for _ in 0..MAX_LEVELS {
            let mut next = Vec::new();
            for group in level {
                for member in self.members_of(&group).await? {
                    if all.insert(member.clone()) {
                        next.push(member.clone());
                    }
                }
            }
            level = next;
        }
        Ok(all)
    }

    /// Returns the direct members. An entry that is not a group has none.
    async fn members_of(&mut self, group: &DnKey) -> Result<&[DnKey], DirectoryError> {
        let Some(dn) = self.groups.get(group) else { return Ok(&[]) };
        if !self.members.contains_key(group) {
            let query = Query::base(dn, "(objectClass=*)", &["member", "uniqueMember"]);
            let found = self.connection.search(&query, PAGE_TIMEOUT).await?.at_base()?;
            let values = found.iter().flat_map(|entry| entry.texts("member").chain(entry.texts("uniquemember")));
            let members = values.filter_map(DnKey::of).collect();
            self.members.insert(group.clone(), members);
        }
        Ok(self.members.get(group).map(Vec::as_slice).unwrap_or_default())
    }
}
