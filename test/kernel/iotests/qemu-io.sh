#!/bin/bash
# Stands for qemu-io in QEMU's iotests: what only reads and writes a QCOW2 image is done by way of the target in a guest, which
# serves images by NBD; all else by qemu-io itself. Needs in the environment:
#   BLKFLEET_QEMU_IO   the program itself
#   BLKFLEET_PORTS     each of a qcow2-serve, on this machine
#   BLKFLEET_LOG       a file that gets a line a call: test, how it was done, commands. Ways are device, itself, and, where the
#                      image could not be attached, agreed (QEMU does not open it either) and refused
commands=()
options=()
mode=rw
plain=yes
file=

while [ $# -gt 0 ]; do
	case $1 in
	-c) commands+=("$2") && shift ;;
	-f)
		[ "$2" = qcow2 ] || plain=no
		options+=(-f "$2") && shift
		;;
	--cache | --aio | -t | -d | --discard) options+=("$1" "$2") && shift ;;
	-r) mode=ro && options+=(-r) ;;
	-n | -k) options+=("$1") ;;
	-*) plain=no && options+=("$1") ;;
	*)
		[ -z "$file" ] || plain=no
		file=$1
		;;
	esac
	shift
done

# A command that a disk of any format can do.
is_plain() {
	local word
	local -a words
	read -ra words <<<"$1"
	case ${words[0]} in
	'' | read | readv | r | write | writev | w | aio_read | aio_write | aio_flush | flush | f | discard | d | quit | q) ;;
	*) return 1 ;;
	esac
	for word in "${words[@]:1}"; do
		# Compressed data and a machine's state are QCOW2's own.
		[[ $word =~ ^-[a-zA-Z]*[bc] ]] && return 1
	done
	return 0
}

input=
if [ ${#commands[@]} = 0 ]; then
	input=$(cat; echo .)
	input=${input%.}
fi
while IFS= read -r command; do
	is_plain "$command" || plain=no
done < <(printf '%s\n' "${commands[@]}" "$input")
[ -f "$file" ] && [ "$(head -c 3 "$file")" = QFI ] || plain=no

given=()
for command in "${commands[@]}"; do given+=(-c "$command"); done

tell() {
	local test
	test=$(tr '\0' '\n' <"/proc/$PPID/cmdline" | sed -n 's|.*/\([0-9a-z-]*\)$|\1|p' | tail -1)
	printf '%s\t%s\t%s\n' "$test" "$1" "$(printf '%s; ' "${commands[@]}" "$input" | tr '\n' ' ' | cut -c 1-200)" >>"$BLKFLEET_LOG"
}

run() {
	if [ ${#commands[@]} = 0 ]; then printf %s "$input" | "$BLKFLEET_QEMU_IO" "$@"; else "$BLKFLEET_QEMU_IO" "$@" "${given[@]}"; fi
}

# A server that serves nobody.
take_port() {
	for port in $BLKFLEET_PORTS; do
		exec 5>"$BLKFLEET_LOG.$port"
		flock -n 5 && return
	done
	flock 5
}

way=itself
if [ $plain = yes ]; then
	case $file in /*) path=$file ;; *) path=$PWD/$file ;; esac
	take_port
	export="nbd://127.0.0.1:$port/$mode:$path"
	exec 4>&1
	errors=$(run "${options[@]/#qcow2/raw}" "$export" 2>&1 >&4)
	code=$?
	# Who is greeted comes after the image was detached.
	exec 3<>"/dev/tcp/127.0.0.1/$port"
	head -c 18 <&3 >/dev/null
	exec 3>&- 5>&-
	if [[ $errors != *"can't open device nbd:"* ]]; then
		tell device
		[ -z "$errors" ] || printf '%s\n' "$errors" >&2
		exit $code
	fi
	way=refused
	"$BLKFLEET_QEMU_IO" "${options[@]}" -c quit "$file" >/dev/null 2>&1 || way=agreed
fi
tell $way
if [ -n "$file" ]; then run "${options[@]}" "$file"; else run "${options[@]}"; fi
