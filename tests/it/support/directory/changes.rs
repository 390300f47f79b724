//! Changes of people and groups while the directory runs, as its administrators make them.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{Flavor, TestDirectory, expect_success, ldap_client, ldif::Ldif, run, seed::unicode_password};
use crate::support::binary::run_with_stdin;

/// The wrong passwords after which both directories lock an account.
const LOCKOUT_THRESHOLD: usize = 5;

impl TestDirectory {
    pub fn disable(&self, login: &str) {
        self.change(login, |flavor, person| match flavor {
            // The value that locks an account without an end.
            Flavor::Slapd => person.replace("pwdAccountLockedTime", "000001010000Z"),
            Flavor::Samba => person.replace("userAccountControl", "514"),
        });
    }

    pub fn enable(&self, login: &str) {
        self.change(login, |flavor, person| match flavor {
            Flavor::Slapd => person.clear("pwdAccountLockedTime"),
            Flavor::Samba => person.replace("userAccountControl", "512"),
        });
    }

    pub fn delete(&self, login: &str) {
        self.apply(Ldif::default().delete(&self.dn_of(login)));
    }

    /// Gives a person another login, and with it another DN. The e-mail address stays.
    pub fn rename(&self, login: &str, new_login: &str) {
        let dn = self.dn_of(login);
        match self.flavor {
            Flavor::Slapd => self.apply(Ldif::default().rename(&dn, &format!("uid={new_login}"), None)),
            Flavor::Samba => {
                self.apply(Ldif::default().rename(&dn, &format!("CN={new_login}"), None));
                self.change(login, |_, person| {
                    person.replace("userPrincipalName", format!("{new_login}@ad.example.org"));
                    person.replace("sAMAccountName", new_login)
                });
            }
        }
    }

    /// Moves a person into another organizational unit.
    pub fn move_away(&self, login: &str) {
        let dn = self.dn_of(login);
        let relative_dn = dn.split(',').next().unwrap();
        let parent = format!("ou=moved,{}", self.flavor.base());
        self.apply(Ldif::default().rename(&dn, relative_dn, Some(&parent)));
    }

    pub fn set_password(&self, login: &str, password: &str) {
        self.change(login, |flavor, person| match flavor {
            Flavor::Slapd => person.replace("userPassword", password),
            Flavor::Samba => person.replace("unicodePwd", unicode_password(password)),
        });
        if self.flavor == Flavor::Slapd {
            // The policy requires another password after one that an administrator chose.
            self.change(login, |_, person| person.clear("pwdReset"));
        }
    }

    /// Lets the account of a person end in the past. Only in Active Directory.
    pub fn expire_account(&self, login: &str) {
        // In units of 100 ns since 1601: the year 2020.
        self.change_in_samba(login, "accountExpires", "132223104000000000");
    }

    /// Requires another password at the next sign-in.
    pub fn require_password_change(&self, login: &str) {
        self.change(login, |flavor, person| match flavor {
            Flavor::Slapd => person.replace("pwdReset", "TRUE"),
            Flavor::Samba => person.replace("pwdLastSet", "0"),
        });
    }

    /// Locks an account out by wrong passwords.
    pub fn lock_out(&self, login: &str) {
        let dn = self.dn_of(login);
        for _ in 0..LOCKOUT_THRESHOLD {
            let mut command = ldap_client("ldapsearch", &self.administrator.url, &dn, "a wrong password");
            command.args(["-s", "base", "-b", ""]);
            assert_eq!(command.output().unwrap().status.code(), Some(49));
        }
    }

    /// Adds a person or a group to a group.
    pub fn add_member(&self, group: &str, member: &str) {
        self.apply(Ldif::default().modify(&self.flavor.group_dn(group)).add_value("member", self.dn_of(member)));
    }

    /// Removes a person or a group from a group.
    pub fn remove_member(&self, group: &str, member: &str) {
        self.apply(Ldif::default().modify(&self.flavor.group_dn(group)).delete_value("member", self.dn_of(member)));
    }

    /// Makes a group the primary group of a member. The entry of the group no longer names it.
    pub(super) fn make_primary_group(&self, group: &str, login: &str) {
        let sid = STANDARD.decode(self.attribute(group, "objectSid").unwrap()).unwrap();
        let id = u32::from_le_bytes(*sid.last_chunk().unwrap());
        self.change_in_samba(login, "primaryGroupID", &id.to_string());
    }

    /// Applies change records.
    pub(super) fn apply(&self, ldif: &Ldif) {
        expect_success(&run_with_stdin(self.administrator.client("ldapmodify"), ldif.as_str()));
    }

    /// Returns the current DN of a person or group.
    pub fn dn_of(&self, name: &str) -> String {
        self.attribute(name, "dn").unwrap_or_else(|| panic!("no entry {name}"))
    }

    /// Returns the value of an attribute of a person or group: text, or base64 if it is not ASCII.
    pub fn attribute(&self, name: &str, attribute: &str) -> Option<String> {
        let mut command = self.administrator.client("ldapsearch");
        command.args(["-LLL", "-o", "ldif-wrap=no", "-b", self.flavor.base()]);
        let found = run(command.args([&format!("(|(uid={name})(sAMAccountName={name})(cn={name}))"), attribute]));
        let line = found.lines().find_map(|line| line.strip_prefix(attribute)?.strip_prefix(':'));
        line.map(|value| value.trim_start_matches(':').trim_start().to_owned())
    }

    fn change(&self, login: &str, change: impl FnOnce(Flavor, &mut Ldif) -> &mut Ldif) {
        let mut ldif = Ldif::default();
        change(self.flavor, ldif.modify(&self.dn_of(login)));
        self.apply(&ldif);
    }

    fn change_in_samba(&self, login: &str, attribute: &str, value: &str) {
        assert_eq!(self.flavor, Flavor::Samba, "{attribute} is an attribute of Active Directory");
        self.change(login, |_, person| person.replace(attribute, value));
    }
}
