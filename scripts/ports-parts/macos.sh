#!/usr/bin/env bash
# Type-checks signcam with its default features for macOS on Apple silicon: `scripts/ports macos` runs this inside its
# root. Nothing is linked or run: C, C++ and Objective-C parts go to a stand-in that writes empty object files.
# shellcheck source=scripts/ports-parts/report.sh
. "$(dirname "$0")/report.sh" macos

target=aarch64-apple-darwin
mkdir -p "$work/bin" "$work/sdk"

# In place of Apple's compiler: answers what is asked of it, and writes an empty file.
cat >"$work/bin/cc" <<'STUB'
#!/bin/sh
for argument; do
    case $argument in
        -E) exec clang --target=arm64-apple-macos11 "$@" ;;
        --version | -v) exec clang --version ;;
    esac
done
out=a.out
while [ $# -gt 0 ]; do
    case $1 in
        -o) out=$2; shift ;;
        -o?*) out=${1#-o} ;;
    esac
    shift
done
: >"$out"
STUB
cp "$work/bin/cc" "$work/bin/c++"
# ar: its first argument that names an archive is made.
cat >"$work/bin/ar" <<'STUB'
#!/bin/sh
for argument; do
    case $argument in *.a) [ -e "$argument" ] || printf '!<arch>\n' >"$argument" ;; esac
done
STUB
cat >"$work/bin/xcrun" <<STUB
#!/bin/sh
case "\$*" in
    *--show-sdk-path*) echo $work/sdk ;;
    *--show-sdk-version* | *--show-sdk-platform-version*) echo 11.0 ;;
    *) exit 1 ;;
esac
STUB
chmod 755 "$work"/bin/*
export PATH=$work/bin:$PATH
export CC_aarch64_apple_darwin=$work/bin/cc CXX_aarch64_apple_darwin=$work/bin/c++
export AR_aarch64_apple_darwin=$work/bin/ar SDKROOT=$work/sdk
export CARGO_TARGET_AARCH64_APPLE_DARWIN_LINKER=$work/bin/cc
# Only the target's parts go to the stand-in: build scripts run here.
export CC_x86_64_unknown_linux_gnu=/usr/bin/gcc CXX_x86_64_unknown_linux_gnu=/usr/bin/g++
export AR_x86_64_unknown_linux_gnu=/usr/bin/ar CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_LINKER=/usr/bin/gcc
# Debian has no Rust library for macOS: it is made from its source.
export RUSTC_BOOTSTRAP=1

types() {
    cd /src
    cargo check --locked -Z build-std --target "$target" --release --lib --bin signcam 2>&1 | tee "$out/check.txt"
}

no_warnings() { ! grep -E '^warning: .signcam. ' "$out/check.txt"; }

check "type-checks for $target" types
check "without warnings" no_warnings
finish
