#!/usr/bin/env bash
# Peak memory of `fleetwear score` at 10 k and 1 M vehicles, and at two lengths of history, as a Markdown table.
#
#     cargo build --release && benches/memory.sh [FOLDER FOR THE DATA]
#
# The promise: 512 MiB + 200 bytes per vehicle and failure mode + the id table (17 letters and 16 bytes a vehicle
# here), however long the history is. Needs GNU time and about 4 GB of disk.
set -euo pipefail
cd "$(dirname "$0")/.."

binary=${FLEETWEAR:-$PWD/target/release/fleetwear}
data=$(mktemp -d "${1:-${TMPDIR:-/tmp}}/fleetwear-memory.XXXXXX")
trap 'rm -rf "$data"' EXIT
time_command=$(type -P time || true)
[ -x "${time_command:-/nonexistent}" ] || { echo 'GNU time is missing: install the package `time`' >&2; exit 1; }

modes=6
id_bytes=33
echo '| vehicles | days | rows | layout | peak MiB | allowed MiB | seconds |'
echo '|---|---|---|---|---|---|---|'
for case in '10000 365 vehicle' '10000 1460 vehicle' '10000 365 day' '1000000 10 vehicle' '1000000 10 day' '1000000 40 vehicle'; do
    read -r vehicles days layout <<<"$case"
    fleet=$data/fleet scores=$data/scores
    "$binary" synth --quiet --vehicles "$vehicles" --days "$days" --layout "$layout" --out "$fleet" >/dev/null
    "$time_command" -f '%M %e' -o "$data/time" \
        "$binary" score --quiet --json --data "$fleet" --model ev-passenger --out "$scores" >"$data/report.json"
    read -r peak_kib seconds <"$data/time"
    rows=$(sed -n 's/.*"rows_in": *\([0-9]*\).*/\1/p' "$data/report.json" | head -1)
    allowed_mib=$((512 + vehicles * (200 * modes + id_bytes) / 1048576))
    echo "| $vehicles | $days | $rows | $layout | $((peak_kib / 1024)) | $allowed_mib | $seconds |"
    rm -rf "$fleet" "$scores"
    if [ $((peak_kib / 1024)) -gt "$allowed_mib" ]; then
        echo "over the limit at $vehicles vehicles" >&2
        exit 1
    fi
done
