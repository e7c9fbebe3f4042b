import type { Habits } from '../../lib/habits.ts';
import type { Claim, Input } from '../kind.ts';
import { parameterText } from './files.ts';
import type { KernelModuleDesired } from './schema.ts';

export const kernelModuleExample = `
- name: vhost_blk loaded, now and at boot
  kernel_module:
    name: vhost_blk
    parameters:
      workers: 4
`;

export const kernelModuleHabits: Habits = {
  '': (value) => (typeof value === 'string' ? `write { name: ${value} }` : undefined),
  state: (value) => (value === 'present' ? 'write loaded' : undefined),
  params: 'write parameters, a map',
  options: 'write parameters, a map',
  parameters: (value) => {
    const pairs = typeof value === 'string' ? [...value.matchAll(/(\w+)=(\S+)/g)] : [];
    return pairs.length === 0
      ? undefined
      : `write a map: { ${pairs.map(([, k, v]) => `${k}: ${v}`).join(', ')} }`;
  },
  persistent: 'write boot: true or false',
};

/** Its parameters are one property: what no task declares is taken away. */
export function moduleClaims({ desired }: Input<KernelModuleDesired>): readonly Claim[] {
  const { name, state, boot, parameters } = desired;
  const subject = `module ${name}`;
  if (state === 'absent') return [{ subject, says: { state } }];
  const words = Object.entries(parameters).map(([key, value]) => `${key}=${parameterText(value)}`);
  return [{ subject, says: { state, boot: String(boot), parameters: words.sort().join(' ') || 'none' } }];
}
