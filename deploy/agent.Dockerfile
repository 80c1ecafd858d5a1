# The agent: Node and the dependencies. Its container may run as any user, the one that claude-mem's files belong to.
FROM node:24.21.0-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts --no-progress --omit=dev
COPY . .

FROM node:24.21.0-bookworm-slim
# Temporal's client verifies TLS with the system's certificates; git and ssh clone managed projects.
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates git openssh-client && rm -rf /var/lib/apt/lists/*
WORKDIR /app
COPY --from=build /app /app
# A new volume takes this mode over, so that any user may write.
RUN mkdir /data && chmod 1777 /data
USER node
ENV NODE_ENV=production
# As stack/bootstrap.mjs: less memory kept apart for threads.
ENV MALLOC_ARENA_MAX=2
EXPOSE 8001
CMD ["node", "agent/main.ts"]
