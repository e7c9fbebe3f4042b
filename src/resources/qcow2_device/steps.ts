import { shellQuote, shellWords } from '../../lib/shell.ts';
import type { Input, Step } from '../kind.ts';
import {
  CONFIGS,
  configFile,
  configPath,
  HELPER,
  helperFile,
  NOTES,
  notePath,
  type OurFile,
  TOOL,
  unitFile,
  unitName,
  unitPath,
  WANTS,
  wantsPath,
} from './files.ts';
import { isDeclaredImage, workOf } from './plan.ts';
import type { LiveDevice, Qcow2DeviceState } from './probe.ts';
import type { Qcow2DeviceDesired } from './schema.ts';

/** Longer than the helper waits for a device that is still busy, and for what is written out then. */
const DETACH_S = 180;

/** The link for the boot comes last: what could not be attached now is not tried at the next boot. */
export function deviceSteps({ desired }: Input<Qcow2DeviceDesired>, current: Qcow2DeviceState): Step[] {
  const { files, live, hold } = workOf(desired, current);
  const { name } = desired;
  const { device } = current;
  const touched = live.length > 0 && !hold;
  const has = (path: string) => files.some((change) => change.path === path);
  if (desired.state === 'absent') {
    const detached = touched && device ? [detachStep(name, device)] : [];
    if (hold) return has('boot') ? [noBootStep(name)] : [];
    return [...detached, forgetStep(name)];
  }
  const steps: Step[] = [];
  if (files.some(({ path }) => path !== 'boot')) steps.push(filesStep(desired));
  if (touched && device) {
    if (!isDeclaredImage(current, device)) steps.push(checkStep(desired));
    steps.push(detachStep(name, device));
  }
  if (touched) steps.push(attachStep(name));
  if (has('boot')) steps.push(desired.boot ? bootStep(name) : noBootStep(name));
  return steps;
}

function filesStep(desired: Qcow2DeviceDesired): Step {
  const files = [helperFile(), configFile(desired), unitFile(desired)];
  const lines = files.map(({ path, mode, sha256 }: OurFile) => {
    const folder = path.replace(/\/[^/]*$/, '');
    return `mkdir -p ${shellQuote(folder)}\nqcow2_device_put ${shellWords([path, mode.toString(8), sha256])}\n`;
  });
  return {
    title: `write ${configPath(desired.name)} and its unit`,
    script: `umask 022
qcow2_device_put() {
  cp "$BF_PAYLOAD/$3" "$1.blkfleet-new"
  chmod "$2" "$1.blkfleet-new"
  sync "$1.blkfleet-new"
  mv -fT "$1.blkfleet-new" "$1"
}
${lines.join('')}${reload}`,
    payloads: files.map(({ sha256, bytes }) => ({ sha256, bytes })),
    deadline: 90,
  };
}

const reload = 'if [ -d /run/systemd/system ]; then systemctl daemon-reload; fi\n';

/** What the new image is, is looked at while the old one is still attached. */
function checkStep({ image, base, read_only }: Qcow2DeviceDesired): Step {
  const words = [image!, ...base.flatMap((folder) => ['--base', folder])];
  return {
    title: `look into ${image}`,
    script: `if [ ! -e ${shellQuote(image!)} ]; then echo ${shellQuote(`the image ${image} is not there: a task before this one has to make it`)} >&2; exit 1; fi
${TOOL} check ${shellWords(words)}${read_only ? ' --ro' : ''}
`,
    deadline: 60,
  };
}

/** Its guard holds while the device is the planned one, and nobody has it open. */
function detachStep(name: string, { table }: LiveDevice): Step {
  const dm = shellQuote(name);
  return {
    title: `detach ${name}`,
    guard: `qcow2_device_t=$(dmsetup table ${dm} 2>/dev/null) || exit 0
[ "$qcow2_device_t" = ${shellQuote(table)} ] || { echo ${shellQuote(`${name} shows another image than it was planned with`)} >&2; exit 1; }
qcow2_device_o=$(dmsetup info -c --noheadings -o open ${dm}) || exit 0
[ "$qcow2_device_o" = 0 ] || { echo ${shellQuote(`${name} is in use now: not touched`)} >&2; exit 1; }
`,
    script: `if [ -x ${HELPER} ]; then ${HELPER} stop ${dm}
elif [ -x ${TOOL} ]; then ${TOOL} detach ${dm}
else dmsetup remove ${dm}; fi
if dmsetup table ${dm} >/dev/null 2>&1; then echo ${shellQuote(`${name} is still there`)} >&2; exit 1; fi
`,
    deadline: DETACH_S,
  };
}

/** By the helper first, whose words are ours to see; then the unit is started too, which detaches it at shutdown. */
function attachStep(name: string): Step {
  return {
    title: `attach ${name}`,
    script: `${HELPER} start ${shellQuote(name)}
if [ -d /run/systemd/system ]; then systemctl start ${shellQuote(unitName(name))}; fi
`,
    deadline: DETACH_S,
  };
}

function bootStep(name: string): Step {
  return {
    title: `attach ${name} at boot`,
    script: `umask 022
mkdir -p ${WANTS}
ln -sfn ${shellWords([unitPath(name), wantsPath(name)])}
${reload}`,
    deadline: 90,
  };
}

function noBootStep(name: string): Step {
  return {
    title: `do not attach ${name} at boot`,
    script: `rm -f ${shellQuote(wantsPath(name))}\n${reload}`,
    deadline: 90,
  };
}

/** The helper goes with the last unit that uses it; folders where they are empty. */
function forgetStep(name: string): Step {
  const files = [wantsPath(name), unitPath(name), configPath(name), notePath(name)];
  const parents = [CONFIGS, NOTES, HELPER].map((path) => path.replace(/\/[^/]*$/, ''));
  return {
    title: `remove what is kept of ${name}`,
    script: `if [ -d /run/systemd/system ] && [ -e ${shellQuote(unitPath(name))} ]; then systemctl stop ${shellQuote(unitName(name))}; fi
rm -f ${shellWords(files)}
qcow2_device_last=1
for qcow2_device_f in /etc/systemd/system/blkfleet-qcow2-*.service; do
  if [ -e "$qcow2_device_f" ]; then qcow2_device_last=0; fi
done
if [ "$qcow2_device_last" = 1 ]; then rm -f ${HELPER}; fi
for qcow2_device_d in ${shellWords([CONFIGS, NOTES, ...parents])}; do
  if [ -d "$qcow2_device_d" ]; then rmdir "$qcow2_device_d" 2>/dev/null || :; fi
done
if [ -d /run/systemd/system ]; then
  systemctl daemon-reload
  systemctl reset-failed ${shellQuote(unitName(name))} 2>/dev/null || :
fi
`,
    deadline: 90,
  };
}
