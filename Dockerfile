# syntax=docker/dockerfile:1

FROM rust:1.95-bookworm AS build
WORKDIR /build
# The dependencies are a layer of their own: it is made anew only when they change.
COPY Cargo.toml Cargo.lock build.rs ./
COPY examples examples
COPY benches/*.rs benches/
RUN mkdir src && echo 'fn main() {}' > src/main.rs && touch src/lib.rs \
 && cargo build --release --locked \
 && rm -r src
COPY migrations migrations
COPY config config
COPY templates templates
COPY static static
COPY src src
# Older than the files they replace, cargo would take the empty ones for built.
RUN touch src/main.rs src/lib.rs && cargo build --release --locked

FROM debian:bookworm-slim
LABEL org.opencontainers.image.title="Tokenward" \
      org.opencontainers.image.description="Issues API access tokens and answers who holds one." \
      org.opencontainers.image.licenses="MIT OR Apache-2.0"
COPY --from=build /build/target/release/tokenward /usr/local/bin/tokenward
# Where SQLite's file goes, for whoever does not set DATABASE_URL.
RUN install -d -o 10001 -g 10001 -m 0700 /var/lib/tokenward
WORKDIR /var/lib/tokenward
VOLUME /var/lib/tokenward
USER 10001:10001
# hadolint ignore=DL3064
ENV TOKENWARD_LISTEN__HTTP=0.0.0.0:3005
EXPOSE 3005
ENTRYPOINT ["/usr/local/bin/tokenward"]
