#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Makes sure that the machine has what the build, QEMU and the tests need. Root gets what is missing installed;
# anyone else is told the exact line to run. Says nothing, and costs a few milliseconds, when nothing is missing.
set -eu

# gcc and libc6-dev link Rust programs; with make, python3 and its three modules, and xmllint they build the kernel; the
# rest is the virtual machine, the boot loader that sets its screen up, and intel_error_decode, which has to understand what
# the driver records of a hang.
packages="gcc libc6-dev make python3 python3-six python3-ply python3-tempita libxml2-utils qemu-system-x86 seabios grub-common grub-pc-bin intel-gpu-tools"

if ! command -v cargo >/dev/null 2>&1; then
    echo "setup: cargo (Rust 1.95 or newer) is missing; see https://rustup.rs, then run this again" >&2
    exit 1
fi

if ! command -v dpkg-query >/dev/null 2>&1; then
    # Not a Debian system: the package names are unknown, so look for the commands and modules themselves.
    missing=
    for tool in gcc make python3 xmllint qemu-system-x86_64 grub-mkimage intel_error_decode; do
        command -v "$tool" >/dev/null 2>&1 || missing="$missing $tool"
    done
    python3 -c 'import six, ply, tempita' 2>/dev/null || missing="$missing python3-modules(six,ply,tempita)"
    [ -z "$missing" ] && exit 0
    echo "setup: missing:$missing; install them with this system's package manager" >&2
    exit 1
fi

# A package that dpkg does not know at all makes dpkg-query complain and fail; the list it prints is what counts.
# shellcheck disable=SC2086 # a list of words
installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' $packages 2>/dev/null || true)
missing=
for package in $packages; do
    case "
$installed
" in
        *"
installed $package
"*) ;;
        *) missing="$missing $package" ;;
    esac
done
[ -z "$missing" ] && exit 0

if [ "$(id -u)" -ne 0 ]; then
    echo "setup: these packages are missing:$missing. Run:" >&2
    echo "    sudo apt-get update && sudo apt-get install -y --no-install-recommends$missing" >&2
    exit 1
fi
echo "setup: installing$missing"
export DEBIAN_FRONTEND=noninteractive
apt-get update -q </dev/null
# shellcheck disable=SC2086 # a list of words
apt-get install -q -y --no-install-recommends $missing </dev/null
