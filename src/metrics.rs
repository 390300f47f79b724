//! Figures for operators, as Prometheus reads them, on a port of its own.

use std::{
    fmt,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use axum::{
    http::{Method, StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse as _, Response},
};
use hyper::{Request, body::Incoming};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _, NoLabelSet, text::encode},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
    registry::{Registry, Unit},
};
use tokio::{
    net::{TcpListener, TcpSocket},
    sync::watch,
    task::JoinHandle,
};

use crate::http::{connection_limit::Crowd, file_limit::Cap, host, listener, ports};
use crate::{
    cluster::{BOUNDS, Live},
    config::Http,
    http::client_ip::Proxies,
};

const TEXT: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// So many threads count without meeting each other.
const STRIPES: usize = 16;

/// What checks came to. Cheap to clone; all clones are one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Verdicts(Arc<[Stripe; STRIPES]>);

/// One thread's counts, on lines of the processor's cache that no other thread writes.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Stripe {
    accepted: AtomicU64,
    refused: AtomicU64,
    failed: AtomicU64,
}

thread_local! {
    static STRIPE: usize = {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        NEXT.fetch_add(1, Ordering::Relaxed) % STRIPES
    };
}

impl Verdicts {
    /// Counts a check by what it was answered.
    pub(crate) fn count(&self, status: StatusCode) {
        let stripe = &self.0[STRIPE.with(|stripe| *stripe)];
        let count = match status {
            StatusCode::OK => &stripe.accepted,
            status if status.is_server_error() => &stripe.failed,
            _ => &stripe.refused,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    fn sum(&self, of: impl Fn(&Stripe) -> &AtomicU64) -> u64 {
        self.0.iter().map(|stripe| of(stripe).load(Ordering::Relaxed)).sum()
    }
}

/// Where the figures come from, at the moment they are asked for.
struct Figures {
    live: Live,
    verdicts: Verdicts,
}

impl fmt::Debug for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Figures")
    }
}

impl Collector for Figures {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let known = self.live.tally();
        let counters = [
            ("checks_accepted", "Delegated checks that let somebody in", self.verdicts.sum(|stripe| &stripe.accepted)),
            ("checks_refused", "Delegated checks that let nobody in", self.verdicts.sum(|stripe| &stripe.refused)),
            ("checks_failed", "Delegated checks that could not be made", self.verdicts.sum(|stripe| &stripe.failed)),
            ("cache_hits", "Look-ups of tokens answered from memory", known.hits),
            ("cache_evictions", "Tokens put out of memory for want of room", known.evicted),
            ("cluster_messages_dropped", "Messages between nodes that were not authentic, or repeated", known.dropped),
            ("lookup_statements", "Statements that read tokens", known.statements),
            ("lookup_tokens", "Tokens that those statements asked for", known.asked),
        ];
        for (name, help, value) in counters {
            let counter = ConstCounter::new(value);
            counter.encode(encoder.encode_descriptor(name, help, None, MetricType::Counter)?)?;
        }
        let gauges = [
            ("cache_tokens", "Tokens in memory", None, known.tokens),
            ("cache_size", "About what they take, with their people", Some(&Unit::Bytes), known.bytes),
            ("cache_lease", "Whether checks are answered from memory", None, usize::from(known.has_lease)),
        ];
        for (name, help, unit, value) in gauges {
            let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            gauge.encode(encoder.encode_descriptor(name, help, unit, MetricType::Gauge)?)?;
        }
        self.encode_waits(&mut encoder)
    }
}

impl Figures {
    /// How long acts that took something away waited for the other nodes.
    fn encode_waits(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let Some(waits) = self.live.waits() else { return Ok(()) };
        let help = "How long acts that take something away waited until no node lets in by it";
        let mut encoder =
            encoder.encode_descriptor("revocation_wait", help, Some(&Unit::Seconds), MetricType::Histogram)?;
        let ends = BOUNDS.iter().map(|micros| f64::from(u32::try_from(*micros).unwrap_or(u32::MAX)) / 1e6);
        let buckets: Vec<(f64, u64)> = ends.chain([f64::MAX]).zip(waits.counts()).collect();
        let count = waits.counts().iter().sum();
        encoder.encode_histogram::<NoLabelSet>(waits.total().as_secs_f64(), count, &buckets, None)
    }
}

/// The port of the figures, taken and not yet answering.
pub(crate) struct MetricsListener(TcpListener);

impl MetricsListener {
    pub(crate) fn listen(socket: TcpSocket) -> anyhow::Result<Self> {
        Ok(Self(ports::listen(socket)?))
    }

    pub(crate) fn address(&self) -> anyhow::Result<SocketAddr> {
        Ok(self.0.local_addr()?)
    }

    /// Answers `GET /metrics` until `stopped` changes.
    pub(crate) fn serve(
        self,
        live: Live,
        verdicts: Verdicts,
        limits: Http,
        cap: Cap,
        mut stopped: watch::Receiver<()>,
    ) -> JoinHandle<()> {
        let mut registry = Registry::with_prefix("tokenward");
        registry.register_collector(Box::new(Figures { live, verdicts }));
        let registry = Arc::new(registry);
        let answer = move |request: Request<Incoming>, _| std::future::ready(Ok(told(&registry, request)));
        tokio::spawn(async move {
            let stop = async move {
                stopped.changed().await.ok();
            };
            let crowd = Crowd::new(cap.all, cap.of_one, Proxies::default());
            listener::serve(self.0, answer, &limits, &crowd, stop).await;
        })
    }
}

fn told(registry: &Registry, mut request: Request<Incoming>) -> Response {
    if host::settle(&mut request).is_err() {
        return StatusCode::BAD_REQUEST.into_response();
    }
    if (request.method(), request.uri().path()) != (&Method::GET, "/metrics") {
        return StatusCode::NOT_FOUND.into_response();
    }
    let mut text = String::new();
    match encode(&mut text, registry) {
        Ok(()) => ([(CONTENT_TYPE, TEXT)], text).into_response(),
        Err(fmt::Error) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
