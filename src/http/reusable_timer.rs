//! The timer of connections. Every request begins with "wait this long for the next header", and nearly none waits: a timer
//! that was set and taken back each time would cost more than looking a token up. A connection keeps one alarm, lets it ring
//! when it may, and sets it anew only then, for what is left.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use hyper::rt::{Sleep, Timer};

type Alarm = Pin<Box<tokio::time::Sleep>>;

/// The timer of one connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Patience {
    /// The alarm while nobody waits for it.
    unused: Arc<Mutex<Option<Alarm>>>,
}

struct Patient {
    until: Instant,
    alarm: Option<Alarm>,
    of: Patience,
}

impl Patience {
    fn unused(&self) -> std::sync::MutexGuard<'_, Option<Alarm>> {
        self.unused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Timer for Patience {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        self.sleep_until(Instant::now() + duration)
    }

    fn sleep_until(&self, until: Instant) -> Pin<Box<dyn Sleep>> {
        let alarm = self.unused().take().filter(|alarm| alarm.deadline() <= until.into());
        Box::pin(Patient { until, alarm, of: self.clone() })
    }
}

impl Future for Patient {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let until = self.until.into();
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
        loop {
            ready!(alarm.as_mut().poll(cx));
            if alarm.deadline() >= until {
                return Poll::Ready(());
            }
            alarm.as_mut().reset(until);
        }
    }
}

impl Drop for Patient {
    fn drop(&mut self) {
        *self.of.unused() = self.alarm.take();
    }
}

impl Sleep for Patient {}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_waits_for_its_own_time_whoever_set_the_alarm() {
        let begun = tokio::time::Instant::now();
        let at = |seconds| begun.into_std() + Duration::from_secs(seconds);
        let timer = Patience::default();
        let mut first = timer.sleep_until(at(5));
        assert!(tokio::time::timeout(Duration::from_secs(1), first.as_mut()).await.is_err());
        drop(first);
        assert!(timer.unused().is_some(), "its alarm is kept");
        let mut second = timer.sleep_until(at(9));
        second.as_mut().await;
        assert_eq!(begun.elapsed().as_secs(), 9);
        drop(second);
        // An alarm that would ring too late is of no use.
        let third = timer.sleep_until(at(30));
        assert!(tokio::time::timeout(Duration::from_secs(15), third).await.is_err());
        timer.sleep_until(at(25)).await;
        assert_eq!(begun.elapsed().as_secs(), 25);
    }
}
