//! The description of a server, for the operator.

use crate::domain::directory::DirectoryKind;

use super::{
    Inner,
    connection::Connection,
    entry::Entry,
    error::DirectoryError,
    schema,
    search::{Query, SEARCH_TIMEOUT},
    settings::ServerUrl,
};

/// The capability that every domain controller of Active Directory has (MS-ADTS, section
/// 3.1.1.3.4.3.1).
const ACTIVE_DIRECTORY: &str = "1.2.840.113556.1.4.800";

/// The report of [`Directory::probe`](super::Directory::probe).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerReport {
    /// The server that answered.
    pub server: ServerUrl,
    /// The names in the `subjectAltName` of its certificate, without a type.
    pub certificate_names: Vec<String>,
    /// The product and its version, as the server names them. Empty if it does not.
    pub vendor: String,
    /// The kind of the directory that the server's description shows, if it shows one.
    pub detected_kind: Option<DirectoryKind>,
}

impl Inner {
    /// Connects to every server in the order of the configuration, binds as the service and reads the
    /// description. After a rejected bind, the other servers are not asked: they would count it as well.
    pub(super) async fn probe_servers(&self) -> Vec<(ServerUrl, Result<ServerReport, DirectoryError>)> {
        let mut reports = Vec::new();
        for server in self.client.server_urls() {
            let report = async { read(&self.client.open_bound_to(server).await?).await };
            reports.push((server.clone(), self.client.within_limit(report).await));
        }
        reports
    }

    /// Returns the configured groups that the directory does not have.
    ///
    /// # Errors
    /// A [`DirectoryError`] if the directory did not answer completely.
    pub(super) async fn missing_groups(&self) -> Result<Vec<String>, DirectoryError> {
        let mut missing = Vec::new();
        for group in &self.settings.groups {
            let query = Query::base(group, schema::group_filter(self.settings.kind), &["1.1"]);
            if self.client.search(&query).await?.at_base()?.is_empty() {
                missing.push(group.clone());
            }
        }
        Ok(missing)
    }

    /// Returns the number of wrong passwords after which a domain of Active Directory locks an account.
    /// Returns `None` if it locks none, or hides the number, and for other kinds.
    ///
    /// # Errors
    /// A [`DirectoryError`] if the directory did not answer completely.
    pub(super) async fn lockout_threshold(&self) -> Result<Option<u32>, DirectoryError> {
        if self.settings.kind != DirectoryKind::ActiveDirectory {
            return Ok(None);
        }
        let query = Query::base("", "(objectClass=*)", &["defaultNamingContext"]);
        let root = self.client.search(&query).await?.complete()?;
        let Some(domain) = root.first().and_then(|root| root.text("defaultnamingcontext")) else { return Ok(None) };
        let query = Query::base(domain, "(objectClass=*)", &["lockoutThreshold"]);
        let found = self.client.search(&query).await?.at_base()?;
        let threshold = found.first().and_then(|domain| domain.text("lockoutthreshold")?.parse().ok());
        Ok(threshold.filter(|threshold| *threshold > 0))
    }
}

/// Reads the description of the server (RFC 4512, section 5.1).
pub(super) async fn read(connection: &Connection) -> Result<ServerReport, DirectoryError> {
    let attributes =
        ["objectClass", "supportedCapabilities", "vendorName", "vendorVersion", "ipatopologypluginversion"];
    let query = Query::base("", "(objectClass=*)", &attributes);
    let found = connection.search(&query, SEARCH_TIMEOUT).await?.complete()?;
    let (vendor, detected_kind) = found.first().map(describe).unwrap_or_default();
    Ok(ServerReport {
        server: connection.server.clone(),
        certificate_names: connection.certificate_names.clone(),
        vendor,
        detected_kind,
    })
}

/// Returns the product and the kind of a directory.
fn describe(root: &Entry) -> (String, Option<DirectoryKind>) {
    let named: Vec<&str> = ["vendorname", "vendorversion"].into_iter().filter_map(|name| root.text(name)).collect();
    let vendor: String = named.join(" ").chars().filter(|c| !c.is_control()).take(200).collect();
    let (product, kind) = if root.texts("supportedcapabilities").any(|id| id == ACTIVE_DIRECTORY) {
        ("Active Directory", Some(DirectoryKind::ActiveDirectory))
    } else if root.texts("objectclass").any(|class| class.eq_ignore_ascii_case("OpenLDAProotDSE")) {
        ("OpenLDAP", Some(DirectoryKind::OpenLdap))
    } else if vendor.contains("389 Project") || root.text("ipatopologypluginversion").is_some() {
        ("389 Directory Server", Some(DirectoryKind::FreeIpa))
    } else {
        ("", None)
    };
    (if vendor.is_empty() { product.to_owned() } else { vendor }, kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_is_read_from_the_description_of_the_server() {
        let described = |attributes: &[(&str, &[u8])]| describe(&Entry::of("", attributes));
        let kind = DirectoryKind::ActiveDirectory;
        let samba = described(&[("supportedCapabilities", ACTIVE_DIRECTORY.as_bytes()), ("vendorName", b"Samba Team")]);
        assert_eq!(samba, ("Samba Team".to_owned(), Some(kind)));
        let windows = described(&[("supportedCapabilities", ACTIVE_DIRECTORY.as_bytes())]);
        assert_eq!(windows, ("Active Directory".to_owned(), Some(kind)));
        let slapd = described(&[("objectClass", b"top"), ("objectClass", b"OpenLDAProotDSE")]);
        assert_eq!(slapd, ("OpenLDAP".to_owned(), Some(DirectoryKind::OpenLdap)));
        let ipa = described(&[("vendorName", b"389 Project"), ("vendorVersion", b"389-Directory/2.4.5")]);
        assert_eq!(ipa, ("389 Project 389-Directory/2.4.5".to_owned(), Some(DirectoryKind::FreeIpa)));
        assert_eq!(described(&[]), (String::new(), None));
    }
}
