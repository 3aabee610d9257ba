#!/bin/sh
# Writes the expected outputs anew with the tool itself: HELM=/path/to/helm tests/corpus/helm/bless.sh
set -eu
cd "$(dirname "$0")"
for case in */; do
    case=${case%/}
    args=$(sed -n 's/^args = \[\(.*\)\]$/\1/p' "$case/case.toml" | sed 's/", "/" "/g')
    rm -f "$case/expected.yaml" "$case/expected-error.txt"
    if ! eval "${HELM:-helm} template demo $case/chart -n apps -f $case/values.yaml --kube-version 1.33.2 $args" \
        >"$case/expected.yaml" 2>"$case/expected-error.txt"; then
        rm "$case/expected.yaml"
    else
        rm "$case/expected-error.txt"
    fi
done
