import { shellQuote, shellWords } from '../../lib/shell.ts';
import type { Input, PlanContext, Step } from '../kind.ts';
import {
  guardFile,
  type OurFile,
  optionsFile,
  optionsPath,
  unitFile,
  unitName,
  unitPath,
  WANTS,
} from './files.ts';
import { loadStep, unloadScript } from './load.ts';
import { workOf } from './plan.ts';
import type { ModuleState } from './probe.ts';
import { forgetStep, removeGuard } from './remove.ts';
import type { KernelModuleDesired } from './schema.ts';

/**
 * Options before the load, so that they are in force; the unit after it, so that a module which takes the host down now
 * is not loaded again by the boot that follows.
 */
export function moduleSteps(
  { desired }: Input<KernelModuleDesired>,
  current: ModuleState,
  context: PlanContext,
): Step[] {
  const { name } = desired;
  const work = workOf(desired, current, context);
  const live = work.hold ? [] : work.live;
  const steps: Step[] = [];
  if (desired.state === 'absent') {
    if (live.length > 0) steps.push({ title: `unload ${name}`, ...unloadScript(name), deadline: 90 });
    if (work.files.length > 0 || live.length > 0) steps.push(forgetStep(name));
    return steps;
  }
  if (work.files.some(({ path }) => path === 'options')) steps.push(optionsStep(desired));
  if (live.length > 0) steps.push(loadStep(desired, current.loaded !== undefined));
  if (work.files.some(({ path }) => path === 'boot'))
    steps.push(desired.boot ? bootStep(name) : noBootStep(name));
  return steps;
}

function optionsStep(desired: KernelModuleDesired): Step {
  const file = optionsFile(desired);
  const path = optionsPath(desired.name);
  if (!file) return { title: `remove ${path}`, script: `rm -f ${shellQuote(path)}\n`, deadline: 30 };
  return { title: `write ${path}`, ...putFiles([file]), deadline: 30 };
}

function bootStep(name: string): Step {
  const { script, payloads } = putFiles([guardFile(), unitFile(name)]);
  return {
    title: `load ${name} at boot`,
    script: `${script}mkdir -p ${WANTS}
ln -sfn ${shellWords([unitPath(name), `${WANTS}/${unitName(name)}`])}
if [ -d /run/systemd/system ]; then systemctl daemon-reload; fi
`,
    payloads,
    deadline: 90,
  };
}

function noBootStep(name: string): Step {
  return {
    title: `do not load ${name} at boot`,
    script: `rm -f ${shellWords([`${WANTS}/${unitName(name)}`, unitPath(name)])}
${removeGuard}if [ -d /run/systemd/system ]; then systemctl daemon-reload; fi
`,
    deadline: 90,
  };
}

/** Each file appears under its name only when it is complete. The temporary name ends in nothing that modprobe or systemd read. */
function putFiles(files: readonly OurFile[]): Pick<Step, 'script' | 'payloads'> {
  const lines = files.map(({ path, mode, sha256 }) => {
    const folder = path.replace(/\/[^/]*$/, '');
    return `mkdir -p ${shellQuote(folder)}\nkernel_module_put ${shellWords([path, mode.toString(8), sha256])}\n`;
  });
  return {
    script: `umask 022
kernel_module_put() {
  cp "$BF_PAYLOAD/$3" "$1.blkfleet-new"
  chmod "$2" "$1.blkfleet-new"
  sync "$1.blkfleet-new"
  mv -fT "$1.blkfleet-new" "$1"
}
${lines.join('')}`,
    payloads: files.map(({ sha256, bytes }) => ({ sha256, bytes })),
  };
}
