#!/usr/bin/env bash
# One night against one run over everything: the same fleet, the same result, and where the time goes.
#
#     cargo build --release
#     benches/nightly.sh FOLDER [VEHICLES] [DAYS] [MODEL] [score|simulate]
#
# Makes a fleet with a file a day, takes its last day away, forms the state from the others, brings the day back, and
# then scores (or simulates) once with the state and once whole. FOLDER needs about 20 bytes for each vehicle and day,
# the state of `score` about 30 for each vehicle and day of the last 120, that of `simulate` about 17 for each vehicle
# and day. The two content hashes must agree.
set -euo pipefail

folder=${1:?a folder to work in, which must not exist}
vehicles=${2:-1000000}
days=${3:-365}
model=${4:-ev-passenger}
command=${5:-score}
fleetwear=${FLEETWEAR:-$(dirname "$0")/../target/release/fleetwear}

time_command=$(type -P time || true)
[ -x "${time_command:-/nonexistent}" ] || { echo 'GNU time is missing: install the package `time`' >&2; exit 1; }

mkdir "$folder"
# A run by its name: its result in the folder of that name, what it says and its peak memory beside.
run() {
    local name=$1
    shift
    "$time_command" -f '%M' -o "$folder/$name.peak" "$fleetwear" "$command" --data "$folder/fleet" --model "$model" \
        --backend cpu --quiet --out "$folder/$name" "$@" > "$folder/$name.txt"
}
# The seconds of a stage, from a manifest.
seconds() {
    awk -v stage="\"$2\"," '$1 == "\"stage\":" && $2 == stage { getline; print $2 }' "$1/manifest.json" | tr -d ,
}
hash_of() { awk '$1 == "\"content_hash\":" { print $2 }' "$1/manifest.json"; }

"$fleetwear" synth --vehicles "$vehicles" --days "$days" --layout day --model "$model" --out "$folder/fleet" --quiet
last=$(find "$folder/fleet/histories" -name '*.parquet' | sort | tail -n 1)
mv "$last" "$folder/last.parquet"
run first --state "$folder/state"
mv "$folder/last.parquet" "$last"
du -sh "$folder/fleet" "$folder/state"

# Read once, so that neither run finds the disk colder than the other.
cat "$folder"/fleet/histories/*.parquet > /dev/null
begin=$(date +%s.%N)
run night --state "$folder/state"
middle=$(date +%s.%N)
run whole
end=$(date +%s.%N)

[ "$(hash_of "$folder/night")" = "$(hash_of "$folder/whole")" ] || { echo "the contents differ"; exit 9; }
echo "one content: $(hash_of "$folder/whole")"
show() {
    for stage in "$@"; do
        printf '%-14s night %9.3f s   whole %9.3f s\n' \
            "$stage" "$(seconds "$folder/night" "$stage")" "$(seconds "$folder/whole" "$stage" | grep . || echo 0)"
    done
}
if [ "$command" = score ]; then
    show plan scan scan.read scan.pack scan.kernel finish write \
        state.load state.log state.repeats state.merge state.reform state.store
    awk -v scan="$(seconds "$folder/night" scan)" -v log_="$(seconds "$folder/night" state.log)" \
        -v whole="$(seconds "$folder/whole" scan)" 'BEGIN {
            printf "reading and kernel: %.3f s against %.3f s, %.1f times\n", scan + log_, whole, whole / (scan + log_)
        }'
else
    show pack cohorts futures monitors total
fi
awk -v begin="$begin" -v middle="$middle" -v end="$end" 'BEGIN {
    printf "whole command: %.2f s against %.2f s, %.1f times\n", middle - begin, end - middle, (end - middle) / (middle - begin)
}'
printf 'peak memory: night %d MiB, whole %d MiB\n' $(($(<"$folder/night.peak") / 1024)) $(($(<"$folder/whole.peak") / 1024))
