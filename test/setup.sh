#!/usr/bin/env bash
# Installs what the tests compare vfiokit with, where it is missing: Debian's own packages, nothing else.
set -euo pipefail

missing=()
need() { # need COMMAND PACKAGE
  command -v "$1" > /dev/null || missing+=("$2")
}
need vpxenc vpx-tools
need ffmpeg ffmpeg
need lspci pciutils
need script bsdutils
need ps procps
[ ${#missing[@]} -gt 0 ] || exit 0
packages=$(printf '%s\n' "${missing[@]}" | sort -u | tr '\n' ' ')
as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! sudo -n true 2> /dev/null; then
    echo "the tests need: $packages" >&2
    echo "install them as root: apt-get install -y --no-install-recommends $packages" >&2
    exit 1
  fi
  as_root=(sudo -n)
fi
echo "installing for the tests: $packages"
"${as_root[@]}" apt-get update -qq
# shellcheck disable=SC2086 # a list of words
DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -qq --no-install-recommends $packages > /dev/null
