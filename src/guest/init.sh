#!/bin/busybox sh
# The guest's first process: mounts file systems, loads modules, runs the command, and reports its exit code to
# the host. If this script exits, the kernel panics, which ends the guest.
/bin/busybox --install -s
export PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin HOME=/root TERM=dumb

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t debugfs debugfs /sys/kernel/debug
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts /dev/shm /dev/hugepages
mount -t devpts devpts /dev/pts
mount -t hugetlbfs hugetlbfs /dev/hugepages
for path in /dev/shm /run /tmp; do mount -t tmpfs tmpfs "$path"; done
ln -s /proc/self/fd /dev/fd
ln -s fd/0 /dev/stdin
ln -s fd/1 /dev/stdout
ln -s fd/2 /dev/stderr
ip link set lo up

share() { # share TYPE NAME OPTIONS PLACE: mounts a folder of the host
  mkdir -p "$4"
  # With a virtio-iommu, devices wait for its driver, and appear a moment after it.
  for wait in 1 2 3 4 5 6 7 8 9 10; do
    mount -t "$1" -o "$3" "$2" "$4" && return
    sleep 0.5
  done
  return 1
}
modprobe -a virtio-iommu 9pnet_virtio 9p overlay || exit
modprobe -q virtiofs # unless it is built in
share virtiofs guest rw /run/guest || exit
. /run/guest/settings # token, bun, columns, folders, work, program, link, target
read_only=ro,trans=virtio,version=9p2000.L,msize=512000,cache=loose
for name in programs bun; do share 9p "$name" "$read_only" "/run/$name" || exit; done
ln -s "/run/bun/$bun" /usr/local/bin/bun

# vfiokit and the project, whose changes are lost when the guest ends, and the working directory.
# shellcheck disable=SC2154
for name in $folders; do
  at=/run/folders/$name
  share 9p "$name" "$read_only" "$at/lower" || exit
  mkdir -p "/$name" "$at/upper" "$at/work"
  mount -t overlay -o "lowerdir=$at/lower,upperdir=$at/upper,workdir=$at/work" overlay "/$name" || exit
done
# shellcheck disable=SC2154
mkdir -p "$work"
mount --bind /run/guest/work "$work"
# shellcheck disable=SC2154
ln -sfn "$target" "$link"
# shellcheck disable=SC2154
printf '#!/bin/sh\nexec /usr/local/bin/bun --no-env-file --config=/dev/null %s "$@"\n' "$program" > /usr/local/bin/vfiokit
chmod +x /usr/local/bin/vfiokit

modprobe -a vfio-pci vfio_iommu_type1 uio_pci_generic # which bind nothing by themselves
# The kernel's own drivers of the devices, as udev loads them; most devices have none here.
sort -u /sys/bus/pci/devices/*/modalias | xargs modprobe -aq

# The command writes to pipes, as it would elsewhere: a port can be opened only once. The token precedes its
# output, but is not repeated after the command has rebooted the guest.
for port in /sys/class/virtio-ports/*; do
  read -r name < "$port/name"
  mkfifo "/run/$name"
  {
    [ -e "/run/guest/begun-$name" ] || printf %s "$token"
    touch "/run/guest/begun-$name"
    exec cat "/run/$name"
  } > "/dev/${port##*/}" &
done
exec 3> /run/stdout 4> /run/stderr
# shellcheck disable=SC2154
if [ "$columns" -gt 0 ]; then export VFIOKIT_TERMINAL=/run/stderr COLUMNS="$columns"; fi
cd "$work" || exit
if [ -f ../bunfig.toml ]; then cp ../bunfig.toml .; fi # where `bun run` looks for it
sh /run/guest/command < /dev/null >&3 2>&4 3>&- 4>&-
code=$?
cd /
sync
printf '%s\n' "$token" >&4
printf '%s%s\n' "$token" "$code" >&3
while :; do sleep 3600; done # the host ends the guest once it has both
