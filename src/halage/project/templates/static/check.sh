#!/bin/sh
# Checks the pages: each has a title and a language, and each local link leads to a file.
# Leaves a JUnit report, so that Halage shows each check.
set -u
report=.halage/reports/check.xml
mkdir -p "${report%/*}"
failed=0 total=0 cases=

check() {
    name=$1
    shift
    total=$((total + 1))
    if "$@"; then
        echo "ok    $name"
        cases="$cases<testcase classname=\"pages\" name=\"$name\"/>"
    else
        echo "FAIL  $name"
        failed=$((failed + 1))
        cases="$cases<testcase classname=\"pages\" name=\"$name\"><failure message=\"$name\"/></testcase>"
    fi
}

exists() {
    [ -f "public/${1#/}" ]
}

for page in public/*.html; do
    check "$page has a title" grep -q '<title>..*</title>' "$page"
    check "$page has a language" grep -q '<html lang="' "$page"
    for link in $(grep -oE '(href|src)="/[^"]+"' "$page" | cut -d'"' -f2 | sort -u); do
        check "$page leads to $link" exists "$link"
    done
done

printf '<testsuites><testsuite name="check.sh" tests="%s" failures="%s">%s</testsuite></testsuites>\n' \
    "$total" "$failed" "$cases" > "$report"
echo "$total checks, $failed failed"
[ "$failed" = 0 ]
