import { shellWords } from '../../../lib/shell.ts';
import type { Step } from '../../kind.ts';
import { sha256 } from '../changes.ts';
import { fileFunctions, fileGuard } from '../host-files.ts';
import { SERVED, SOCKETS, servedPath, socketOf, TEMPLATES, unitName, wantsPath } from '../paths.ts';
import { MARK } from './files.ts';
import type { BridgePlan, LeaveWork, ServeWork } from './plan.ts';
import { WAITING } from './probe.ts';

/** Longer than the bridge waits for a disk that others look into, and for a frontend to come back. */
const START_S = 90;

/** A step for each disk: those that go first, as another one may take up what they have. */
export function bridgeSteps({ serve, leave }: BridgePlan): Step[] {
  return [...leave.map(leaveStep), ...serve.map(serveStep)];
}

/**
 * `_alone NAME` takes its socket out of reach and is true where nobody is connected then; else the socket is put back. A
 * frontend whose bridge was started a moment ago gets the time to come back first. `_back NAME` puts it back.
 */
const functions = `qemu_drive_defaults_back() {
  if [ ! -S "${SOCKETS}/$1.sock.blkfleet" ]; then return 0; fi
  if [ ! -S "${SOCKETS}/$1.sock" ]; then mv -f -- "${SOCKETS}/$1.sock.blkfleet" "${SOCKETS}/$1.sock"; fi
  rm -f -- "${SOCKETS}/$1.sock.blkfleet"
}
qemu_drive_defaults_alone() {
  if [ -n "$(find "${SOCKETS}/$1.sock" -newermt '-5 seconds' 2>/dev/null)" ]; then sleep 3; fi
  if [ -S "${SOCKETS}/$1.sock" ]; then
    trap "qemu_drive_defaults_back $1" EXIT
    mv -f -- "${SOCKETS}/$1.sock" "${SOCKETS}/$1.sock.blkfleet"
    # Who was about to connect has done so, and the unit has said it.
    sleep 0.5
  fi
  qemu_drive_defaults_said=$(systemctl show -p ActiveState -p SubState -p StatusText -- "vhost-blk@$1.service")
  case $qemu_drive_defaults_said in
    *ActiveState=inactive*|*ActiveState=failed*|*SubState=auto-restart*) return 0;;
    *ActiveState=active*) case $qemu_drive_defaults_said in *'StatusText=${WAITING}'*) return 0;; esac;;
  esac
  qemu_drive_defaults_back "$1"
  echo "vhost-blk@$1: a guest has connected since it was planned; it is left as it is" >&2
  return 1
}
`;

function serveStep(work: ServeWork): Step {
  const { name, source, write, unit, boot } = work;
  const conf = servedPath(name);
  const bytes = write && Buffer.from(write.to, 'latin1');
  return {
    title: `serve ${name} by ${unitName(name)}`,
    ...(write ? { guard: fileGuard(conf, write.from, write.to) } : {}),
    script: `${fileFunctions}${functions}umask 022
qemu_drive_defaults_template=
for qemu_drive_defaults_f in ${TEMPLATES.join(' ')}; do
  if [ -f "$qemu_drive_defaults_f" ]; then qemu_drive_defaults_template=$qemu_drive_defaults_f; break; fi
done
[ -n "$qemu_drive_defaults_template" ] || qemu_drive_defaults_die 'the bridge (unit vhost-blk@) is not installed: a task before this one has to do that'
mkdir -p ${SERVED}
qemu_drive_defaults_systemd=
if [ -d /run/systemd/system ]; then qemu_drive_defaults_systemd=1; fi
${unit === 'leave' ? '' : unitScript(work)}${write && unit === 'leave' ? `qemu_drive_defaults_put ${sha256(write.to)} ${conf}\n` : ''}${
  boot
    ? `mkdir -p ${wantsPath(name).replace(/\/[^/]*$/, '')}
ln -s -f -n -- "$qemu_drive_defaults_template" ${wantsPath(name)}
if [ -n "$qemu_drive_defaults_systemd" ]; then systemctl daemon-reload; fi
`
    : ''
}echo ${shellWords([`${name}: ${source}`])}
`,
    ...(write && bytes ? { payloads: [{ sha256: sha256(write.to), bytes }] } : {}),
    deadline: 3 * START_S,
  };
}

/**
 * A file with which the unit does not start is taken back, and the unit goes on as it was. One that is new stays, and the unit
 * is stopped: it would try again for ever.
 */
function unitScript({ name, source, write, unit, underGuest }: ServeWork): string {
  const conf = servedPath(name);
  const service = unitName(name);
  return `[ -e ${source} ] || qemu_drive_defaults_die ${shellWords([`${name}: ${source} is not there: a task before this one has to make it`])}
qemu_drive_defaults_failed() {
  echo "${service} does not start:" >&2
  journalctl -q --no-pager -o cat -n 4 -u ${service} >&2 || :
  if [ -f ${conf}.blkfleet-old ]; then
    mv -f -- ${conf}.blkfleet-old ${conf}
    timeout ${START_S} systemctl restart ${service} || :
    echo 'its file is the former one again' >&2
  ${unit === 'start' ? `else systemctl stop --no-block ${service} || :` : ''}
  fi
  exit 1
}
if [ -n "$qemu_drive_defaults_systemd" ]; then systemctl daemon-reload; fi
qemu_drive_defaults_back ${name}
${underGuest ? '' : `if [ -n "$qemu_drive_defaults_systemd" ]; then qemu_drive_defaults_alone ${name} || exit 1; fi\n`}rm -f -- ${conf}.blkfleet-old
${
  write
    ? `if [ -f ${conf} ]; then cp -p -- ${conf} ${conf}.blkfleet-old; fi
qemu_drive_defaults_put ${sha256(write.to)} ${conf}
`
    : ''
}if [ -n "$qemu_drive_defaults_systemd" ]; then
  timeout ${START_S} systemctl ${unit} ${service} || qemu_drive_defaults_failed
  [ -S ${socketOf(name)} ] || qemu_drive_defaults_die '${service} runs, and ${socketOf(name)} is not there'
  rm -f -- ${socketOf(name)}.blkfleet
fi
rm -f -- ${conf}.blkfleet-old
`;
}

function leaveStep({ name, boot, end }: LeaveWork): Step {
  const conf = servedPath(name);
  const service = unitName(name);
  const marked = `{ IFS= read -r qemu_drive_defaults_l < ${conf}; } 2>/dev/null || exit 0
case $qemu_drive_defaults_l in '${MARK}'*) ;; *) echo '${conf} changed since it was planned' >&2; exit 1;; esac
`;
  return {
    title: end ? `end ${service}` : `do not start ${service} at boot`,
    guard: marked,
    script: `${functions}qemu_drive_defaults_systemd=
if [ -d /run/systemd/system ]; then qemu_drive_defaults_systemd=1; fi
${
  boot
    ? `rm -f -- ${wantsPath(name)}
if [ -n "$qemu_drive_defaults_systemd" ]; then systemctl daemon-reload; fi
`
    : ''
}${
  end
    ? `if [ -n "$qemu_drive_defaults_systemd" ]; then
  qemu_drive_defaults_back ${name}
  qemu_drive_defaults_alone ${name} || exit 1
  timeout ${START_S} systemctl stop ${service}
  systemctl reset-failed ${service} 2>/dev/null || :
fi
rm -f -- ${shellWords([conf, `${conf}.blkfleet-new`, `${conf}.blkfleet-old`])}
rm -f -- ${[socketOf(name), `${socketOf(name)}.lock`, `${socketOf(name)}.blkfleet`].join(' ')}
for qemu_drive_defaults_d in ${SERVED} ${SERVED.replace(/\/[^/]*$/, '')} ${SOCKETS}; do
  if [ -d "$qemu_drive_defaults_d" ]; then rmdir -- "$qemu_drive_defaults_d" 2>/dev/null || :; fi
done
`
    : ''
}`,
    deadline: 2 * START_S,
  };
}
