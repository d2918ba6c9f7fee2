#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs the README's two commands as a newcomer would: in a Debian 12 system made for it, from a clean clone of what is
# committed here. Needs root, debootstrap and the network; takes long, and is no part of CI.
#   bash tests/clean_system/try_commands.sh [FOLDER] [COMMAND...]    by default both commands, in /var/tmp/etalage_clean
# The bare system is kept in FOLDER/base and copied for every trial. The variables PIP_* and *_proxy of the caller, and
# the certificates of this machine, are handed on.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
folder=${1:-/var/tmp/etalage_clean}
shift || true
commands=("$@")
[ "${#commands[@]}" -gt 0 ] || commands=("bash examples/quickstart.sh" "bash tests/run.sh")
[ "$(id -u)" = 0 ] || {
  echo "needs root for debootstrap and chroot"
  exit 2
}
mkdir -p "$folder"
if [ ! -e "$folder/base/complete" ]; then
  echo "== making a Debian 12 in $folder/base"
  rm -rf "$folder/base"
  debootstrap --variant=minbase --include=ca-certificates,git bookworm "$folder/base" >"$folder/debootstrap.log"
  touch "$folder/base/complete"
fi
root=$folder/trial
rm -rf --one-file-system "$root"
cp -a "$folder/base" "$root"
cp -L /etc/resolv.conf "$root/etc/resolv.conf"
cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
[ ! -f /etc/hosts ] || cp -L /etc/hosts "$root/etc/hosts"
git clone -q --no-hardlinks . "$root/root/etalage"

handed_on=()
while IFS='=' read -r name value; do
  case "$name" in
    PIP_FIND_LINKS) ;;
    PIP_* | http_proxy | https_proxy | no_proxy | HTTP_PROXY | HTTPS_PROXY | NO_PROXY) handed_on+=("$name=$value") ;;
  esac
done < <(env)

for command in "${commands[@]}"; do
  echo "== $command"
  started=$SECONDS
  # A mount name space of its own: nothing stays mounted however this ends.
  unshare --mount bash -c 'mount -t proc proc "$0/proc"
    mount --rbind /dev "$0/dev" && mount --make-rslave "$0/dev"
    exec chroot "$0" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb "$@"' "$root" "${handed_on[@]}" \
    bash -c "cd /root/etalage && $command"
  echo "== $command: done in $((SECONDS - started)) s"
done
