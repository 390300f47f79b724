//! The baseline of the sign-in benchmarks: the Argon2 library alone. One thread per core verifies a
//! password at the default cost and reuses its memory. The first argument is the duration in
//! seconds. Prints the verifications per second.

use std::{
    num::NonZeroUsize,
    thread,
    time::{Duration, Instant},
};

use argon2::{Algorithm, Argon2, Block, Error, Params, Version};

const PASSWORD: &[u8] = b"correct horse battery staple";
const SALT: &[u8; 16] = b"sixteen bytes it";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let seconds = std::env::args().nth(1).unwrap_or_else(|| "5".to_owned()).parse()?;
    let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let start = Instant::now();
    let end = start + Duration::from_secs_f64(seconds);
    let threads: Vec<_> = (0..cores).map(|_| thread::spawn(move || verify_until(end))).collect();
    let mut verified = 0.0;
    for thread in threads {
        verified += thread.join().map_err(|_| "a thread failed")??;
    }
    println!("{:.2}", verified / start.elapsed().as_secs_f64());
    Ok(())
}

/// Returns the number of verifications. The last one may end after `end`, and counts.
fn verify_until(end: Instant) -> Result<f64, Error> {
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::DEFAULT);
    let mut memory = vec![Block::default(); Params::DEFAULT.block_count()];
    let mut expected = [0; 32];
    argon2.hash_password_into_with_memory(PASSWORD, SALT, &mut expected, &mut memory)?;
    let mut verified = 0.0;
    while Instant::now() < end {
        let mut output = [0; 32];
        argon2.hash_password_into_with_memory(PASSWORD, SALT, &mut output, &mut memory)?;
        verified += f64::from(u8::from(output == expected));
    }
    Ok(verified)
}
