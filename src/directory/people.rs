//! The list of all people with their configured groups, by few searches.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use ldap3::ldap_escape;
use tokio::time::timeout;

use crate::domain::{
    directory::{DirectoryKind, DirectoryPerson},
    time::Timestamp,
};

use super::{
    Inner,
    connection::Connection,
    dn::{DnKey, domain_of},
    entry::Entry,
    error::DirectoryError,
    group_tree::GroupTree,
    groups::{IN_CHAIN, primary_group},
    schema,
    search::{PAGE_TIMEOUT, Query},
};

/// The maximum time of a list.
const LIST_TIMEOUT: Duration = Duration::from_secs(600);

/// People by their position in the list.
type Positions = HashSet<usize>;

impl Inner {
    /// Returns all people with their configured groups.
    ///
    /// # Errors
    /// A [`DirectoryError`] unless every search ended completely.
    pub(super) async fn list(&self, now: Timestamp) -> Result<Vec<(DirectoryPerson, Vec<String>)>, DirectoryError> {
        let timed_out = |_| Err(DirectoryError::Timeout { limit: LIST_TIMEOUT });
        timeout(LIST_TIMEOUT, self.list_without_limit(now)).await.unwrap_or_else(timed_out)
    }

    async fn list_without_limit(&self, now: Timestamp) -> Result<Vec<(DirectoryPerson, Vec<String>)>, DirectoryError> {
        // A connection of its own, so that sign-ins do not wait behind the pages.
        let connection = self.client.open_bound().await?;
        let kind = self.settings.kind;
        let filter = schema::person_filter(kind, self.settings.user_filter.as_deref());
        let query = Query::below(&self.settings.base, filter, schema::person_attributes(kind));
        let entries = connection.search_pages(&query).await?;
        let people = entries.iter().map(|entry| schema::to_person(kind, entry, now)).collect::<Result<Vec<_>, _>>()?;
        let members = match kind {
            DirectoryKind::ActiveDirectory => self.members_by_chain(&connection, &entries, &people).await?,
            DirectoryKind::OpenLdap | DirectoryKind::FreeIpa => self.members_by_descent(&connection, &people).await?,
        };
        let groups_of = |position| {
            let groups = self.settings.groups.iter().zip(&members);
            groups.filter(|(_, members)| members.contains(&position)).map(|(group, _)| group.clone()).collect()
        };
        Ok(people.into_iter().enumerate().map(|(position, person)| (person, groups_of(position))).collect())
    }

    /// Returns the members of each configured group of Active Directory.
    async fn members_by_chain(
        &self,
        connection: &Connection,
        entries: &[Entry],
        people: &[DirectoryPerson],
    ) -> Result<Vec<Positions>, DirectoryError> {
        let kind = DirectoryKind::ActiveDirectory;
        let by_subject: HashMap<&str, usize> =
            people.iter().enumerate().map(|(position, person)| (person.subject.as_str(), position)).collect();
        let primary_groups: Vec<Option<Vec<u8>>> = entries.iter().map(primary_group).collect();
        let mut all = Vec::new();
        for group in &self.settings.groups {
            let query = Query::base(group, "(objectClass=group)", &["objectSid"]);
            let found = connection.search(&query, PAGE_TIMEOUT).await?.at_base()?;
            let Some(entry) = found.first() else {
                return Err(DirectoryError::NoSuchGroup { group: group.clone() });
            };
            let in_chain = format!("(memberOf:{IN_CHAIN}:={})", ldap_escape(group.as_str()));
            let filter = format!("(&{}{in_chain})", schema::person_filter(kind, None));
            let query = Query::below(&self.settings.base, filter, &["objectGUID"]);
            let mut members = Positions::new();
            for member in connection.search_pages(&query).await? {
                let subject = schema::subject(kind, &member).ok();
                members.extend(subject.and_then(|subject| by_subject.get(subject.as_str())));
            }
            // A primary group can be anywhere in the domain.
            let domain = domain_of(&self.settings.base);
            let query = Query::below(domain, format!("(&(objectClass=group){in_chain})"), &["objectSid"]);
            let nested = connection.search_pages(&query).await?;
            let sids: HashSet<&[u8]> =
                nested.iter().chain([entry]).filter_map(|group| group.bytes("objectsid")).collect();
            let is_primary = |group: &Option<Vec<u8>>| group.as_deref().is_some_and(|sid| sids.contains(sid));
            members
                .extend(primary_groups.iter().enumerate().filter(|(_, g)| is_primary(g)).map(|(position, _)| position));
            all.push(members);
        }
        Ok(all)
    }

    /// Returns the members of each configured group, by reading the members of the group, of the
    /// groups among them, and so on. Each group is read once.
    async fn members_by_descent(
        &self,
        connection: &Connection,
        people: &[DirectoryPerson],
    ) -> Result<Vec<Positions>, DirectoryError> {
        let by_dn: HashMap<DnKey, usize> = people
            .iter()
            .enumerate()
            .filter_map(|(position, person)| Some((DnKey::of(&person.dn)?, position)))
            .collect();
        let mut all = Vec::new();
        if self.settings.groups.is_empty() {
            return Ok(all);
        }
        let mut tree = GroupTree::read(connection, self.group_base()).await?;
        for group in &self.settings.groups {
            let key = DnKey::of(group).filter(|key| tree.contains(key));
            let key = key.ok_or_else(|| DirectoryError::NoSuchGroup { group: group.clone() })?;
            let members = tree.all_members(key).await?;
            all.push(members.iter().filter_map(|member| by_dn.get(member).copied()).collect());
        }
        Ok(all)
    }
}
