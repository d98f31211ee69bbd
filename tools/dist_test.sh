#!/usr/bin/env bash
# Usage: tools/dist_test.sh CONFIG CHECKPOINT NUM_GPUS [arguments of tools/test.py]
# NNODES, NODE_RANK, MASTER_ADDR and PORT are taken from the environment.
set -euo pipefail
config=$1 checkpoint=$2 gpus=$3
torchrun --nnodes="${NNODES:-1}" --node_rank="${NODE_RANK:-0}" --master_addr="${MASTER_ADDR:-127.0.0.1}" \
  --master_port="${PORT:-29500}" --nproc_per_node="$gpus" "$(dirname "$0")/test.py" "$config" "$checkpoint" \
  --launcher pytorch "${@:4}"
