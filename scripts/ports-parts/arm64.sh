#!/usr/bin/env bash
# Builds signcam with its default features for 64-bit ARM Linux and tries it under qemu-user: `scripts/ports arm64`
# runs this inside its root. A drawn picture takes a second or more under emulation, so the demo spells one letter.
# shellcheck source=scripts/ports-parts/report.sh
. "$(dirname "$0")/report.sh" arm64

target=aarch64-unknown-linux-gnu
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER=qemu-aarch64
export CC_aarch64_unknown_linux_gnu=aarch64-linux-gnu-gcc
export CXX_aarch64_unknown_linux_gnu=aarch64-linux-gnu-g++
export AR_aarch64_unknown_linux_gnu=aarch64-linux-gnu-ar
# The camera's bindings are made from the kernel's headers, ARM's.
export BINDGEN_EXTRA_CLANG_ARGS_aarch64_unknown_linux_gnu="-isystem /usr/aarch64-linux-gnu/include"
export PKG_CONFIG_ALLOW_CROSS=1

exe=$work/$target/release/signcam
arm() { qemu-aarch64 "$exe" "$@"; }

kernels() { CARGO_TARGET_DIR=$work/kernels /src/tests/kernels/emulated cargo; }

build() {
    cd /src
    cargo build --locked --release --target "$target" --bin signcam
    aarch64-linux-gnu-strip -o "$out/signcam" "$exe"
    stat -c '%n: %s bytes' "$exe" "$out/signcam"
}

foreign_libraries() {
    aarch64-linux-gnu-readelf -d "$exe" | grep NEEDED
    # What every desktop has: the C and C++ libraries.
    ! aarch64-linux-gnu-readelf -d "$exe" | grep NEEDED | grep -vE 'libc\.so|libm\.so|libgcc_s|libstdc\+\+|ld-linux'
}

tests() {
    cd /src
    cargo test --locked --release --target "$target" --lib -- int8 recognize
}

whole_networks() {
    cd /src
    cargo test --locked --release --target "$target" --test int8
}

demo() {
    arm --source demo --text L --size 320x240 --headless --pace max --record-clean --record demo.mp4 >demo.jsonl
    tail -n 3 demo.jsonl
    grep -q '"letter":"L"' demo.jsonl
    ffprobe -v error -show_entries stream=codec_name,width,height,nb_read_frames -count_frames -of csv=p=0 demo.mp4 |
        tee demo.csv
    grep -q '^h264,320,240,' demo.csv
    ffmpeg -v error -y -ss 1.2 -i demo.mp4 -frames:v 1 -q:v 2 hand.jpg
}

predict() {
    arm predict --json hand.jpg >predict.json
    cat predict.json
    says predict.json '"L"'
}

clip() {
    arm render demo.mp4 out.gif
    ffprobe -v error -count_frames -show_entries stream=codec_name,width,height,nb_read_frames -of csv=p=0 out.gif |
        tee out.csv
    grep -q '^gif,' out.csv
}

cameras() {
    # Status and sentence depend on the machine that emulates: with a camera on it, there is one here.
    [ ! -e /dev/video0 ] || return 0
    ends_with 0 cameras.txt arm cameras
    ends_with 1 live.txt arm --headless
    says live.txt "no camera"
}

window() {
    arm --source demo --text L --size 320x240 >window.txt 2>&1 &
    local pid=$!
    for _ in $(seq 60); do
        sleep 2
        ! xdotool search --name signcam >/dev/null 2>&1 || break
        kill -0 "$pid"
    done
    sleep 20
    screenshot window.png
    xdotool search --name signcam windowfocus key q
    wait "$pid"
}

check "kernels give the defined bytes on three kinds of processor" kernels
check "builds for $target, one file" build
[ -x "$exe" ] || { finish; exit; }
check "needs no libraries but the system's" foreign_libraries
check "says its version" arm --version
check "passes the kernels' and the recogniser's tests" tests
check "whole networks give the defined bytes with every kernel family" whole_networks
check "reads and records the drawn hand" demo
check "predicts a picture's letter" predict
check "renders a clip" clip
check "says what it finds of cameras" cameras
check "shows its window, and ends with a key" displayed window
finish
