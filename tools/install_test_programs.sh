#!/bin/sh
# Makes the programs available that tests run and that are no Python packages: a Chromium (the report in a browser),
# qemu-system-arm (a second opinion on instruction counts), cppcheck (what generated C might do wrong), a gcc for
# Cortex-M beside clang, cmake and nm. Says where they are; installs Debian's where there is none.
set -eu

find_one_of() {
    for name in "$@"; do
        if command -v "$name"; then return 0; fi
    done
    return 1
}

provide() {  # DEBIAN_PACKAGE NAME_OF_PROGRAM ...
    package=$1
    shift
    if path=$(find_one_of "$@"); then
        echo "$package: $path"
        return 0
    fi
    if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
        echo "$package: not found, installing Debian's package"
        log=$(mktemp)
        if ! { apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends \
            "$package"; } >"$log" 2>&1 </dev/null; then
            tail -n 3 "$log" >&2
            echo "$package: apt-get could not install it (log: $log); install it by hand" >&2
            exit 1
        fi
        rm -f "$log"
        if path=$(find_one_of "$@"); then
            echo "$package: $path"
            return 0
        fi
    fi
    echo "$package: not found on PATH; tests need it: install the package $package and try again" >&2
    exit 1
}

provide chromium chromium chromium-browser google-chrome google-chrome-stable chrome
provide qemu-system-arm qemu-system-arm
provide cppcheck cppcheck
provide gcc-arm-none-eabi arm-none-eabi-gcc
provide cmake cmake
provide binutils nm
