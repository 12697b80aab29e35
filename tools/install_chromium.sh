#!/bin/sh
# Makes a Chromium available for the browser test of the report. Says where it is; installs Debian's if there is none.
set -eu

find_chromium() {
    for name in chromium chromium-browser google-chrome google-chrome-stable chrome; do
        if command -v "$name"; then return 0; fi
    done
    return 1
}

if path=$(find_chromium); then
    echo "Chromium: $path"
    exit 0
fi

if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
    echo "Chromium: not found, installing Debian's package 'chromium'"
    log=$(mktemp)
    if ! { apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends \
        chromium; } >"$log" 2>&1 </dev/null; then
        tail -n 3 "$log" >&2
        echo "Chromium: apt-get could not install 'chromium' (log: $log); install a Chromium or Chrome by hand" >&2
        exit 1
    fi
    rm -f "$log"
    if path=$(find_chromium); then
        echo "Chromium: $path"
        exit 0
    fi
fi

echo "Chromium: not found on PATH; the browser test needs it: install the package 'chromium' (or Chrome) and try again" >&2
exit 1
