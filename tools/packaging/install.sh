#!/bin/sh
# Installs a release build: programs, service, manual, completions. Usage: install.sh [DESTDIR]   (after
# `cargo build --release` and `cargo xtask manual`)
set -eu
cd "$(dirname "$0")/../.."
dest=${1:-}
target=$(cargo xtask target-dir)
bin=$target/release
manual=$target/manual
install -d "$dest/usr/sbin" "$dest/sbin" "$dest/etc/rfs" "$dest/usr/lib/systemd/system" \
    "$dest/usr/share/man/man1" "$dest/usr/share/man/man7" "$dest/usr/share/man/man8" "$dest/usr/share/bash-completion/completions" \
    "$dest/usr/share/zsh/site-functions" "$dest/usr/share/fish/vendor_completions.d"
install -m 755 "$bin/rfs-brickd" "$bin/rfs-mountd" "$bin/rfs-tools" "$dest/usr/sbin/"
ln -sf /usr/sbin/rfs-mountd "$dest/sbin/mount.rfs"
# What is mounted is of the type fuse.rfs: of that one a remount is asked.
ln -sf /usr/sbin/rfs-mountd "$dest/sbin/mount.fuse.rfs"
[ -e "$dest/etc/rfs/brickd.toml" ] || install -m 644 tools/packaging/etc/brickd.toml "$dest/etc/rfs/"
install -m 644 tools/packaging/systemd/rfs-brickd.service "$dest/usr/lib/systemd/system/"
install -m 644 "$manual"/man1/* "$dest/usr/share/man/man1/"
install -m 644 "$manual"/man7/* "$dest/usr/share/man/man7/"
install -m 644 "$manual"/man8/* "$dest/usr/share/man/man8/"
ln -sf rfs-mountd.8 "$dest/usr/share/man/man8/mount.rfs.8"
install -m 644 "$manual/completions/rfs-tools.bash" "$dest/usr/share/bash-completion/completions/rfs-tools"
install -m 644 "$manual/completions/_rfs-tools" "$dest/usr/share/zsh/site-functions/"
install -m 644 "$manual/completions/rfs-tools.fish" "$dest/usr/share/fish/vendor_completions.d/"
