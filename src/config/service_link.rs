//! Environment variables that Kubernetes sets in every container for the services of its namespace.
//! A service named `tokenward-postgres` sets `TOKENWARD_POSTGRES_SERVICE_HOST`, which looks like a
//! configuration key.

/// Returns `true` for a variable, without `TOKENWARD_`, that has the form of a Kubernetes service
/// variable: `[NAME_]SERVICE_HOST`, `[NAME_]SERVICE_PORT`, `[NAME_]SERVICE_PORT_<PORTNAME>`,
/// `[NAME_]PORT` and `[NAME_]PORT_<n>_<PROTOCOL>[_PROTO|_PORT|_ADDR]`. No configuration key has
/// this form, because a key has two underscores after its section.
pub(super) fn is_service_link(key: &str) -> bool {
    let key = key.to_ascii_uppercase();
    if key.contains("__") {
        return false;
    }
    let words: Vec<&str> = key.split('_').collect();
    (0..words.len()).any(|start| match &words[start..] {
        ["SERVICE", "HOST" | "PORT"] | ["PORT"] => true,
        ["SERVICE", "PORT", name @ ..] => name.iter().all(|word| !word.is_empty()),
        ["PORT", number, "TCP" | "UDP" | "SCTP", rest @ ..] => {
            number.parse::<u16>().is_ok() && matches!(rest, [] | ["PROTO" | "PORT" | "ADDR"])
        }
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kubernetes_variables_differ_from_misspelled_keys() {
        for link in [
            "PORT",
            "SERVICE_HOST",
            "SERVICE_PORT",
            "SERVICE_PORT_HTTP",
            "PORT_3005_TCP",
            "PORT_3005_TCP_ADDR",
            "POSTGRES_SERVICE_HOST",
            "POSTGRES_SERVICE_PORT_POSTGRESQL",
            "POSTGRES_PORT",
            "A_LONG_NAME_PORT_53_UDP_PROTO",
            "postgres_port_5432_tcp_port",
        ] {
            assert!(is_service_link(link), "{link}");
        }
        for key in [
            "LISTEN__HTTP",
            "LISTEN__HTPP",
            "LISTEN__PORT",
            "DATABASE_URL",
            "LISTEN_HTTP",
            "SERVICE",
            "SERVICE_HOSTS",
            "PORTS",
            "PORT_X_TCP",
            "PORT_3005_HTTP",
            "PORT_3005_TCP_NAME",
            "HTTP__SERVICE_HOST",
        ] {
            assert!(!is_service_link(key), "{key}");
        }
    }
}
