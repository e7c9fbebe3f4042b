#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# usage: probe.sh PROBES CC [FLAG]...
# Prints "#define HAVE_NAME 1" for each PROBES/NAME.c that CC compiles with the kernel's flags. PROBES/always.c has to.
set -eu

probes=$1
shift
# A wrong type or a missing declaration is only a warning in some kernels' flags.
strict='-Wno-error -Werror=implicit-function-declaration -Werror=incompatible-pointer-types -Werror=int-conversion'

# shellcheck disable=SC2086
found=$(
	for probe in "$probes"/*.c; do
		"$@" $strict -fsyntax-only "$probe" 2>/dev/null && basename "$probe" .c &
	done
	wait
)
case $found in
*always*) ;;
*)
	"$@" -fsyntax-only "$probes/always.c" >&2 || :
	echo "probe.sh: the kernel headers can not be used" >&2
	exit 1
	;;
esac
echo "$found" | LC_ALL=C sort | tr '[:lower:]' '[:upper:]' | sed 's/.*/#define HAVE_& 1/'
