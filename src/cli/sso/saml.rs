//! `tokenward sso test` for SAML providers.

use std::time::SystemTime;

use crate::{
    cli::output::{Output, printable},
    domain::time::Timestamp,
    service::{provider_list::RedirectProvider as _, saml_providers::SamlProvider},
};

/// Prints the metadata of a provider, and what must be registered there.
pub(super) fn test(provider: &SamlProvider, now: SystemTime, output: &mut Output) {
    let metadata = provider.metadata();
    output.print_line(format_args!("entity ID of the provider: {}", printable(provider.issuer())));
    output.print_line(format_args!("sign-in page: {}", printable(&metadata.single_sign_on)));
    for certificate in &metadata.certificates {
        let verb = if certificate.not_after < now { "expired" } else { "expires" };
        output.print_line(format_args!("certificate: {verb} at {}", Timestamp::from(certificate.not_after)));
    }
    let signs = if provider.signs_requests() { "yes" } else { "no" };
    output.print_line(format_args!("requests are signed: {signs}"));
    output.print_line(format_args!("register as entity ID (audience): {}", provider.entity_id()));
    output.print_line(format_args!("register as assertion consumer service URL (HTTP-POST): {}", provider.acs_url()));
    output.print_line(format_args!("metadata of this service: {}", provider.metadata_url()));
    if provider.lacks_request_key() {
        output.notice(format_args!(
            "the metadata asks for signed requests; if the provider rejects sign-ins, set sign_requests_key"
        ));
    }
    let expired = provider.count_expired_certificates(now);
    if expired > 0 {
        output.notice(format_args!(
            "{expired} of {} certificates have expired; their keys are accepted, but the provider may change them soon: \
             store its current metadata",
            metadata.certificates.len()
        ));
    }
    output.print_line(format_args!("the metadata can be used; a sign-in also checks the attributes and the groups"));
}
