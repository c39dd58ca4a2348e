#!/usr/bin/env bash
# Packages the chart as it is released: it knows its version, its image and where its runbooks are.
# package-chart.sh VERSION IMAGE SOURCE FOLDER
set -euo pipefail
version=$1 image=$2 source=$3 folder=$4
helm=${HELM:-helm}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -R "$(dirname "${BASH_SOURCE[0]}")/../chart" "$work/the-machine"
values=$work/the-machine/values.yaml

sed -i \
    -e "s|^  repository: \"\"\$|  repository: $image|" \
    -e "s|^  runbookUrl: \"\"\$|  runbookUrl: $source/blob/v$version/docs/runbooks.md#|" \
    "$values"
if [ "$(grep -c -e "^  repository: $image\$" -e "^  runbookUrl: $source/" "$values")" != 2 ]; then
    echo "values.yaml has another shape than this script expects" >&2
    exit 1
fi
"$helm" package "$work/the-machine" --version "$version" --app-version "$version" --destination "$folder"
