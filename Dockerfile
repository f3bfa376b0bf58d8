# Two stages: the first builds with the Rust toolchain, the second carries the program and libduckdb only.
FROM rust:1.95-bookworm AS build
RUN apt-get update \
 && apt-get install -y --no-install-recommends cmake make g++ unzip curl npm \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN make build CARGO="cargo" \
 && mkdir -p /out \
 && cp target/release/snowshed /out/ \
 && (cp .deps/libduckdb/libduckdb.so /out/ || true)

FROM debian:bookworm-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates curl \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --uid 10001 --home-dir /data --shell /usr/sbin/nologin snowshed \
 && mkdir -p /data /etc/snowshed \
 && chown snowshed:snowshed /data
# The program looks for libduckdb.so beside itself and in ../lib.
COPY --from=build /out/ /opt/snowshed/
COPY config.toml /etc/snowshed/config.toml
RUN ln -s /opt/snowshed/snowshed /usr/local/bin/snowshed
USER snowshed
VOLUME /data
ENV SNOWSHED_CONFIG=/etc/snowshed/config.toml \
    SNOWSHED__DATA_DIR=/data \
    SNOWSHED__COLLECTOR__LISTEN=0.0.0.0:8080 \
    SNOWSHED__SERVING__LISTEN=0.0.0.0:9090
EXPOSE 8080 9090
HEALTHCHECK --interval=5s --timeout=3s --start-period=10s --retries=6 \
  CMD ["curl", "-fsS", "-o", "/dev/null", "http://127.0.0.1:9090/health/ready"]
ENTRYPOINT ["/opt/snowshed/snowshed"]
CMD ["run"]
