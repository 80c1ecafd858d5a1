# shellcheck shell=bash
# systemd: detects it, writes the unit, enables and starts it. Sourced by install.sh.

systemd() {
  if [ "$scope" = user ]; then systemctl --user "$@"; else systemctl "$@"; fi
}

# Sets has_systemd (a unit makes sense) and ask_systemd (systemd may be called).
look_for_systemd() {
  has_systemd=false ask_systemd=false
  if [ -n "${DESTDIR:-}" ] && [ "$scope" = system ]; then
    has_systemd=true
    return 0
  fi
  command -v systemctl > /dev/null || return 0
  case "$(systemd is-system-running 2> /dev/null || true)" in
    running | degraded | starting | initializing | maintenance) has_systemd=true ask_systemd=true ;;
  esac
}

# Only one agent per machine: those of membridge.service and membridge-agent.service would use the same port and memory.
check_other_unit() {
  local server="$unit_dir/membridge.service" agent="$unit_dir/membridge-agent.service"
  if [ "$mode" = agent ] && [ -e "$server" ] && ! grep -q -- '--no-agent' "$server"; then
    fail "this machine's agent runs already, as a part of membridge.service ($server). There is nothing to install."
  fi
  if [ "$mode" = all ] && [ -e "$agent" ]; then
    fail "this machine has an agent already ($agent). Install only the server (./install.sh server), or remove that unit first (docs/install.md)."
  fi
}

# Returns the PATH of the service: the present folders of the programs that it calls, then the usual ones.
service_path() {
  local program folder path
  path="$(dirname "$(node -p process.execPath)"):"
  for program in npm git bash temporal minio claude go; do
    folder="$(command -v "$program" || true)"
    case "$folder" in /*) folder="$(dirname "$folder")" ;; *) continue ;; esac
    case "$folder" in *node_modules/.bin | *[\"\\\$%:[:cntrl:]]*) continue ;; esac
    case ":$path:" in *":$folder:"*) ;; *) path+="$folder:" ;; esac
  done
  for folder in /usr/local/sbin /usr/local/bin /usr/sbin /usr/bin /sbin /bin; do
    case ":$path:" in *":$folder:"*) ;; *) path+="$folder:" ;; esac
  done
  printf '%s' "${path%:}"
}

unit_text() {
  local text installed_env_file="$env_file" user_line='' wanted_by=default.target arguments='' with_agent=' and an agent'
  # Otherwise Bash 5.2 would interpret & in the inserted text.
  shopt -u patsub_replacement 2> /dev/null || true
  text="$(cat "$root/deploy/systemd/$unit.in")"
  if [ "$scope" = system ]; then
    user_line="User=$(id -un)" wanted_by=multi-user.target
  fi
  if [ "$mode" = server ]; then
    arguments=' --no-agent' with_agent=''
  fi
  text="${text//@USER_LINE@$'\n'/${user_line:+$user_line$'\n'}}"
  text="${text//@WITH_AGENT@/$with_agent}"
  text="${text//@ROOT@/$root}"
  text="${text//@NODE@/$(node -p process.execPath)}"
  text="${text//@PATH@/$(service_path)}"
  [ "$scope" = user ] || installed_env_file="${env_file#"${DESTDIR:-}"}"
  text="${text//@ENV_FILE@/$installed_env_file}"
  text="${text//@ARGUMENTS@/$arguments}"
  text="${text//@WANTED_BY@/$wanted_by}"
  printf '%s\n' "$text"
}

install_service() {
  local before=${#changed[@]} unit_changed=false
  if ! $has_systemd; then
    say_how_to_start
    return 0
  fi
  write_file "$unit_dir/$unit" 644 "$(unit_text)"$'\n' 'service'
  [ ${#changed[@]} = "$before" ] || unit_changed=true
  if ! $ask_systemd; then return 0; fi
  if $unit_changed; then act 'systemd reads its units again' systemd daemon-reload; fi
  if systemd is-enabled --quiet "$unit" 2> /dev/null; then
    left+=("$unit is enabled")
  else
    act "$unit enabled: it starts with $([ "$scope" = user ] && echo 'your session' || echo 'the machine')" systemd enable --quiet "$unit"
  fi
  if ! $start; then
    notes+=("$unit is not started, as asked: $(systemctl_text) start $unit")
  elif ! systemd is-active --quiet "$unit" 2> /dev/null; then
    act "$unit started" systemd start "$unit"
  elif $unit_changed || settings_changed; then
    act "$unit restarted, for its new settings" systemd restart "$unit"
  else
    left+=("$unit runs")
  fi
  say_what_next
}

# act WHAT COMMAND ...: runs one command that changes something.
act() {
  local what="$1"
  shift
  if ! $dry; then
    "$@" || fail "$* failed. See: $(systemctl_text) status $unit"
  fi
  changed+=("$what")
}

settings_changed() {
  local line
  for line in "${changed[@]+"${changed[@]}"}"; do
    case "$line" in "$env_file ("*) return 0 ;; esac
  done
  return 1
}

systemctl_text() {
  if [ "$scope" = user ]; then printf 'systemctl --user'; else printf 'systemctl'; fi
}

say_what_next() {
  local key_file
  notes+=("status: $(systemctl_text) status $unit; its log: journalctl $([ "$scope" = user ] && printf -- '--user ')-u $unit")
  if [ "$scope" = user ]; then
    notes+=("a user's services end when the user logs out. To keep them running: loginctl enable-linger $(id -un)")
  fi
  if [ "$mode" != agent ]; then
    key_file="$(setting MEMBRIDGE_DATA_DIR "$root/.membridge")/server.env"
    if has_line RUNTIME_API_KEY; then key_file="$env_file"; fi
    notes+=("the page is at http://127.0.0.1:$(setting MEMBRIDGE_PORT 8000); its key is RUNTIME_API_KEY in $key_file")
  fi
}

say_how_to_start() {
  local script=stack/start.ts
  case "$mode" in
    agent) script=agent/main.ts ;;
    server) script='stack/start.ts --no-agent' ;;
  esac
  notes+=("systemd does not run here$([ "$scope" = user ] && printf ' for this user'), so no service was installed. Start it by:")
  notes+=("  (set -a; . '$env_file'; cd '$root' && exec node stack/bootstrap.mjs $script)")
}
