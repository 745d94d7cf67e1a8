#!/bin/bash
# A machine that systemd runs: this one's files, over which it writes its own, in namespaces of its own.
# Each line of input is a boot; the machine's disk lasts until the input ends.
set -eu
folder=$1
mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs "$folder"
mkdir "$folder/upper" "$folder/work" "$folder/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$folder/upper,workdir=$folder/work" "$folder/root"
cd "$folder/root"
# None of this machine's services, and nothing of systemd's own that would reach past the namespaces.
rm -rf etc/systemd/system etc/fstab var/lib/hanse var/log/journal
mkdir -p etc/systemd/system var/lib/hanse
for unit in systemd-{udevd,udev-trigger,sysctl,modules-load,remount-fs,random-seed,logind,update-utmp} \
    systemd-tmpfiles-{setup,setup-dev} systemd-binfmt console-getty getty@tty1 \
    systemd-udevd-{kernel,control}; do
    ln -s /dev/null "etc/systemd/system/$unit.service"
done
for unit in systemd-udevd-{kernel,control}.socket {dev-hugepages,sys-kernel-debug,sys-kernel-tracing}.mount; do
    ln -sf /dev/null "etc/systemd/system/$unit"
done
mv "$2" usr/bin/hanse
cp "$3"/*.service etc/systemd/system/
cat >"$folder/boot" <<'BOOT'
set -eu
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
mount -t tmpfs -o mode=755 tmpfs dev
mkdir dev/pts dev/shm dev/net run/postgresql
chown postgres:postgres run/postgresql
for node in null zero full random urandom tty net/tun; do touch "dev/$node" && mount --bind "/dev/$node" "dev/$node"; done
mount -t devpts -o newinstance,ptmxmode=666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
mount -t tmpfs -o mode=1777 tmpfs dev/shm
ip link set lo up
mkdir -p old
pivot_root . old
umount -l old
export container=lxc
exec /lib/systemd/systemd --unit=multi-user.target --show-status=no --log-target=journal
BOOT
while read -r _; do
    unshare --mount --pid --fork --uts --ipc --net --cgroup --kill-child bash "$folder/boot" <>/dev/null >/dev/null &
    echo "$!"
    wait "$!" || true
    echo "off"
done
