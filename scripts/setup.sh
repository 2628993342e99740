#!/bin/sh
# Leave a .venv with the package in it, its launcher built. Says little, and does nothing where all is up to date.
set -eu
cd "$(dirname "$0")/.."

# What the project needs of Debian, as "command-or-file:package".
NEEDS="
gcc:gcc
/usr/include/stdlib.h:libc6-dev
/usr/include/linux/openat2.h:linux-libc-dev
musl-gcc:musl-tools
nft:nftables
libnftables.so.1:libnftables1
libseccomp.so.2:libseccomp2
/bin/busybox:busybox-static
ip:iproute2
unshare:util-linux
mount:mount
debootstrap:debootstrap
curl:curl
ps:procps
strace:strace
tar:tar
xz:xz-utils
"

has() {
    case $1 in
        lib*) [ -n "$(find /lib /usr/lib -maxdepth 2 -name "$1" 2>/dev/null | head -n 1)" ] ;;
        /*) [ -e "$1" ] ;;
        *) command -v "$1" >/dev/null ;;
    esac
}

missing_packages() {
    for need in $NEEDS; do
        has "${need%:*}" || echo "${need#*:}"
    done
    python=$(python_command)
    [ -n "$python" ] || echo python3
    if ! ${python:-false} -c 'import ensurepip, venv' 2>/dev/null; then echo python3-venv; fi
}

apt() {
    export DEBIAN_FRONTEND=noninteractive
    apt-get -q -o DPkg::Lock::Timeout=300 "$@" >>"$LOG" 2>&1 ||
        { tail -n 20 "$LOG" >&2; echo "setup: apt-get $1 failed" >&2; exit 1; }
}

install_packages() {
    missing=$(missing_packages)
    [ -n "$missing" ] || return 0
    echo "setup: installing" $missing
    [ "$(id -u)" = 0 ] || { echo "setup: only root can install Debian packages" >&2; exit 1; }
    apt update
    apt install -y --no-install-recommends $missing
}

# A docker command line where the machine has none: the client alone, out of Debian's package, and no service started.
# Debian sid's is the newest; bookworm's is taken where that one cannot be had or does not run here.
fetch_docker() {
    command -v docker >/dev/null || [ -x .venv/tools/docker ] && return 0
    echo "setup: fetching a docker command line"
    work=$(mktemp -d)
    mkdir -p .venv/tools
    newest_docker "$work/sid" >>"$LOG" 2>&1 || debians_docker "$work/stable"
    rm -rf "$work"
}

newest_docker() {
    mkdir -p "$1/lists/partial"
    mirror=$(cat /etc/apt/sources.list.d/*.sources /etc/apt/sources.list 2>/dev/null | grep -v '^#' |
        tr ' ' '\n' | grep -m 1 '://') || return 1
    echo "deb $mirror sid main" >"$1/sources.list"
    sid="-o Acquire::Check-Valid-Until=false -o Dir::Etc::sourcelist=$1/sources.list -o Dir::Etc::sourceparts=- -o Dir::State::lists=$1/lists"
    apt-get -q $sid update && (cd "$1" && apt-get -q $sid download docker-cli && dpkg -x ./*.deb .) &&
        "$1/usr/bin/docker" --version && cp "$1/usr/bin/docker" .venv/tools/docker
}

debians_docker() {
    mkdir "$1"
    apt update
    (cd "$1" && apt download docker.io && dpkg -x ./*.deb .)
    cp "$1/usr/bin/docker" .venv/tools/docker
}

# The Python to use: $PYTHON, or Debian's own, which is the one that most will have and is somewhat quicker than one compiled
# without a profile, or the newest here that will do; nothing where there is none.
python_command() {
    for name in ${PYTHON:-} /usr/bin/python3 python3.13 python3.12 python3.11 python3; do
        if command -v $name >/dev/null && $name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v $name
            return
        fi
    done
}

stamp_of() {
    cat requirements.lock pyproject.toml setup.py buildsystem/*.py buildsystem/bin/* scripts/setup.sh | sha256sum
}

install_python() {
    [ "$(cat .venv/stamp 2>/dev/null)" != "$(stamp_of)" ] || return 0
    [ -x .venv/bin/python ] || { echo "setup: making .venv"; "$PYTHON" -m venv .venv; }
    echo "setup: installing the package"
    pip="env PIP_DISABLE_PIP_VERSION_CHECK=1 .venv/bin/python -m pip install -q"
    $pip --require-hashes -r requirements.lock >>"$LOG" 2>&1 || { tail -n 20 "$LOG" >&2; exit 1; }
    $pip --no-deps --no-build-isolation -e . >>"$LOG" 2>&1 || { tail -n 20 "$LOG" >&2; exit 1; }
    stamp_of >.venv/stamp
}

LOG=$(mktemp)
trap 'rm -f "$LOG"' EXIT
install_packages
PYTHON=$(python_command)
[ -n "$PYTHON" ] || { echo "setup: Python 3.11 or newer is needed" >&2; exit 1; }
install_python
.venv/bin/python buildsystem/launcher.py
.venv/bin/python buildsystem/stamp.py
.venv/bin/python -m compileall -q src/wherry # as pip does for a wheel: a command takes 12 ms and not 35
fetch_docker
