#!/usr/bin/env bash
# `make bench`: measures four fresh validators on this machine. Arguments go to `tonle bench`.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/network.sh

build
use_scratch
start_network "$scratch/network" --api-port 0 --p2p-port 0
"$tonle" bench "$@"
