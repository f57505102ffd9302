#!/usr/bin/env bash
# Everything about this machine's GPU, in at most nine minutes and without the network:
#   benchmarks/gpu.sh          all steps
#   benchmarks/gpu.sh quick    card, tests and launches, two and a half minutes
#   benchmarks/gpu.sh --steps 3 4    these, added to the results that lie there
#   benchmarks/gpu.sh --cpu    a rehearsal without a GPU, with tiny sizes
# --limit SECONDS: of another length.
# Needs torch >= 2.11, Triton, torchmetrics, timm and matplotlib; what else is missing is installed from .whl/ (`make gpu-wheels`).
# --out FOLDER: of results.json and log.txt, runs/gpu by default. The exit status is the number of failed steps.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
python=${PYTHON:-python3}

site=$(mktemp -d)
trap 'rm -rf "$site"' EXIT
for wheel in "$root"/.whl/*.whl; do
    [ -e "$wheel" ] || continue
    name=$(basename "$wheel")
    "$python" -c "import importlib.metadata, sys; importlib.metadata.version(sys.argv[1])" "${name%%-*}" 2>/dev/null ||
        "$python" -m pip install --quiet --no-index --find-links "$root/.whl" --no-deps --no-compile --no-warn-script-location \
            --disable-pip-version-check --target "$site" "$wheel" || echo "left out: $name"
done

export PYTHONPATH="$root:$root/examples:$root/benchmarks:$site${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1
"$python" "$root/benchmarks/gpu.py" --spent "$SECONDS" "$@"
