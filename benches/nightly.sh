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

mkdir "$folder"
run() { "$fleetwear" "$command" --data "$folder/fleet" --model "$model" --backend cpu --quiet "$@"; }
# The seconds of a stage, from a manifest.
seconds() {
    awk -v stage="\"$2\"," '$1 == "\"stage\":" && $2 == stage { getline; print $2 }' "$1/manifest.json" | tr -d ,
}
hash_of() { awk '$1 == "\"content_hash\":" { print $2 }' "$1/manifest.json"; }

"$fleetwear" synth --vehicles "$vehicles" --days "$days" --layout day --model "$model" --out "$folder/fleet" --quiet
last=$(find "$folder/fleet/histories" -name '*.parquet' | sort | tail -n 1)
mv "$last" "$folder/last.parquet"
run --out "$folder/first" --state "$folder/state" > "$folder/first.txt"
mv "$folder/last.parquet" "$last"
du -sh "$folder/fleet" "$folder/state"

# Read once, so that neither run finds the disk colder than the other.
cat "$folder"/fleet/histories/*.parquet > /dev/null
begin=$(date +%s.%N)
run --out "$folder/night" --state "$folder/state" > "$folder/night.txt"
middle=$(date +%s.%N)
run --out "$folder/whole" > "$folder/whole.txt"
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
