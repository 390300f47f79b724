//! The configured groups of one person.

use std::collections::HashSet;

use futures_util::future::try_join_all;
use ldap3::ldap_escape;

use crate::domain::directory::DirectoryKind;

use super::{
    Inner,
    dn::{DnKey, common_ending},
    entry::Entry,
    error::DirectoryError,
    schema::any_equals,
    search::Query,
};

/// The maximum number of groups between a person and a configured group, with the latter.
pub(super) const MAX_LEVELS: usize = 10;
/// The matching rule of Active Directory that follows a chain of groups.
pub(super) const IN_CHAIN: &str = "1.2.840.113556.1.4.1941";
/// The number of groups that one search asks for.
const CHUNK: usize = 50;

impl Inner {
    /// Returns the configured groups of which the entry with this DN is a member.
    ///
    /// # Errors
    /// A [`DirectoryError`] if the directory did not answer completely.
    pub(super) async fn groups_of_dn(&self, dn: &str) -> Result<Vec<String>, DirectoryError> {
        if self.settings.groups.is_empty() {
            return Ok(Vec::new());
        }
        match self.settings.kind {
            DirectoryKind::ActiveDirectory => self.groups_by_chain(dn).await,
            DirectoryKind::OpenLdap | DirectoryKind::FreeIpa => self.groups_by_climbing(dn).await,
        }
    }

    /// Returns the DN below which groups are: the longest ending that the base and the configured
    /// groups have in common.
    pub(super) fn group_base(&self) -> &str {
        common_ending(&self.settings.base, &self.settings.groups)
    }

    /// Asks Active Directory whether chains of groups lead from the person to the configured groups.
    ///
    /// The security identifiers in `tokenGroups` include the primary group and the groups that
    /// contain it, which no `member` attribute names. A distribution group has none there.
    async fn groups_by_chain(&self, dn: &str) -> Result<Vec<String>, DirectoryError> {
        let person = Query::base(dn, "(objectClass=*)", &["tokenGroups", "primaryGroupID", "objectSid"]);
        let person = self.client.search(&person).await?.at_base()?;
        let Some(person) = person.first() else { return Ok(Vec::new()) };
        let mut sids: HashSet<&[u8]> = person.values("tokengroups").iter().map(Vec::as_slice).collect();
        let primary = primary_group(person);
        sids.extend(primary.as_deref());
        let in_chain = format!("(&(objectClass=group)(member:{IN_CHAIN}:={}))", ldap_escape(dn));
        let groups = &self.settings.groups;
        let memberships = try_join_all(groups.iter().map(|group| self.is_member(group, &sids, &in_chain))).await?;
        Ok(groups.iter().zip(memberships).filter(|(_, is_member)| *is_member).map(|(group, _)| group.clone()).collect())
    }

    /// Returns whether a group has one of the security identifiers, or matches the filter.
    async fn is_member(&self, group: &str, sids: &HashSet<&[u8]>, in_chain: &str) -> Result<bool, DirectoryError> {
        let query = Query::base(group, "(objectClass=group)", &["objectSid"]);
        let found = self.client.search(&query).await?.at_base()?;
        let Some(entry) = found.first() else { return Ok(false) };
        if entry.bytes("objectsid").is_some_and(|sid| sids.contains(sid)) {
            return Ok(true);
        }
        let query = Query::base(group, in_chain, &["objectSid"]);
        Ok(!self.client.search(&query).await?.at_base()?.is_empty())
    }

    /// Searches the groups that name the person as a member, the groups that name those, and so on.
    async fn groups_by_climbing(&self, dn: &str) -> Result<Vec<String>, DirectoryError> {
        let mut visited = HashSet::new();
        let mut level = vec![dn.to_owned()];
        for _ in 0..MAX_LEVELS {
            let mut next = Vec::new();
            for members in level.chunks(CHUNK) {
                let filter = any_equals(&["member", "uniqueMember"], members);
                let query = Query::below(self.group_base(), filter, &["1.1"]);
                for group in self.client.search_all(&query).await? {
                    if DnKey::of(&group.dn).is_some_and(|key| visited.insert(key)) {
                        next.push(group.dn);
                    }
                }
            }
            if next.is_empty() {
                break;
            }
            level = next;
        }
        let is_visited = |group: &&String| DnKey::of(group).is_some_and(|key| visited.contains(&key));
        Ok(self.settings.groups.iter().filter(is_visited).cloned().collect())
    }
}

/// Returns the security identifier of a person's primary group: the one of the person's domain with
/// `primaryGroupID` as the last part (MS-DTYP, section 2.4.2.2).
pub(super) fn primary_group(person: &Entry) -> Option<Vec<u8>> {
    let id: u32 = person.text("primarygroupid")?.parse().ok()?;
    let (domain, _) = person.bytes("objectsid")?.split_last_chunk::<4>()?;
    Some([domain, &id.to_le_bytes()].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_primary_group_is_in_the_domain_of_the_person() {
        let sid = b"\x01\x05\0\0\0\0\0\x05\x15\0\0\0AAAABBBBCCCC\x50\x04\0\0";
        let person = Entry::of("CN=a", &[("objectSid", sid), ("primaryGroupID", b"513")]);
        assert_eq!(primary_group(&person).unwrap(), b"\x01\x05\0\0\0\0\0\x05\x15\0\0\0AAAABBBBCCCC\x01\x02\0\0");
        assert_eq!(primary_group(&Entry::of("CN=a", &[("objectSid", b"abc"), ("primaryGroupID", b"513")])), None);
        assert_eq!(primary_group(&Entry::of("CN=a", &[("objectSid", sid)])), None);
    }
}
