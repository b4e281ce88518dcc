#!/bin/sh
# Writes what Halage knows of this build into the pages; without Halage they stay as they are.
set -eu
commit=$(printf '%.7s' "${HALAGE_COMMIT:-}")
project=${HALAGE_PROJECT:-}
for page in public/*.html; do
    [ -z "$commit" ] || sed -i "s|<code>working copy</code>|<code>$commit</code>|" "$page"
    [ -z "$project" ] || sed -i "s|Landing stage|$project|" "$page"
done
