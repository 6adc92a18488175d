#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# Builds the embedded kernel, seL4 5.0.0, out of the registry crate that carries its source.
#
#   build.sh debug|release [--target-root DIR]
#
# leaves in DIR/kernel/<configuration> (DIR is the repository's `target` unless given):
#   kernel32.elf   what QEMU's multiboot loader takes (`-kernel`): 64-bit code in a 32-bit ELF
#   kernel.elf     the same with 64-bit headers, for debuggers and symbols
#   interfaces/    the kernel's own description of its interface and the configuration it was built
#                  with (autoconf.h), for the crate `sel4`
#   build.log      what the compiler said
#
# A build is keyed by a hash of everything that goes into it (this script, the configuration, the
# checksum of the crate, the versions of the tools); with an unchanged hash the script says so in one
# line and does nothing. Several may run at once: they take turns.
set -eu

usage() {
    echo "usage: $0 debug|release [--target-root DIR]" >&2
    exit 2
}

fail() {
    echo "kernel: $*" >&2
    exit 1
}

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
repository=$(CDPATH='' cd -- "$here/../.." && pwd)

[ $# -ge 1 ] || usage
configuration=$1
shift
case $configuration in
debug | release) ;;
*) usage ;;
esac
target_root=$repository/target
while [ $# -gt 0 ]; do
    case $1 in
    --target-root)
        [ $# -ge 2 ] || usage
        target_root=$2
        shift 2
        ;;
    *) usage ;;
    esac
done

# --- The tools -----------------------------------------------------------------------------------

# Distributions call it python3, and the first on PATH may be one without Debian's modules.
python=
for candidate in ${PYTHON:-} /usr/bin/python3 python3; do
    if command -v "$candidate" >/dev/null 2>&1 &&
        "$candidate" -c 'import six, ply, tempita' >/dev/null 2>&1; then
        python=$(command -v "$candidate")
        break
    fi
done

missing=
need_command() {
    command -v "$1" >/dev/null 2>&1 || case " $missing " in
    *" $2 "*) ;;
    *) missing="$missing $2" ;;
    esac
}
need_command gcc gcc
need_command cpp gcc
need_command make make
need_command ld binutils
need_command objcopy binutils
need_command xmllint libxml2-utils
need_command flock util-linux
if [ -z "$python" ]; then
    system_python=/usr/bin/python3
    [ -x "$system_python" ] || missing="$missing python3"
    for module in six ply tempita; do
        "$system_python" -c "import $module" >/dev/null 2>&1 || missing="$missing python3-$module"
    done
fi
[ -z "$missing" ] || fail "Debian packages are missing: apt-get install$missing"
command -v cargo >/dev/null 2>&1 || fail "cargo is not on PATH: install Rust from https://rustup.rs"

# --- One at a time, and only when something changed ----------------------------------------------

mkdir -p "$target_root/kernel"
target_root=$(CDPATH='' cd -- "$target_root" && pwd)
# The kernel's makefile takes a path apart at blanks.
case $target_root in
*[[:space:]]*) fail "the path of the target folder must not contain blanks: $target_root" ;;
esac
out=$target_root/kernel/$configuration
# The lock is a descriptor of this shell: it goes with the process, however that ends.
exec 9>"$target_root/kernel/.$configuration.lock"
flock 9

inputs=$(
    {
        cat "$here/build.sh" "$here/config/base.h"
        [ "$configuration" = release ] || cat "$here/config/debug.h"
        # Holds the version and the checksum of the crate.
        cat "$here/source/Cargo.lock"
        gcc --version
        gcc -dumpmachine
        ld --version
        "$python" --version
    } | sha256sum | cut -d' ' -f1
)

complete() {
    [ -f "$out/.inputs" ] && [ "$(cat "$out/.inputs")" = "$inputs" ] &&
        [ -f "$out/kernel32.elf" ] && [ -f "$out/kernel.elf" ] && [ -f "$out/interfaces/autoconf.h" ]
}
if complete; then
    echo "kernel: $configuration is up to date"
    exit 0
fi

# --- The source ----------------------------------------------------------------------------------

echo "kernel: $configuration: fetching the source"
manifest=$here/source/Cargo.toml
cargo fetch --quiet --locked --manifest-path "$manifest" ||
    fail "cargo could not fetch the crate that carries the kernel's source (is crates.io reachable?)"
crate=$(
    cargo metadata --quiet --locked --format-version 1 --manifest-path "$manifest" | "$python" -c '
import json, os, sys
packages = json.load(sys.stdin)["packages"]
print(next(os.path.dirname(p["manifest_path"]) for p in packages if p["name"] == "sel4-sys"))'
) || fail "cargo metadata does not name the crate sel4-sys"
[ -f "$crate/seL4/Makefile" ] || fail "no kernel source in $crate"

work=$target_root/kernel/.$configuration.build
rm -rf "$work"
mkdir -p "$work/source" "$work/object" "$work/result/interfaces"
cp -R "$crate/seL4/." "$work/source"
chmod -R u+w "$work/source"
chmod u+x "$work/source/tools/"* "$work/source/libsel4/tools/"*
# The scripts ask the environment for `python`, which Debian does not have.
sed -i "1s|^#!.*|#!$python|" "$work/source/tools/"*.py
# amend FILE OLD NEW [COUNT]: replaces the COUNT lines (one, unless it is said) of a source file that are OLD.
amend() {
    [ "$(grep -Fcx -- "$2" "$work/source/$1")" = "${4:-1}" ] ||
        fail "$1 is not as expected: not ${4:-1} times the line '$2'"
    OLD=$2 NEW=$3 awk '$0 == ENVIRON["OLD"] { $0 = ENVIRON["NEW"] } { print }' "$work/source/$1" >"$work/amended"
    cat "$work/amended" >"$work/source/$1"
}
# Two faults of this version. The address of a page fault passes through 32 bits on its way to the handler, though
# the message has room for 64:
amend src/arch/x86/kernel/vspace.c \
    '    uint32_t addr;' \
    '    word_t addr;'
# And a page stays mapped when the capability that it was mapped with is deleted or revoked while there are others to
# it. Then neither could a page be taken back, nor deleting be relied upon; later versions always unmap:
amend src/arch/x86/64/object/objecttype.c \
    '        if (final && cap_frame_cap_get_capFMappedASID(cap)) {' \
    '        if (cap_frame_cap_get_capFMappedASID(cap)) {'

# And one thing that it does not do: frames of 2 MiB are mapped for devices, too, where the IOMMU knows such entries.
# They stand where the lowest table would hang, and bit 7 tells them from one (VT-d 3.0, 9.8; the capability register,
# 10.4.2, says in bit 34 whether there are any).
iospace=src/arch/x86/object/iospace.c
is_large='cap_frame_cap_get_capFSize(cap) == X86_LargePage'
amend "$iospace" '#include <plat/machine/intel-vtd.h>' '#include <plat/machine/intel-vtd.h>
bool_t vtd_has_large_pages(void);'
amend "$iospace" \
    '    if (!vtd_pte_ptr_get_write(iopt_slot) || levels_remaining == 0) {' \
    '    if (!vtd_pte_ptr_get_write(iopt_slot) || (iopt_slot->words[0] & BIT(7)) || levels_remaining == 0) {'
amend "$iospace" \
    '    if (cap_frame_cap_get_capFSize(cap) != X86_SmallPage) {' \
    "    if (cap_frame_cap_get_capFSize(cap) != X86_SmallPage && !($is_large && vtd_has_large_pages())) {"
amend "$iospace" \
    '    io_address  = getSyscallArg(1, buffer) & ~MASK(PAGE_BITS);' \
    '    io_address  = getSyscallArg(1, buffer) & ~MASK(pageBitsForSize(cap_frame_cap_get_capFSize(cap)));'
amend "$iospace" \
    '        iopte = vtd_pte_new(paddr, !!write, !!read);' \
    "        iopte = vtd_pte_new(paddr, !!write, !!read);
        if ($is_large) iopte.words[0] |= BIT(7);"
# When it is mapped, and when it is unmapped:
amend "$iospace" \
    '    if (lu_ret.status != EXCEPTION_NONE || lu_ret.level != 0) {' \
    "    if (lu_ret.status != EXCEPTION_NONE || lu_ret.level != ($is_large)) {" 2
cat >>"$work/source/src/plat/pc99/machine/intel-vtd.c" <<'EOF_VTD'

bool_t
vtd_has_large_pages(void)
{
    drhu_id_t i;

    for (i = 0; i < x86KSnumDrhu; i++) {
        if (!(vtd_read32(i, CAP_REG + 4) & BIT(2))) {
            return false;
        }
    }
    return true;
}
EOF_VTD

# A server answers callers of lower priority than its own, and each such answer took the slow path, which costs several
# times as much. The fast path does for them, too, if nobody is ready who would run before the caller: versions from 8.0.0
# on ask the same (seL4 8.0.0: src/fastpath/fastpath.c, fastpath_reply_recv; include/kernel/thread.h, isHighestPrio).
amend src/fastpath/fastpath.c '#include <fastpath/fastpath.h>' '#include <fastpath/fastpath.h>
#include <kernel/thread.h>

/* Whether a thread could run that has a higher priority than this one. */
static inline bool_t
somebody_is_ready_above(word_t priority)
{
    word_t dom = CONFIG_NUM_DOMAINS > 1 ? ksCurDomain : 0;
    word_t ready = NODE_STATE(ksReadyQueuesL1Bitmap[dom]);
    word_t high;

    if (!ready) {
        return false;
    }
    high = wordBits - 1 - clzl(ready);
    ready = NODE_STATE(ksReadyQueuesL2Bitmap[dom][high]);
    return (l1index_to_prio(high) | (wordBits - 1 - clzl(ready))) > priority;
}'
amend src/fastpath/fastpath.c \
    '    if (unlikely(caller->tcbPriority < NODE_STATE(ksCurThread)->tcbPriority)) {' \
    '    if (unlikely(caller->tcbPriority < NODE_STATE(ksCurThread)->tcbPriority &&
                 somebody_is_ready_above(caller->tcbPriority))) {'

autoconf=$work/result/interfaces/autoconf.h
cat "$here/config/base.h" >"$autoconf"
[ "$configuration" = release ] || cat "$here/config/debug.h" >>"$autoconf"
cp "$autoconf" "$work/source/include/plat/pc99/autoconf.h"

# --- The build -----------------------------------------------------------------------------------

# The source predates this compiler: what it warns about today was none then; it defines variables in
# headers (-fcommon); and it has no use for a distribution's hardening defaults.
compiler=$work/cc
cat >"$compiler" <<'EOF'
#!/bin/sh
exec gcc "$@" -Wno-error -fno-stack-protector -fcommon -fcf-protection=none
EOF
chmod u+x "$compiler"

# Only the debug kernel has DEBUG: set to anything, even nothing, it would count as given.
if [ "$configuration" = debug ]; then set -- DEBUG=1; else set --; fi

echo "kernel: $configuration: compiling"
log=$work/result/build.log
# CIRCULAR_INCLUDES=true leaves out a check that does not understand what today's preprocessor prints.
# No flags from the caller's environment: a build is what its hash says.
(
    cd "$work/object"
    unset MAKEFLAGS MFLAGS CFLAGS CPPFLAGS LDFLAGS ASFLAGS DEFINES NK_CFLAGS TOOLPREFIX V || true
    make -f "$work/source/Makefile" SOURCE_ROOT="$work/source" ARCH=x86 PLAT=pc99 SEL4_ARCH=x86_64 \
        TOOLPREFIX= PYTHON="$python" CIRCULAR_INCLUDES=true CONFIG_KERNEL_COMPILER="$compiler" "$@"
) >"$log" 2>&1 || {
    tail -n 40 "$log" >&2
    fail "$configuration: the build failed; the whole log is $log"
}

# --- The results ---------------------------------------------------------------------------------

cp "$work/object/kernel.elf" "$work/result/kernel.elf"
objcopy -O elf32-i386 "$work/object/kernel.elf" "$work/result/kernel32.elf"
# The same base name three times over: the prefix says which level a file describes.
libsel4=$work/source/libsel4
interfaces=$work/result/interfaces
cp "$libsel4/include/interfaces/sel4.xml" "$interfaces/sel4.xml"
cp "$libsel4/arch_include/x86/interfaces/sel4arch.xml" "$interfaces/arch-sel4arch.xml"
cp "$libsel4/sel4_arch_include/x86_64/interfaces/sel4arch.xml" "$interfaces/sel4_arch-sel4arch.xml"
cp "$libsel4/include/api/syscall.xml" "$interfaces/syscall.xml"
cp "$libsel4/include/sel4/objecttype.h" "$interfaces/objecttype.h"
cp "$libsel4/sel4_arch_include/x86_64/sel4/sel4_arch/objecttype.h" "$interfaces/sel4_arch-objecttype.h"
cp "$libsel4/arch_include/x86/sel4/arch/objecttype.h" "$interfaces/arch-objecttype.h"

# The stamp goes in last, the folder into its place at once: an interrupted build leaves no half.
echo "$inputs" >"$work/result/.inputs"
rm -rf "$out"
mv "$work/result" "$out"
rm -rf "$work"
echo "kernel: $configuration: built $out/kernel32.elf"
