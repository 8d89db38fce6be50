#!/bin/busybox sh
# Formats a disk, and writes a file of random bytes to it. Prints the disk's driver, the file's checksum as written and, from
# the disk itself, as read, and the sectors of 512 bytes that went each way.
set -eu
disk=nvme0n1
for wait in $(seq 100); do
  [ -b "/dev/$disk" ] && break
  sleep 0.2
done
basename "$(readlink -f "/sys/block/$disk/device/device/driver")"
mkdosfs "/dev/$disk" >&2
mount -t vfat "/dev/$disk" /mnt
head -c 16777216 /dev/urandom > /mnt/file
sha256sum < /mnt/file
umount /mnt
echo 3 > /proc/sys/vm/drop_caches
mount -t vfat -o ro "/dev/$disk" /mnt
sha256sum < /mnt/file
awk '{ print $3, $7 }' "/sys/block/$disk/stat"
