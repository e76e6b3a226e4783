#!/usr/bin/env bash
# The whole idea on one model and one corpus: rank, train, compare, generate.
# Usage: recipes/pipeline.sh MODEL CORPUS [OUT]      STEPS=200 PROMPTS=8 by default: a look, not a result.
set -euo pipefail
model=${1:-} corpus=${2:-} out=${3:-out} steps=${STEPS:-200} prompts=${PROMPTS:-8}
if [ -z "$model" ] || [ -z "$corpus" ]; then
    echo "name a corpus to learn from, and a model unless it is to be the one that comes with frspec:" >&2
    echo "    make pipeline CORPUS=texts.jsonl MODEL=folder-or-hub-id" >&2
    exit 2
fi
say() { printf '\n\033[1m$ %s\033[0m\n' "$*" >&2; "$@"; }
echo "A small run of the pipeline on $model: $steps training steps, $prompts prompts. Not a benchmark result." >&2
say python recipes/split.py "$out" "$corpus"
say frspec rank --tokenizer "$model" "$out/train.jsonl" -o "$out/ranking"
say frspec show "$out/ranking"
say frspec train "$model" --data "$out/train.jsonl" -o "$out/head" --steps "$steps"
say frspec bench "$out/heldout.jsonl" --model "$model" --draft ngram --draft "$out/head" --ranking "$out/ranking" \
    --draft-vocab full,0.99,0.9 --prompt-tokens 16 --limit "$prompts"
say frspec demo --model "$model" --draft "$out/head" --ranking "$out/ranking"
