#!/usr/bin/env bash
# Makes .env for docker-compose.yml from .env.example: random keys, and this user's claude-mem folder. Existing values
# of .env stay. Needs openssl.
set -euo pipefail
umask 077
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
env_file="$root/.env"
command -v openssl > /dev/null || { echo "make-env: openssl is needed and not on PATH. Install it and run this again." >&2; exit 1; }

# claude-mem's folder, in claude-mem's own order: the environment, its settings file, the default.
claude_mem_dir() {
  local settings="$HOME/.claude-mem/settings.json" folder="${CLAUDE_MEM_DATA_DIR:-}"
  if [ -z "$folder" ] && [ -r "$settings" ]; then
    folder="$(tr '\n' ' ' < "$settings" | sed -n 's/.*"CLAUDE_MEM_DATA_DIR"[[:space:]]*:[[:space:]]*"\([^"]*\)".*/\1/p')"
  fi
  case "$folder" in
    '') folder="$HOME/.claude-mem" ;;
    '~' | '~/'*) folder="$HOME${folder#\~}" ;;
    /*) ;;
    *) echo "make-env: CLAUDE_MEM_DATA_DIR is \"$folder\", which is not an absolute path. Write the absolute path, or set CLAUDE_MEM_DIR in $env_file." >&2; exit 1 ;;
  esac
  [ "$folder" = / ] || folder="${folder%/}"
  printf '%s' "$folder"
}

value_for() {
  case "$1" in
    MEMBRIDGE_SIGNING_KEY) openssl genpkey -algorithm ed25519 -outform DER | openssl base64 -A ;;
    MINIO_ACCESS_KEY) openssl rand -hex 10 ;;
    POSTGRES_PASSWORD | POSTGRES_RUNTIME_PASSWORD | MINIO_SECRET_KEY | MEMBRIDGE_ADMIN_KEY | RUNTIME_API_KEY) openssl rand -hex 32 ;;
    CLAUDE_MEM_DIR) claude_mem_dir ;;
    CLAUDE_MEM_UID) id -u ;;
    CLAUDE_MEM_GID) id -g ;;
    MEMBRIDGE_NODE_ID) uname -n | tr -c 'A-Za-z0-9_.\n-' '-' ;;
  esac
}

new="$(mktemp "$root/.env.XXXXXX")"
trap 'rm -f "$new"' EXIT
made=()
# Every line of .env stays, and every name of .env.example that it lacks follows.
source_lines() {
  [ ! -e "$env_file" ] || cat "$env_file"
  while IFS= read -r line; do
    if [ ! -e "$env_file" ]; then
      printf '%s\n' "$line"
    elif [[ "$line" =~ ^([A-Z_]+)= ]] && ! grep -q "^${BASH_REMATCH[1]}=" "$env_file"; then
      printf '%s\n' "$line"
    fi
  done < "$root/.env.example"
}
while IFS= read -r line || [ -n "$line" ]; do
  if [[ "$line" =~ ^([A-Z_]+)=$ ]]; then
    name="${BASH_REMATCH[1]}"
    value="$(value_for "$name")"
    [ -z "$value" ] || made+=("$name")
    line="$name=$value"
  fi
  printf '%s\n' "$line" >> "$new"
done < <(source_lines)

if [ -e "$env_file" ] && cmp -s "$new" "$env_file"; then
  echo "$env_file is complete: nothing changed"
  exit 0
fi
mv "$new" "$env_file"
echo "$env_file is written (mode 600); new values: ${made[*]:-none}"
