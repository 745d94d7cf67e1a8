#!/usr/bin/bash
# What the guest's kernel runs first, and all that it runs: ttyS0 takes what people read, ttyS1 the
# report. When this ends, the kernel panics and the emulator ends with it.
set -eu
export PATH=/usr/sbin:/usr/bin HOME=/root LANG=C.UTF-8
export HANSE_BIN_DIR=/guest/bin HANSE_CACHE=/guest/cache
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
exec </dev/null >/dev/ttyS0 2>&1
modprobe -a wireguard bridge veth tun nf_tables
/guest/bin/program >/dev/ttyS1
# At once, and without a word from the kernel.
echo b >/proc/sysrq-trigger
