//! Generating a token. The page with its value is the answer to the form itself and nothing else ever has it: it goes into no
//! URL, no cookie, no session, and a form that is sent again makes no second token.

use askama::Template;
use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode, header::ORIGIN},
    response::Response,
    routing::get,
};
use serde::Deserialize;
use uuid::Uuid;

use super::{
    error::{PageError, PageResult},
    extract::Posted,
    format::When,
    layout::{Frame, Place, show, show_as},
    messages::{Problem, of_invalid},
    session_user::Visitor,
    state::Site,
    tokens::PLACE,
};
use crate::{
    domain::{
        Invalid,
        token::{Description, Lifetime, Token},
    },
    service::{
        Refusal,
        tokens::{Form, Once},
    },
};
use tokenward_guard::token_format::TokenValue;

/// The lifetimes that are offered, in days.
const PRESETS: [i64; 3] = [30, 90, 365];
const DAY_SECONDS: i64 = 86_400;

struct Preset {
    days: i64,
    end: When,
    is_chosen: bool,
}

#[derive(Template)]
#[template(path = "generate.html")]
struct GeneratePage<'a> {
    frame: Frame,
    problem: Option<&'a str>,
    form_id: Uuid,
    max_days: Option<i64>,
    presets: Vec<Preset>,
    never_chosen: bool,
    custom_chosen: bool,
    days: &'a str,
    description: &'a str,
}

#[derive(Template)]
#[template(path = "generated.html")]
struct GeneratedPage<'a> {
    frame: Frame,
    value: &'a str,
    id: Uuid,
    description: &'a str,
    expires: Option<When>,
    address: String,
}

#[derive(Default, Deserialize)]
struct GenerateForm {
    form: Option<Uuid>,
    /// A number of days, or `custom`.
    #[serde(default)]
    lifetime: String,
    /// The days of `custom`.
    #[serde(default)]
    days: String,
    #[serde(default)]
    description: String,
}

impl GenerateForm {
    /// The lifetime that is asked for, where `max_days` is the most.
    fn lifetime(&self, max_days: Option<i64>) -> Result<Lifetime, Problem> {
        let (chosen, written) = (self.lifetime.trim(), self.days.trim());
        let text = match (chosen, written) {
            ("custom" | "", written) => written,
            (chosen, "") => chosen,
            (chosen, written) if chosen == written => chosen,
            (_, written) => {
                return Err(Problem::new(format!(
                    "You wrote {written} days, but chose another lifetime. Choose Custom, or clear the field."
                )));
            }
        };
        let invalid = || match max_days {
            Some(most) => Problem::new(format!("The lifetime is a whole number of days from 1 to {most}.")),
            None => Problem::new(of_invalid(&Invalid::Lifetime)),
        };
        let days: i64 = text.parse().map_err(|_| invalid())?;
        let seconds = if days == -1 { -1 } else { days.checked_mul(DAY_SECONDS).ok_or_else(invalid)? };
        Lifetime::from_seconds(seconds).map_err(|_| invalid())
    }
}

pub(super) fn routes() -> Router<Site> {
    Router::new().route("/preferences/access-tokens/generate", get(ask).post(generate))
}

async fn ask(visitor: Visitor, State(site): State<Site>) -> PageResult<Response> {
    let max_days = may_issue(&site, &visitor).await?;
    let first = PRESETS.into_iter().find(|days| max_days.is_none_or(|most| *days <= most));
    let form = match first {
        Some(days) => GenerateForm { lifetime: days.to_string(), ..GenerateForm::default() },
        None => GenerateForm {
            lifetime: "custom".to_owned(),
            days: max_days.unwrap_or(1).to_string(),
            ..GenerateForm::default()
        },
    };
    show(&page(&visitor, &site, max_days, &form, None))
}

/// The most days of a new token.
///
/// # Errors
/// A page that says why there can be none.
async fn may_issue(site: &Site, visitor: &Visitor) -> PageResult<Option<i64>> {
    site.tokens.may_issue(&visitor.person).await.map_err(|refusal| match refusal {
        Refusal::GeneratingIsForAdministrators | Refusal::TokenAccessDisabled => PageError::told(
            StatusCode::FORBIDDEN,
            "You cannot generate tokens",
            "An administrator of the workspace can let you: your Access Tokens page says whom to ask.",
        ),
        // The list says it.
        Refusal::FeatureOff => PageError::SeeInstead(PLACE),
        refusal => refusal.into(),
    })
}

fn page<'a>(
    visitor: &Visitor,
    site: &Site,
    max_days: Option<i64>,
    form: &'a GenerateForm,
    problem: Option<&'a str>,
) -> GeneratePage<'a> {
    let now = site.tokens.now();
    let is_written = !form.days.trim().is_empty();
    let preset = |days: i64| Preset {
        days,
        end: When(now.plus_seconds(days * DAY_SECONDS)),
        is_chosen: !is_written && form.lifetime == days.to_string(),
    };
    let allowed = PRESETS.into_iter().filter(|days| max_days.is_none_or(|most| *days <= most));
    GeneratePage {
        frame: visitor.frame(Place::Tokens),
        problem,
        form_id: site.sessions.new_form(),
        max_days,
        presets: allowed.map(preset).collect(),
        never_chosen: !is_written && form.lifetime == "-1",
        custom_chosen: form.lifetime == "custom" || is_written,
        days: &form.days,
        description: &form.description,
    }
}

async fn generate(
    visitor: Visitor,
    State(site): State<Site>,
    headers: HeaderMap,
    Posted(form): Posted<GenerateForm>,
) -> PageResult<Response> {
    match issue(&site, &visitor, &form).await? {
        Ok((value, token)) => show(&GeneratedPage {
            frame: visitor.frame(Place::Tokens),
            value: value.expose(),
            id: token.id,
            description: &token.description,
            expires: token.expires_at.map(When),
            address: site.address.seen_from(headers.get(ORIGIN).and_then(|origin| origin.to_str().ok())),
        }),
        Err(problem) => {
            let max_days = may_issue(&site, &visitor).await?;
            show_as(problem.status, &page(&visitor, &site, max_days, &form, Some(&problem.text)))
        }
    }
}

async fn issue(
    site: &Site,
    visitor: &Visitor,
    form: &GenerateForm,
) -> PageResult<Result<(TokenValue, Token), Problem>> {
    let made_for = |id: &Uuid| site.sessions.is_form_of(&visitor.session, *id);
    let Some(id) = form.form.filter(made_for) else {
        return Ok(Err(Problem::new(
            "Your session has changed since this page was opened. Nothing was generated. Press Generate again.",
        )));
    };
    let lifetime = match form.lifetime(may_issue(site, visitor).await?) {
        Ok(lifetime) => lifetime,
        Err(problem) => return Ok(Err(problem)),
    };
    let description = match Description::parse(form.description.clone()) {
        Ok(description) => description,
        Err(invalid) => return Ok(Err(Problem::of(invalid.into())?)),
    };
    let form = Form { session_id: visitor.session.id, id };
    match site.tokens.issue(&visitor.actor(), lifetime, description, Once::Form(form)).await {
        Ok(issued) => Ok(Ok(issued)),
        Err(refusal) => Ok(Err(Problem::of(refusal)?)),
    }
}
