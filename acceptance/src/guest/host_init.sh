#!/usr/bin/bash
# What the kernel of a guest runs first that is a host: it has a network, a disk and perhaps a watchdog,
# and does what it is told on ttyS1. ttyS0 takes what people read. The kernel's command line names it.
set -eu
export PATH=/guest/bin:/usr/sbin:/usr/bin HOME=/root LANG=C.UTF-8
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts /dev/shm /run/data /run/postgresql
mount -t devpts devpts /dev/pts
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
chmod 1777 /tmp
chown postgres:postgres /run/postgresql
exec </dev/null >/dev/ttyS0 2>&1
modprobe -a wireguard nf_tables tun virtio_pci virtio_net virtio_blk
[ -z "${GUEST_WATCHDOG:-}" ] || modprobe softdog
mount /dev/vda /run/data
mkdir -p /run/data/disk
hostname "$GUEST_NAME"
ip link set lo up
ip addr add "$GUEST_IPV4/24" dev eth0
ip addr add "$GUEST_IPV6/64" dev eth0 nodad
ip link set eth0 up
stty -F /dev/ttyS1 raw -echo
exec 3<>/dev/ttyS1
echo "the guest takes orders"
# An order is a number and a script in base64; its answer is the number, how it ended, and what it said.
while read -r number script <&3; do
    status=0
    said=$(timeout 100 bash -euc "$(base64 -d <<<"$script")" 2>&1 </dev/null 3<&- | base64 -w 0
        exit "${PIPESTATUS[0]}") || status=$?
    echo "$number $status $said" >&3
done
