//! How many connections there may be, in all and from one address.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{domain::ip_network::counted_by, http::client_ip::Proxies};

/// The connections that are open. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub(crate) struct Crowd(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    most: usize,
    most_of_one: usize,
    proxies: Proxies,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// A connection's place; given back when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    crowd: Crowd,
    /// None: a trusted proxy, which speaks for many.
    address: Option<IpAddr>,
}

impl Crowd {
    /// At most so many in all and of one address; 0: any number. Trusted proxies are counted in all alone.
    pub(crate) fn new(most: usize, most_of_one: usize, proxies: Proxies) -> Self {
        Self(Arc::new(Inner { most, most_of_one, proxies, open: Mutex::default() }))
    }

    /// A place for a connection; none where there is no room.
    pub(crate) fn enter(&self, from: IpAddr) -> Option<Place> {
        let Inner { most, most_of_one, proxies, open } = &*self.0;
        let address = (!proxies.trust(from)).then(|| counted_by(from));
        let mut open = open.lock().unwrap_or_else(PoisonError::into_inner);
        // The last eighth is for the proxies, so that strangers do not shut out those who come by them.
        let room = if address.is_some() { most - most / 8 } else { *most };
        if *most > 0 && open.all >= room {
            return None;
        }
        if let Some(address) = address {
            let of_one = open.by_address.entry(address).or_default();
            if *most_of_one > 0 && *of_one >= *most_of_one {
                return None;
            }
            *of_one += 1;
        }
        open.all += 1;
        drop(open);
        Some(Place { crowd: self.clone(), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.crowd.0.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.all -= 1;
        if let Some(address) = self.address
            && let Some(of_one) = open.by_address.get_mut(&address)
        {
            *of_one -= 1;
            if *of_one == 0 {
                open.by_address.remove(&address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ip_network::ForwardedHeader;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn there_is_room_for_so_many_for_so_many_of_one_and_for_the_proxies() {
        let proxies = Proxies::new(&["10.0.0.1".parse().unwrap()], ForwardedHeader::default());
        let crowd = Crowd::new(8, 2, proxies);
        let mut places: Vec<_> = (0..2).map(|_| crowd.enter(address("2001:db8::1")).unwrap()).collect();
        assert!(crowd.enter(address("2001:db8::2")).is_none(), "the same /64");
        places.extend((0..5).map(|_| crowd.enter(address("10.0.0.1")).unwrap()));
        assert!(crowd.enter(address("192.0.2.1")).is_none(), "full but for the proxies");
        places.push(crowd.enter(address("10.0.0.1")).unwrap());
        assert!(crowd.enter(address("10.0.0.1")).is_none(), "full");
        places.remove(0);
        assert!(crowd.enter(address("10.0.0.1")).is_some(), "a proxy is not counted by its address");
        places.clear();
        assert!(crowd.0.open.lock().unwrap().by_address.is_empty());
    }
}
