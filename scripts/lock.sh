#!/bin/sh
# Rewrite requirements.lock: the package's dependencies, the tools of its development, and what builds it.
set -eu
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
.venv/bin/python -m venv "$work/venv"
"$work/venv/bin/pip" install -q pip-tools
echo 'setuptools>=77' >"$work/build.in"
"$work/venv/bin/pip-compile" -q --upgrade --generate-hashes --allow-unsafe --strip-extras --no-annotate --no-header \
    --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --extra dev -o "$work/lock" pyproject.toml "$work/build.in"
{
    echo "# Names, versions and hashes of everything that development and tests use; \`make lock\` rewrites it."
    cat "$work/lock"
} >requirements.lock
