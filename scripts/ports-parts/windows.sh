#!/usr/bin/env bash
# Builds signcam with its default features for 64-bit Windows, as one file that needs no library beside it, and tries it
# under Wine: `scripts/ports windows` runs this inside its root.
# shellcheck source=scripts/ports-parts/report.sh
. "$(dirname "$0")/report.sh" windows

target=x86_64-pc-windows-gnu
mingw=x86_64-w64-mingw32
# Debian has no Rust library for Windows: it is built from its source, for the tests, too, or each crate would be built twice.
std=std,panic_unwind,test
export RUSTC_BOOTSTRAP=1
export CARGO_PROFILE_RELEASE_STRIP=symbols
export CARGO_TARGET_X86_64_PC_WINDOWS_GNU_LINKER=$mingw-gcc-posix
export CARGO_TARGET_X86_64_PC_WINDOWS_GNU_RUNNER=wine
export CC_x86_64_pc_windows_gnu=$mingw-gcc-posix
export CXX_x86_64_pc_windows_gnu=$mingw-g++-posix
export AR_x86_64_pc_windows_gnu=$mingw-ar
# The linker takes libraries that need no DLL where it finds no others: these two alone, in a folder that it looks into first.
mkdir -p "$work/archives"
for name in libstdc++.a libwinpthread.a; do
    cp -u "$($mingw-g++-posix -print-file-name=$name)" "$work/archives/"
done
export CARGO_TARGET_X86_64_PC_WINDOWS_GNU_RUSTFLAGS="-L native=$work/archives -C link-arg=-lwinpthread"

export WINEPREFIX=$work/prefix WINEDEBUG=-all XDG_RUNTIME_DIR=/run
exe=$work/$target/release/signcam.exe
# Its name has what a path may have: spaces, umlauts, and letters that no code page of Europe has.
place="$out/Hände & Füße 手"
mkdir -p "$place/Bilder/A"

# All of it runs before one display: Wine keeps asking the first one.
Xvfb :98 -screen 0 1280x800x24 >"$out/logs/display.txt" 2>&1 &
display=$!
trap 'wineboot -k || true; kill "$display"' EXIT
export DISPLAY=:98
for _ in $(seq 50); do [ ! -e /tmp/.X11-unix/X98 ] || break; sleep 0.1; done

build() {
    cd /src
    cargo build --locked -Z "build-std=$std" --target "$target" --release --bin signcam
    stat -c '%n: %s bytes' "$exe"
    cp "$exe" "$place/"
    $mingw-gcc-posix -Wall -Werror -O1 scripts/ports-parts/press.c -o "$place/press.exe"
}

own_libraries_only() {
    $mingw-objdump -p "$exe" | sed -n 's/.*DLL Name: //p' | sort -fu
    # Each must be one that Windows brings; Wine's are named alike.
    $mingw-objdump -p "$exe" | sed -n 's/.*DLL Name: //p' | sort -fu | while read -r name; do
        case $name in api-ms-win-*) continue ;; esac
        find /usr/lib -path '*wine*windows*' -iname "$name" | grep -q . || { echo "$name is none of Windows' own"; exit 1; }
    done
}

win() { (cd "$place" && timeout "${limit:-180}" wine signcam.exe "$@"); }
press() { (cd "$place" && wine press.exe "$@"); }
frames() {
    ffprobe -v error -count_frames -show_entries stream=codec_name,width,height,nb_read_frames -of csv=p=0 "$1"
}

# Starts Windows in the prefix, which takes a minute the first time.
start_windows() { [ -e "$WINEPREFIX/system.reg" ] || wineboot --init; }

version() {
    ends_with 0 version.txt win --version
    says version.txt "signcam $(sed -n 's/^version = "\(.*\)"/\1/p' /src/Cargo.toml | head -n 1)"
}

demo() {
    win --source demo --text HELLO --headless --pace max --record-clean --record 'Aufnahme 1.mp4' >demo.jsonl
    tail -n 1 demo.jsonl
    says demo.jsonl '"text":"HELLO"'
    frames "$place/Aufnahme 1.mp4" | tee frames.csv
    grep -q '^h264,640,480,2[0-9][0-9]' frames.csv
}

same_bytes() {
    local isa
    for isa in portable avx2; do
        SIGNCAM_ISA=$isa win --source 'Aufnahme 1.mp4' --headless --pace max | sed 's/"age_ms":[^,]*,//' >"lines-$isa.jsonl"
    done
    wc -l lines-*.jsonl
    cmp lines-portable.jsonl lines-avx2.jsonl
}

predict() {
    local at
    for at in 1 2; do
        ffmpeg -v error -y -ss "1.$at" -i "$place/Aufnahme 1.mp4" -frames:v 1 -q:v 2 "$place/Bilder/A/H $at ä 手.jpg"
    done
    ends_with 0 predict.json win predict --json 'Bilder\A\H 1 ä 手.jpg'
    says predict.json '"letter": "H"'
}

wildcards() {
    ends_with 0 wild.txt win predict 'Bilder\A\*.jpg'
    [ "$(grep -c 'H [12] ä 手.jpg' wild.txt)" = 2 ]
}

folder_for_a_picture() {
    ends_with 1 folder.txt win predict Bilder
    says folder.txt "it is a folder, not a picture file"
}

folder_as_source() {
    ends_with 0 source.txt win --source Bilder --headless
    [ "$(grep -c '"seq"' source.txt)" = 2 ]
}

tables() {
    printf 'path,x0,y0,x1,y1,split\r\nA/H 1 ä 手.jpg,0.2,0.2,0.8,0.9,dev\r\nA/H 2 ä 手.jpg,0.2,0.2,0.8,0.9,dev\r\n' \
        >"$place/Bilder/hands.csv"
    ends_with 0 eval.json win eval Bilder --boxes 'Bilder\hands.csv' --split dev --json
    grep -q '"frames": *2\b' eval.json
}

clips() {
    ends_with 0 render.txt win render 'Aufnahme 1.mp4' 'fertig ö.mp4'
    ends_with 0 render-gif.txt win render --mirror 'Aufnahme 1.mp4' 'fertig ö.gif'
    frames "$place/fertig ö.mp4" | tee mp4.csv
    frames "$place/fertig ö.gif" | tee gif.csv
    grep -q '^h264,' mp4.csv
    grep -q '^gif,' gif.csv
}

figures() {
    win --source demo --text HI --headless --pace max --stats zeiten.json --stats-plot zeiten.svg >/dev/null
    head -n 5 "$place/zeiten.json"
    # The processor by its own name, as on Linux.
    says "$place/zeiten.json" "$(sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo | head -n 1)"
    grep -q '</svg>' "$place/zeiten.svg"
}

device_names() {
    local option
    for option in "--record NUL.mp4" "--record CON.gif" "--stats NUL.json" "--stats-plot nul.svg"; do
        # shellcheck disable=SC2086 # two words
        ends_with 2 device.txt win --source demo --text A --headless $option
        says device.txt "is a device's name on Windows: give another"
    done
    [ -z "$(find "$place" -iname 'nul*' -o -iname 'con.*' -o -name '*.part')" ]
}

cameras() {
    # Wine refuses the version of Media Foundation that the camera's crate asks for; Windows takes it.
    ends_with 1 cameras.txt win cameras
    says cameras.txt "Media Foundation does not start"
    says cameras.txt "Media Feature Pack"
    ends_with 1 live.txt win --headless
    says live.txt "Media Foundation does not start"
}

reader_gone() {
    win predict --json 'Bilder\A\H 1 ä 手.jpg' | head -n 1
    win --source demo --headless --pace max | head -n 2
}

control_c() {
    ends_with 0 control.txt press ctrl-c 12 'signcam.exe --source demo --headless --record abbruch.mp4 --stats abbruch.json'
    says control.txt "recorded abbruch.mp4"
    frames "$place/abbruch.mp4" | tee control.csv
    grep -q '^h264,640,480,' control.csv
    grep -q '"frames"' "$place/abbruch.json"
}

console_closed() {
    # Wine ends the program without telling it first, which Windows does.
    press console 15 'signcam.exe --source demo --headless --record konsole.mp4' >console.txt 2>&1 || true
    frames "$place/konsole.mp4" | tee console.csv
    grep -q '^h264,640,480,' console.csv
}

# Waits for signcam's window, which it makes the one that keys go to.
window_there() {
    local id=
    for _ in $(seq 60); do
        id=$(xdotool search --name '^signcam' 2>/dev/null | tail -n 1)
        [ -z "$id" ] || break
        sleep 1
    done
    [ -n "$id" ]
    sleep 5
    xdotool windowfocus "$id"
    sleep 1
}

ended() {
    local pid=$1
    for _ in $(seq 60); do kill -0 "$pid" 2>/dev/null || break; sleep 0.5; done
    ! kill -0 "$pid" 2>/dev/null || { echo "it did not end"; kill "$pid"; return 1; }
    wait "$pid"
}

window() {
    printf '\xef\xbb\xbfHELLO\r\nHELP\r\n' >"$place/words.txt"
    win --source demo --text HELLO --words words.txt --record fenster.mp4 >window.txt 2>&1 &
    local pid=$!
    window_there
    screenshot window-1-plain.png
    xdotool key c
    sleep 1
    press clipboard | tee clipboard.txt
    grep -q '^H' clipboard.txt
    xdotool key h; sleep 1; screenshot window-2-help.png; xdotool key h
    xdotool key a; sleep 1; screenshot window-3-chart.png; xdotool key a
    press size 320 240; sleep 2; screenshot window-4-small.png
    press size 900 480; sleep 2; screenshot window-5-wide.png
    press close
    ended "$pid"
    cat window.txt
    says window.txt "recorded fenster.mp4"
    frames "$place/fenster.mp4" | tee window.csv
    grep -q '^h264,' window.csv
}

recording_key() {
    win --source demo >recording.txt 2>&1 &
    local pid=$!
    window_there
    xdotool key r; sleep 4; screenshot window-6-recording.png; xdotool key r; sleep 2
    xdotool key q
    ended "$pid"
    frames "$(find "$place" -name 'signcam*.mp4' | head -n 1)" | tee recording.csv
    grep -q '^h264,' recording.csv
}

collects() {
    win collect Zeichen --signer Zoë --source demo --text HHHHHHHH >collect.txt 2>&1 &
    local pid=$!
    window_there
    xdotool key h; sleep 1; xdotool keydown space; sleep 5; xdotool keyup space; sleep 1
    screenshot window-7-collect.png
    local taken
    taken=$(wc -l <"$place/Zeichen/hands.csv")
    xdotool key BackSpace; sleep 2
    local kept
    kept=$(wc -l <"$place/Zeichen/hands.csv")
    echo "lines of the table: $taken, after the take was taken back: $kept"
    [ "$taken" -gt 1 ]
    [ "$kept" = 1 ]
    xdotool key Escape
    ended "$pid"
}

tests() {
    cd /src
    # As many as the machine has processors wait for each other under Wine.
    cargo test --locked -Z "build-std=$std" --target "$target" --release --lib --test int8 -- --test-threads 2
}

check "builds for $target, one file" build
if [ "$failed" != 0 ]; then finish; exit; fi
check "needs no libraries but Windows' own" own_libraries_only
check "Windows starts" start_windows
check "says its version" version
check "reads and records the drawn hand, into a folder of any letters" demo
check "portable and fast kernels read the same" same_bytes
check "predicts a picture's letter" predict
check "finds what wildcards mean" wildcards
check "says that a folder is no picture" folder_for_a_picture
check "reads a folder of pictures" folder_as_source
check "evaluates with a table whose lines end in CR LF" tables
check "renders a video and a clip" clips
check "writes figures, with the processor's name" figures
check "refuses names of devices before it begins" device_names
check "says why it finds no camera" cameras
check "ends with whoever reads its lines" reader_gone
check "completes its files at Ctrl-C" control_c
check "leaves a recording that plays when it is ended from outside" console_closed
check "shows its window in any size, copies, and completes its recording when it is closed" window
check "records by a key" recording_key
check "collects pictures and takes them back" collects
check "passes the library's tests, and whole networks give the defined bytes" tests
finish
