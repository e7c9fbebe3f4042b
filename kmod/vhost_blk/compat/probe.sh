#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# usage: probe.sh HEADER PROBES CC [FLAG]...
# Compiles each PROBES/NAME.c with CC and the kernel's flags and writes HEADER: "#define HAVE_NAME 1" for those that
# compile. PROBES/always.c must compile: if it does not, the kernel's headers can not be used and the build ends here.
set -eu

header=$1
probes=$2
shift 2

output=$(dirname "$header")
mkdir -p "$output"
log=$output/.probe.log
# A wrong argument type or a missing declaration is only a warning in some kernels' flags; others must not count.
compiles() {
	"$@" -Wno-error -Werror=implicit-function-declaration -Werror=incompatible-pointer-types -Werror=int-conversion \
		-fsyntax-only "$probe" >"$log" 2>&1
}

{
	echo '/* Made by probe.sh from the headers of the kernel that the module is built for. */'
	for probe in "$probes"/*.c; do
		name=$(basename "$probe" .c)
		if compiles "$@"; then
			echo "#define HAVE_$(echo "$name" | tr '[:lower:]' '[:upper:]') 1"
		elif [ "$name" = always ]; then
			echo "probe.sh: the kernel headers can not be used:" >&2
			cat "$log" >&2
			rm -f "$log" "$header.new"
			exit 1
		fi
	done
} >"$header.new"
rm -f "$log"
mv "$header.new" "$header"
