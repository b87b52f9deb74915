# No build: Node strips the types as it runs. The service's dependencies only, as a user that owns nothing but /data.
FROM node:24-slim

ENV NODE_ENV=production HOST=0.0.0.0 PORT=3000 DATA_DIR=/data SHUTDOWN_DELAY_SECONDS=5
WORKDIR /app

# Optional packages are a Node and a PostgreSQL for machines that lack them; the image has the first and is told where the second is.
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev --omit=optional --ignore-scripts --no-audit --no-fund && npm cache clean --force

COPY drizzle ./drizzle
COPY src ./src

# What a start compiles is kept, for the user who will run it: Node has a cache for each. It is root's afterwards, as the code is, and readable.
RUN mkdir -p node_modules/.cache/compiled && chown 1000:1000 node_modules/.cache/compiled \
  && setpriv --reuid 1000 --regid 1000 --clear-groups node src/compile-cache.ts \
  && chown -R 0:0 node_modules/.cache && chmod -R a+rX node_modules/.cache

# Token answers wait here while the database is away, and the rotation journal is kept: mount it, so that it outlives the container.
RUN mkdir /data && chown 1000:1000 /data
VOLUME /data
USER 1000:1000

EXPOSE 3000
# Stopping serves on for SHUTDOWN_DELAY_SECONDS, then finishes and stores refreshes in flight: allow 30 seconds more (docker stop --time 35).
STOPSIGNAL SIGTERM
# By bash alone: a Node every ten seconds would cost more than the service does at rest.
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
  CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/$PORT && printf 'GET /health/live HTTP/1.0\\r\\n\\r\\n' >&3 && read -r status <&3 && [[ $status == *' 200 '* ]]"]
CMD ["node", "src/main.ts"]

# Last, because they change with every build and take no layer of the others along.
ARG VERSION=1.0.0 REVISION=unknown CREATED=unknown
LABEL org.opencontainers.image.title="TikTok OAuth service" \
  org.opencontainers.image.description="Connects TikTok accounts, keeps their tokens encrypted and fresh, and hands out access tokens that work" \
  org.opencontainers.image.licenses="UNLICENSED" \
  org.opencontainers.image.version="$VERSION" \
  org.opencontainers.image.revision="$REVISION" \
  org.opencontainers.image.created="$CREATED"
