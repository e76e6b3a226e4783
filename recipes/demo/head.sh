#!/usr/bin/env bash
# The demo's head and ranking from its target: the target writes, its words are counted, the head learns from them.
# Usage: recipes/demo/head.sh TARGET CORPORA OUT      DOCUMENTS=12288 STEPS=5000 by default. Interrupt it at will.
set -euo pipefail
target=$1 corpora=$2 out=$3 here=$(dirname "$0")
# One thread a worker, and blocks of memory that are kept: see "Speed" in README.md.
export OMP_NUM_THREADS=1 MALLOC_MMAP_THRESHOLD_=33554432 MALLOC_TRIM_THRESHOLD_=8000000000 MALLOC_TOP_PAD_=268435456
say() { printf '\n$ %s\n' "$*" >&2; "$@"; }
say python "$here/prompts.py" "$corpora" "$out/prompts.jsonl"
say python "$here/own_words.py" "$target" "$corpora" "$out/own_words" --documents "${DOCUMENTS:-12288}"
say frspec rank --tokenizer "$target" "$out/own_words" -o "$out/demo.ranking"
say frspec train "$target" --data "$out/own_words" -o "$out/head" --dtype bfloat16 --workers 2 \
    --ranking "$out/demo.ranking" --draft-vocab 8192 --seq-len 640 --steps "${STEPS:-5000}" --eval-every 1000 \
    --held-out 0.01
