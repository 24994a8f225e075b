# Assent, with production packages only. There is no Redis in it: set REDIS_URL. See docs/operations.md.

FROM node:24-slim AS packages
WORKDIR /app
# chDB, the ClickHouse engine in this process, is 550 MB; with CLICKHOUSE_URL nothing needs it.
ARG WITH_CHDB=0
COPY package.json package-lock.json ./
# No package of these needs an install script.
RUN if [ "$WITH_CHDB" = 1 ]; then optional=--include=optional; else optional=--omit=optional; fi \
 && npm ci --omit=dev "$optional" --ignore-scripts --no-audit --no-fund

FROM node:24-slim
# UV_THREADPOOL_SIZE: inflating and chDB's queries share libuv's threads, of which there are 4 by default.
ENV NODE_ENV=production \
    HOST=0.0.0.0 \
    PORT=8080 \
    DATA_DIR=/data \
    UV_THREADPOOL_SIZE=16
WORKDIR /app
COPY --from=packages /app/node_modules ./node_modules
COPY package.json LICENSE ./
COPY migrations ./migrations
COPY schemas ./schemas
COPY src ./src
# Written only by what is embedded. Otherwise the whole file system can be read-only.
RUN mkdir /data && chown node:node /data
USER node
EXPOSE 8080
# Alive, not ready: a store that is away is no reason to start this again.
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:' + (process.env.PORT || 8080) + '/health/live').then(answer => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "src/main.ts"]
