#!/usr/bin/env bash
# Installs this checkout of Membridge as services of this machine. See `./install.sh --help`.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)"
# Relative folders in settings are below the checkout, as they are for the service.
cd "$root"
# shellcheck source=deploy/install/settings.sh
. "$root/deploy/install/settings.sh"
# shellcheck source=deploy/install/changes.sh
. "$root/deploy/install/changes.sh"
# shellcheck source=deploy/install/services.sh
. "$root/deploy/install/services.sh"

usage() {
  cat << 'TEXT'
Installs this checkout of Membridge as services of this machine.

  ./install.sh agent      this machine joins a fleet; needs MEMBRIDGE_SERVER_URL and MEMBRIDGE_ENROL_TOKEN in the
                          environment (the page prints the whole command: Nodes, "Add a node"), unless it is enrolled
  ./install.sh server     PostgreSQL, MinIO, Temporal and the control plane, without an agent
  ./install.sh all        the server, and an agent of this machine: what `npm start` runs

  --dry-run    list the changes without making them
  --user       install services of the user, also as root
  --no-start   install and enable the service, but do not start it
  --help       this text

As root: system services in /etc/systemd/system, settings in /etc/membridge.
As another user: services of that user in ~/.config/systemd/user, settings in ~/.config/membridge (XDG_CONFIG_HOME).
Settings of docs/settings.md in the environment are written into the settings file. Values in the file stay.
DESTDIR, for packagers: a folder that stands for / of system services; the installer then calls no systemd.
Without systemd, the installer does everything else and prints the command that starts the service.
Never touched: ~/.claude-mem, ~/.claude, ~/.claude-mem-minio.

Not there yet: OpenRC, launchd and Windows services; migrate and cleanup of the original's installer; uninstall
(by hand: docs/install.md).
TEXT
}

fail() {
  printf 'install.sh: %s\n' "$1" >&2
  exit "${2:-1}"
}

mode='' dry=false start=true scope=user
[ "$(id -u)" != 0 ] || scope=system
for argument in "$@"; do
  case "$argument" in
    agent | server | all)
      [ -z "$mode" ] || { usage >&2; fail "\"$mode\" and \"$argument\" were both asked for; give one." 2; }
      mode="$argument"
      ;;
    --dry-run) dry=true ;;
    --user) scope=user ;;
    --no-start) start=false ;;
    -h | --help)
      usage
      exit 0
      ;;
    *)
      usage >&2
      fail "\"$argument\" is not understood." 2
      ;;
  esac
done
[ -n "$mode" ] || { usage >&2; fail 'say what to install: agent, server or all.' 2; }

# Check everything first; nothing changes until all checks have passed.
for program in node npm git; do
  command -v "$program" > /dev/null || fail "$program is needed and not on PATH. Install it first (Node 20 or later; the installer fetches Node 24)."
done
case "$root" in
  *[\"\\\$%\'[:cntrl:]]*) fail "the folder $root has a character in its name that a service file cannot hold. Move the checkout." ;;
esac
if [ "$(id -u)" = 0 ] && [ "$mode" != server ] && [ "${SUDO_USER:-root}" != root ]; then
  fail "an agent must run as the user whose Claude Code it serves. Run it without sudo, as $SUDO_USER. (For root's own Claude Code: env -u SUDO_USER ./install.sh $mode, as root.)"
fi
config_dir="${XDG_CONFIG_HOME:-$HOME/.config}/membridge" unit_dir="${XDG_CONFIG_HOME:-$HOME/.config}/systemd/user"
[ "$scope" = user ] || config_dir="${DESTDIR:-}/etc/membridge" unit_dir="${DESTDIR:-}/etc/systemd/system"
look_for_systemd
check_other_unit

if [ "$mode" = agent ]; then
  env_file="$config_dir/agent.env"
  names=("${agent_settings[@]}")
  unit=membridge-agent.service
  agent_dir="$(setting MEMBRIDGE_AGENT_DATA_DIR "$HOME/.membridge")"
  if [ ! -e "$agent_dir/agent.json" ]; then
    server_url="$(setting MEMBRIDGE_SERVER_URL '')"
    missing=()
    [ -n "$server_url" ] || missing+=(MEMBRIDGE_SERVER_URL)
    [ -n "${MEMBRIDGE_ENROL_TOKEN:-}" ] || missing+=(MEMBRIDGE_ENROL_TOKEN)
    [ ${#missing[@]} = 0 ] || fail "this machine is not enrolled, and ${missing[*]} is not set. Open the page of your server, Nodes, \"Add a node\", and run the command it prints."
    node "$root/deploy/probe.mjs" server "$server_url" || fail "no Membridge server was found at MEMBRIDGE_SERVER_URL. Nothing was changed."
  fi
else
  env_file="$config_dir/server.env"
  names=("${server_settings[@]}")
  [ "$mode" = server ] || names+=("${agent_of_server_settings[@]}")
  unit=membridge.service
fi

if $dry; then echo "Dry run: nothing is changed."; fi
bring_programs
write_settings
if [ "$mode" = agent ]; then enrol; else prepare_server; fi
install_service
say_what_was_done
