import { shellWords } from '../../lib/shell.ts';
import type { Step } from '../kind.ts';
import {
  ATTEMPTS,
  CHECKED,
  GUARD,
  optionsPath,
  QUARANTINE,
  UNWELL,
  unitName,
  unitPath,
  WANTS,
} from './files.ts';

/** Removes all that blkfleet keeps about a module, and folders of ours that are empty then. */
export function forgetStep(name: string): Step {
  const folders = [QUARANTINE, ATTEMPTS, CHECKED, UNWELL];
  const files = [
    `${WANTS}/${unitName(name)}`,
    unitPath(name),
    optionsPath(name),
    ...folders.map((folder) => `${folder}/${name}`),
  ];
  return {
    title: `remove what is kept of ${name}`,
    script: `rm -f ${shellWords(files)}
for kernel_module_d in ${shellWords([...folders, '/var/lib/blkfleet'])}; do
  if [ -d "$kernel_module_d" ]; then rmdir "$kernel_module_d" 2>/dev/null || :; fi
done
${removeGuard}if [ -d /run/systemd/system ]; then
  systemctl daemon-reload
  systemctl reset-failed ${unitName(name)} 2>/dev/null || :
fi
`,
    deadline: 90,
  };
}

/** The guard goes with the last unit that uses it. */
export const removeGuard = `kernel_module_last=1
for kernel_module_f in /etc/systemd/system/blkfleet-load-*.service; do
  if [ -e "$kernel_module_f" ]; then kernel_module_last=0; fi
done
if [ "$kernel_module_last" = 1 ]; then
  rm -f ${GUARD}
  if [ -d ${GUARD.replace(/\/[^/]*$/, '')} ]; then rmdir ${GUARD.replace(/\/[^/]*$/, '')} 2>/dev/null || :; fi
fi
`;
