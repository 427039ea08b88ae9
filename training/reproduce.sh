#!/usr/bin/env bash
# How the shipped weights were made, from the sets under DATA to a release: training/reproduce.sh DATA RUNS OUT
#
# DATA holds celebamask-mini, hair, facesynthetics, landmarks68 and wide. Every run goes on where it was
# stopped, so the script may be started again. In all about 630 minutes on two cores.
set -euo pipefail
if [ $# -ne 3 ]; then
    echo "usage: training/reproduce.sh DATA RUNS OUT" >&2
    exit 2
fi
data=$1 runs=$2 out=$3
training() { "${PYTHON:-python}" -m training "$@"; }

# label TEACHED ARGUMENTS...: label the photos without labels by trained networks.
label() {
    local taught=$1
    shift
    training label "$@" --data "$data/hair" --only 'celeb1k_*' --out "$taught/hair"
    training label "$@" --data "$data/celebamask-mini/unlabelled" --out "$taught/unlabelled"
    training label "$@" --data "$data/landmarks68" ${wild:+--only "$wild"} --out "$taught/landmarks68"
}

# fit CONFIG NAME SETS ARGUMENTS...: train, with labels made before.
fit() {
    local config=$1 name=$2 sets=$3
    shift 3
    training fit --config "$config" --data "$data" --data "$sets" --out "$runs/$name" "$@"
}

training fit --config teacher --data "$data" --out "$runs/teacher"
teacher=$runs/teacher/teacher.safetensors
weights() { echo "$runs/$1/face.safetensors"; }

# The teacher's labels, from random weights.
wild='' label "$runs/data/taught" --weights "$teacher"
fit crop crop "$runs/data"
fit finish finish "$runs/data" --init "$(weights crop)"

# From here on what is trained labels the photos anew for the next step, at three zooms.
wild='1[0-3]*'
zooms=(--zooms 0.9 1 1.12)
label "$runs/data/taught2" --weights "$(weights finish)" "$teacher" "${zooms[@]}"
fit distil distil "$runs/data" --init "$(weights finish)"
fit necklaces necklaces "$runs/data" --init "$(weights distil)"
label "$runs/anew/taught2" --weights "$(weights necklaces)" "$teacher" "${zooms[@]}"
longer='phases=[{name="end_to_end",epochs=36,learning_rate=1e-3,coarse_rate=0.5}]'
fit necklaces again "$runs/anew" --init "$(weights necklaces)" --set seed=5 --set "$longer"
label "$runs/more/taught2" --weights "$(weights again)" "$(weights distil)" "${zooms[@]}"
fit mixing mixing "$runs/more" --init "$(weights again)"
label "$runs/mixed/taught2" --weights "$(weights mixing)" "${zooms[@]}"
fit fine fine "$runs/mixed" --init "$(weights mixing)"
label "$runs/worn/taught2" --weights "$(weights fine)" "${zooms[@]}"
fit wigs wigs "$runs/worn" --init "$(weights fine)"

# The whole head: what parses face crops labels heads and shoulders by zooms.
taught=$runs/head/taught
wide=(--weights "$(weights wigs)" --frames 2.2 --zooms 2 1.6 1.3 1)
training label "${wide[@]}" --data "$data/wide" --out "$taught/wide"
training label "${wide[@]}" --data "$data/hair" --only 'figaro_*' --out "$taught/figaro"
training label --weights "$(weights wigs)" --data "$data/hair" --only 'celeb1k_*' --out "$taught/hair"
training label --weights "$(weights wigs)" --data "$data/celebamask-mini/unlabelled" --out "$taught/unlabelled"
fit realtime realtime "$runs/head" --init "$(weights wigs)"

final=$runs/realtime/realtime.safetensors
"${PYTHON:-python}" -m engines release --weights "$final" --out "$out" --half --calibration "$taught/wide/images"
training evaluate --weights "$out/realtime.safetensors" --data "$data/celebamask-mini" --protocol pipeline
training evaluate --weights "$out/realtime.safetensors" --data "$data/hair" --protocol pipeline --held-out realtime

# The paper's network, for comparison.
training fit --config paper --data "$data" --out "$runs/paper"
"${PYTHON:-python}" -m engines release --weights "$runs/paper/paper.safetensors" --out "$out" --half --weights-only
