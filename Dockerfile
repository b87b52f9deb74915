# No build: Node strips the types as it runs. The service's dependencies only, as a user that owns nothing but /data.
FROM node:24-slim

ENV NODE_ENV=production HOST=0.0.0.0 PORT=3000 DATA_DIR=/data SHUTDOWN_DELAY_SECONDS=5
WORKDIR /app

# Optional packages are a Node and a PostgreSQL for machines that lack them; the image has the first and is told where the second is.
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev --omit=optional --ignore-scripts --no-audit --no-fund && npm cache clean --force

COPY drizzle ./drizzle
COPY src ./src

# Sealed token answers wait here while the database is away: mount it, so that they outlive the container.
RUN mkdir /data && chown 1000:1000 /data
VOLUME /data
USER 1000:1000

EXPOSE 3000
# Stopping serves on for SHUTDOWN_DELAY_SECONDS, then finishes and stores refreshes in flight: allow 30 seconds more (docker stop --time 35).
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT}/health/live`).then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "src/main.ts"]
