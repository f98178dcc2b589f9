#!/usr/bin/env bash
# Installs what the build needs and the system misses: a C++ compiler and libclang for RocksDB,
# python3 for the conformance vectors, make, and what hosts for tests are made of. Does nothing,
# and needs no rights, if all is there.
set -euo pipefail

missing=()

need() { # command, Debian package
    # Programs of the administrator are not on every user's path.
    PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin command -v "$1" >/dev/null 2>&1 || missing+=("$2")
}

have_libclang() {
    [ -n "${LIBCLANG_PATH:-}" ] && return 0
    local found
    for found in /usr/lib/llvm-*/lib/libclang*.so* /usr/lib/*/libclang*.so* \
        /usr/lib/libclang*.so* /usr/lib64/libclang*.so* /usr/local/lib/libclang*.so*; do
        [ -e "$found" ] && return 0
    done
    return 1
}

# libclang alone has no stddef.h; clang's own headers come in a package beside it.
have_clang_headers() {
    local found
    for found in /usr/lib/llvm-*/lib/clang/*/include/stddef.h /usr/lib/clang/*/include/stddef.h \
        /usr/lib64/clang/*/include/stddef.h /usr/local/lib/clang/*/include/stddef.h; do
        [ -e "$found" ] && return 0
    done
    return 1
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null 2>&1; then
        sudo "$@"
    else
        return 1
    fi
}

apt() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 -qq "$@"
}

give_up() {
    echo "These packages are missing: ${missing[*]}" >&2
    echo "Install them (on Debian or Ubuntu: apt-get install ${missing[*]}) and try again." >&2
    exit 1
}

need c++ g++
need make make
need python3 python3
need cc gcc
need ip iproute2
need nft nftables
need nsenter util-linux
need setpriv util-linux
need mount mount
need losetup mount
need mkfs.ext4 e2fsprogs
if ! have_libclang || ! have_clang_headers; then
    missing+=(libclang-dev)
fi
[ "${#missing[@]}" -gt 0 ] || exit 0

command -v apt-get >/dev/null 2>&1 || give_up
echo "Installing ${missing[*]}"
apt update </dev/null || echo "apt-get update failed; trying with the lists at hand" >&2
# 7 MB instead of the 200 MB of libclang-dev, where the distribution still has this version.
small=("${missing[@]/libclang-dev/libclang1-14}")
case " ${small[*]} " in
*" libclang1-14 "*) small+=(libclang-common-14-dev) ;;
esac
apt install -y --no-install-recommends "${small[@]}" </dev/null ||
    apt install -y --no-install-recommends "${missing[@]}" </dev/null ||
    give_up
