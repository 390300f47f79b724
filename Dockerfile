# syntax=docker/dockerfile:1

FROM rust:1.95-bookworm AS build
WORKDIR /build
# The dependencies and the library crates are built in a layer of their own, rebuilt only if they change.
COPY Cargo.toml Cargo.lock build.rs ./
COPY guard guard
COPY oidc oidc
COPY saml saml
COPY benches/*.rs benches/
RUN mkdir src && echo 'fn main() {}' > src/main.rs && touch src/lib.rs \
 && cargo build --release --locked \
 && rm -r src
COPY migrations migrations
COPY config config
COPY templates templates
COPY static static
COPY src src
# The build context has no repository: --build-arg COMMIT="$(git rev-parse --short HEAD)" adds it to the version.
ARG COMMIT=""
# hadolint ignore=DL3064
ENV TOKENWARD_COMMIT=$COMMIT
# Without a newer timestamp, cargo would consider the empty files up to date.
RUN touch src/main.rs src/lib.rs && cargo build --release --locked

FROM debian:bookworm-slim
LABEL org.opencontainers.image.title="Tokenward" \
      org.opencontainers.image.description="Issues API access tokens and tells your services who a token belongs to." \
      org.opencontainers.image.licenses="MIT OR Apache-2.0"
COPY --from=build /build/target/release/tokenward /usr/local/bin/tokenward
# The working directory holds the SQLite file unless DATABASE_URL is set.
RUN install -d -o 10001 -g 10001 -m 0700 /var/lib/tokenward
WORKDIR /var/lib/tokenward
VOLUME /var/lib/tokenward
USER 10001:10001
# hadolint ignore=DL3064
ENV TOKENWARD_LISTEN__HTTP=0.0.0.0:3005
EXPOSE 3005
HEALTHCHECK --interval=30s --timeout=6s --start-period=40s CMD ["/usr/local/bin/tokenward", "health"]
ENTRYPOINT ["/usr/local/bin/tokenward"]
