#!/usr/bin/env bash
# Runs a script of this checkout with a Node.js that is new enough: scripts/with-node.sh scripts/test.ts [ARG…]
set -euo pipefail
self="${BASH_SOURCE[0]}"
[[ "$self" == */* ]] || self="./$self"
root="$(cd -P "${self%/*}/.." && printf '%s' "$PWD")"
cd "$root"

source "$root/scripts/node.sh"
exec "$node" --disable-warning=ExperimentalWarning "$@"
