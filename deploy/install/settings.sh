# shellcheck shell=bash
# The settings file of a service: its names, and functions that read and complete it. Sourced by install.sh.
# A test compares the names with the parsers in api/config.ts and agent/config.ts, and with stack/.

# PORT is left out: the stack gives the control plane MEMBRIDGE_PORT, and other programs use PORT too.
server_settings=(
  DATABASE_URL DATABASE_DIRECT_URL DATABASE_OWNER_URL TEMPORAL_ADDRESS TEMPORAL_NAMESPACE TEMPORAL_UI_URL TEMPORAL_UI_ORIGIN
  MINIO_ENDPOINT MINIO_PORT MINIO_USE_SSL MINIO_ACCESS_KEY MINIO_SECRET_KEY MINIO_REGION MINIO_BUCKET
  MEMBRIDGE_HOST MEMBRIDGE_PORT MEMBRIDGE_TLS_CERT MEMBRIDGE_TLS_KEY MEMBRIDGE_HTTPS_REDIRECT MEMBRIDGE_ADMIN_KEY RUNTIME_API_KEY MEMBRIDGE_AGENT_KEY MEMBRIDGE_SIGNING_KEY
  MEMBRIDGE_PUBLIC_URL MEMBRIDGE_AGENT_TEMPORAL_ADDRESS MEMBRIDGE_AGENT_MINIO_ENDPOINT MEMBRIDGE_AGENT_ENGINE MEMBRIDGE_AGENT_STORE MEMBRIDGE_TRUST_PROXY
  MEMBRIDGE_WEB_DIR MEMBRIDGE_WORKER_METRICS_ADDRESS MEMBRIDGE_GIT_HOSTS MEMBRIDGE_WEBHOOK_HOSTS MEMBRIDGE_REQUESTS_PER_MINUTE MEMBRIDGE_HSTS_SECONDS MEMBRIDGE_ROLES MEMBRIDGE_SERVER_URL LOG_LEVEL
  MEMBRIDGE_DATA_DIR MEMBRIDGE_LISTEN MEMBRIDGE_POSTGRES_PORT MEMBRIDGE_MINIO_PORT MEMBRIDGE_TEMPORAL_ENGINE MEMBRIDGE_TEMPORAL_PORT MEMBRIDGE_TEMPORAL_UI_PORT
  MEMBRIDGE_TEMPORAL_METRICS_PORT XDG_CACHE_HOME
)
# The names that an agent beside its server reads from the same file; the stack knows the server's address.
agent_of_server_settings=(
  MEMBRIDGE_NODE_ID MEMBRIDGE_AGENT_HOST MEMBRIDGE_AGENT_PORT MEMBRIDGE_AGENT_DATA_DIR MEMBRIDGE_AGENT_DRYRUN MEMBRIDGE_AGENT_ENGINE
  MEMBRIDGE_ALLOW_PROCESS_CONTROL MEMBRIDGE_HEARTBEAT_INTERVAL_SECONDS MEMBRIDGE_ORPHAN_WAIT_SECONDS MEMBRIDGE_MIRROR_MINUTES MEMBRIDGE_CONFIG_ENV MEMBRIDGE_HOOKS_BIN
  MEMBRIDGE_REPOS_BASE MEMBRIDGE_RUNNER MEMBRIDGE_MAX_CONCURRENCY MEMBRIDGE_LABELS MEMBRIDGE_SPACES MEMBRIDGE_TASK_ENV
  MEMBRIDGE_TASK_SANDBOX MEMBRIDGE_TASK_PATHS MEMBRIDGE_AGENT_STORE
  CLAUDE_MEM_DB CLAUDE_MEM_DATA_DIR XDG_STATE_HOME
)
# MEMBRIDGE_ENROL_TOKEN is left out: it works once, and the installer itself uses it.
# shellcheck disable=SC2034
agent_settings=(MEMBRIDGE_SERVER_URL MEMBRIDGE_SERVER_PIN MEMBRIDGE_ALLOW_PLAIN_HTTP "${agent_of_server_settings[@]}" LOG_LEVEL XDG_CACHE_HOME)

# has_line NAME: whether the settings file sets it.
has_line() {
  [ -e "$env_file" ] && grep -q "^[[:space:]]*$1=" "$env_file"
}

# value_in_file NAME: prints its value in the file, without quotes.
value_in_file() {
  local value
  value="$(sed -n "s/^[[:space:]]*$1=//p" "$env_file" | tail -n 1)"
  case "$value" in
    \'*\' | \"*\") value="${value:1:${#value}-2}" ;;
  esac
  printf '%s' "$value"
}

# setting NAME DEFAULT: prints the value for the service: from the file, otherwise the environment, otherwise the default.
setting() {
  if has_line "$1"; then value_in_file "$1"; else printf '%s' "${!1:-$2}"; fi
}

# quoted VALUE: quotes it so that both systemd and Node read it unchanged.
quoted() {
  case "$1" in
    *[\'[:cntrl:]]*) fail "a setting has a quotation mark or a line break in its value, which the settings file cannot hold." ;;
    *[!A-Za-z0-9_./:@%+=,-]*) printf "'%s'" "$1" ;;
    *) printf '%s' "$1" ;;
  esac
}

# Adds what the file lacks: every setting in the environment, and the data folder. Existing lines do not change.
write_settings() {
  local name value text='' added=() kept=()
  if [ -e "$env_file" ]; then
    text="$(cat "$env_file")"$'\n'
  else
    text="# Settings of Membridge on this machine: docs/settings.md of the checkout $root"$'\n'
  fi
  for name in "${names[@]}"; do
    value="${!name:-}"
    case "$name" in
      MEMBRIDGE_DATA_DIR) [ -n "$value" ] || value="$root/.membridge" ;;
      MEMBRIDGE_AGENT_DATA_DIR) [ -n "$value" ] || [ "$mode" != agent ] || value="$agent_dir" ;;
    esac
    [ -n "$value" ] || continue
    if has_line "$name"; then
      [ "$(value_in_file "$name")" = "$value" ] || [ -z "${!name:-}" ] || kept+=("$name")
    else
      # Not within the assignment to text, so that a failure ends the script.
      value="$(quoted "$value")"
      text+="$name=$value"$'\n'
      added+=("$name")
    fi
  done
  if [ -e "$env_file" ] && [ ${#added[@]} = 0 ]; then
    left+=("$env_file (settings)")
  else
    write_file "$env_file" 600 "$text" "settings: ${added[*]:-none}"
  fi
  tighten "$env_file"
  for name in "${kept[@]+"${kept[@]}"}"; do
    notes+=("$name in $env_file stays as it is, although the environment has another value. Edit the file to change it.")
  done
}
