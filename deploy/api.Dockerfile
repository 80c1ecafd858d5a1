# The control plane: Node, the dependencies, the built page and the bundled workflows. The agent's image starts the same way.
FROM node:24.21.0-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts --no-progress
COPY . .
RUN node stack/prepare.ts image && npm prune --omit=dev --no-save --no-progress

FROM node:24.21.0-bookworm-slim
# Temporal's client verifies TLS with the system's certificates.
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/*
WORKDIR /app
COPY --from=build --chown=node:node /app /app
USER node
ENV NODE_ENV=production
EXPOSE 8000
CMD ["node", "api/main.ts"]
