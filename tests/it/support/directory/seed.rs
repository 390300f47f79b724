//! The people and groups of a test directory.

use super::{Flavor, ldif::Ldif};

/// People of whom each test directory has one: login, common name and e-mail address. Their
/// passwords are those of [`password_of`].
const PEOPLE: [(&str, &str, &str); 7] = [
    ("ada", "Ada Lovelace", "ada@example.org"),
    ("grace", "Grace Hopper", "grace@example.org"),
    ("eve", "Eve Stranger", "eve@example.org"),
    (ODD_LOGIN, "Odd Name", "odd@example.org"),
    ("twin-one", "Twin One", "twins@example.org"),
    ("twin-two", "Twin Two", "twins@example.org"),
    ("prim", "Prim Member", "prim@example.org"),
];

/// A login that is a filter, as far as a careless client is concerned.
pub const ODD_LOGIN: &str = r"a*)(b\";

/// A century in units of 100 ns, as a negative number. Without a maximum age, Samba ignores that a
/// password must be changed.
const MAX_PASSWORD_AGE: &str = "-31536000000000000";

/// The number of further people. All pages of a search together have more than this.
pub const CROWD: usize = 200;

/// Groups with their members. `circle` also contains itself. Ada is in `token-users` through three
/// other groups.
const GROUPS: [(&str, &[&str]); 6] = [
    ("operators", &["ada"]),
    ("token-admins", &["operators"]),
    ("engineers", &["token-admins"]),
    ("token-users", &["engineers", "grace"]),
    ("circle", &["circle", "grace"]),
    ("primaries", &["prim"]),
];

/// Returns the password of a person in a test directory.
pub fn password_of(login: &str) -> String {
    format!("{login}-password")
}

/// Returns the login of one of the further people, from 1 to [`CROWD`].
pub fn crowd_login(number: usize) -> String {
    format!("person{number:03}")
}

/// Returns the change records that create everything, for an empty directory.
pub fn seed(flavor: Flavor) -> Ldif {
    let mut ldif = Ldif::default();
    match flavor {
        Flavor::Slapd => write_slapd_base(&mut ldif),
        Flavor::Samba => write_samba_base(&mut ldif),
    }
    for (login, name, mail) in PEOPLE {
        write_person(&mut ldif, flavor, login, name, mail);
    }
    for number in 1..=CROWD {
        let login = crowd_login(number);
        write_person(&mut ldif, flavor, &login, &format!("Person {number:03}"), &format!("{login}@example.org"));
    }
    for (group, members) in GROUPS {
        write_group(&mut ldif, flavor, group, members);
    }
    ldif
}

fn write_slapd_base(ldif: &mut Ldif) {
    let base = Flavor::Slapd.base();
    ldif.add(base).value("objectClass", "dcObject").value("objectClass", "organization");
    ldif.value("dc", "example").value("o", "Example");
    for unit in ["people", "groups", "moved"] {
        ldif.add(&format!("ou={unit},{base}")).value("objectClass", "organizationalUnit").value("ou", unit);
    }
    // The default policy of the overlay ppolicy.
    ldif.add(&format!("cn=policy,{base}")).value("objectClass", "organizationalRole").value("cn", "policy");
    ldif.value("objectClass", "pwdPolicy").value("pwdAttribute", "userPassword");
    ldif.value("pwdLockout", "TRUE").value("pwdMaxFailure", "5").value("pwdMustChange", "TRUE");
    ldif.add(&format!("cn=search,{base}")).value("objectClass", "organizationalRole").value("cn", "search");
    ldif.value("objectClass", "simpleSecurityObject").value("userPassword", password_of("search"));
}

fn write_samba_base(ldif: &mut Ldif) {
    let base = Flavor::Samba.base();
    // Simple passwords that do not expire soon, and a lockout after five wrong ones.
    ldif.modify(base).replace("pwdProperties", "0").replace("minPwdLength", "0").replace("minPwdAge", "0");
    ldif.replace("maxPwdAge", MAX_PASSWORD_AGE).replace("lockoutThreshold", "5");
    ldif.add(&format!("OU=moved,{base}")).value("objectClass", "organizationalUnit");
    write_person(ldif, Flavor::Samba, "search", "Search Service", "search@example.org");
    // NORMAL_ACCOUNT and DONT_EXPIRE_PASSWORD.
    ldif.modify(&Flavor::Samba.person_dn("search", "Search Service")).replace("userAccountControl", "66048");
}

fn write_person(ldif: &mut Ldif, flavor: Flavor, login: &str, name: &str, mail: &str) {
    ldif.add(&flavor.person_dn(login, name)).value("displayName", name).value("mail", mail).value("sn", "Person");
    match flavor {
        Flavor::Slapd => {
            ldif.value("objectClass", "inetOrgPerson").value("uid", login).value("cn", name);
            ldif.value("userPassword", password_of(login));
        }
        Flavor::Samba => {
            ldif.value("objectClass", "user").value("userAccountControl", "512");
            // Active Directory allows any character in a UPN, but not in a sAMAccountName.
            let account = if login == ODD_LOGIN { "odd" } else { login };
            ldif.value("sAMAccountName", account).value("userPrincipalName", format!("{login}@ad.example.org"));
            ldif.value("unicodePwd", unicode_password(&password_of(login)));
        }
    }
}

/// Returns the value of `unicodePwd`: UTF-16, little-endian, in quotation marks ([MS-ADTS]
/// 3.1.1.3.1.5).
pub fn unicode_password(password: &str) -> Vec<u8> {
    format!("\"{password}\"").encode_utf16().flat_map(u16::to_le_bytes).collect()
}

fn write_group(ldif: &mut Ldif, flavor: Flavor, group: &str, members: &[&str]) {
    let dn = flavor.group_dn(group);
    let class = if flavor == Flavor::Slapd { "groupOfNames" } else { "group" };
    ldif.add(&dn).value("objectClass", class).value("cn", group);
    match flavor {
        // groupOfNames needs a member that stays when the others are removed.
        Flavor::Slapd => ldif.value("member", format!("cn=search,{}", flavor.base())),
        Flavor::Samba => ldif.value("sAMAccountName", group),
    };
    for member in members {
        let person = PEOPLE.iter().find(|(login, ..)| login == member);
        let member = person.map_or_else(|| flavor.group_dn(member), |(login, name, _)| flavor.person_dn(login, name));
        ldif.modify(&dn).add_value("member", member);
    }
}
