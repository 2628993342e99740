#!/bin/sh
# Everything that can be said about the code without running it. All checks run; the first failure decides the exit.
cd "$(dirname "$0")/.." || exit 1
bin=.venv/bin
failed=0

check() {
    title=$1
    shift
    if output=$("$@" 2>&1); then
        echo "ok      $title"
    else
        echo "FAILED  $title"
        printf '%s\n' "$output"
        failed=1
    fi
}

draft=$(mktemp -d)
trap 'rm -rf "$draft"' EXIT
check "format (ruff)" $bin/ruff format --check .
check "lint (ruff)" $bin/ruff check .
check "types (mypy --strict)" $bin/mypy
check "layering (import-linter)" env PYTHONPATH=src $bin/lint-imports --no-cache
check "launcher compiles without a warning" $bin/python buildsystem/launcher.py "$draft/wherry-launcher"
check "steps.h and launcher.md are those of the steps" env PYTHONPATH=src $bin/python -m scripts.step_table --check
check "no committed file names a package registry" sh scripts/no_registry.sh
exit $failed
