//! The identity in an ID token (OpenID Connect Core 1.0, section 2).

use std::time::SystemTime;

use serde_json::Value;
use subtle::ConstantTimeEq as _;

use crate::{
    ClientSettings, Denial, Error, Flow, Prompt, Secret,
    claims::{Claims, LEEWAY, is_text},
};

/// The longest subject, in characters (OpenID Connect Core 1.0, section 2).
const MAX_SUBJECT_CHARS: usize = 255;

/// A person as a verified ID token describes it.
#[derive(Clone, Debug)]
pub struct IdentityClaims {
    /// The issuer, which is the configured one.
    pub issuer: String,
    /// The value of the configured `subject_claim`: 1 to 255 characters. It identifies the person
    /// together with the issuer.
    pub subject: String,
    /// The e-mail address. `None` if the provider states that it is not verified.
    pub email: Option<String>,
    /// The full name.
    pub name: Option<String>,
    /// The name that the person signs in with.
    pub preferred_username: Option<String>,
    /// The groups.
    pub groups: Groups,
    /// The time at which the person authenticated. Checked already if the flow has
    /// [`Prompt::Login`].
    pub auth_time: Option<SystemTime>,
    /// The ID of the session at the provider (`sid`), which a logout token may name.
    pub session_id: Option<String>,
    /// The ID token, for [`Client::end_session_url`](crate::Client::end_session_url).
    pub id_token: Secret,
}

/// The groups of a person, in the order of the ID token. An empty list is a person without groups;
/// a missing claim is an [`Error`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Groups(Vec<String>);

impl Groups {
    /// Returns whether a group is among them, compared byte for byte.
    #[must_use]
    pub fn contains(&self, group: &str) -> bool {
        self.0.iter().any(|name| name == group)
    }

    /// Returns the names of the groups.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Returns whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Reads the configured claim.
    fn read(claims: &Claims, claim: &str) -> Result<Self, Error> {
        let (name, value) = find(claims, claim);
        // A provider that sends a reference instead of the groups (Core, section 5.6.2) would be
        // taken for one that knows of no groups, and administrators would lose their right.
        let refers_to_claim = claims.get("_claim_names").and_then(|names| names.get(&name)).is_some();
        let Some(value) = value.filter(|_| !refers_to_claim) else {
            let refers = |marker| claims.get(marker).is_some();
            let has_groups = claims.get("hasgroups").is_some_and(|flag| *flag != Value::Bool(false));
            if refers_to_claim || refers("_claim_names") || refers("_claim_sources") || has_groups {
                return Err(Error::GroupOverage);
            }
            return Err(Error::GroupsMissing { claim: claim.to_owned() });
        };
        let list = value.as_array().ok_or_else(|| Denial::invalid(claim))?;
        let groups: Option<Vec<String>> =
            list.iter().map(|group| group.as_str().filter(|group| is_text(group)).map(str::to_owned)).collect();
        Ok(Self(groups.ok_or_else(|| Denial::invalid(claim))?))
    }
}

/// Finds a claim by its name or by a JSON pointer. Returns the name of the outermost claim, too.
fn find<'c>(claims: &'c Claims, claim: &str) -> (String, Option<&'c Value>) {
    let Some(path) = claim.strip_prefix('/') else { return (claim.to_owned(), claims.get(claim)) };
    let (first, rest) = path.find('/').map_or((path, ""), |slash| path.split_at(slash));
    let name = first.replace("~1", "/").replace("~0", "~");
    let value = claims.get(&name).and_then(|value| value.pointer(rest)).filter(|value| !value.is_null());
    (name, value)
}

impl IdentityClaims {
    /// Reads the claims of an ID token whose signature is verified, and checks them against the
    /// settings and the flow.
    pub(crate) fn read(
        claims: &Claims,
        id_token: Secret,
        settings: &ClientSettings,
        flow: &Flow,
        now: SystemTime,
    ) -> Result<Self, Error> {
        claims.check(&settings.issuer, &settings.client_id, now)?;
        check_authorized_party(claims, &settings.client_id)?;
        check_nonce(claims, flow)?;
        let auth_time = claims.time("auth_time")?;
        check_prompt(auth_time, flow.prompt(), now)?;
        let text = |name| claims.text(name).map(|text| text.map(str::to_owned));
        Ok(Self {
            issuer: settings.issuer.clone(),
            subject: subject(claims, &settings.subject_claim)?.to_owned(),
            email: email(claims)?.map(str::to_owned),
            name: optional_text(claims, "name")?,
            preferred_username: optional_text(claims, "preferred_username")?,
            groups: Groups::read(claims, &settings.groups_claim)?,
            auth_time,
            session_id: text("sid")?,
            id_token,
        })
    }
}

/// Checks `azp` (Core, section 3.1.3.7): required if there are other audiences, and never another
/// client.
fn check_authorized_party(claims: &Claims, client_id: &str) -> Result<(), Denial> {
    let has_others = claims.audiences()?.iter().any(|audience| *audience != client_id);
    match claims.text("azp")? {
        Some(party) if party == client_id => Ok(()),
        None if !has_others => Ok(()),
        _ => Err(Denial::AuthorizedParty),
    }
}

fn check_nonce(claims: &Claims, flow: &Flow) -> Result<(), Denial> {
    let nonce = claims.required_text("nonce")?;
    if bool::from(nonce.as_bytes().ct_eq(flow.nonce().as_bytes())) { Ok(()) } else { Err(Denial::Nonce) }
}

fn check_prompt(auth_time: Option<SystemTime>, prompt: Prompt, now: SystemTime) -> Result<(), Denial> {
    let Prompt::Login { since } = prompt else { return Ok(()) };
    let at = auth_time.ok_or_else(|| Denial::missing("auth_time"))?;
    let is_plausible = now.checked_add(LEEWAY).is_some_and(|latest| at <= latest);
    let is_fresh = at.checked_add(LEEWAY).is_some_and(|latest| latest >= since);
    if is_plausible && is_fresh { Ok(()) } else { Err(Denial::AuthenticationTooOld) }
}

fn subject<'c>(claims: &'c Claims, claim: &str) -> Result<&'c str, Denial> {
    let subject = claims.required_text(claim)?;
    if subject.chars().count() <= MAX_SUBJECT_CHARS { Ok(subject) } else { Err(Denial::invalid(claim)) }
}

/// Returns the address, unless `email_verified` is false. Some providers write it as a text.
fn email(claims: &Claims) -> Result<Option<&str>, Denial> {
    let is_verified = match claims.get("email_verified") {
        None | Some(Value::Bool(true)) => true,
        Some(Value::Bool(false)) => false,
        Some(Value::String(text)) if text == "true" => true,
        Some(Value::String(text)) if text == "false" => false,
        Some(_) => return Err(Denial::invalid("email_verified")),
    };
    let email = claims.get("email").filter(|email| **email != "");
    if email.is_some() { Ok(claims.text("email")?.filter(|_| is_verified)) } else { Ok(None) }
}

/// Returns a text of which an empty one says nothing.
fn optional_text(claims: &Claims, name: &str) -> Result<Option<String>, Denial> {
    if claims.get(name).is_some_and(|value| *value == "") {
        return Ok(None);
    }
    Ok(claims.text(name)?.map(str::to_owned))
}
