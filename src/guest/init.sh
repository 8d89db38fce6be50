#!/bin/busybox sh
# The guest's first process: mounts file systems, loads modules and starts agent.sh, which runs commands. If this
# script exits, the kernel panics, which ends the guest.
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
mkdir /home/user
chown user:user /home/user

share() { # share TYPE NAME OPTIONS PLACE: mounts a folder of the host
  mkdir -p "$4"
  # With a virtio-iommu, devices wait for its driver, and appear a moment after it.
  for wait in 1 2 3 4 5 6 7 8 9 10; do
    mount -t "$1" -o "$3" "$2" "$4" && return
    sleep 0.5
  done
  return 1
}
# The drivers for user space bind nothing by themselves; the kernel's own drivers of the devices do. Loading them takes a
# while, and nothing waits for them before the end.
{
  modprobe -a vfio-pci uio_pci_generic
  modprobe -q vfio_iommu_type1 # unless the kernel has no groups
} &
modprobe -a virtio-iommu 9pnet_virtio 9p overlay virtiofs || exit
share virtiofs guest rw /run/guest || exit
. /run/guest/settings # bun, folders, work, program, link, target
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

# The kernel's own drivers of the devices, as udev loads them; most devices have none here.
sort -u /sys/bus/pci/devices/*/modalias | xargs modprobe -aq
wait

# shellcheck disable=SC2154
cd "$work" || exit
if [ -f ../bunfig.toml ]; then cp ../bunfig.toml .; fi # where `bun run` looks for it
cd /
exec sh /agent.sh
