#!/usr/bin/env bash
# Installs what the tests need, where it is missing: Debian's packages, and what is kept in the cache folder.
set -euo pipefail
cd "$(dirname "$0")/.."

missing=()
need() { # need COMMAND PACKAGE
  command -v "$1" > /dev/null || missing+=("$2")
}
need vpxenc vpx-tools
need ffmpeg ffmpeg
need Xvfb xvfb # a screen to capture
need chromium-headless-shell chromium-headless-shell
need gcc "gcc libc6-dev" # the C programs that bench.ts compares with
need lspci pciutils
need script bsdutils
need ps procps
need xz xz-utils # guests: what they are made of is fetched from Debian's archive
need setpriv util-linux
need flock util-linux
need x86_64-linux-gnu-ld binutils-x86-64-linux-gnu # musl's C++ library for the guests
need aarch64-linux-gnu-ld binutils-aarch64-linux-gnu
need make make # kernels for the guests are compiled
need flex flex
need bison bison
need bc bc
[ -e /usr/include/gelf.h ] || missing+=(libelf-dev)
[ -e /usr/share/keyrings/debian-archive-keyring.gpg ] || missing+=(debian-archive-keyring)
if [ "$(uname -m)" = x86_64 ]; then # the other architecture: compiled for, and emulated
  need aarch64-linux-gnu-gcc gcc-aarch64-linux-gnu
  need qemu-aarch64-static qemu-user-static
  [ -e /usr/aarch64-linux-gnu/lib/libc.so.6 ] || missing+=(libc6-arm64-cross)
else
  need x86_64-linux-gnu-gcc gcc-x86-64-linux-gnu
fi
if [ ${#missing[@]} -gt 0 ]; then
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
fi

# QEMU, kernels, Bun for other machines and Debian's libvpx, in the cache folder.
node_modules/.bin/bun test/fetch.ts
