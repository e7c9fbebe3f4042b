#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# usage: probe.sh HEADER PROBES CC [FLAG]...
# Compiles each PROBES/NAME.c with CC and the kernel's flags and writes HEADER: "#define HAVE_NAME 1" for those that
# compile. PROBES/always.c must compile: if it does not, the kernel's headers can not be used and the build ends here.
# What a probe defines for others to see is called probe.
set -eu

header=$1
probes=$2
shift 2

output=$(dirname "$header")/.probe
rm -rf "$output"
mkdir -p "$output"
trap 'rm -rf "$output"' EXIT

# A wrong argument type or a missing declaration is only a warning in some kernels' flags; others must not count.
check() {
	source=$1
	shift
	LC_ALL=C "$@" -Wno-error -Werror=implicit-function-declaration -Werror=incompatible-pointer-types \
		-Werror=int-conversion -fsyntax-only -fmax-errors=0 -fno-diagnostics-color "$source"
}

# Nearly all of the time goes into the kernel's headers: one compilation for all, in which each probe has its own names.
compile_together() {
	for probe in "$probes"/*.c; do
		printf '#define probe probe_%s\n#include "%s"\n#undef probe\n' "$(basename "$probe" .c)" "$probe"
	done >"$output/all.c"
	if check "$output/all.c" "$@" 2>"$output/all.log"; then
		: >"$output/failed"
		return 0
	fi
	# A header that is missing ends a compilation; an error that is not in a probe's own file is nobody's.
	if grep -q 'fatal error:' "$output/all.log"; then
		return 1
	fi
	sed -n 's/^\([^:]*\):[0-9:]* error: .*/\1/p' "$output/all.log" | sort -u >"$output/failed"
	[ -s "$output/failed" ] || return 1
	while read -r file; do
		case $file in
		"$probes"/*.c) ;;
		*) return 1 ;;
		esac
	done <"$output/failed"
}

compile_apart() {
	for probe in "$probes"/*.c; do
		check "$probe" "$@" >"$output/$(basename "$probe" .c).log" 2>&1 || : >"$probe_failed/$(basename "$probe")" &
	done
	wait
	for probe in "$probes"/*.c; do
		if [ -e "$probe_failed/$(basename "$probe")" ]; then
			echo "$probe"
		fi
	done >"$output/failed"
}

if ! compile_together "$@"; then
	probe_failed=$output/apart
	mkdir "$probe_failed"
	compile_apart "$@"
fi

if grep -qxF "$probes/always.c" "$output/failed"; then
	echo "probe.sh: the kernel headers can not be used:" >&2
	check "$probes/always.c" "$@" >&2 || :
	exit 1
fi
{
	echo '/* Made by probe.sh from the headers of the kernel that the module is built for. */'
	for probe in "$probes"/*.c; do
		if ! grep -qxF "$probe" "$output/failed"; then
			echo "#define HAVE_$(basename "$probe" .c | tr '[:lower:]' '[:upper:]') 1"
		fi
	done
} >"$header.new"
mv "$header.new" "$header"
