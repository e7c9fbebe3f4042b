#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# usage: probe.sh HEADER PROBES CC [FLAG]...
# Compiles each PROBES/NAME.c with CC and the kernel's flags and writes HEADER: "#define HAVE_NAME 1" for those that
# compile. PROBES/always.c must compile: if it does not, the kernel's headers can not be used and the build ends here.
set -eu

header=$1
probes=$2
shift 2

output=$(dirname "$header")/.probe
rm -rf "$output"
mkdir -p "$output"
trap 'rm -rf "$output"' EXIT

# A wrong argument type or a missing declaration is only a warning in some kernels' flags; others must not count.
compile() {
	if "$@" -Wno-error -Werror=implicit-function-declaration -Werror=incompatible-pointer-types \
		-Werror=int-conversion -fsyntax-only "$probes/$name.c" >"$output/$name.log" 2>&1; then
		: >"$output/$name.ok"
	fi
}

for probe in "$probes"/*.c; do
	name=$(basename "$probe" .c)
	compile "$@" &
done
wait

if [ ! -e "$output/always.ok" ]; then
	echo "probe.sh: the kernel headers can not be used:" >&2
	cat "$output/always.log" >&2
	exit 1
fi
{
	echo '/* Made by probe.sh from the headers of the kernel that the module is built for. */'
	for probe in "$probes"/*.c; do
		name=$(basename "$probe" .c)
		if [ -e "$output/$name.ok" ]; then
			echo "#define HAVE_$(echo "$name" | tr '[:lower:]' '[:upper:]') 1"
		fi
	done
} >"$header.new"
mv "$header.new" "$header"
