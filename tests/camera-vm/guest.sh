# Runs in the machine that scripts/camera-vm boots: signcam before the kernel's test camera, which
# shows eight colour bars. Prints a line for each check, and how many failed.

model=/colours.onnx
camera=/dev/video0
failed=0

# Boxes in the bars that are red, green and blue, left of the camera's own text.
red=0.6575,0.7,0.06,0.08
green=0.4075,0.7,0.06,0.08
blue=0.7825,0.7,0.06,0.08

# Hundredths of a second since the start.
now() { awk '{ print int($1 * 100) }' /proc/uptime; }

# Waits until a command succeeds, for half a minute and while the program runs.
until_() {
    deadline=$(($(now) + 3000))
    until "$@"; do
        [ "$(now)" -lt $deadline ] && kill -0 $program 2>/dev/null || return 1
        usleep 20000
    done
}

start() {
    signcam --headless --model $model "$@" >/tmp/lines 2>/tmp/said &
    program=$!
}
# What was read, a line for each picture; a letter that is typed meanwhile has lines of its own.
readings() { grep '^{"seq":' /tmp/lines; }
has_lines() { [ "$(readings | wc -l)" -ge "$1" ]; }
lines() {
    until_ has_lines "$1" || why "only $(readings | wc -l) of $1 readings came"
}
more_lines() { lines $(($(readings | wc -l) + $1)); }
says() { until_ grep -q "$1" /tmp/said || why "it does not say: $1"; }

# Asks the program to end, which it has to do within a second and in good order.
end() {
    asked=$(now)
    kill -TERM $program
    wait $program || why "it ended with code $?"
    took=$(($(now) - asked))
    [ $took -le 100 ] || why "it took $took hundredths of a second to end"
}

# Waits for a program that is to end by itself with an error that says this.
refused() {
    wait $program && why "it did not fail"
    for part in "$@"; do
        grep -q "$part" /tmp/said || why "it does not say: $part"
    done
}

reads() { readings | tail -n 1 | grep -q "$1" || why "it reads $(readings | tail -n 1)"; }

# Each next picture has a higher number.
numbered_on() {
    readings | awk -F'[:,]' '$2 <= last && NR > 1 { exit 1 } { last = $2 }' || why "numbers do not go on"
}

why() { reason="$reason; $*"; }

# check WHAT FUNCTION [ARGUMENT...]
check() {
    what=$1
    shift
    reason=
    began=$(now)
    "$@"
    took=$(($(now) - began))
    if [ -z "$reason" ]; then
        echo "pass  $what ($((took / 100)).$((took % 100 / 10)) s)"
    else
        failed=$((failed + 1))
        echo "FAIL  $what: ${reason#; }"
        sed 's/^/      | /' /tmp/said /tmp/lines | head -n 40
        kill -KILL $program 2>/dev/null
    fi
}

listed() {
    signcam cameras >/tmp/lines 2>/tmp/said || why "it failed"
    grep -q '^cam:0  vivid  (the default)$' /tmp/lines || why "the camera is missing"
    [ "$(grep -c '^cam:' /tmp/lines)" = 1 ] || why "the metadata node is listed"
    for format in '\* YUYV 640x480 at 25 fps' '  NV12 640x480 at 25' '  RGB 320x180 at 60' '  BGR 640x360 at 30' '  grey 640x480 at 25'; do
        grep -q "^  $format" /tmp/lines || why "no format $format"
    done
}

# colour BOX WHAT ARGUMENT...: what is read in a bar.
colour() {
    box=$1 what_is_read=$2
    shift 2
    start --box $box "$@"
    lines 2
    reads "$what_is_read"
    end
}

size_and_rate() {
    SIGNCAM_LOG=info start --box $red --camera VIVID --size 320x180 --fps 15
    lines 10
    says 'YUYV 320x180 at 15 fps'
    reads '"letter":"A"'
    # 66.7 ms from picture to picture; more where the emulation is late.
    readings | awk -F'[:,]' 'NR == 1 { s = $2; t = $4 } END { ms = ($4 - t) / ($2 - s); exit !(ms > 60 && ms < 140) }' ||
        why "pictures do not come at the rate asked for"
    end
}

lacking() {
    start --size 123x45
    refused 'error:' 'vivid' 'YUYV 640x480 at 25 fps'
    start --camera nonsense
    refused 'error:' 'nonsense' 'vivid (cam:0)'
}

grey() {
    start --box $red --encoding grey
    lines 3
    numbered_on
    end
}

busy() {
    start --box $red
    lines 2
    first=$program
    signcam --headless --model $model >/tmp/lines2 2>/tmp/said && why "it did not fail"
    grep -q 'vivid (cam:0): another program is using it' /tmp/said || why "it does not say so"
    program=$first
    end
}

no_permission() {
    su nobody -s /bin/sh -c "signcam --headless --model $model" >/tmp/lines 2>/tmp/said && why "it did not fail"
    grep -q 'group video' /tmp/said || why "it does not name the group"
}

# The kernel says that the camera is gone for as long as somebody else holds it open.
unplugged() {
    start --box $red
    lines 3
    exec 3<$camera
    control $camera Disconnect 1
    says 'vivid: it was unplugged'
    exec 3<&-
    says 'frames come again'
    more_lines 3
    reads '"letter":"A"'
    numbered_on
    end
}

# Its node goes away, too.
removed() {
    start --box $red
    lines 3
    echo vivid.0 >/sys/bus/platform/drivers/vivid/unbind
    says 'vivid: it was unplugged'
    [ ! -e $camera ] || why "it is still there"
    echo vivid.0 >/sys/bus/platform/drivers/vivid/bind
    says 'frames come again'
    more_lines 3
    numbered_on
    end
}

ended_while_unplugged() {
    start --box $red
    lines 3
    exec 3<$camera
    control $camera Disconnect 1
    says 'vivid: it was unplugged'
    end
    exec 3<&-
}

streaming_error() {
    SIGNCAM_LOG=signcam=debug start --box $red
    lines 3
    control $camera 'Inject Fatal Streaming Error' 1
    says 'vivid (cam:0): .*os error 5'
    more_lines 3
    reads '"letter":"A"'
    numbered_on
    end
}

check "the camera is listed with its formats, its metadata node is not" listed
for encoding in yuyv nv12 rgb bgr; do
    check "the red bar is red in $encoding" colour $red '"letter":"A"' --encoding $encoding
done
check "the green bar is green" colour $green '"letter":"B"'
check "the blue bar is blue" colour $blue '"top":\[\["nothing"'
check "grey pictures come" grey
check "a camera, size and rate can be asked for" size_and_rate
check "what the camera lacks is an error that lists what there is" lacking
check "a camera that another program uses is an error that says so" busy
check "without permission the group is named" no_permission
check "an unplugged camera is waited for and read again" unplugged
check "a camera whose node goes and comes is read again" removed
check "it ends within a second while the camera is unplugged" ended_while_unplugged
check "after a fatal streaming error the camera is started again" streaming_error

echo "checks failed: $failed"
