//! Limits on open connections, in total and per client address.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use parking_lot::Mutex;

use crate::{domain::ip_network::rate_limit_key, http::client_ip::TrustedProxies};

/// Limits open connections. Clones share one state.
#[derive(Clone, Debug)]
pub(crate) struct ConnectionLimiter(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    max_total: usize,
    max_per_ip: usize,
    proxies: TrustedProxies,
    open: Mutex<OpenConnections>,
    rejections: AtomicU64,
}

#[derive(Debug, Default)]
struct OpenConnections {
    total: usize,
    by_ip: HashMap<IpAddr, usize>,
}

/// Permission to keep one connection open; released on drop.
#[derive(Debug)]
pub(crate) struct ConnectionPermit {
    limiter: ConnectionLimiter,
    /// The key of the per-address count. `None` for a trusted proxy, which is not limited by
    /// address.
    ip_key: Option<IpAddr>,
}

impl ConnectionLimiter {
    /// Creates a limiter; 0 means no limit. Trusted proxies count towards the total only.
    pub(crate) fn new(max_total: usize, max_per_ip: usize, proxies: TrustedProxies) -> Self {
        let (open, rejections) = (Mutex::default(), AtomicU64::new(0));
        Self(Arc::new(Inner { max_total, max_per_ip, proxies, open, rejections }))
    }

    /// Returns a permit, or `None` if a limit is reached.
    pub(crate) fn try_acquire(&self, peer: IpAddr) -> Option<ConnectionPermit> {
        let permit = self.acquire(peer);
        if permit.is_none() {
            self.0.rejections.fetch_add(1, Ordering::Relaxed);
        }
        permit
    }

    /// Returns the number of open connections, and how many were rejected since the start.
    pub(crate) fn counts(&self) -> (usize, u64) {
        (self.0.open.lock().total, self.0.rejections.load(Ordering::Relaxed))
    }

    fn acquire(&self, peer: IpAddr) -> Option<ConnectionPermit> {
        let Inner { max_total, max_per_ip, proxies, open, .. } = &*self.0;
        let ip_key = (!proxies.contains(peer)).then(|| rate_limit_key(peer));
        let mut open = open.lock();
        // The last eighth is reserved for trusted proxies, so that direct clients cannot lock out
        // the clients behind them.
        let room = if ip_key.is_some() { max_total - max_total / 8 } else { *max_total };
        if *max_total > 0 && open.total >= room {
            return None;
        }
        if let Some(ip_key) = ip_key {
            let per_ip = open.by_ip.entry(ip_key).or_default();
            if *max_per_ip > 0 && *per_ip >= *max_per_ip {
                return None;
            }
            *per_ip += 1;
        }
        open.total += 1;
        drop(open);
        Some(ConnectionPermit { limiter: self.clone(), ip_key })
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let mut open = self.limiter.0.open.lock();
        open.total -= 1;
        if let Some(ip_key) = self.ip_key
            && let Some(per_ip) = open.by_ip.get_mut(&ip_key)
        {
            *per_ip -= 1;
            if *per_ip == 0 {
                open.by_ip.remove(&ip_key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ip_network::ForwardedHeader;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_total_and_per_ip_limits_hold_and_proxies_keep_a_reserve() {
        let proxies = TrustedProxies::new(&["10.0.0.1".parse().unwrap()], ForwardedHeader::default());
        let limiter = ConnectionLimiter::new(8, 2, proxies);
        let mut permits: Vec<_> = (0..2).map(|_| limiter.try_acquire(ip("2001:db8::1")).unwrap()).collect();
        assert!(limiter.try_acquire(ip("2001:db8::2")).is_none(), "the same /64");
        permits.extend((0..5).map(|_| limiter.try_acquire(ip("10.0.0.1")).unwrap()));
        assert!(limiter.try_acquire(ip("192.0.2.1")).is_none(), "full except for the proxies");
        permits.push(limiter.try_acquire(ip("10.0.0.1")).unwrap());
        assert!(limiter.try_acquire(ip("10.0.0.1")).is_none(), "full");
        permits.remove(0);
        assert!(limiter.try_acquire(ip("10.0.0.1")).is_some(), "a proxy is not limited by its address");
        permits.clear();
        assert!(limiter.0.open.lock().by_ip.is_empty());
    }
}
