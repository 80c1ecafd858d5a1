# shellcheck shell=bash
# Every change is made here, so that a dry run changes nothing and the final list is complete. Sourced by install.sh.
changed=() left=() notes=()

# write_file PATH MODE TEXT WHAT: writes a whole file or none, and only when it differs.
write_file() {
  local path="$1" mode_bits="$2" text="$3" what="$4" folder draft
  if [ -e "$path" ] && printf '%s' "$text" | cmp -s - "$path"; then
    left+=("$path ($what)")
    return 0
  fi
  changed+=("$path ($what)")
  if $dry; then return 0; fi
  folder="$(dirname "$path")"
  if [ ! -d "$folder" ]; then
    (umask 077 && mkdir -p "$folder")
  fi
  draft="$(mktemp "$path.XXXXXX")"
  printf '%s' "$text" > "$draft"
  chmod "$mode_bits" "$draft"
  mv "$draft" "$path"
}

# tighten PATH: closes a settings file that other users may read.
tighten() {
  [ -e "$1" ] || return 0
  # shellcheck disable=SC2012
  case "$(ls -ld "$1" | cut -c 5-10)" in ------) return 0 ;; esac
  changed+=("$1 (closed to other users: mode 600)")
  if $dry; then return 0; fi
  chmod 600 "$1"
}

# gather COMMAND ...: runs it; its output lines "changed<tab>what" and "left<tab>what" join the lists.
gather() {
  local output kind what
  output="$("$@")" || fail "this step failed (see above). Nothing else was changed. Correct the problem and run install.sh again."
  while IFS=$'\t' read -r kind what; do
    case "$kind" in
      changed) changed+=("$what") ;;
      left) left+=("$what") ;;
      '') ;;
      *) printf '%s %s\n' "$kind" "$what" ;;
    esac
  done <<< "$output"
}

# Installs the dependencies and the Node that runs them, as stack/bootstrap.mjs does for `npm start`.
bring_programs() {
  local cache="${XDG_CACHE_HOME:-$HOME/.cache}/membridge" what="$root/node_modules (dependencies)" before
  if node "$root/deploy/probe.mjs" dependencies 2> /dev/null; then left+=("$what"); else changed+=("$what"); fi
  if $dry; then
    notes+=("Node 24, and for a server Temporal and MinIO, are installed in $cache where this machine has no suitable ones.")
    return 0
  fi
  before="$(ls "$cache" 2> /dev/null || true)"
  # The bootstrap installs Node and the dependencies; the script itself does nothing.
  node "$root/stack/bootstrap.mjs" deploy/install/prepare-only.ts || fail 'the dependencies could not be installed (see above). No service was installed.'
  note_new "$cache" "$before"
}

# Prepares the programs, the keys and the page, so that the first start is quick.
prepare_server() {
  local cache="${XDG_CACHE_HOME:-$HOME/.cache}/membridge" before data_dir
  if $dry; then
    data_dir="$(setting MEMBRIDGE_DATA_DIR "$root/.membridge")"
    for file in server.env stack.json; do
      if [ -e "$data_dir/$file" ]; then left+=("$data_dir/$file (keys)"); else changed+=("$data_dir/$file (random keys)"); fi
    done
    notes+=("The page (dist/web) and the workflows are built unless they are up to date.")
    return 0
  fi
  before="$(ls "$cache" 2> /dev/null || true)"
  gather node "$root/stack/bootstrap.mjs" stack/prepare.ts server "$env_file"
  note_new "$cache" "$before"
}

# note_new FOLDER BEFORE: lists what is new in the folder.
note_new() {
  local entry
  while IFS= read -r entry; do
    case "$entry" in '' | *.lock) continue ;; esac
    grep -qxF "$entry" <<< "$2" || changed+=("$1/$entry (program)")
  done <<< "$(ls "$1" 2> /dev/null || true)"
}

# Enrols now, so that a used or expired token is an error here, and not in a service that fails later.
enrol() {
  if [ -e "$agent_dir/agent.json" ]; then
    left+=("$agent_dir/agent.json (enrolled already)")
  elif $dry; then
    changed+=("$agent_dir/agent.json (this machine's key and certificate, by enrolment at $server_url)")
  else
    gather node "$root/stack/bootstrap.mjs" deploy/enrol.ts "$env_file"
  fi
}

say_what_was_done() {
  local line would=''
  if $dry; then would='Would change:'; else would='Changed:'; fi
  if [ ${#changed[@]} = 0 ]; then
    echo 'Nothing changed: everything is in place.'
  else
    echo "$would"
    printf '  %s\n' "${changed[@]}"
  fi
  if [ ${#left[@]} != 0 ]; then
    echo 'Left as it was:'
    printf '  %s\n' "${left[@]}"
  fi
  echo "Never touched: $HOME/.claude-mem, $HOME/.claude, $HOME/.claude-mem-minio"
  for line in "${notes[@]+"${notes[@]}"}"; do printf 'Note: %s\n' "$line"; done
}
